//! What a worker without anything to do costs: queries, writes, processor time.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::Options;
use super::figure::{Figure, Section, Target};
use crate::harness::runs::LONG;
use crate::harness::{Cluster, Conductor, Setup, processes};

/// How long it is looked at in each repeat, at scale 1, and how often at most.
const SECONDS: usize = 20;
const MOST_REPEATS: usize = 3;
/// How often a worker asks that hears the doorbell.
const POLL: Duration = Duration::from_secs(5);
/// The server itself writes that nothing happens, for a while after something has.
const QUIET: Duration = Duration::from_secs(20);
const VERY_LONG: Duration = Duration::from_secs(300);

/// What has been used so far.
#[derive(Debug, Clone, Copy)]
struct Used {
    at: Instant,
    /// The next transaction's number.
    transactions: f64,
    wal_bytes: f64,
    worker: f64,
    backends: f64,
    /// Bytes of the server's log.
    said: usize,
}

/// Looks at an idle worker.
pub async fn run(options: &Options) -> Section {
    let mut section = Section::new("An idle worker");
    section.note("Statements are counted in the server's log; a transaction that writes takes a number. Shares are of one core.");
    let cluster = Cluster::durable();
    let mut c = Setup::new().begin().await;
    configure(&c.sql, "alter system set log_statement = 'all'").await;
    settle(&c).await;
    let backends = backends(&c.sql).await;
    let pid = c.worker().pid();
    let mut figures: [Vec<f64>; 6] = Default::default();
    for _ in 0..options.repeats.min(MOST_REPEATS) {
        let before = used(&c, pid, &backends).await;
        tokio::time::sleep(Duration::from_secs(options.scaled(SECONDS) as u64)).await;
        let after = used(&c, pid, &backends).await;
        let seconds = (after.at - before.at).as_secs_f64();
        let (asked, claims) = asked(cluster, before.said, after.said, &backends);
        // Where a window begins between two polls it may hold one more than its length says.
        let polls = (seconds / POLL.as_secs_f64()).floor() + 1.0;
        let values = [
            asked / polls,
            asked - claims,
            after.transactions - before.transactions,
            after.wal_bytes - before.wal_bytes,
            (after.worker - before.worker) / seconds * 100.0,
            (after.backends - before.backends) / seconds * 100.0,
        ];
        figures
            .iter_mut()
            .zip(values)
            .for_each(|(figure, value)| figure.push(value));
    }
    configure(&c.sql, "alter system reset log_statement").await;
    let wrong = c.end().await;
    assert!(wrong.is_empty(), "{wrong:?}");
    let [queries, others, transactions, wal, worker, backends] = figures;
    let both = worker.iter().zip(&backends).map(|(a, b)| a + b).collect();
    let at_most = |name: &str, unit, values, most| {
        Figure::alone(name, unit, values).target(Target::AtMost(most))
    };
    section.figures = vec![
        at_most("queries per poll", "", queries, 1.0),
        at_most("queries that are no poll", "", others, 0.0),
        at_most("transactions that wrote", "", transactions, 0.0),
        at_most("WAL", "bytes", wal, 0.0),
        Figure::alone("processor time of the worker", "%", worker),
        Figure::alone("processor time of its backends", "%", backends),
        at_most("processor time of both", "%", both, 0.2),
    ];
    section
}

async fn configure(sql: &Client, setting: &str) {
    for statement in [setting, "select pg_reload_conf()"] {
        let done = sql.batch_execute(statement).await;
        done.expect("a superuser may");
    }
}

/// Waits until the worker is known to live by its session alone, and the server has fallen silent.
async fn settle(c: &Conductor) {
    c.said("registered", 1, LONG).await;
    // As after the first lease without a child.
    let silent =
        "update workers set seen_at = seen_at - interval '1 day' where session_pid is null";
    c.until(
        "the worker's session is noted",
        LONG,
        async |c: &Conductor| {
            c.sql
                .batch_execute(silent)
                .await
                .expect("workers can be changed");
            let noted = "select from workers where session_pid is not null";
            c.sql.query_opt(noted, &[]).await.expect(noted).map(drop)
        },
    )
    .await;
    c.sql
        .batch_execute("checkpoint")
        .await
        .expect("a superuser may");
    let mut last = (wal(&c.sql).await, Instant::now());
    let end = Instant::now() + VERY_LONG;
    while last.1.elapsed() < QUIET {
        assert!(Instant::now() < end, "the server does not fall silent");
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = wal(&c.sql).await;
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
}

async fn number(sql: &Client, query: &str) -> f64 {
    sql.query_one(query, &[]).await.expect(query).get(0)
}

async fn wal(sql: &Client) -> f64 {
    number(
        sql,
        "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8",
    )
    .await
}

/// The processes of the worker's sessions.
async fn backends(sql: &Client) -> Vec<i32> {
    let query = "select pid from pg_stat_activity where datname = current_database() and application_name = 'conductor worker'";
    let rows = sql.query(query, &[]).await.expect(query);
    rows.iter().map(|row| row.get(0)).collect()
}

async fn used(c: &Conductor, worker: i32, backends: &[i32]) -> Used {
    let next = "select pg_snapshot_xmax(pg_current_snapshot())::text::float8";
    let (transactions, wal_bytes) = (number(&c.sql, next).await, wal(&c.sql).await);
    Used {
        at: Instant::now(),
        transactions,
        wal_bytes,
        worker: processor_time(worker),
        backends: backends.iter().map(|pid| processor_time(*pid)).sum(),
        said: log(c.cluster).len(),
    }
}

/// Processor time in seconds of the threads that a process has now.
fn processor_time(pid: i32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let ids = threads.filter_map(|thread| thread.ok()?.file_name().to_str()?.parse().ok());
    ids.filter_map(processes::processor_time).sum()
}

fn log(cluster: &Cluster) -> Vec<u8> {
    std::fs::read(cluster.folder().join("server.log")).expect("the server's log can be read")
}

/// How many statements these backends were sent, and how many of them ask for tasks.
fn asked(cluster: &Cluster, from: usize, to: usize, backends: &[i32]) -> (f64, f64) {
    let log = log(cluster);
    let text = String::from_utf8_lossy(&log[from..to]);
    let theirs = |line: &&str| {
        let by = |pid: &i32| line.contains(&format!(" [{pid}] "));
        backends.iter().any(by) && (line.contains("execute ") || line.contains("statement: "))
    };
    let lines: Vec<&str> = text.lines().filter(theirs).collect();
    let claims = lines.iter().filter(|line| line.contains("task_claim"));
    (lines.len() as f64, claims.count() as f64)
}
