//! A rescuer meets the worker that was given up. It passes over whatever run is locked, and finds it later.

use conductor_tests::harness::Second::{PassesBy, Waits};
use conductor_tests::harness::{Conductor, Meeting, Setup, sql_worker};

use super::acts::*;

/// Leases run out at once: every claim and every heartbeat takes back what nobody renews.
fn hasty(test: impl AsyncFnOnce(&Conductor)) {
    let setup = Setup::new()
        .without_worker()
        .settings("lease = '1 millisecond'");
    setup.run(async |c| test(c).await);
}

async fn other(two: &Meeting<'_>) -> i64 {
    sql_worker::register(&two.c.sql, "other", &[])
        .await
        .unwrap()
}

/// Who holds the step, in which attempt, and how many workers were lost with it.
async fn holder(two: &Meeting<'_>, run: i64, step: &str) -> (String, Option<i64>, i32, i32) {
    let query = "select t.state, t.worker_id, t.attempt, t.deaths from tasks t
        join flow_steps s on s.task_id = t.id where s.run_id = $1 and s.step_id = $2";
    let row = two.c.sql.query_one(query, &[&run, &step]).await.unwrap();
    (row.get(0), row.get(1), row.get(2), row.get(3))
}

#[test]
fn a_finish_meets_a_claim_that_rescues() {
    hasty(async |c| {
        let two = Meeting::new(c);
        // The finish holds the run: the claim gets nothing of it, neither the other angle, and gets it when it asks again.
        let angles = Angles::new(&two).await;
        let other = other(&two).await;
        let (call, take) = (finish(&angles.structure, "one angle"), claim(other, 8));
        let met = two.meet(&call, PassesBy, &take).await;
        assert_eq!(met, ["completed", ""]);
        let [behavior] = claimed(&two, other).await;
        assert_eq!(behavior.step_id, "behavior");
        let now = holder(&two, angles.run, "behavior").await;
        assert_eq!(now, ("running".to_owned(), Some(other), 2, 1));
        goes_on_with(&two, angles.run, &finish(&behavior, "other angle")).await;

        // The claim holds the run: what its former holder brings comes too late, and the run goes on with what the new one says.
        let angles = Angles::new(&two).await;
        let (call, take) = (finish(&angles.structure, "too late"), claim(other, 1));
        let met = two.meet(&take, Waits, &call).await;
        assert_eq!(met, ["structure", "QC001"]);
        assert_eq!(two.c.step(angles.run, "structure").await.output, None);
        goes_on(&two, angles.run).await;
        let kept = two.c.output(angles.run, "structure").await;
        assert!(kept.contains("from structure"), "{kept}");
    });
}

#[test]
fn a_finish_meets_a_new_process_of_its_worker() {
    hasty(async |c| {
        let two = Meeting::new(c);
        let angles = Angles::new(&two).await;
        let call = finish(&angles.structure, "one angle");
        let met = two.meet(&call, PassesBy, &register("by-hand", 2)).await;
        assert_eq!(met, ["completed".to_owned(), angles.worker.to_string()]);
        let now = holder(&two, angles.run, "behavior").await;
        assert_eq!(
            now,
            ("running".to_owned(), Some(angles.worker), 1, 0),
            "passed over"
        );
        // Whoever asks for work next finds it, once its lease has run out.
        let [behavior] = claimed(&two, other(&two).await).await;
        assert_eq!(
            (behavior.step_id.as_str(), behavior.attempt),
            ("behavior", 2)
        );
        goes_on_with(&two, angles.run, &finish(&behavior, "other angle")).await;

        let angles = Angles::new(&two).await;
        let call = finish(&angles.structure, "too late");
        let met = two.meet(&register("by-hand", 3), Waits, &call).await;
        assert_eq!(met, [angles.worker.to_string(), "QC001".to_owned()]);
        for step in ["structure", "behavior"] {
            let now = holder(&two, angles.run, step).await;
            assert_eq!(now, ("pending".to_owned(), None, 1, 1), "{step}");
        }
        goes_on(&two, angles.run).await;
    });
}

#[test]
fn what_a_former_holder_read_is_not_recorded_when_a_rescue_came_first() {
    hasty(async |c| {
        let two = Meeting::new(c);
        let angles = Angles::new(&two).await;
        let other = other(&two).await;
        let call = snapshot(&angles.structure, "elsewhere");
        let met = two.meet(&claim(other, 1), Waits, &call).await;
        assert_eq!(met, ["structure", "QC001"]);
        let host = "select count(*) from flow_runs where snapshot_host is not null";
        assert_eq!(count(&two, host).await, 0);
        goes_on(&two, angles.run).await;
    });
}

#[test]
fn two_claims_at_once_hand_out_nothing_twice_and_keep_to_the_limit() {
    let setup = Setup::new().without_worker().settings("max_running = 3");
    setup.run(async |c| {
        let two = Meeting::new(c);
        let one = worker(&two).await;
        let other = other(&two).await;
        for _ in 0..2 {
            does(
                &two,
                "select flow_launch('architectural-analysis', 'q', band => 'medium')",
            )
            .await;
        }
        let met = two.meet(&claim(one, 2), Waits, &claim(other, 8)).await;
        assert_eq!(met, ["structure,structure", "behavior"], "three at a time");
        assert_eq!(c.violations().await.unwrap(), [""; 0]);
        does(&two, "select flow_cancel(id) from flow_runs").await;
    });
}

async fn goes_on_with(two: &Meeting<'_>, run: i64, call: &str) {
    does(two, call).await;
    goes_on(two, run).await;
}
