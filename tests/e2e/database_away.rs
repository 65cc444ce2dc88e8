//! The database goes away in the middle of a run and comes back. Each test has a server of its own to stop.

use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, processes};
use conductor_tests::scripted::{Outcome, Part, Reply, Rule, Script};

const SOON: Duration = Duration::from_secs(30);

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

/// A run whose first step is held at this gate by the worker of this test.
async fn held_at(c: &mut Conductor, gate: &str) -> i64 {
    c.move_to_own_server().await;
    c.start_worker();
    let run = c.launch(Launch::new("research", "Is it so?")).await;
    c.held(gate, LONG).await;
    run
}

#[test]
fn a_result_that_comes_while_the_database_is_away_is_delivered_when_it_returns() {
    Setup::new()
        .script(script())
        .without_worker()
        .run(async |c| {
            let run = held_at(c, "gate").await;
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
    Setup::new()
        .script(script())
        .settings("lease = '3 seconds'")
        .without_worker()
        .run(async |c| {
            let run = held_at(c, "gate").await;
            c.cluster.stop();
            away(Duration::from_secs(5)).await;
            c.cluster.start();
            c.reconnect().await;
            c.model.control().release(Some("gate"));
            c.completed(run, LONG).await;
            assert!(c.output(run, "sources").await.contains("It is so."));
            assert_eq!(c.step(run, "sources").await.attempts, 1);
        });
}

/// When the server began to take writes, as text.
const SINCE: &str =
    "select max(backend_start)::text from pg_stat_activity where backend_type = 'walwriter'";

/// Waits until the server takes writes again, and the worker has found its way back to it.
async fn is_back(c: &mut Conductor, before: &str) {
    let what = "the worker is back";
    let heard = format!("select max(seen_at) > ({SINCE})::timestamptz from workers");
    c.sql = c
        .until(what, SOON, async |c: &Conductor| {
            let sql = c.cluster.connect(&c.database).await.ok()?;
            let since: Option<String> = sql.query_one(SINCE, &[]).await.ok()?.get(0);
            let heard: bool = sql.query_one(&heard, &[]).await.ok()?.get(0);
            (since.is_some_and(|since| since != before) && heard).then_some(sql)
        })
        .await;
}

#[test]
fn however_the_server_ends_within_a_lease_no_attempt_is_lost() {
    let reply = Reply::parts([
        Part::stall("unheard"),
        Part::text("## Answer\nOne, "),
        Part::stall("one"),
        Part::text("two, "),
        Part::stall("two"),
        Part::text("three.\n"),
    ]);
    let script = Script::of([Rule::persona("research-analyst", [reply]).times(1)]);
    Setup::new().script(script).without_worker().run(async |c| {
        let run = held_at(c, "unheard").await;
        // Between the claim and the first word, and twice in the middle of the answer.
        for (gate, end) in [
            ("unheard", "crash"),
            ("one", "immediate"),
            ("two", "backend"),
        ] {
            c.held(gate, SOON).await;
            let before: String = c.sql.query_one(SINCE, &[]).await.unwrap().get(0);
            match end {
                "backend" => kill_a_session_of_the_worker(c).await,
                _ => {
                    let fast = end == "immediate";
                    c.cluster
                        .crash(if fast { libc::SIGQUIT } else { libc::SIGKILL });
                    c.cluster.start();
                }
            }
            is_back(c, &before).await;
            if gate != "two" {
                c.model.control().release(Some(gate));
            }
        }
        killed_while_a_result_is_being_taken(c, run, "two").await;
        c.completed(run, LONG).await;
        let step = c.step(run, "sources").await;
        assert_eq!(step.attempts, 1, "{step:?}");
        let said = step.output.as_deref().map(str::trim);
        assert_eq!(said, Some("## Answer\nOne, two, three."));
        let deaths = "select sum(deaths)::bigint from tasks";
        let deaths: i64 = c.sql.query_one(deaths, &[]).await.unwrap().get(0);
        assert_eq!(deaths, 0);
    });
}

/// All others end with it: nobody knows what it did to the memory that they share.
async fn kill_a_session_of_the_worker(c: &Conductor) {
    let session =
        "select pid from pg_stat_activity where application_name = 'conductor worker' limit 1";
    let pid: i32 = c.sql.query_one(session, &[]).await.unwrap().get(0);
    assert!(processes::signal(pid, libc::SIGKILL));
}

/// Holds the run so that the result waits for it in the server, and kills the server there.
async fn killed_while_a_result_is_being_taken(c: &mut Conductor, run: i64, gate: &str) {
    let mut holder = c.connect().await;
    let transaction = holder.transaction().await.unwrap();
    let lock = "select from flow_runs where id = $1 for no key update";
    transaction.execute(lock, &[&run]).await.unwrap();
    c.model.control().release(Some(gate));
    c.until_waiting("task_finish", 1, SOON).await;
    c.cluster.crash(libc::SIGKILL);
    c.cluster.start();
    c.reconnect().await;
}

#[test]
fn when_server_and_worker_are_killed_at_once_another_worker_takes_over() {
    let half = Reply::parts([Part::text("HALF A SENTENCE "), Part::stall("gate")]);
    let script = Script::of([Rule::persona("research-analyst", [half]).times(1)]);
    let setup = Setup::new().script(script).without_worker();
    setup.settings("lease = '3 seconds'").run(async |c| {
        let run = held_at(c, "gate").await;
        c.kill_worker();
        c.cluster.crash(libc::SIGKILL);
        c.cluster.start();
        c.reconnect().await;
        c.environment = c.another("another");
        c.start_worker();
        c.completed(run, LONG).await;
        let step = c.step(run, "sources").await;
        assert_eq!(step.attempts, 2, "one was lost with its worker: {step:?}");
        assert!(!step.output.unwrap().contains("HALF A SENTENCE"));
    });
}
