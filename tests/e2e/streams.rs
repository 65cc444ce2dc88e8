//! What all children of a worker stream goes to the server together, and each in its own order.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Conductor, Launch, Setup};
use conductor_tests::scripted::{Part, Reply, Rule, Script};
use tokio_postgres::{AsyncMessage, NoTls};

const SOON: Duration = Duration::from_secs(30);

/// Whoever is asked this says one thing, waits, says another, and waits again.
fn rule(question: &str) -> Rule {
    let gate = |number: i32| Part::stall(format!("{question} {number}").as_str());
    let reply = Reply::parts([
        Part::text("## Answer\nOne, "),
        gate(1),
        Part::text("two, "),
        gate(2),
        Part::text("three.\n"),
    ]);
    Rule {
        contains: Some(question.to_owned()),
        ..Rule::persona("research-analyst", [reply]).times(1)
    }
}

fn two_runs() -> Setup {
    Setup::new().script(Script::of([rule("first?"), rule("second?")]))
}

async fn streamed(c: &Conductor, run: i64) -> Option<String> {
    let query = "select conductor._streamed(t.id, t.attempt) from tasks t where t.run_id = $1 and t.state = 'running'";
    let row = c.sql.query_opt(query, &[&run]).await;
    row.expect("the frames can be read")?.get(0)
}

async fn says(c: &Conductor, run: i64, text: &str) {
    let what = format!("run {run} says {text:?}");
    c.until(&what, SOON, async |c: &Conductor| {
        (streamed(c, run).await.as_deref() == Some(text)).then_some(())
    })
    .await;
}

#[test]
fn a_run_that_somebody_writes_to_holds_up_no_other_and_loses_nothing() {
    two_runs().run(async |c| {
        let first = c.launch(Launch::new("research", "first?")).await;
        let second = c.launch(Launch::new("research", "second?")).await;
        for gate in ["first? 1", "second? 1"] {
            c.held(gate, LONG).await;
        }
        for run in [first, second] {
            says(c, run, "## Answer\nOne, ").await;
        }
        let writing = c.connect().await;
        let hold = format!("begin; select from run_counters where run_id = {first} for update");
        writing.batch_execute(&hold).await.unwrap();
        for gate in ["first? 1", "second? 1"] {
            c.model.control().release(Some(gate));
        }
        for gate in ["first? 2", "second? 2"] {
            c.held(gate, SOON).await;
        }
        says(c, second, "## Answer\nOne, two, ").await;
        says(c, first, "## Answer\nOne, ").await;
        // Its batch has been busy for so long that it waits for its turn.
        c.until_waiting("task_stream", 1, SOON).await;
        writing.batch_execute("commit").await.unwrap();
        says(c, first, "## Answer\nOne, two, ").await;
        for gate in ["first? 2", "second? 2"] {
            c.model.control().release(Some(gate));
        }
        for run in [first, second] {
            c.completed(run, LONG).await;
            let step = c.step(run, "sources").await;
            assert_eq!(step.attempts, 1, "{step:?}");
            let said = step.output.as_deref().map(str::trim);
            assert_eq!(said, Some("## Answer\nOne, two, three."));
        }
    });
}

#[test]
fn streams_that_are_refused_together_arrive_one_by_one() {
    two_runs().run(async |c| {
        let rename = "alter function worker_stream(bigint[], uuid[], jsonb[]) rename to another";
        c.sql.batch_execute(rename).await.unwrap();
        let first = c.launch(Launch::new("research", "first?")).await;
        let second = c.launch(Launch::new("research", "second?")).await;
        for (run, gate) in [(first, "first? 1"), (second, "second? 1")] {
            c.held(gate, LONG).await;
            says(c, run, "## Answer\nOne, ").await;
        }
        c.said("they are sent one by one", 1, SOON).await;
        for gate in ["first? 1", "second? 1", "first? 2", "second? 2"] {
            c.held(gate, SOON).await;
            c.model.control().release(Some(gate));
        }
        for run in [first, second] {
            c.completed(run, LONG).await;
        }
    });
}

#[test]
fn one_call_rings_once_for_each_run_however_many_batches_it_has() {
    Setup::new().without_worker().run(async |c| {
        let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
        let flow = Launch::new("architectural-analysis", "q").band("medium");
        c.launch(flow).await;
        c.launch(Launch::new("research", "q")).await;
        let held = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
        assert_eq!(held.len(), 3);

        let url = c.cluster.url(&c.database);
        let (listener, mut line) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        let (heard, mut rings) = tokio::sync::mpsc::unbounded_channel();
        let listening = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| line.poll_message(cx)).await {
                if let AsyncMessage::Notification(ring) = message {
                    let _ = heard.send(ring.channel().to_owned());
                }
            }
        });
        let of_its_run = |task: &Claimed| format!("conductor_run_{}", task.run);
        let channels: BTreeSet<String> = held.iter().map(of_its_run).collect();
        for channel in &channels {
            let listen = format!("listen {channel}");
            listener.batch_execute(&listen).await.unwrap();
        }
        listener
            .batch_execute("listen conductor_frames; listen the_end")
            .await
            .unwrap();
        let call = together(&[&held[0], &held[1], &held[2], &held[0]]);
        let rows = c.sql.query(&call, &[]).await.unwrap();
        let verdicts: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(verdicts, ["stored"; 4]);
        c.sql.batch_execute("notify the_end").await.unwrap();
        let mut rung = Vec::new();
        while let Some(channel) = rings.recv().await {
            if channel == "the_end" {
                break;
            }
            rung.push(channel);
        }
        rung.sort();
        assert_eq!(rung, Vec::from_iter(channels));
        drop(listener);
        listening.await.unwrap();
    });
}

/// One call with a delta for each of these tasks.
fn together(tasks: &[&Claimed]) -> String {
    let list = |of: &dyn Fn(&Claimed) -> String| {
        let all: Vec<String> = tasks.iter().map(|task| of(task)).collect();
        all.join(", ")
    };
    format!(
        "select verdict from worker_stream(array[{}], array[{}]::uuid[], array[{}]::jsonb[])",
        list(&|task| task.task.to_string()),
        list(&|task| format!("'{}'", task.lease)),
        list(&|_| r#"'[{"type": "delta", "offset": 0, "text": "x"}]'"#.to_owned()),
    )
}
