//! What happens when two calls meet over one run, in both orders.

use conductor_tests::harness::Meeting;
use conductor_tests::harness::Second::{PassesBy, Waits};
use conductor_tests::harness::sql_worker::Claimed;

use super::acts::*;

const AFTER: [&str; 3] = ["fold", "synthesis", "report"];

pub async fn finish_and_cancel(two: &Meeting<'_>) {
    // The finish dispatches the next wave, and the cancel must see it.
    let angles = Angles::last(two).await;
    let (run, call) = (angles.run, finish(&angles.behavior, "other angle"));
    let met = two.meet(&call, Waits, &cancel(run)).await;
    assert_eq!(met, ["completed", "cancelled"]);
    let now = statuses(two, run, ["behavior", "fold", "synthesis", "report"]).await;
    assert_eq!(now, ["completed", "completed", "cancelled", "cancelled"]);
    cancelled_and_goes_on(two, run).await;

    let angles = Angles::last(two).await;
    let (run, call) = (angles.run, finish(&angles.behavior, "too late"));
    let met = two.meet(&cancel(run), Waits, &call).await;
    assert_eq!(met, ["cancelled", "cancelled"]);
    assert_eq!(two.c.step(run, "behavior").await.output, None);
    assert_eq!(statuses(two, run, AFTER).await, ["cancelled"; 3]);
    let tasks = format!("select count(*) from tasks where run_id = {run}");
    assert_eq!(count(two, &tasks).await, 2, "no further wave");
    cancelled_and_goes_on(two, run).await;
}

pub async fn last_finish_and_cancel(two: &Meeting<'_>) {
    let (run, validation) = validating(two).await;
    let call = finish(&validation, "## Verdict\nstands");
    let met = two.meet(&call, Waits, &cancel(run)).await;
    assert_eq!(met, ["completed", "completed"]);
    assert_eq!(two.c.status(run).await, ("completed".to_owned(), None));
    sound(two, run).await;

    let (run, validation) = validating(two).await;
    let call = finish(&validation, "## Verdict\nstands");
    let met = two.meet(&cancel(run), Waits, &call).await;
    assert_eq!(met, ["cancelled", "cancelled"]);
    cancelled_and_goes_on(two, run).await;
}

/// A worker whose answer was lost says the same again while the first call may still be under way.
pub async fn finish_and_the_same_again(two: &Meeting<'_>) {
    let angles = Angles::last(two).await;
    let (run, call) = (angles.run, finish(&angles.behavior, "other angle"));
    let met = two.meet(&call, Waits, &call).await;
    assert_eq!(met, ["completed", "completed"]);
    let step = two.c.step(run, "behavior").await;
    assert_eq!(step.output.as_deref(), Some("other angle"));
    assert_eq!(endings(two, &angles.behavior).await, 1, "told once");
    let waves = format!("select count(*) from tasks where run_id = {run}");
    assert_eq!(count(two, &waves).await, 3, "the next wave began once");
    goes_on(two, run).await;
}

pub async fn cancel_and_cancel(two: &Meeting<'_>) {
    let angles = Angles::last(two).await;
    let run = angles.run;
    let met = two.meet(&cancel(run), Waits, &cancel(run)).await;
    assert_eq!(met, ["cancelled", "cancelled"]);
    assert_eq!(endings(two, &angles.behavior).await, 1, "told once");
    cancelled_and_goes_on(two, run).await;
}

/// How often the end of a task's message was told.
async fn endings(two: &Meeting<'_>, task: &Claimed) -> i64 {
    let id = task.task;
    let told =
        format!("select count(*) from frames where task_id = {id} and type = 'message_complete'");
    count(two, &told).await
}

pub async fn finish_and_task_cancel(two: &Meeting<'_>) {
    let angles = Angles::last(two).await;
    let (call, other) = (
        finish(&angles.behavior, "other angle"),
        task_cancel(&angles.behavior),
    );
    let met = two.meet(&call, Waits, &other).await;
    assert_eq!(met, ["completed", "completed"]);
    goes_on(two, angles.run).await;

    let angles = Angles::last(two).await;
    let (call, other) = (
        finish(&angles.behavior, "too late"),
        task_cancel(&angles.behavior),
    );
    let met = two.meet(&other, Waits, &call).await;
    assert_eq!(met, ["cancelled", "cancelled"]);
    let now = statuses(two, angles.run, ["behavior", "fold", "synthesis"]).await;
    assert_eq!(now, ["cancelled", "completed", "pending"], "an angle less");
    goes_on(two, angles.run).await;
}

pub async fn fan_out_and_cancel(two: &Meeting<'_>) {
    let verifiers = ["verify", "verify/1", "verify/2", "report"];
    let (run, structure) = reviewing(two).await;
    let call = finish(&structure, &finding("S1", "two"));
    let met = two.meet(&call, Waits, &cancel(run)).await;
    assert_eq!(met, ["completed", "cancelled"]);
    let now = statuses(two, run, verifiers).await;
    assert_eq!(now, ["completed", "cancelled", "cancelled", "cancelled"]);
    cancelled_and_goes_on(two, run).await;

    let (run, structure) = reviewing(two).await;
    let call = finish(&structure, &finding("S1", "two"));
    let met = two.meet(&cancel(run), Waits, &call).await;
    assert_eq!(met, ["cancelled", "cancelled"]);
    let now = statuses(two, run, verifiers).await;
    assert_eq!(now, ["cancelled", "none", "none", "cancelled"]);
    cancelled_and_goes_on(two, run).await;
}

pub async fn cancel_and_retry(two: &Meeting<'_>) {
    let run = Angles::last(two).await.run;
    let met = two.meet(&cancel(run), Waits, &retry(run)).await;
    assert_eq!(met, ["cancelled".to_owned(), run.to_string()]);
    goes_on(two, run).await;

    let run = cancelled(two).await;
    let met = two.meet(&retry(run), Waits, &cancel(run)).await;
    assert_eq!(met, [run.to_string(), "cancelled".to_owned()]);
    cancelled_and_goes_on(two, run).await;
}

pub async fn retry_and_retry(two: &Meeting<'_>) {
    let run = cancelled(two).await;
    let met = two.meet(&retry(run), Waits, &retry(run)).await;
    assert_eq!(met, [run.to_string(), "55000".to_owned()]);
    goes_on(two, run).await;
}

pub async fn stream_and_cancel(two: &Meeting<'_>) {
    let angles = Angles::last(two).await;
    let call = stream(&angles.behavior, "half a");
    let met = two.meet(&call, Waits, &cancel(angles.run)).await;
    assert_eq!(met, ["", "cancelled"]);
    let output = two.c.step(angles.run, "behavior").await.output;
    assert_eq!(output.as_deref(), Some("half a"), "what had streamed stays");
    cancelled_and_goes_on(two, angles.run).await;

    let angles = Angles::last(two).await;
    let call = stream(&angles.behavior, "too late");
    let met = two.meet(&cancel(angles.run), Waits, &call).await;
    assert_eq!(met, ["cancelled", "QC001"]);
    assert_eq!(two.c.step(angles.run, "behavior").await.output, None);
    cancelled_and_goes_on(two, angles.run).await;
}

pub async fn stream_and_finish(two: &Meeting<'_>) {
    let angles = Angles::last(two).await;
    let (part, whole) = (
        stream(&angles.behavior, "other"),
        finish(&angles.behavior, "other angle"),
    );
    let met = two.meet(&part, Waits, &whole).await;
    assert_eq!(met, ["", "completed"]);
    goes_on(two, angles.run).await;

    let angles = Angles::last(two).await;
    let (part, whole) = (
        stream(&angles.behavior, "other"),
        finish(&angles.behavior, "other angle"),
    );
    let met = two.meet(&whole, Waits, &part).await;
    assert_eq!(met, ["completed", "QC001"]);
    goes_on(two, angles.run).await;
}

pub async fn release_and_cancel(two: &Meeting<'_>) {
    let angles = Angles::last(two).await;
    let call = release(&angles.behavior);
    let met = two.meet(&call, Waits, &cancel(angles.run)).await;
    assert_eq!(met, ["t", "cancelled"]);
    cancelled_and_goes_on(two, angles.run).await;

    let angles = Angles::last(two).await;
    let call = release(&angles.behavior);
    let met = two.meet(&cancel(angles.run), Waits, &call).await;
    assert_eq!(met, ["cancelled", "f"]);
    cancelled_and_goes_on(two, angles.run).await;
}

pub async fn claim_and_cancel(two: &Meeting<'_>) {
    let angles = Angles::last(two).await;
    does(two, &release(&angles.behavior)).await;
    let call = claim(angles.worker, 8);
    let met = two.meet(&call, Waits, &cancel(angles.run)).await;
    assert_eq!(met, ["behavior", "cancelled"]);
    cancelled_and_goes_on(two, angles.run).await;

    let angles = Angles::last(two).await;
    does(two, &release(&angles.behavior)).await;
    let call = claim(angles.worker, 8);
    let met = two.meet(&cancel(angles.run), PassesBy, &call).await;
    assert_eq!(met, ["cancelled", ""]);
    cancelled_and_goes_on(two, angles.run).await;
}

pub async fn snapshot_and_cancel(two: &Meeting<'_>) {
    let digest = "select tree_digest from flow_runs where id = $1";
    let angles = Angles::last(two).await;
    let call = snapshot(&angles.behavior, "here");
    let met = two.meet(&call, Waits, &cancel(angles.run)).await;
    assert_eq!(met, ["t", "cancelled"]);
    cancelled_and_goes_on(two, angles.run).await;

    let angles = Angles::last(two).await;
    let call = snapshot(&angles.behavior, "here");
    let met = two.meet(&cancel(angles.run), Waits, &call).await;
    assert_eq!(met, ["cancelled", "QC001"]);
    let row = two.c.sql.query_one(digest, &[&angles.run]).await.unwrap();
    assert_eq!(row.get::<_, Option<String>>(0), None);
    cancelled_and_goes_on(two, angles.run).await;
}

pub async fn fork_and_cancel(two: &Meeting<'_>) {
    // Either way the fork keeps the angle that is done, and has the other made again.
    for fork_first in [true, false] {
        let run = Angles::last(two).await.run;
        let (copy, end) = (fork(run, "synthesis"), cancel(run));
        let [one, other] = if fork_first {
            two.meet(&copy, Waits, &end).await
        } else {
            two.meet(&end, Waits, &copy).await
        };
        let (new, ended) = if fork_first {
            (one, other)
        } else {
            (other, one)
        };
        let new: i64 = new.parse().expect("the fork is a run");
        assert_eq!(ended, "cancelled");
        let now = statuses(two, new, ["structure", "behavior", "fold"]).await;
        assert_eq!(now, ["completed", "pending", "pending"]);
        goes_on(two, new).await;
        cancelled_and_goes_on(two, run).await;
    }
}

pub async fn finish_and_resume(two: &Meeting<'_>) {
    let angles = Angles::last(two).await;
    let call = finish(&angles.behavior, "other angle");
    let met = two.meet(&call, PassesBy, &resume()).await;
    assert_eq!(met, ["completed", "0"]);
    goes_on(two, angles.run).await;

    let angles = Angles::last(two).await;
    let call = finish(&angles.behavior, "other angle");
    let met = two.meet(&resume(), Waits, &call).await;
    assert_eq!(met, ["1", "completed"]);
    goes_on(two, angles.run).await;
}

/// Two that settle the last steps of a wave and change nothing else of the run: the second must see what the first did.
pub async fn raw_update_and_raw_update(two: &Meeting<'_>) {
    for cancels in [false, true] {
        let angles = Angles::new(two).await;
        let (structure, behavior) = (&angles.structure, &angles.behavior);
        let one = if cancels {
            task_cancel(structure)
        } else {
            raw_update(structure)
        };
        let version = format!("select version from flow_runs where id = {}", angles.run);
        let before = count(two, &version).await;
        two.meet(&one, Waits, &raw_update(behavior)).await;
        assert_eq!(count(two, &version).await, before + 2, "each updates it");
        let now = statuses(two, angles.run, ["behavior", "fold", "synthesis"]).await;
        assert_eq!(now, ["completed", "completed", "pending"], "{}", two.level);
        goes_on(two, angles.run).await;
    }
}

/// An `UPDATE` by whoever may write tables takes the way of a finish.
pub async fn raw_update_and_cancel(two: &Meeting<'_>) {
    let angles = Angles::last(two).await;
    let call = raw_update(&angles.behavior);
    let met = two.meet(&call, Waits, &cancel(angles.run)).await;
    assert_eq!(met, ["", "cancelled"]);
    assert_eq!(two.c.step(angles.run, "behavior").await.status, "completed");
    cancelled_and_goes_on(two, angles.run).await;

    let angles = Angles::last(two).await;
    let call = raw_update(&angles.behavior);
    let met = two.meet(&cancel(angles.run), Waits, &call).await;
    assert_eq!(met, ["cancelled", "QC002"]);
    cancelled_and_goes_on(two, angles.run).await;
}

pub async fn launch_and_launch_with_one_key(two: &Meeting<'_>) {
    let key = format!("'{} {}'", two.level, two.ending);
    let call = launch("research", &key);
    let [one, other] = two.meet(&call, Waits, &call).await;
    let there = format!("select coalesce(max(id), 0) from flow_runs where launch_key = {key}");
    let run = count(two, &there).await;
    assert_eq!(other, run.to_string(), "{}", two.ending);
    assert_eq!(one == other, two.ending == "commit", "{one}, {other}");
    goes_on(two, run).await;
}
