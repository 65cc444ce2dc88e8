//! The server runs out of space and of connections: callers are told, what was done is kept, and it goes on by itself.

use std::time::Duration;

use conductor_tests::harness::cluster::server_user;
use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Cluster, Conductor, Launch, Setup, processes, told};
use conductor_tests::scripted::{Outcome, Part, Reply, Rule, Script};
use tokio_postgres::{Client, NoTls};

const SOON: Duration = Duration::from_secs(30);
const DISK_BYTES: u64 = 96 << 20;
const LONG_LINE: &str =
    "A line of a reply that needs pages of its own, and more than one of them.\n";

/// Tests of this file run one after the other: each takes something from the server that they share.
static SERVER: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// The agent is held in the middle of what it says.
fn script() -> Script {
    let reply = Reply::parts([
        Part::text("## Answer\nIt is so.\n"),
        Part::stall("gate"),
        Part::text(&LONG_LINE.repeat(4_000)),
        Part::Default,
    ]);
    Script::of([Rule::persona("research-analyst", [reply]).turn(1).times(1)])
}

async fn child_has_ended(c: &Conductor) {
    let control = c.model.control();
    let done = control
        .wait_until(LONG, |control| {
            let records = control.records();
            records
                .iter()
                .any(|record| record.outcome == Outcome::Completed)
        })
        .await;
    assert!(done, "the child went on");
}

async fn worker_says(c: &Conductor, words: &[&str], from: usize) {
    let what = format!("the worker says {words:?}");
    c.until(&what, SOON, async |c: &Conductor| {
        let log = std::fs::read_to_string(c.environment.log()).unwrap_or_default();
        words
            .iter()
            .all(|word| log[from..].contains(word))
            .then_some(())
    })
    .await;
}

fn log_length(c: &Conductor) -> usize {
    std::fs::metadata(c.environment.log()).map_or(0, |data| data.len() as usize)
}

/// Moves the test's database to the small disk.
async fn move_to_disk(c: &mut Conductor) {
    let (place, seen) = c.cluster.disk();
    let (place, seen) = (place.join(&c.database), seen.join(&c.database));
    std::fs::create_dir(&seen).unwrap();
    if let Some((user, group)) = server_user() {
        std::os::unix::fs::chown(&seen, Some(user), Some(group)).unwrap();
    }
    // Nobody may be connected to it meanwhile.
    c.sql = c.cluster.connect("postgres").await.unwrap();
    let space = format!("create tablespace disk location '{}'", place.display());
    c.sql.batch_execute(&space).await.unwrap();
    let alter = format!("alter database {} set tablespace disk", c.database);
    c.until("the database is moved", SOON, async |c: &Conductor| {
        c.sql.batch_execute(&alter).await.ok()
    })
    .await;
    c.reconnect().await;
}

/// Takes the server's space to the last page: what was written in vain stays in the file.
async fn fill(sql: &Client) {
    sql.batch_execute(
        "create table public.junk (t text); alter table public.junk alter t set storage plain",
    )
    .await
    .unwrap();
    for rows in [1_000, 100, 10, 1] {
        let insert = format!(
            "insert into public.junk select repeat('x', 8000) from generate_series(1, {rows})"
        );
        let error = loop {
            if let Err(error) = sql.batch_execute(&insert).await {
                break error;
            }
        };
        assert_eq!(told(&error).0, "53100", "{error:?}");
    }
}

#[test]
fn a_server_without_space_refuses_launches_and_keeps_nothing_from_what_runs() {
    let _alone = SERVER.lock().unwrap_or_else(|broken| broken.into_inner());
    Cluster::with_disk(DISK_BYTES);
    Setup::new().script(script()).without_worker().run(async |c| {
        move_to_disk(c).await;
        c.start_worker();
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        fill(&c.sql).await;
        let question = "Is there room for a long question? ".repeat(2_000);
        let refused = Launch::new("research", &question).with(&c.sql).await.unwrap_err();
        let (code, message, _, hint) = told(&refused);
        assert_eq!(code, "53100", "{message}");
        assert!(message.contains("No space left") && hint.contains("disk space"), "{message}; {hint}");
        let query = "select (select count(*) from flow_runs), (select count(distinct run_id) from flow_steps)";
        let row = c.sql.query_one(query, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 1), "nothing of it is left");

        c.model.control().release(Some("gate"));
        child_has_ended(c).await;
        worker_says(c, &["waits for the server", "53100", "No space left"], 0).await;
        assert_eq!(c.step(run, "sources").await.status, "running", "the result is kept");
        c.sql.batch_execute("drop table public.junk").await.unwrap();
        c.completed(run, LONG).await;
        let step = c.step(run, "sources").await;
        assert_eq!(step.attempts, 1, "nothing was done twice");
        let output = step.output.unwrap_or_default();
        assert_eq!(output.matches(LONG_LINE.trim()).count(), 4_000, "all of it was delivered");
        assert_eq!(c.violations().await.unwrap(), [""; 0]);
    });
}

/// Takes every connection that is not kept for superusers.
async fn crowd(c: &Conductor) -> Vec<Client> {
    let url = c.cluster.url("postgres").replace("postgres@", "crowd@");
    let mut crowd = Vec::new();
    loop {
        match tokio_postgres::connect(&url, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                crowd.push(client);
            }
            Err(error) => {
                assert_eq!(told(&error).0, "53300", "{error:?}");
                // Those of an earlier crowd may still be leaving, and would make room.
                let there = "select count(*) from pg_stat_activity where usename = 'crowd'";
                let there: i64 = c.sql.query_one(there, &[]).await.unwrap().get(0);
                if there == i64::try_from(crowd.len()).unwrap() {
                    return crowd;
                }
                tokio::task::yield_now().await;
            }
        }
    }
}

#[test]
fn a_worker_waits_for_a_server_without_free_connections_and_says_so() {
    let _alone = SERVER.lock().unwrap_or_else(|broken| broken.into_inner());
    Cluster::with_disk(DISK_BYTES);
    Setup::new().script(script()).without_worker().run(async |c| {
        let roles = "create role crowd login; create role limited login; select grant_worker('limited')";
        c.sql.batch_execute(roles).await.unwrap();
        c.environment.database = c.environment.database.replace("postgres@", "limited@");
        let others = crowd(c).await;
        c.start_worker();
        worker_says(c, &["registering", "53300"], 0).await;
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        drop(others);
        c.held("gate", LONG).await;

        // Its sessions are taken from it, and others are faster than it.
        let from = log_length(c);
        let worker = c.worker().pid();
        assert!(processes::signal(worker, libc::SIGSTOP));
        c.until("its sessions are gone", SOON, async |c: &Conductor| {
            let theirs = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'limited'";
            c.sql.query(theirs, &[]).await.unwrap().is_empty().then_some(())
        })
        .await;
        let others = crowd(c).await;
        assert!(processes::signal(worker, libc::SIGCONT));
        c.model.control().release(Some("gate"));
        child_has_ended(c).await;
        let second = c.launch(Launch::new("research", "Is it so?")).await;
        worker_says(c, &["waits for the server", "53300"], from).await;
        assert_eq!(c.step(run, "sources").await.status, "running", "the result is kept");
        assert_eq!(c.step(second, "sources").await.status, "pending");
        drop(others);
        c.completed(run, LONG).await;
        c.completed(second, LONG).await;
        assert_eq!(c.step(run, "sources").await.attempts, 1, "nothing was done twice");
        c.stop_worker();
        c.sql.batch_execute("drop role crowd; drop owned by limited; drop role limited").await.unwrap();
    });
}
