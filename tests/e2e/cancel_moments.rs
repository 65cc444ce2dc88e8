//! Cancelled at whatever moment, everything that belongs to an attempt is gone within the grace.

use std::path::Path;
use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, processes};
use conductor_tests::scripted::{Outcome, Part, Reply, Rule, Script, ToolCall};
use serde_json::json;

/// What a child may take to end when it is asked to, which is 5 s, and what the way there takes on a busy machine.
const GRACE: Duration = Duration::from_secs(10);

/// On words that are not ASCII ripgrep has no fast way to look for this, so that it runs until somebody ends it.
const HARD: &str = r"\b(?:[a-zä]{1,40}\b[ ]){20,80}\b[^a-zä ]";
const WORDS: &str = "äb abc abcd ";

async fn cancel_task(c: &Conductor, run: i64, step: &str) {
    let query = "select task_cancel(t.id) from tasks t join flow_steps s on s.task_id = t.id
        where s.run_id = $1 and s.step_id = $2";
    let state: String = c.sql.query_one(query, &[&run, &step]).await.unwrap().get(0);
    assert_eq!(state, "cancelled");
}

async fn gone(c: &Conductor, job: &Path) {
    c.until(
        "nothing of the attempt is left",
        GRACE,
        async |_: &Conductor| (processes::of_folder(job).is_empty() && !job.exists()).then_some(()),
    )
    .await;
}

async fn cancelled(c: &Conductor, run: i64, step: &str, output: Option<&str>) {
    let step = c.step(run, step).await;
    assert_eq!(
        (step.status.as_str(), step.output.as_deref()),
        ("cancelled", output)
    );
    assert_eq!(step.error, None);
}

/// The requests of a run that hold this text have ended because their client went away.
async fn closed(c: &Conductor, text: &str) {
    let closed = c.model.control().wait_until(GRACE, |control| {
        let records = control.records();
        let mut of_run = records.iter().filter(|record| record.body.contains(text));
        of_run.all(|record| record.outcome != Outcome::Active)
    });
    assert!(closed.await, "a request is still open");
}

#[test]
fn a_cancelled_task_ends_its_child_while_it_streams_waits_or_runs_a_tool() {
    let half = || Reply::parts([Part::text("HALF A SENTENCE"), Part::stall("streaming")]);
    let search = ToolCall {
        name: "grep_search".into(),
        arguments: json!({"pattern": HARD, "path": "{snapshot}"}),
    };
    let script = Script::of([
        Rule::persona("research-analyst", [half()]).contains("Who streams?"),
        Rule::any([Reply::parts([Part::ToolCalls(vec![search])])]).contains("Who searches?"),
        Rule::any([Reply::held("waiting")]).contains("Who waits?"),
    ]);
    Setup::new().slots(4).script(script).run(async |c| {
        let shop = c.shop("shop").await;
        std::fs::write(shop.root().join("words.txt"), WORDS.repeat(200_000)).unwrap();
        c.define("two", &[("look", "research-analyst"), ("other", "codebase-explorer")]).await;
        c.define("one", &[("look", "research-analyst")]).await;
        let streams = c.launch(Launch::new("two", "Who streams?")).await;
        let waits = c.launch(Launch::new("one", "Who waits?")).await;
        let searches = c.launch(Launch::new("one", "Who searches?").on("shop")).await;

        c.held("waiting", LONG).await;
        let job = c.job(waits, "look").await;
        cancel_task(c, waits, "look").await;
        gone(c, &job).await;
        cancelled(c, waits, "look", None).await;
        closed(c, "Who waits?").await;

        c.step_is(searches, "look", "running", LONG).await;
        let job = c.job(searches, "look").await;
        c.until("ripgrep runs", LONG, async |_: &Conductor| {
            let of_job = processes::of_folder(&job);
            of_job.iter().any(|p| p.command.split(' ').next().is_some_and(|program| program.ends_with("rg"))).then_some(())
        })
        .await;
        cancel_task(c, searches, "look").await;
        gone(c, &job).await;
        cancelled(c, searches, "look", None).await;

        c.held("streaming", LONG).await;
        c.has_streamed(streams, "look", LONG).await;
        c.step_is(streams, "other", "completed", LONG).await;
        let job = c.job(streams, "look").await;
        cancel_task(c, streams, "look").await;
        gone(c, &job).await;
        cancelled(c, streams, "look", Some("HALF A SENTENCE")).await;
        closed(c, "Who streams?").await;
        // What else there is makes a report, which names what was stopped; where there is nothing else, the run was stopped.
        for (run, status) in [(streams, "completed"), (waits, "cancelled"), (searches, "cancelled")] {
            assert_eq!(c.ended(run, LONG).await.0, status, "run {run}");
            let report = c.report(run).await;
            assert!(report.contains("cancelled"), "run {run}: {report}");
        }
        let query = "select status from messages where run_id = $1 and step_id = 'look' and role = 'assistant'";
        let message = c.sql.query_one(query, &[&streams]).await.unwrap();
        assert_eq!(message.get::<_, String>(0), "cancelled");
    });
}

#[test]
fn a_run_cancelled_while_its_snapshot_is_taken_leaves_neither_snapshot_nor_child() {
    Setup::new().run(async |c| {
        let root = c.environment.allowed.join("large");
        for folder in 0..100 {
            let folder = root.join(folder.to_string());
            std::fs::create_dir_all(&folder).unwrap();
            for file in 0..200 {
                std::fs::write(folder.join(file.to_string()), "one line\n").unwrap();
            }
        }
        c.register("large", &root).await;
        c.define("one", &[("look", "research-analyst")]).await;
        let run = c.launch(Launch::new("one", "Is it so?").on("large")).await;
        let snapshots = c.folder().join("state/snapshots");
        let any = || std::fs::read_dir(&snapshots).is_ok_and(|mut found| found.next().is_some());
        c.until("the snapshot is begun", LONG, async |_: &Conductor| {
            any().then_some(())
        })
        .await;
        c.sql
            .execute("select flow_cancel($1)", &[&run])
            .await
            .unwrap();
        c.until("the worker lets go", GRACE, async |c: &Conductor| {
            let log = std::fs::read_to_string(c.environment.log()).unwrap_or_default();
            ended_by_a_cancel(&log).then_some(())
        })
        .await;
        cancelled(c, run, "look", None).await;
        c.until(
            "the snapshot is removed",
            GRACE + GRACE,
            async |_: &Conductor| (!any()).then_some(()),
        )
        .await;
        assert!(c.model.control().records().is_empty());
    });
}

/// By its heartbeat, or by a call that its lease was too old for, whichever is first.
fn ended_by_a_cancel(log: &str) -> bool {
    log.contains(" cancelled run=") || log.contains("the lease is no longer ours")
}

#[test]
fn a_run_cancelled_between_claim_and_child_never_starts_one() {
    Setup::new().without_worker().run(async |c| {
        c.define("one", &[("look", "research-analyst")]).await;
        let run = c.launch(Launch::new("one", "Is it so?")).await;
        // A claim is held in its middle, so that whoever cancels is next: tables have a queue, rows have none.
        let hold = "create function public.hold() returns trigger language plpgsql as
                'begin perform pg_advisory_xact_lock(1); return new; end';
            create trigger hold before update of state on tasks for each row
                when (new.state = 'running') execute function public.hold()";
        c.sql.batch_execute(hold).await.unwrap();
        let gate = c.connect().await;
        gate.batch_execute("select pg_advisory_lock(1)")
            .await
            .unwrap();
        c.start_worker();
        c.until_waiting("task_claim", 1, LONG).await;
        let canceller = c.connect().await;
        let cancelling = tokio::spawn(async move {
            let next = "begin; lock table flow_runs in exclusive mode";
            canceller.batch_execute(next).await.unwrap();
            canceller
                .execute("select flow_cancel($1)", &[&run])
                .await
                .unwrap();
            canceller
        });
        c.until_waiting("lock table", 1, LONG).await;
        gate.batch_execute("select pg_advisory_unlock(1)")
            .await
            .unwrap();
        let canceller = cancelling.await.unwrap();
        c.until_waiting("run_snapshot", 1, LONG).await;
        canceller.batch_execute("commit").await.unwrap();
        c.until("the worker lets go", GRACE, async |c: &Conductor| {
            let log = std::fs::read_to_string(c.environment.log()).unwrap_or_default();
            ended_by_a_cancel(&log).then_some(())
        })
        .await;
        cancelled(c, run, "look", None).await;
        assert_eq!(c.status(run).await.0, "cancelled");
        assert!(c.model.control().records().is_empty());
        let jobs = std::fs::read_dir(c.folder().join("state/jobs")).unwrap();
        assert_eq!(jobs.count(), 0);
    });
}
