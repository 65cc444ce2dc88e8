//! The lock order of ARCHITECTURE.md: run → tasks by id → steps → frame counter.

use std::cell::RefCell;

use conductor_tests::harness::Meeting;
use conductor_tests::harness::Second::{PassesBy, Waits};
use tokio_postgres::error::SqlState;

use super::acts::*;
use super::engine;

/// Everything that is locked row by row, in the order in which it is to be locked.
const ROWS: [(&str, &str); 6] = [
    ("run", "select from conductor.flow_runs where id = "),
    ("task", "select from conductor.tasks where run_id = "),
    ("step", "select from conductor.flow_steps where run_id = "),
    (
        "counter",
        "select from conductor.run_counters where run_id = ",
    ),
    ("dispatch", "select from conductor.dispatch where 0 < "),
    ("worker", "select from conductor.workers where 0 < "),
];

/// Which of these rows others hold.
async fn locked(two: &Meeting<'_>, run: i64) -> Vec<&'static str> {
    let sql = two.c.connect().await;
    let mut held = Vec::new();
    for (name, rows) in ROWS {
        let probe = format!("{rows}{run} for no key update nowait");
        match sql.batch_execute(&probe).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => held.push(name),
            Err(error) => panic!("{probe}: {error:?}"),
        }
    }
    held
}

/// What is locked while one session holds the run and the call waits for it; and what the call returns.
async fn waits(two: &Meeting<'_>, run: i64, call: &str) -> (Vec<&'static str>, String) {
    let hold = format!("select id from flow_runs where id = {run} for no key update");
    let held = RefCell::new(Vec::new());
    let look = async || {
        held.replace(locked(two, run).await);
    };
    let [_, answer] = two.meet_and_look(&hold, Waits, call, look).await;
    sound(two, run).await;
    (held.take(), answer)
}

/// The same of a call that holds nothing as it waits.
async fn waits_empty_handed(two: &Meeting<'_>, run: i64, call: &str) -> String {
    let (held, answer) = waits(two, run, call).await;
    assert_eq!(held, ["run"], "{call}");
    answer
}

#[test]
fn whoever_waits_for_a_run_holds_nothing_of_it() {
    engine(async |c| {
        let two = Meeting::new(c);
        let Angles {
            run,
            worker,
            structure,
            behavior,
        } = Angles::new(&two).await;
        let answer = waits_empty_handed(&two, run, &snapshot(&behavior, "here")).await;
        assert_eq!(answer, "t");
        let answer = waits_empty_handed(&two, run, &finish(&structure, "one angle")).await;
        assert_eq!(answer, "completed");
        let answer = waits_empty_handed(&two, run, &release(&behavior)).await;
        assert_eq!(answer, "t");
        let [behavior] = claimed(&two, worker).await;
        let answer = waits_empty_handed(&two, run, &task_cancel(&behavior)).await;
        assert_eq!(answer, "cancelled");
        let copy = waits_empty_handed(&two, run, &fork(run, "fold")).await;
        let answer = waits_empty_handed(&two, run, &cancel(run)).await;
        assert_eq!(answer, "cancelled");
        let answer = waits_empty_handed(&two, run, &retry(run)).await;
        assert_eq!(answer, run.to_string());
        goes_on(&two, run).await;
        goes_on(&two, copy.parse().expect("the fork is a run")).await;
    });
}

#[test]
fn a_raw_update_that_waits_for_a_run_holds_its_task_alone() {
    engine(async |c| {
        let two = Meeting::new(c);
        let angles = Angles::last(&two).await;
        let (held, _) = waits(&two, angles.run, &raw_update(&angles.behavior)).await;
        assert_eq!(held, ["run", "task"]);
        goes_on(&two, angles.run).await;
    });
}

/// What is locked while this call is not committed.
async fn held_by(two: &Meeting<'_>, run: i64, call: &str) -> Vec<&'static str> {
    let held = RefCell::new(Vec::new());
    let look = async || {
        held.replace(locked(two, run).await);
    };
    two.meet_and_look(call, PassesBy, "select", look).await;
    held.take()
}

#[test]
fn a_stream_and_a_heartbeat_hold_only_what_is_theirs() {
    engine(async |c| {
        let two = Meeting::new(c);
        let angles = Angles::last(&two).await;
        let (run, task) = (angles.run, &angles.behavior);
        assert_eq!(
            held_by(&two, run, &stream(task, "half a")).await,
            ["counter"]
        );
        assert_eq!(
            held_by(&two, run, &stream_together(&[task], "half a")).await,
            ["counter"]
        );
        let alive = beat(angles.worker, task);
        assert_eq!(held_by(&two, run, &alive).await, ["task", "worker"]);
        goes_on_after(&two, run, &finish(task, "other angle")).await;
    });
}

#[test]
fn whoever_waits_for_a_task_holds_no_step_and_no_counter() {
    engine(async |c| {
        let two = Meeting::new(c);
        let angles = Angles::last(&two).await;
        let (run, task) = (angles.run, &angles.behavior);
        let alive = beat(angles.worker, task);
        let held = RefCell::new(Vec::new());
        let look = async || {
            held.replace(locked(&two, run).await);
        };
        let call = finish(task, "other angle");
        let met = two.meet_and_look(&alive, Waits, &call, look).await;
        assert_eq!(met, ["", "completed"]);
        assert_eq!(held.take(), ["run", "task", "worker"]);
        goes_on(&two, run).await;
    });
}

#[test]
fn whoever_takes_many_passes_over_a_run_that_is_locked() {
    engine(async |c| {
        let two = Meeting::new(c);
        let (locked, free) = (Angles::last(&two).await, Angles::last(&two).await);
        for angles in [&locked, &free] {
            does(&two, &release(&angles.behavior)).await;
        }
        let run = locked.run;
        let hold = format!("select 'held' from flow_runs where id = {run} for no key update");
        let met = two.meet(&hold, PassesBy, &resume()).await;
        assert_eq!(met, ["held", "1"]);
        let met = two.meet(&hold, PassesBy, &claim(locked.worker, 8)).await;
        assert_eq!(met, ["held", "behavior"]);
        let met = two.meet(&hold, PassesBy, &register("by-hand", 2)).await;
        assert_eq!(met, ["held".to_owned(), locked.worker.to_string()]);
        for angles in [&locked, &free] {
            does(&two, &cancel(angles.run)).await;
        }
        let met = two.meet(&hold, PassesBy, &prune(1000)).await;
        assert_eq!(met, ["held", "1"], "the other run is pruned");
    });
}

async fn goes_on_after(two: &Meeting<'_>, run: i64, call: &str) {
    does(two, call).await;
    goes_on(two, run).await;
}
