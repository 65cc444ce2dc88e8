//! A call that streams for many tasks waits for nobody, whatever it holds itself.

use conductor_tests::harness::Meeting;
use conductor_tests::harness::Second::{PassesBy, Waits};

use super::acts::*;
use super::engine;

/// What a task has streamed, or came to.
async fn said(two: &Meeting<'_>, run: i64, step: &str) -> Option<String> {
    let query = "select coalesce(s.output, conductor._streamed(t.id, t.attempt)) from flow_steps s
        join tasks t on t.id = s.task_id where s.run_id = $1 and s.step_id = $2";
    let row = two.c.sql.query_one(query, &[&run, &step]).await.unwrap();
    row.get(0)
}

/// Ends what is held of it and works until nothing is left.
async fn ends(two: &Meeting<'_>, angles: Angles) {
    // One of them may be done already: said twice it counts once.
    for task in [&angles.structure, &angles.behavior] {
        does(two, &finish(task, "an angle")).await;
    }
    goes_on(two, angles.run).await;
}

#[test]
fn a_run_that_is_being_written_to_is_passed_over_and_comes_later() {
    engine(async |c| {
        for level in ["read committed", "repeatable read"] {
            let two = Meeting::new(c).at(level);
            let (one, other) = (Angles::last(&two).await, Angles::last(&two).await);
            // In both orders: what is held already is not waited with.
            for tasks in [
                [&one.behavior, &other.behavior],
                [&other.behavior, &one.behavior],
            ] {
                let alone = stream(&one.behavior, "one");
                let all = stream_together(&tasks, "all");
                let [_, verdicts] = two.meet(&alone, PassesBy, &all).await;
                let busy = if tasks[0].task == one.behavior.task {
                    "busy,stored"
                } else {
                    "stored,busy"
                };
                assert_eq!(verdicts, busy);
                assert_eq!(
                    said(&two, one.run, "behavior").await.as_deref(),
                    Some("one")
                );
                assert_eq!(
                    said(&two, other.run, "behavior").await.as_deref(),
                    Some("all")
                );
                let again = two.meet("select", PassesBy, &all).await;
                assert_eq!(again[1], "stored,stored");
                assert_eq!(
                    said(&two, one.run, "behavior").await.as_deref(),
                    Some("all")
                );
            }
            for angles in [one, other] {
                ends(&two, angles).await;
            }
        }
    });
}

#[test]
fn a_finish_meets_a_call_that_streams_for_its_run_and_another() {
    engine(async |c| {
        let two = Meeting::new(c);
        let (one, other) = (Angles::last(&two).await, Angles::last(&two).await);
        let all = stream_together(&[&one.behavior, &other.behavior], "so far");
        let whole = finish(&one.behavior, "other angle");
        let met = two.meet(&whole, PassesBy, &all).await;
        assert_eq!(met, ["completed", "busy,stored"]);
        let met = two.meet("select", PassesBy, &all).await;
        assert_eq!(met[1], "stale,stored");
        goes_on(&two, one.run).await;

        let one = Angles::last(&two).await;
        let all = stream_together(&[&one.behavior, &other.behavior], "so far");
        let whole = finish(&one.behavior, "other angle");
        let met = two.meet(&all, Waits, &whole).await;
        assert_eq!(met, ["stored,stored", "completed"]);
        for angles in [one, other] {
            ends(&two, angles).await;
        }
    });
}

#[test]
fn a_cancel_meets_a_call_that_streams_for_its_run_and_another() {
    engine(async |c| {
        let two = Meeting::new(c);
        let (one, other) = (Angles::last(&two).await, Angles::last(&two).await);
        let all = stream_together(&[&one.behavior, &other.behavior], "half a");
        let met = two.meet(&all, Waits, &cancel(one.run)).await;
        assert_eq!(met, ["stored,stored", "cancelled"]);
        assert_eq!(
            said(&two, one.run, "behavior").await.as_deref(),
            Some("half a")
        );
        cancelled_and_goes_on(&two, one.run).await;

        let one = Angles::last(&two).await;
        let all = stream_together(&[&one.behavior, &other.behavior], "too late");
        let met = two.meet(&cancel(one.run), PassesBy, &all).await;
        assert_eq!(met, ["cancelled", "busy,stored"]);
        let met = two.meet("select", PassesBy, &all).await;
        assert_eq!(met[1], "stale,stored");
        assert_eq!(two.c.step(one.run, "behavior").await.output, None);
        cancelled_and_goes_on(&two, one.run).await;
        ends(&two, other).await;
    });
}

#[test]
fn a_claim_waits_for_a_call_that_streams_for_two_runs_and_both_go_on() {
    engine(async |c| {
        let two = Meeting::new(c);
        let (one, other) = (Angles::last(&two).await, Angles::new(&two).await);
        does(&two, &release(&other.structure)).await;
        let all = stream_together(&[&one.behavior, &other.behavior], "so far");
        let met = two.meet(&all, Waits, &claim(other.worker, 8)).await;
        assert_eq!(met, ["stored,stored", "structure"]);
        does(&two, &finish(&other.behavior, "other angle")).await;
        does(
            &two,
            "select conductor.task_release(id, lease) from conductor.tasks where state = 'running'",
        )
        .await;
        for angles in [one, other] {
            goes_on(&two, angles.run).await;
        }
    });
}

#[test]
fn two_calls_that_stream_for_the_same_runs_pass_each_other_by() {
    engine(async |c| {
        let two = Meeting::new(c);
        let (one, other) = (Angles::new(&two).await, Angles::last(&two).await);
        let third = Angles::last(&two).await;
        let first = stream_together(&[&one.structure, &other.behavior], "first");
        let second = stream_together(&[&third.behavior, &one.behavior, &other.behavior], "second");
        let met = two.meet(&first, PassesBy, &second).await;
        assert_eq!(met, ["stored,stored", "stored,busy,busy"]);
        let met = two.rolled_back().meet(&first, PassesBy, &second).await;
        assert_eq!(met[1], "stored,busy,busy");
        for angles in [one, other, third] {
            ends(&two, angles).await;
        }
    });
}
