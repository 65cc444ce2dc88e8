//! A worker that has nothing to do: it asks, writes nothing, and is known to live.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, processes, sql_worker};

const SOON: Duration = Duration::from_secs(30);
/// How often a worker asks that hears the doorbell.
const POLL: Duration = Duration::from_secs(5);

async fn text(sql: &Client, query: &str) -> String {
    let row = sql.query_one(query, &[]).await.expect(query);
    row.get::<_, Option<String>>(0).unwrap_or_default()
}

async fn holds(sql: &Client, condition: &str) -> bool {
    let query = format!("select coalesce(bool_and({condition}), false)::text from workers w");
    text(sql, &query).await == "true"
}

/// Waits until what says that the worker lives is its session alone.
async fn lives_by_its_session(c: &Conductor) {
    let silent =
        "update workers set seen_at = seen_at - interval '1 day' where session_pid is null";
    let what = "the session of the idle worker is noted";
    c.until(what, SOON, async |c: &Conductor| {
        c.sql.batch_execute(silent).await.unwrap();
        holds(&c.sql, "session_pid is not null").await.then_some(())
    })
    .await;
    let long_ago = "update workers set seen_at = seen_at - interval '1 day'";
    c.sql.batch_execute(long_ago).await.unwrap();
}

async fn is_live(c: &Conductor, expected: bool) {
    let what = format!("the worker lives: {expected}");
    c.until(&what, SOON, async |c: &Conductor| {
        (holds(&c.sql, "conductor._is_live(w)").await == expected).then_some(())
    })
    .await;
}

/// The statements in a server's log from a place on, without those of the process `own`.
fn asked(log: &str, own: &str) -> Vec<String> {
    let own = format!("[{own}]");
    let lines = log
        .lines()
        .filter(|line| line.contains("execute <unnamed>: ") || line.contains("statement: "));
    lines
        .filter(|line| !line.contains(&own))
        .map(str::to_owned)
        .collect()
}

#[test]
fn an_idle_worker_writes_nothing_and_asks_once_a_poll() {
    Setup::new().without_worker().run(async |c| {
        c.move_to_own_server().await;
        for statement in [
            "alter system set log_statement = 'all'",
            "select pg_reload_conf()",
        ] {
            c.sql.batch_execute(statement).await.unwrap();
        }
        c.start_worker();
        // It has had something to do, so that it has several sessions.
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.completed(run, LONG).await;
        let log = c.cluster.folder().join("server.log");
        let read = || std::fs::read_to_string(&log).expect("the server's log can be read");
        let what = "the last of the run, its snapshot, is looked after";
        c.until(what, SOON, async |_| {
            read().contains("worker_runs_over").then_some(())
        })
        .await;
        lives_by_its_session(c).await;

        let own = text(&c.sql, "select pg_backend_pid()::text").await;
        let next = "select pg_snapshot_xmax(pg_current_snapshot())::text";
        let asks = "select max(a.query_start)::text from pg_stat_activity a, workers w
            where a.pid = w.session_pid";
        let (before, begin, from) = (text(&c.sql, next).await, Instant::now(), read().len());
        let mut last = text(&c.sql, asks).await;
        for _ in 0..2 {
            let asked = format!("{asks} having max(a.query_start) > '{last}'");
            last = c
                .until("it asks again", SOON, async |c: &Conductor| {
                    let row = c.sql.query_opt(&asked, &[]).await.unwrap()?;
                    row.get::<_, Option<String>>(0)
                })
                .await;
        }
        let polls = begin.elapsed().as_secs() / POLL.as_secs() + 1;
        let asked = asked(&read()[from..], &own);
        assert_eq!(
            text(&c.sql, next).await,
            before,
            "no transaction wrote: {asked:?}"
        );
        assert!(
            asked.len() >= 2 && asked.len() as u64 <= polls,
            "{polls} polls: {asked:?}"
        );
        assert!(
            asked.iter().all(|line| line.contains("task_claim")),
            "{asked:?}"
        );

        is_live(c, true).await;
        let prune = "select flow_prune('1 hour')";
        c.sql.query_one(prune, &[]).await.unwrap();
        assert!(holds(&c.sql, "true").await, "it is not forgotten");
    });
}

#[test]
fn an_idle_worker_that_stands_still_or_is_killed_no_longer_counts_as_alive() {
    Setup::new().settings("lease = '2 seconds'").run(async |c| {
        lives_by_its_session(c).await;
        is_live(c, true).await;
        let pid = c.worker().pid();
        processes::signal(pid, libc::SIGSTOP);
        is_live(c, false).await;
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        let doing = format!("select string_agg(doing, ' ') from flow_status({run})");
        assert!(text(&c.sql, &doing).await.contains("no worker is alive"));
        processes::signal(pid, libc::SIGCONT);
        is_live(c, true).await;
        c.completed(run, LONG).await;
        lives_by_its_session(c).await;
        is_live(c, true).await;
        c.kill_worker();
        is_live(c, false).await;
    });
}

#[test]
fn a_worker_that_takes_nothing_is_known_to_live_and_says_why() {
    let setup = Setup::new().without_worker();
    setup.settings("lease = '2 seconds'").run(async |c| {
        c.environment.qwen = c.folder().join("gone");
        c.start_worker();
        c.said("no tasks are taken", 1, SOON).await;
        lives_by_its_session(c).await;
        is_live(c, true).await;
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        let doing = format!("select string_agg(doing, ' ') from flow_status({run})");
        let said = text(&c.sql, &doing).await;
        assert!(said.contains("no worker is fit to run"), "{said}");
        c.sql
            .query_one("select flow_cancel($1)", &[&run])
            .await
            .unwrap();
    });
}

#[test]
fn asking_is_written_down_once_a_lease_unless_the_server_tells_who_asked() {
    Setup::new().without_worker().run(async |c| {
        let worker = sql_worker::register(&c.sql, "idle", &[]).await.unwrap();
        let silent = "update workers set seen_at = clock_timestamp() - interval '1 day'";
        // Whether a claim through this session writes that the worker lives.
        let writes = async |c: &Conductor, session: &Client| {
            c.sql.batch_execute(silent).await.unwrap();
            sql_worker::claim(session, worker, 0).await.unwrap();
            assert!(holds(&c.sql, "conductor._is_live(w)").await);
            !holds(&c.sql, "seen_at < clock_timestamp() - interval '1 hour'").await
        };
        let own = c.connect().await;
        assert!(writes(c, &own).await, "the session is new");
        assert!(!writes(c, &own).await);
        assert!(!writes(c, &own).await);
        // As a pooler does it that gives each transaction another session.
        for _ in 0..2 {
            assert!(writes(c, &c.connect().await).await, "each session is new");
        }
        let blind = c.connect().await;
        blind
            .batch_execute("set track_activities = off")
            .await
            .unwrap();
        for _ in 0..2 {
            assert!(writes(c, &blind).await, "nobody sees when it asks");
        }
        // Who is heard of by other means writes nothing more.
        let other = c.connect().await;
        let session = "select session_pid::text from workers";
        let before = text(&c.sql, session).await;
        sql_worker::claim(&other, worker, 8).await.unwrap();
        assert_eq!(text(&c.sql, session).await, before);
    });
}

#[test]
fn a_run_waits_for_the_host_of_its_snapshot_as_long_as_that_one_asks() {
    let setup = Setup::new().without_worker();
    setup.settings("lease = '2 seconds'").run(async |c| {
        let (idle, own) = (
            sql_worker::register(&c.sql, "idle", &[]).await.unwrap(),
            c.connect().await,
        );
        let silent = "update workers set seen_at = clock_timestamp() - interval '1 day'";
        c.sql.batch_execute(silent).await.unwrap();
        sql_worker::claim(&own, idle, 0).await.unwrap();
        c.sql.batch_execute(silent).await.unwrap();
        let other = sql_worker::register(&c.sql, "other", &[]).await.unwrap();
        let elsewhere = "update workers set host = 'elsewhere' where name = 'other'";
        c.sql.batch_execute(elsewhere).await.unwrap();
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        let held = "update flow_runs set snapshot_host = 'test-host' where id = $1";
        c.sql.execute(held, &[&run]).await.unwrap();
        sql_worker::claim(&own, idle, 0).await.unwrap();
        let claimed = sql_worker::claim(&c.sql, other, 8).await.unwrap();
        assert_eq!(claimed, [], "its host has just asked");
        let what = "another host takes it over";
        c.until(what, SOON, async |c: &Conductor| {
            let claimed = sql_worker::claim(&c.sql, other, 8).await.unwrap();
            (!claimed.is_empty()).then_some(())
        })
        .await;
        drop(own);
    });
}
