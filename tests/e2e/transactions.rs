//! Launching, advancing and completing are transactions.

use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Conductor, Launch, Setup};
use tokio_postgres::error::SqlState;

const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

#[test]
fn a_launch_that_is_rolled_back_never_was() {
    Setup::new().run(async |c| {
        let mut other = c.connect().await;
        let transaction = other.transaction().await.unwrap();
        let gone = Launch::new("research", "Will this be taken back?")
            .with(&transaction)
            .await
            .unwrap();
        let inside: i64 = transaction
            .query_one("select count(*) from flow_steps", &[])
            .await
            .unwrap()
            .get(0);
        assert!(inside > 0, "the launch is visible in its own transaction");
        transaction.rollback().await.unwrap();
        let kept = c.launch(Launch::new("research", "Will this stay?")).await;
        c.completed(kept, LONG).await;
        for table in ["flow_runs", "flow_steps", "tasks", "chats", "frames"] {
            let column = if table == "flow_runs" { "id" } else { "run_id" };
            let query = format!("select count(*) from {table} where {column} = $1");
            let left: i64 = c.sql.query_one(&query, &[&gone]).await.unwrap().get(0);
            assert!(
                gone == kept || left == 0,
                "{table} keeps {left} rows of the run"
            );
        }
        let asked = c.model.control().records();
        assert!(
            asked
                .iter()
                .all(|r| !r.body.contains("Will this be taken back?"))
        );
    });
}

/// A run whose two angles are claimed, and the worker that holds them.
async fn two_angles(c: &Conductor) -> (i64, i64, [Claimed; 2]) {
    let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
    let launch = Launch::new("architectural-analysis", "What depends on what?").band("medium");
    let run = c.launch(launch).await;
    let claimed = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
    let [a, b]: [Claimed; 2] = claimed.try_into().expect("two angles are ready");
    (run, worker, [a, b])
}

async fn started_once(c: &Conductor, run: i64, what: &str) {
    let tasks: i64 = c
        .sql
        .query_one(
            "select count(*) from tasks t where t.run_id = $1 and t.state = 'pending'",
            &[&run],
        )
        .await
        .unwrap()
        .get(0);
    assert_eq!(tasks, 1, "{what}: the next wave is one task");
    assert_eq!(c.step(run, "fold").await.status, "completed", "{what}");
    let fold = c.output(run, "fold").await;
    assert!(
        fold.contains("one angle") && fold.contains("other angle"),
        "{what}: {fold}"
    );
    assert_eq!(c.violations().await.unwrap(), [""; 0], "{what}");
}

#[test]
fn two_finishers_of_one_wave_start_the_next_exactly_once() {
    Setup::new().without_worker().run(async |c| {
        for level in LEVELS {
            for first in [0, 1] {
                let what = format!("{level}, task {first} first");
                let (run, worker, tasks) = two_angles(c).await;
                let (mut early, mut late) = (c.connect().await, c.connect().await);
                let late_pid: i32 =
                    late.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
                for client in [&early, &late] {
                    let set = format!("set default_transaction_isolation = '{level}'");
                    client.batch_execute(&set).await.unwrap();
                }
                let (one, other) = (tasks[first].clone(), tasks[1 - first].clone());

                let finishing = early.transaction().await.unwrap();
                sql_worker::finish(&finishing, &one, "one angle").await.unwrap();
                let second = tokio::spawn(async move {
                    let committed = {
                        let finishing = late.transaction().await.unwrap();
                        match sql_worker::finish(&finishing, &other, "other angle").await {
                            Ok(_) => finishing.commit().await,
                            Err(error) => Err(error),
                        }
                    };
                    (late, other, committed)
                });
                c.until("the second finisher waits", Duration::from_secs(10), async |c: &Conductor| {
                    let waits = "select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'";
                    c.sql.query_opt(waits, &[&late_pid]).await.unwrap()
                })
                .await;
                finishing.commit().await.unwrap();
                let (late, other, committed) = second.await.unwrap();
                match committed {
                    Ok(()) => assert_eq!(level, "read committed", "{what}: both saw old statuses"),
                    Err(error) => {
                        assert_eq!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE), "{what}");
                        assert_ne!(level, "read committed", "{what}: {error}");
                        let state = sql_worker::finish(&late, &other, "other angle").await.unwrap();
                        assert_eq!(state, "completed", "{what}: a retry cures it");
                    }
                }
                started_once(c, run, &what).await;
                sql_worker::drive(&c.sql, worker).await.unwrap();
                assert_eq!(c.status(run).await.0, "completed", "{what}");
            }
        }
    });
}

#[test]
fn a_finisher_that_rolls_back_leaves_the_wave_to_the_other() {
    Setup::new().without_worker().run(async |c| {
        let (run, worker, [a, b]) = two_angles(c).await;
        let mut other = c.connect().await;
        let finishing = other.transaction().await.unwrap();
        sql_worker::finish(&finishing, &a, "never seen")
            .await
            .unwrap();
        finishing.rollback().await.unwrap();
        sql_worker::finish(&c.sql, &b, "other angle").await.unwrap();
        assert_eq!(c.step(run, "fold").await.status, "pending");
        sql_worker::finish(&c.sql, &a, "one angle").await.unwrap();
        started_once(c, run, "after the rollback").await;
        sql_worker::drive(&c.sql, worker).await.unwrap();
        assert_eq!(c.status(run).await.0, "completed");
    });
}

#[test]
fn many_finishers_at_once_at_mixed_levels_never_lose_a_wave() {
    Setup::new().without_worker().run(async |c| {
        let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
        for round in 0..6 {
            let launch = Launch::new("plan-a-feature", "Let people renew twice.").band("large");
            let run = c.launch(launch).await;
            let claimed = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
            assert_eq!(claimed.len(), 5);
            let mut finishers = Vec::new();
            for (at, task) in claimed.into_iter().enumerate() {
                let client = c.connect().await;
                let level = LEVELS[(at + round) % LEVELS.len()];
                finishers.push(tokio::spawn(async move {
                    let set = format!("set default_transaction_isolation = '{level}'");
                    client.batch_execute(&set).await.unwrap();
                    for _ in 0..50 {
                        match sql_worker::finish(&client, &task, "an angle").await {
                            Ok(state) => return state,
                            Err(error) => {
                                let code = error.code().cloned();
                                let cured = [
                                    SqlState::T_R_SERIALIZATION_FAILURE,
                                    SqlState::T_R_DEADLOCK_DETECTED,
                                ];
                                assert!(
                                    code.is_some_and(|code| cured.contains(&code)),
                                    "{error:?}"
                                );
                            }
                        }
                    }
                    panic!("fifty retries cured nothing");
                }));
            }
            for finisher in finishers {
                assert_eq!(finisher.await.unwrap(), "completed");
            }
            let next = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
            let steps: Vec<&str> = next.iter().map(|task| task.step_id.as_str()).collect();
            assert_eq!(steps, ["synthesis"], "round {round}");
            sql_worker::finish(&c.sql, &next[0], "the plan")
                .await
                .unwrap();
            sql_worker::drive(&c.sql, worker).await.unwrap();
            assert_eq!(c.status(run).await.0, "completed");
        }
    });
}

#[test]
fn a_worker_that_comes_back_does_not_take_what_was_given_to_another() {
    // Leases run out at once, so that the other worker's claim finds them so.
    let settings = "lease = '1 millisecond'";
    Setup::new().settings(settings).without_worker().run(async |c| {
        let lost = sql_worker::register(&c.sql, "lost", &[]).await.unwrap();
        let other = sql_worker::register(&c.sql, "other", &[]).await.unwrap();
        for _ in 0..2 {
            c.launch(Launch::new("research", "Who holds it?")).await;
        }
        let mut held = sql_worker::claim(&c.sql, lost, 8).await.unwrap();
        held.sort_by_key(|task| task.run);
        let [first, second]: [Claimed; 2] = held.try_into().expect("one task of each run");

        // The new process takes back the first run's task only when this stream has ended.
        let mut streaming = c.connect().await;
        let stream = streaming.transaction().await.unwrap();
        let event = "select conductor.task_stream($1, $2::text::uuid, '[{\"type\": \"message_started\"}]')";
        stream.execute(event, &[&first.task, &first.lease]).await.unwrap();
        let back = c.connect().await;
        let pid: i32 = back.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        let registering = tokio::spawn(async move {
            back.execute(
                "select conductor.worker_register('lost', 'test-host', 2, e.extversion, 8, '{}', '{}', '{\"ok\": true}')
                 from pg_extension e where e.extname = 'conductor'",
                &[],
            )
            .await
        });
        c.until("the new process waits", Duration::from_secs(10), async |c: &Conductor| {
            let waits = "select from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'";
            c.sql.query_opt(waits, &[&pid]).await.unwrap()
        })
        .await;
        // It passes over the run that is locked; a claim that waited would wait for ever here.
        c.sql.batch_execute("set lock_timeout = '10s'").await.unwrap();
        let given = sql_worker::claim(&c.sql, other, 8).await.unwrap();
        let tasks: Vec<i64> = given.iter().map(|task| task.task).collect();
        assert_eq!(tasks, [second.task], "the other run's task is free to be taken");
        stream.commit().await.unwrap();
        registering.await.unwrap().unwrap();

        let holder = "select state, worker_id, deaths from tasks where id = $1";
        let row = c.sql.query_one(holder, &[&second.task]).await.unwrap();
        let now: (String, Option<i64>, i32) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(now, ("running".to_owned(), Some(other), 1), "it stays with who took it");
        let row = c.sql.query_one(holder, &[&first.task]).await.unwrap();
        let now: (String, Option<i64>, i32) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(now, ("pending".to_owned(), None, 1));
    });
}
