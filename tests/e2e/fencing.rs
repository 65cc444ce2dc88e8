//! A write of an attempt that is over, or of somebody who never held it, changes nothing and is told so.

use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Conductor, Launch, Setup};

fn engine(test: impl AsyncFnOnce(&Conductor)) {
    let setup = Setup::new()
        .without_worker()
        .settings("retry_backoff = '0'");
    setup.run(async |c| test(c).await);
}

/// A digest of each table that an attempt may write.
async fn rows(c: &Conductor) -> Vec<(&'static str, Option<String>)> {
    let mut digests = Vec::new();
    for table in [
        "flow_runs",
        "flow_steps",
        "flow_edges",
        "tasks",
        "chats",
        "frames",
        "run_counters",
    ] {
        let query = format!("select md5(string_agg(t::text, ' ' order by t::text)) from {table} t");
        let row = c.sql.query_one(&query, &[]).await.unwrap();
        digests.push((table, row.get(0)));
    }
    digests
}

/// What a call answers: its value, `none` without a row, or the SQLSTATE that it is refused with.
async fn answer(c: &Conductor, call: &str) -> String {
    match c.sql.query_opt(call, &[]).await {
        Ok(Some(row)) => row.get(0),
        Ok(None) => "none".into(),
        Err(error) => error.code().expect("the server's").code().into(),
    }
}

const NO_EVENTS: &str = "[]";
const EVENTS: &str =
    r#"[{"type": "message_started"}, {"type": "delta", "offset": 0, "text": "too late"}]"#;

/// Every write of an attempt with this task and this lease (as SQL): none changes a row. A finish answers `finished`,
/// and everything else that the lease is stale.
async fn all_change_nothing(c: &Conductor, what: &str, task: &str, lease: &str, finished: &str) {
    let before = rows(c).await;
    let finish = |state: &str, retryable: bool| {
        let usage = r#"{"input_tokens": 7, "output_tokens": 7}"#;
        format!(
            "select task_finish({task}, {lease}, '{state}', 'late', 'late', '{usage}', null, {retryable})"
        )
    };
    let calls = [
        (
            format!("select task_stream({task}, {lease}, '{EVENTS}')::text"),
            "QC001",
        ),
        (
            format!("select task_stream({task}, {lease}, '{NO_EVENTS}')::text"),
            "QC001",
        ),
        (
            format!(
                "select verdict from worker_stream(array[{task}]::bigint[], array[{lease}]::uuid[], array['{EVENTS}']::jsonb[])"
            ),
            "stale",
        ),
        (
            format!(
                "select verdict from worker_stream(array[{task}]::bigint[], array[{lease}]::uuid[], array['{NO_EVENTS}']::jsonb[])"
            ),
            "stale",
        ),
        (
            format!("select run_snapshot({task}, {lease}, 'c0ffee', 'digest', 'host')::text"),
            "QC001",
        ),
        (
            format!("select task_release({task}, {lease})::text"),
            "false",
        ),
        (finish("completed", false), finished),
        (finish("failed", true), finished),
        (finish("failed", false), finished),
        (finish("cancelled", false), finished),
    ];
    for (call, expected) in calls {
        assert_eq!(answer(c, &call).await, expected, "{what}: {call}");
        assert_eq!(rows(c).await, before, "{what}: {call}");
    }
}

/// The same for a lease that a worker held, and what a heartbeat says of it.
async fn is_stale(c: &Conductor, what: &str, held: &Held, finished: &str, verdict: &str) {
    let (task, lease) = (held.task.task.to_string(), format!("'{}'", held.task.lease));
    all_change_nothing(c, what, &task, &lease, finished).await;
    let before = rows(c).await;
    let beat = format!(
        "select verdict from task_heartbeat({}, array[{lease}::uuid])",
        held.worker
    );
    assert_eq!(answer(c, &beat).await, verdict, "{what}");
    assert_eq!(rows(c).await, before, "{what}: {beat}");
}

struct Held {
    run: i64,
    worker: i64,
    task: Claimed,
}

/// A run of which one angle is done and the other is held.
async fn held(c: &Conductor) -> Held {
    let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
    let launch = Launch::new("architectural-analysis", "What depends on what?").band("medium");
    let run = c.launch(launch).await;
    let claimed = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
    let [done, task]: [Claimed; 2] = claimed.try_into().expect("two angles are ready");
    sql_worker::finish(&c.sql, &done, "one angle")
        .await
        .unwrap();
    Held { run, worker, task }
}

async fn does(c: &Conductor, call: String) {
    c.sql.batch_execute(&call).await.unwrap();
}

/// Somebody else claims what there is.
async fn claims(c: &Conductor) -> Claimed {
    let other = sql_worker::register(&c.sql, "other", &[]).await.unwrap();
    let claimed = sql_worker::claim(&c.sql, other, 8).await.unwrap();
    let [task] = claimed.try_into().expect("one task is ready");
    task
}

async fn finishes(c: &Conductor, task: &Claimed) {
    sql_worker::finish(&c.sql, task, "other angle")
        .await
        .unwrap();
}

/// Drives the run to its end and takes it away, so that the next case starts from nothing.
async fn away(c: &Conductor, run: i64) {
    does(
        c,
        format!("select flow_cancel({run}); select flow_prune('0')"),
    )
    .await;
    let left: i64 = c
        .sql
        .query_one("select count(*) from flow_runs", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(left, 0);
}

#[test]
fn what_has_ended_takes_no_write() {
    engine(async |c| {
        let case = held(c).await;
        does(c, format!("select flow_cancel({})", case.run)).await;
        is_stale(c, "the run was cancelled", &case, "cancelled", "cancel").await;
        does(c, format!("select flow_retry({})", case.run)).await;
        is_stale(c, "and retried", &case, "cancelled", "cancel").await;
        let again = claims(c).await;
        is_stale(c, "and claimed by another", &case, "cancelled", "cancel").await;
        finishes(c, &again).await;
        is_stale(c, "and finished by another", &case, "cancelled", "cancel").await;
        assert_eq!(c.output(case.run, &again.step_id).await, "other angle");
        does(c, format!("select flow_cancel({})", case.run)).await;
        does(c, "select flow_prune('0')".into()).await;
        is_stale(c, "and pruned", &case, "QC001", "lost").await;

        let case = held(c).await;
        does(c, format!("select task_cancel({})", case.task.task)).await;
        is_stale(c, "the task was cancelled", &case, "cancelled", "cancel").await;
        away(c, case.run).await;

        let case = held(c).await;
        finishes(c, &case.task).await;
        is_stale(c, "it is finished", &case, "completed", "lost").await;
        sql_worker::drive(&c.sql, case.worker).await.unwrap();
        assert_eq!(c.status(case.run).await.0, "completed");
        is_stale(c, "its run is completed", &case, "completed", "lost").await;
        away(c, case.run).await;

        let case = held(c).await;
        let end = sql_worker::end(&c.sql, &case.task, "failed", None, Some("no"), false).await;
        assert_eq!(end.unwrap(), "failed");
        is_stale(c, "it has failed", &case, "failed", "lost").await;
        away(c, case.run).await;
    });
}

#[test]
fn what_went_to_another_takes_no_write_of_its_former_holder() {
    engine(async |c| {
        let case = held(c).await;
        does(
            c,
            format!(
                "select task_release({}, '{}')",
                case.task.task, case.task.lease
            ),
        )
        .await;
        is_stale(c, "it was handed back", &case, "QC001", "lost").await;
        let again = claims(c).await;
        is_stale(c, "and claimed by another", &case, "QC001", "lost").await;
        finishes(c, &again).await;
        is_stale(c, "and finished by another", &case, "QC001", "lost").await;
        away(c, case.run).await;

        let case = held(c).await;
        let end = sql_worker::end(&c.sql, &case.task, "failed", None, Some("no"), true).await;
        assert_eq!(end.unwrap(), "pending");
        is_stale(c, "it is tried again", &case, "QC001", "lost").await;
        claims(c).await;
        is_stale(c, "by another", &case, "QC001", "lost").await;
        away(c, case.run).await;

        let case = held(c).await;
        let back = "select worker_register('by-hand', 'test-host', 2, e.extversion, 8, '{}', '{}', '{\"ok\": true}')
            from pg_extension e where e.extname = 'conductor'";
        does(c, back.into()).await;
        is_stale(c, "its worker came back", &case, "QC001", "lost").await;
        let again = claims(c).await;
        is_stale(c, "and another claimed it", &case, "QC001", "lost").await;
        finishes(c, &again).await;
        let output = c.output(case.run, &again.step_id).await;
        assert_eq!(output, "other angle");
        away(c, case.run).await;
    });
}

#[test]
fn whoever_does_not_hold_a_task_cannot_write_for_it() {
    engine(async |c| {
        let case = held(c).await;
        let other = held(c).await;
        let (task, lease) = (case.task.task.to_string(), format!("'{}'", case.task.lease));
        let theirs = format!("'{}'", other.task.lease);
        for (what, task, lease) in [
            ("the lease of another task", task.as_str(), theirs.as_str()),
            ("a lease of nobody", &task, "gen_random_uuid()"),
            ("no lease", &task, "null"),
            ("no task", "null", &lease),
            ("a task that is not there", "0", &lease),
        ] {
            all_change_nothing(c, what, task, lease, "QC001").await;
        }

        // A heartbeat renews what its worker holds and names, and nothing else.
        let stranger = sql_worker::register(&c.sql, "stranger", &[]).await.unwrap();
        let before = rows(c).await;
        for (worker, leases, verdict) in [
            (stranger, format!("array[{lease}::uuid]"), "lost"),
            (case.worker, "array[gen_random_uuid()]".into(), "lost"),
            (case.worker, "array[null::uuid]".into(), "lost"),
            (case.worker, "null".into(), "none"),
        ] {
            let beat = format!("select verdict from task_heartbeat({worker}, {leases})");
            assert_eq!(answer(c, &beat).await, verdict, "{beat}");
            assert_eq!(rows(c).await, before, "{beat}");
        }
        let beat = format!(
            "select verdict from task_heartbeat({}, array[{lease}::uuid])",
            case.worker
        );
        assert_eq!(answer(c, &beat).await, "none", "its own");
        assert_ne!(rows(c).await, before, "is renewed");

        for case in [case, other] {
            finishes(c, &case.task).await;
        }
        sql_worker::drive(&c.sql, stranger).await.unwrap();
    });
}

#[test]
fn a_finish_told_twice_counts_once() {
    engine(async |c| {
        let case = held(c).await;
        finishes(c, &case.task).await;
        let before = rows(c).await;
        let again = sql_worker::finish(&c.sql, &case.task, "said twice").await;
        assert_eq!(again.unwrap(), "completed");
        assert_eq!(rows(c).await, before);
        assert_eq!(c.output(case.run, &case.task.step_id).await, "other angle");
        sql_worker::drive(&c.sql, case.worker).await.unwrap();
        assert_eq!(c.status(case.run).await.0, "completed");
    });
}
