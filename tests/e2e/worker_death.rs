//! A worker that dies, and one that is asked to end.

use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, processes};
use conductor_tests::scripted::{Outcome, Part, Record, Reply, Rule, Script};

/// The behavioral analyst says half a sentence and is held there, once.
fn held_once() -> Script {
    let half = Reply::parts([Part::text("HALF A SENTENCE "), Part::stall("gate")]);
    Script::of([Rule::persona("behavioral-analyst", [half]).turn(1).times(1)])
}

async fn one_done_one_held(c: &Conductor) -> i64 {
    c.shop("shop").await;
    let launch = Launch::new("architectural-analysis", "How does a lease work here?");
    let run = c.launch(launch.on("shop").band("medium")).await;
    c.held("gate", LONG).await;
    c.has_streamed(run, "behavior", LONG).await;
    c.step_is(run, "structure", "completed", LONG).await;
    run
}

/// First turns of a persona: one for each time its step was begun.
fn begun(records: &[Record], persona: &str) -> Vec<Record> {
    let of = |r: &&Record| r.persona.as_deref() == Some(persona) && r.turn == 1;
    records.iter().filter(of).cloned().collect()
}

/// No two conversations of one step overlap.
fn never_twice_at_once(begun: &[Record]) {
    for pair in begun.windows(2) {
        let ended = pair[0].ended_ms.expect("the earlier attempt is over");
        assert!(
            ended <= pair[1].started_ms,
            "two attempts at once: {pair:?}"
        );
    }
}

#[test]
fn a_killed_worker_that_comes_back_finishes_the_run() {
    Setup::new().script(held_once()).run(async |c| {
        let run = one_done_one_held(c).await;
        let kept = c.output(run, "structure").await;
        c.kill_worker();
        let left = processes::wait_until_none(&c.folder().join("state"), Duration::from_secs(10));
        assert!(left.is_empty(), "children outlive their worker: {left:?}");
        c.start_worker();
        c.completed(run, LONG).await;

        let records = c.model.control().records();
        let structure = begun(&records, "structural-analyst");
        assert_eq!(structure.len(), 1, "a completed step is not run again");
        assert_eq!(c.output(run, "structure").await, kept);
        let behavior = begun(&records, "behavioral-analyst");
        assert_eq!(behavior.len(), 2);
        assert_eq!(behavior[0].outcome, Outcome::Disconnected);
        never_twice_at_once(&behavior);
        assert_eq!(c.step(run, "structure").await.attempts, 1);
        assert_eq!(c.step(run, "behavior").await.attempts, 2);
        let report = c.report(run).await;
        assert!(
            !report.contains("HALF A SENTENCE"),
            "what streamed before is void:\n{report}"
        );
        assert!(report.contains("synthesis/SA1"), "{report}");
    });
}

#[test]
fn another_worker_takes_over_when_the_lease_has_run_out() {
    Setup::new()
        .script(held_once())
        .settings("lease = '3 seconds'")
        .run(async |c| {
            let run = one_done_one_held(c).await;
            c.kill_worker();
            c.environment.folder = c.folder().join("elsewhere");
            for name in ["home", "state"] {
                std::fs::create_dir_all(c.environment.folder.join(name)).unwrap();
            }
            c.environment.name = "another".into();
            c.start_worker();
            c.completed(run, LONG).await;
            let records = c.model.control().records();
            assert_eq!(begun(&records, "structural-analyst").len(), 1);
            never_twice_at_once(&begun(&records, "behavioral-analyst"));
        });
}

#[test]
fn a_worker_asked_to_end_lets_its_children_finish_first() {
    Setup::new().script(held_once()).run(async |c| {
        let run = one_done_one_held(c).await;
        let pid = c.worker().pid();
        processes::signal(pid, libc::SIGTERM);
        c.said("draining", 1, Duration::from_secs(30)).await;
        c.model.control().release(Some("gate"));
        let ended = c.worker().wait(Duration::from_secs(60));
        assert!(
            ended.is_some_and(|status| status.success()),
            "{}",
            c.worker().words()
        );
        c.step_is(run, "behavior", "completed", LONG).await;
        assert!(
            c.output(run, "behavior")
                .await
                .starts_with("HALF A SENTENCE")
        );
        assert_eq!(
            c.status(run).await.0,
            "running",
            "the rest waits for a worker"
        );
        c.restart_worker();
        c.completed(run, LONG).await;
    });
}

#[test]
fn a_worker_asked_twice_hands_its_tasks_back_at_no_cost() {
    Setup::new().script(held_once()).run(async |c| {
        let run = one_done_one_held(c).await;
        let pid = c.worker().pid();
        processes::signal(pid, libc::SIGTERM);
        c.said("draining", 1, Duration::from_secs(30)).await;
        processes::signal(pid, libc::SIGTERM);
        let ended = c.worker().wait(Duration::from_secs(15));
        assert!(ended.is_some(), "{}", c.worker().words());
        let step = c.step(run, "behavior").await;
        assert_eq!(
            (step.status.as_str(), step.attempts),
            ("pending", 0),
            "{step:?}"
        );
        c.restart_worker();
        c.completed(run, LONG).await;
    });
}

/// A worker is killed while this call of it waits in the middle of a change of rows, and comes back; then the call is
/// done, or not at all.
fn killed_within(call: &str, table: &str, change: &str) {
    let setup = Setup::new()
        .without_worker()
        .settings("lease = '5 seconds'");
    setup.run(async |c| {
        c.define("one", &[("look", "research-analyst")]).await;
        let run = c.launch(Launch::new("one", "Is it so?")).await;
        let hold = format!(
            "create function public.hold() returns trigger language plpgsql as
                'begin perform pg_advisory_xact_lock(1); return new; end';
             create trigger hold before update on {table} for each row
                when ({change}) execute function public.hold()"
        );
        c.sql.batch_execute(&hold).await.unwrap();
        let keeper = c.connect().await;
        let lock = "select pg_advisory_lock(1)";
        keeper.batch_execute(lock).await.unwrap();
        c.start_worker();
        c.until_waiting(call, 1, LONG).await;
        c.kill_worker();
        c.start_worker();
        let what = "its successor has registered, or waits for what it left";
        c.until(what, LONG, async |c: &Conductor| {
            let log = std::fs::read_to_string(c.environment.log()).unwrap_or_default();
            let registered = log.matches("registered").count() == 2;
            (registered || c.sessions_waiting("worker_register").await > 0).then_some(())
        })
        .await;
        let unlock = "select pg_advisory_unlock(1)";
        keeper.batch_execute(unlock).await.unwrap();
        c.completed(run, LONG).await;
        let step = c.step(run, "look").await;
        assert!((1..=2).contains(&step.attempts), "{step:?}");
        let told = "select count(*) from frames where type = 'message_complete'";
        let told: i64 = c.sql.query_one(told, &[]).await.unwrap().get(0);
        assert_eq!(told, 1, "its end was told once");
    });
}

#[test]
fn a_worker_killed_while_it_claims_leaves_a_run_that_completes() {
    killed_within("task_claim", "tasks", "new.state = 'running'");
}

#[test]
fn a_worker_killed_while_it_records_a_snapshot_leaves_a_run_that_completes() {
    let change = "new.snapshot_host is distinct from old.snapshot_host";
    killed_within("run_snapshot", "flow_runs", change);
}

#[test]
fn a_worker_killed_while_it_finishes_leaves_a_run_that_completes() {
    killed_within("task_finish", "tasks", "new.state = 'completed'");
}

#[test]
fn what_a_fork_keeps_is_not_asked_again() {
    Setup::new().run(async |c| {
        c.shop("shop").await;
        let launch = Launch::new("architectural-analysis", "How does a lease work here?");
        let run = c.launch(launch.on("shop").band("medium")).await;
        c.completed(run, LONG).await;
        let kept = c.output(run, "structure").await;
        let fork = "select flow_fork($1, 'synthesis')";
        let fork: i64 = c.sql.query_one(fork, &[&run]).await.unwrap().get(0);
        c.completed(fork, LONG).await;
        assert_eq!(c.output(fork, "structure").await, kept);
        let records = c.model.control().records();
        let asked = |persona| begun(&records, persona).len();
        assert_eq!(
            (asked("structural-analyst"), asked("behavioral-analyst")),
            (1, 1)
        );
        assert_eq!(
            (asked("software-architect"), asked("adversarial-validator")),
            (2, 2)
        );
        let report = c.report(fork).await;
        assert!(report.contains(&format!("run {run}")), "{report}");
    });
}
