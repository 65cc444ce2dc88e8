//! The database goes away in the middle of a run and comes back.

use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Launch, Setup};
use conductor_tests::scripted::{Outcome, Part, Reply, Rule, Script};

/// The agent is held before and after what it says, so that the server can be away for either.
fn script() -> Script {
    let first = Reply::parts([
        Part::text("## Answer\nIt is "),
        Part::stall("gate"),
        Part::text("so.\n"),
    ]);
    Script::of([Rule::persona("research-analyst", [first])])
}

/// How long the server stays away: the one thing in these tests that only time can make.
async fn away(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Tests of this file run one after the other: each stops the server that they share.
static SERVER: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn a_result_that_comes_while_the_database_is_away_is_delivered_when_it_returns() {
    let _alone = SERVER.lock().unwrap_or_else(|broken| broken.into_inner());
    Setup::new().script(script()).run(async |c| {
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        c.cluster.stop();
        c.model.control().release(Some("gate"));
        let said = c
            .model
            .control()
            .wait_until(LONG, |control| {
                let records = control.records();
                records
                    .iter()
                    .any(|record| record.outcome == Outcome::Completed)
            })
            .await;
        assert!(said, "the child went on");
        away(Duration::from_secs(10)).await;
        c.cluster.start();
        c.reconnect().await;
        c.completed(run, LONG).await;
        let step = c.step(run, "sources").await;
        assert_eq!(step.attempts, 1, "nothing was done twice");
        assert_eq!(
            step.output.as_deref().map(str::trim),
            Some("## Answer\nIt is so.")
        );
    });
}

#[test]
fn a_run_goes_on_after_the_database_was_away_for_longer_than_a_lease() {
    let _alone = SERVER.lock().unwrap_or_else(|broken| broken.into_inner());
    Setup::new()
        .script(script())
        .settings("lease = '3 seconds'")
        .run(async |c| {
            let run = c.launch(Launch::new("research", "Is it so?")).await;
            c.held("gate", LONG).await;
            c.cluster.stop();
            away(Duration::from_secs(5)).await;
            c.cluster.start();
            c.reconnect().await;
            c.model.control().release(Some("gate"));
            c.completed(run, LONG).await;
            assert!(c.output(run, "sources").await.contains("It is so."));
        });
}
