//! What the engine does by time alone, on a clock that stands still: no test here waits. The clocks of an attempt (stall,
//! first event, step) are the worker's, and tested on its paused clock in `worker/src/runner/clocks.rs`.

use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Conductor, Launch, Setup};

/// A run of one claimed task, on a stopped clock, with the default lease of a minute.
async fn one_claimed(c: &Conductor) -> (i64, i64, Claimed) {
    c.stop_clock().await;
    let worker = sql_worker::register(&c.sql, "holder", &[]).await.unwrap();
    let run = c
        .launch(Launch::new("research", "How long is a lease?"))
        .await;
    let claimed = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
    let [task]: [Claimed; 1] = claimed.try_into().expect("one angle is ready");
    (run, worker, task)
}

async fn claims(c: &Conductor, worker: i64) -> usize {
    sql_worker::claim(&c.sql, worker, 8).await.unwrap().len()
}

async fn task(c: &Conductor, id: i64, expression: &str) -> String {
    let query = format!("select ({expression})::text from tasks t, settings s where t.id = $1");
    c.sql.query_one(&query, &[&id]).await.unwrap().get(0)
}

/// Beats for a worker; the verdicts.
async fn beat(c: &Conductor, worker: i64, lease: &str) -> Vec<String> {
    let beat = "select verdict from task_heartbeat($1, array[$2::text::uuid])";
    let rows = c.sql.query(beat, &[&worker, &lease]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn a_lease_is_taken_back_when_it_has_run_out_and_not_before() {
    Setup::new().without_worker().run(async |c| {
        let (run, holder, held) = one_claimed(c).await;
        let other = sql_worker::register(&c.sql, "other", &[]).await.unwrap();
        assert_eq!(
            task(c, held.task, "t.lease_expires_at - _now()").await,
            "00:01:00"
        );
        c.pass("60 seconds").await;
        assert_eq!(
            claims(c, other).await,
            0,
            "to its last moment it is the holder's"
        );
        c.pass("1 microsecond").await;
        let taken = sql_worker::claim(&c.sql, other, 8).await.unwrap();
        assert_eq!((taken[0].task, taken[0].attempt), (held.task, 2));
        assert_eq!(task(c, held.task, "t.deaths").await, "1");
        assert_eq!(
            beat(c, holder, &held.lease).await,
            ["lost"],
            "the former holder learns of it"
        );
        let late = sql_worker::finish(&c.sql, &held, "too late")
            .await
            .unwrap_err();
        assert_eq!(late.code().map(|code| code.code()), Some("QC001"));
        sql_worker::finish(&c.sql, &taken[0], "in time")
            .await
            .unwrap();
        sql_worker::drive(&c.sql, other).await.unwrap();
        assert_eq!(c.status(run).await.0, "completed");
    });
}

#[test]
fn a_lease_that_nobody_took_renews_whatever_the_time() {
    Setup::new().without_worker().run(async |c| {
        let (_, holder, held) = one_claimed(c).await;
        c.pass("3 hours").await;
        assert_eq!(beat(c, holder, &held.lease).await, [""; 0]);
        assert_eq!(
            task(c, held.task, "t.lease_expires_at - _now()").await,
            "00:01:00"
        );
        let other = sql_worker::register(&c.sql, "other", &[]).await.unwrap();
        assert_eq!(claims(c, other).await, 0);
        c.pass("90 seconds").await;
        assert_eq!(
            claims(c, holder).await,
            0,
            "who asks for more may be about to renew: spared for one more lease"
        );
        assert_eq!(
            sql_worker::finish(&c.sql, &held, "late, but mine")
                .await
                .unwrap(),
            "completed"
        );
    });
}

#[test]
fn after_a_restart_of_the_server_nothing_is_taken_back_before_one_lease_has_passed() {
    Setup::new().without_worker().run(async |c| {
        let (_, _, held) = one_claimed(c).await;
        let other = sql_worker::register(&c.sql, "other", &[]).await.unwrap();
        // As if the server had come back a day later, when every lease had long run out.
        c.sql
            .execute(
                "update tasks set lease_expires_at = '-infinity', available_at = '-infinity'",
                &[],
            )
            .await
            .unwrap();
        c.set_clock(
            "(select max(backend_start) from pg_stat_activity where backend_type = 'walwriter') + interval '60 seconds' - interval '1 microsecond'",
        )
        .await;
        assert_eq!(
            claims(c, other).await,
            0,
            "its worker first gets the time of a lease to find its way back"
        );
        c.pass("2 microseconds").await;
        assert_eq!(claims(c, other).await, 1);
        assert_eq!(task(c, held.task, "t.attempt").await, "2");
    });
}

#[test]
fn a_failed_attempt_is_tried_again_after_its_back_off_and_not_before() {
    let settings = "retry_backoff = '10 seconds', max_attempts = 4";
    Setup::new().settings(settings).without_worker().run(async |c| {
        let (_, worker, mut held) = one_claimed(c).await;
        let mut waits = Vec::new();
        // Doubles with each attempt; half as much again or less, so that what failed together does not return together.
        for (least, most) in [(5.0, 15.0), (10.0, 30.0), (20.0, 60.0)] {
            let state = sql_worker::end(&c.sql, &held, "failed", None, Some("the model stalled"), true).await.unwrap();
            assert_eq!(state, "pending");
            let wait: f64 =
                task(c, held.task, "extract(epoch from t.available_at - _now())").await.parse().unwrap();
            assert!((least..=most).contains(&wait), "{wait} s");
            waits.push(wait);
            c.set_clock(&format!("(select available_at from conductor.tasks where id = {}) - interval '1 microsecond'", held.task)).await;
            assert_eq!(claims(c, worker).await, 0);
            c.pass("1 microsecond").await;
            held = sql_worker::claim(&c.sql, worker, 8).await.unwrap().remove(0);
        }
        assert!(waits[1] / waits[0] != 2.0 || waits[2] / waits[1] != 2.0, "no jitter: {waits:?}");
        let state = sql_worker::end(&c.sql, &held, "failed", None, Some("the model stalled"), true).await.unwrap();
        assert_eq!(state, "failed", "the fourth attempt was the last");
    });
}

#[test]
fn a_step_with_which_too_many_workers_are_lost_fails_and_says_so() {
    let deaths = Setup::new().settings("max_deaths = 2").without_worker();
    deaths.run(async |c| {
        let (run, _, held) = one_claimed(c).await;
        for (name, attempt) in [("second", Some(2)), ("third", None)] {
            c.pass("61 seconds").await;
            let next = sql_worker::register(&c.sql, name, &[]).await.unwrap();
            let given = sql_worker::claim(&c.sql, next, 8).await.unwrap();
            let given: Vec<i32> = given.iter().map(|task| task.attempt).collect();
            assert_eq!(given, attempt.into_iter().collect::<Vec<_>>(), "{name}");
        }
        let (state, error) = (
            task(c, held.task, "t.state").await,
            task(c, held.task, "t.error").await,
        );
        let why = "2 workers were lost while they ran this step";
        assert_eq!((state.as_str(), error.as_str()), ("failed", why));
        assert_eq!(c.status(run).await.0, "failed", "it was its only angle");
        assert_eq!(c.violations().await.unwrap(), [""; 0]);
    });
}

#[test]
fn nothing_in_the_engine_looks_at_another_clock() {
    let sql = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql");
    let others = r"(?i)(^|[^_a-z])(now\s*\(|(clock|statement|transaction)_timestamp|timeofday|current_(date|time)|localtime)";
    let others = regex::Regex::new(others).unwrap();
    let mut looked_at = 0;
    for file in std::fs::read_dir(sql).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // The one clock itself, and what upgrades a schema that had others.
        if name == "102__now.sql" || name.contains("--") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("--"));
        for line in code {
            assert!(!others.is_match(line), "{name}: {line}");
        }
        looked_at += 1;
    }
    assert!(looked_at > 50, "{looked_at} files");
}

#[test]
fn a_deadline_is_given_with_the_claim_and_anew_with_each_attempt() {
    Setup::new()
        .settings("step_timeout = '20 minutes'")
        .without_worker()
        .run(async |c| {
            let (_, worker, held) = one_claimed(c).await;
            assert_eq!(
                task(c, held.task, "t.deadline_at - _now()").await,
                "00:20:00"
            );
            c.pass("19 minutes").await;
            beat(c, worker, &held.lease).await;
            assert_eq!(
                task(c, held.task, "t.deadline_at - _now()").await,
                "00:01:00",
                "a beat does not move it"
            );
            sql_worker::end(&c.sql, &held, "failed", None, Some("refused"), true)
                .await
                .unwrap();
            c.pass("10 minutes").await;
            assert_eq!(claims(c, worker).await, 1);
            assert_eq!(
                task(c, held.task, "t.deadline_at - _now()").await,
                "00:20:00"
            );
        });
}

#[test]
fn a_run_stays_with_the_host_of_its_snapshot_until_that_host_is_silent_for_two_leases() {
    Setup::new().without_worker().run(async |c| {
        c.stop_clock().await;
        let root = c.shop("shop").await.root().to_str().unwrap().to_owned();
        let here = sql_worker::register(&c.sql, "here", &[&root])
            .await
            .unwrap();
        let there = sql_worker::register(&c.sql, "there", &[&root])
            .await
            .unwrap();
        c.sql
            .execute(
                "update workers set host = 'another' where id = $1",
                &[&there],
            )
            .await
            .unwrap();
        let launch = Launch::new("architectural-analysis", "What depends on what?")
            .on("shop")
            .band("medium");
        c.launch(launch).await;
        let [first]: [Claimed; 1] = sql_worker::claim(&c.sql, here, 1)
            .await
            .unwrap()
            .try_into()
            .expect("one of two angles");
        let snapshot =
            "select run_snapshot($1, $2::text::uuid, null, repeat('a', 64), 'test-host')";
        c.sql
            .execute(snapshot, &[&first.task, &first.lease])
            .await
            .unwrap();
        c.pass("2 minutes").await;
        beat(c, here, &first.lease).await;
        assert_eq!(claims(c, there).await, 0, "that host lives");
        c.pass("2 minutes").await;
        assert_eq!(
            claims(c, there).await,
            2,
            "it was silent for two leases: the other angle, and what it held"
        );
    });
}

#[test]
fn pruning_goes_by_when_a_run_ended() {
    Setup::new().without_worker().run(async |c| {
        let (run, worker, held) = one_claimed(c).await;
        sql_worker::finish(&c.sql, &held, "an answer")
            .await
            .unwrap();
        c.pass("1 hour").await;
        sql_worker::drive(&c.sql, worker).await.unwrap();
        assert_eq!(c.status(run).await.0, "completed");
        let prune = "select flow_prune('1 day')::bigint";
        c.pass("1 day").await;
        assert_eq!(
            c.sql.query_one(prune, &[]).await.unwrap().get::<_, i64>(0),
            0,
            "a day old, and not older"
        );
        c.pass("1 microsecond").await;
        assert_eq!(
            c.sql.query_one(prune, &[]).await.unwrap().get::<_, i64>(0),
            1
        );
    });
}
