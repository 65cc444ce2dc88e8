//! How long a failed attempt waits for the next one.

use conductor_tests::harness::{Conductor, Launch, Setup, sql_worker};

const STEPS: i32 = 12;

/// Claims all steps and fails them in a way that may pass; how many seconds each then waits.
async fn fail_all(c: &Conductor, worker: i64, attempt: i32) -> Vec<f64> {
    let tasks = sql_worker::claim(&c.sql, worker, STEPS).await.unwrap();
    assert_eq!(tasks.len(), STEPS as usize);
    let mut waits = Vec::new();
    for task in tasks {
        assert_eq!(task.attempt, attempt);
        let error = Some("the model stalled");
        let state = sql_worker::end(&c.sql, &task, "failed", None, error, true).await;
        assert_eq!(state.unwrap(), "pending");
        let query = "select extract(epoch from available_at - clock_timestamp())::float8 from tasks where id = $1";
        let wait = c.sql.query_one(query, &[&task.task]).await.unwrap();
        waits.push(wait.get(0));
    }
    let early = sql_worker::claim(&c.sql, worker, STEPS).await.unwrap();
    assert!(early.is_empty(), "none is handed out before it is due");
    waits
}

/// All lie in this range of seconds, and they are spread over it.
fn spread(waits: &[f64], from: f64, to: f64) {
    let least = waits.iter().copied().fold(f64::INFINITY, f64::min);
    let most = waits.iter().copied().fold(0.0, f64::max);
    // Some time has passed before each was looked at.
    assert!(least > from - 20.0 && most <= to, "{waits:?}");
    // Twelve equal draws out of a continuum, or all in a twentieth of it: that is no jitter.
    assert!(most - least > (to - from) / 20.0, "{waits:?}");
}

#[test]
fn a_failed_attempt_waits_twice_as_long_each_time_and_no_two_wait_the_same() {
    Setup::new()
        .without_worker()
        .settings("retry_backoff = '1000 seconds', max_attempts = 3")
        .run(async |c| {
            let names: Vec<String> = (0..STEPS).map(|n| format!("look-{n}")).collect();
            let steps: Vec<(&str, &str)> = names
                .iter()
                .map(|name| (name.as_str(), "research-analyst"))
                .collect();
            c.define("many", &steps).await;
            let run = c.launch(Launch::new("many", "Is it so?")).await;
            let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
            spread(&fail_all(c, worker, 1).await, 500.0, 1500.0);
            let due = "update tasks set available_at = clock_timestamp() where run_id = $1";
            c.sql.execute(due, &[&run]).await.unwrap();
            spread(&fail_all(c, worker, 2).await, 1000.0, 3000.0);
            c.sql.execute(due, &[&run]).await.unwrap();
            let last = sql_worker::claim(&c.sql, worker, 1)
                .await
                .unwrap()
                .remove(0);
            let state = sql_worker::end(&c.sql, &last, "failed", None, Some("again"), true).await;
            assert_eq!(state.unwrap(), "failed", "three attempts are all");
        });
}
