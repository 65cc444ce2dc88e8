//! Two sessions at each lock, in both orders: nobody deadlocks, no wave is lost, nothing is done twice, and the run goes
//! on from there.

mod acts;
mod order;
mod pairs;
mod pruning;
mod rescue;
mod streams;

use conductor_tests::harness::Second::{PassesBy, Waits};
use conductor_tests::harness::{Conductor, Meeting, Setup};

use acts::*;

fn engine(test: impl AsyncFnOnce(&Conductor)) {
    let setup = Setup::new().without_worker();
    setup.run(async |c| test(c).await);
}

#[test]
fn a_finish_meets_whoever_cancels() {
    engine(async |c| {
        let two = Meeting::new(c);
        pairs::finish_and_cancel(&two).await;
        pairs::last_finish_and_cancel(&two).await;
        pairs::finish_and_task_cancel(&two).await;
        pairs::cancel_and_cancel(&two).await;
        pairs::fan_out_and_cancel(&two).await;
        pairs::cancel_and_cancel(&two.rolled_back()).await;
    });
}

#[test]
fn whoever_works_meets_a_cancel() {
    engine(async |c| {
        let two = Meeting::new(c);
        pairs::stream_and_cancel(&two).await;
        pairs::release_and_cancel(&two).await;
        pairs::claim_and_cancel(&two).await;
        pairs::snapshot_and_cancel(&two).await;
        pairs::raw_update_and_cancel(&two).await;
    });
}

#[test]
fn whoever_operates_meets_another() {
    engine(async |c| {
        let two = Meeting::new(c);
        pairs::cancel_and_retry(&two).await;
        pairs::retry_and_retry(&two).await;
        pairs::fork_and_cancel(&two).await;
        pairs::launch_and_launch_with_one_key(&two).await;
        pairs::launch_and_launch_with_one_key(&two.rolled_back()).await;
    });
}

#[test]
fn a_finish_meets_whoever_looks_after_the_run() {
    engine(async |c| {
        let two = Meeting::new(c);
        pairs::finish_and_the_same_again(&two).await;
        pairs::finish_and_resume(&two).await;
        pairs::stream_and_finish(&two).await;
        pairs::finish_and_the_same_again(&two.rolled_back()).await;
        pairs::raw_update_and_raw_update(&two).await;
    });
}

#[test]
fn above_read_committed_a_retry_cures_every_meeting() {
    engine(async |c| {
        let two = Meeting::new(c).at("repeatable read");
        pairs::finish_and_cancel(&two).await;
        pairs::finish_and_the_same_again(&two).await;
        pairs::cancel_and_cancel(&two).await;
        pairs::last_finish_and_cancel(&two).await;
        pairs::fan_out_and_cancel(&two).await;
        pairs::cancel_and_retry(&two).await;
        pairs::retry_and_retry(&two).await;
        pairs::stream_and_cancel(&two).await;
        pairs::snapshot_and_cancel(&two).await;
        pairs::fork_and_cancel(&two).await;
        pairs::raw_update_and_raw_update(&two).await;
        pairs::finish_and_resume(&two).await;
        pairs::launch_and_launch_with_one_key(&two).await;
        pruning::prune_and_launch(&two).await;
        pruning::prune_and_prune(&two).await;
    });
}

#[test]
fn a_heartbeat_meets_a_cancel() {
    engine(async |c| {
        let two = Meeting::new(c);
        // The task alone: it is waited for.
        let angles = Angles::last(&two).await;
        let (alive, end) = (
            beat(angles.worker, &angles.behavior),
            task_cancel(&angles.behavior),
        );
        let met = two.meet(&alive, Waits, &end).await;
        assert_eq!(met, ["", "cancelled"]);
        goes_on(&two, angles.run).await;

        let angles = Angles::last(&two).await;
        let (alive, end) = (
            beat(angles.worker, &angles.behavior),
            task_cancel(&angles.behavior),
        );
        let met = two.meet(&end, PassesBy, &alive).await;
        assert_eq!(met, ["cancelled", ""], "not yet known");
        let met = two.meet("select", PassesBy, &alive).await;
        assert_eq!(met[1], "cancel", "the next beat knows");
        goes_on(&two, angles.run).await;

        let angles = Angles::last(&two).await;
        let alive = beat(angles.worker, &angles.behavior);
        let met = two.meet(&cancel(angles.run), PassesBy, &alive).await;
        assert_eq!(met, ["cancelled", ""]);
        let met = two.meet("select", PassesBy, &alive).await;
        assert_eq!(met[1], "cancel");
        cancelled_and_goes_on(&two, angles.run).await;
    });
}

#[test]
fn a_run_is_cancelled_though_a_heartbeat_holds_a_task_of_it() {
    engine(async |c| {
        let two = Meeting::new(c);
        for (what, answer) in [
            ("beat", "cancel"),
            ("finish", "cancelled"),
            ("release", "t"),
            ("resume", "0"),
        ] {
            let angles = Angles::last(&two).await;
            let next = match what {
                "beat" => beat(angles.worker, &angles.behavior),
                "finish" => finish(&angles.behavior, "too late"),
                "release" => release(&angles.behavior),
                _ => resume(),
            };
            held_meanwhile(&two, &angles).await;
            // Whatever comes next ends the task.
            let met = two.meet("select", PassesBy, &next).await;
            assert_eq!(met[1], answer, "{what}");
            let now = statuses(&two, angles.run, ["behavior"]).await;
            assert_eq!(now, ["cancelled"], "{what}");
            cancelled_and_goes_on(&two, angles.run).await;
        }
        // A retry that comes before that finds its worker at work.
        let angles = Angles::last(&two).await;
        held_meanwhile(&two, &angles).await;
        does(&two, &retry(angles.run)).await;
        sound(&two, angles.run).await;
        does(&two, &finish(&angles.behavior, "other angle")).await;
        goes_on(&two, angles.run).await;
    });
}

/// Cancels the run while a heartbeat holds the task, which is left.
async fn held_meanwhile(two: &Meeting<'_>, angles: &Angles) {
    let alive = beat(angles.worker, &angles.behavior);
    let met = two.meet(&alive, PassesBy, &cancel(angles.run)).await;
    assert_eq!(met, ["", "cancelled"]);
    let now = statuses(two, angles.run, ["behavior", "fold"]).await;
    assert_eq!(now, ["running", "cancelled"]);
}
