//! Cancelling ends what runs, keeps what is done, and says `cancelled` everywhere.

use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::worker::children;
use conductor_tests::harness::{Conductor, Launch, Setup, sql_worker};
use conductor_tests::scripted::{Outcome, Part, Reply, Rule, Script};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(15);

async fn cancel(c: &Conductor, run: i64) -> String {
    c.sql
        .query_one("select flow_cancel($1)", &[&run])
        .await
        .unwrap()
        .get(0)
}

#[test]
fn cancelling_a_running_run_ends_its_children_and_is_cancelled_everywhere() {
    let half = Reply::parts([Part::text("HALF A SENTENCE"), Part::stall("gate")]);
    let script = Script::of([Rule::persona("behavioral-analyst", [half])]);
    Setup::new().script(script).run(async |c| {
        c.shop("shop").await;
        let launch = Launch::new("architectural-analysis", "How does a lease work here?");
        let run = c.launch(launch.on("shop").band("medium")).await;
        c.held("gate", LONG).await;
        c.step_is(run, "structure", "completed", LONG).await;
        c.until(
            "the half sentence is a frame",
            SOON,
            async |c: &Conductor| {
                let delta = |f: &(String, Value)| {
                    f.0 == "delta"
                        && f.1["text"]
                            .as_str()
                            .is_some_and(|text| text.contains("HALF"))
                };
                c.frames(run).await.iter().any(delta).then_some(())
            },
        )
        .await;
        let worker = c.worker().pid();
        assert!(
            !children(c.folder(), worker).is_empty(),
            "a child is running"
        );

        assert_eq!(cancel(c, run).await, "cancelled");
        assert_eq!(cancel(c, run).await, "cancelled", "twice is once");
        c.until("the children have ended", SOON, async |c: &Conductor| {
            children(c.folder(), worker).is_empty().then_some(())
        })
        .await;
        let gone = c
            .model
            .control()
            .wait_until(SOON, |control| {
                let records = control.records();
                records
                    .iter()
                    .all(|record| record.outcome != Outcome::Active)
            })
            .await;
        assert!(gone, "a request is still open");

        assert_eq!(c.status(run).await.0, "cancelled");
        let structure = c.step(run, "structure").await;
        assert_eq!(structure.status, "completed", "what was done is kept");
        let behavior = c.step(run, "behavior").await;
        assert_eq!(behavior.status, "cancelled");
        assert_eq!(
            behavior.output.as_deref(),
            Some("HALF A SENTENCE"),
            "what had streamed is kept"
        );
        for step in ["fold", "synthesis", "validation", "report"] {
            assert_eq!(c.step(run, step).await.status, "cancelled", "{step}");
        }
        let states =
            "select count(*) filter (where state in ('pending', 'running', 'failed')) from tasks";
        assert_eq!(
            c.sql.query_one(states, &[]).await.unwrap().get::<_, i64>(0),
            0
        );
        let statuses = c
            .sql
            .query(
                "select status from messages where step_id = 'behavior' and role = 'assistant'",
                &[],
            )
            .await
            .unwrap();
        assert_eq!(statuses[0].get::<_, String>(0), "cancelled");
        let report = c.report(run).await;
        assert!(
            report.contains("cancelled") && report.contains("structure"),
            "{report}"
        );

        c.model.control().reset();
        let next = c.launch(Launch::new("research", "Is it so?")).await;
        c.completed(next, LONG).await;
        assert_eq!(
            cancel(c, next).await,
            "completed",
            "after the end it changes nothing"
        );
    });
}

#[test]
fn a_run_cancelled_before_a_worker_is_there_never_starts() {
    Setup::new().without_worker().run(async |c| {
        let first = c.launch(Launch::new("research", "Is it so?")).await;
        assert_eq!(cancel(c, first).await, "cancelled");
        c.start_worker();
        let second = c.launch(Launch::new("research", "And this?")).await;
        c.completed(second, LONG).await;
        let records = c.model.control().records();
        assert!(
            records
                .iter()
                .all(|record| record.body.contains("And this?"))
        );
        assert_eq!(c.status(first).await.0, "cancelled");
    });
}

#[test]
fn what_had_streamed_is_the_output_of_a_cancelled_step_whoever_streamed_it() {
    Setup::new().without_worker().run(async |c| {
        let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
        let run = c
            .launch(Launch::new("research", "How far did it get?"))
            .await;
        let held = &sql_worker::claim(&c.sql, worker, 1).await.unwrap()[0];
        let stream = "select task_stream($1, $2::text::uuid, '[{\"type\": \"message_started\"},
            {\"type\": \"delta\", \"offset\": 0, \"text\": \"As far \"},
            {\"type\": \"delta\", \"offset\": 7, \"text\": \"as this.\"}]')";
        c.sql
            .execute(stream, &[&held.task, &held.lease])
            .await
            .unwrap();
        c.sql
            .execute("select flow_cancel($1)", &[&run])
            .await
            .unwrap();
        assert_eq!(c.output(run, &held.step_id).await, "As far as this.");
        assert_eq!(c.violations().await.unwrap(), [""; 0]);
    });
}
