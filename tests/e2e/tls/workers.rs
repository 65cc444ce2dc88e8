//! A worker and the commands over TLS, and where the password never stands.

use std::path::{Path, PathBuf};

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::tls::{HOST, Tap};
use conductor_tests::harness::worker::children;
use conductor_tests::harness::{Conductor, Launch, Setup, tools};
use conductor_tests::scripted::{Part, Reply, Rule, Script};

use super::server::*;

/// A server of the test's own that takes the worker only with TLS and its password; the worker's settings name it.
async fn worker_over_tls(c: &mut Conductor) {
    let sealed = sealed();
    let own = sealed.cluster.create_copy();
    c.move_to(own).await;
    let grant = "select conductor.grant_worker('conductor_worker')";
    c.sql.execute(grant, &[]).await.unwrap();
    c.environment.database = format!(
        "postgres://conductor_worker:{PASSWORD}@{HOST}:{}/{}?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={}",
        own.port(),
        c.database,
        sealed.file("ours.crt")
    );
}

fn held_script() -> Script {
    let first = Reply::parts([
        Part::text("## Answer\nIt is "),
        Part::stall("gate"),
        Part::text("so.\n"),
    ]);
    Script::of([Rule::persona("research-analyst", [first])])
}

#[test]
fn a_worker_runs_a_whole_run_over_tls_and_finds_its_way_back_to_a_server_that_was_started_again() {
    sealed();
    let setup = Setup::new().script(held_script()).without_worker();
    setup.run(async |c| {
        worker_over_tls(c).await;
        c.start_worker();
        c.said("listening, the doorbell rings", 1, SOON).await;
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        let sessions = "select count(*), count(*) filter (where s.ssl and s.version = 'TLSv1.3')
            from pg_stat_activity a join pg_stat_ssl s using (pid) where a.usename = 'conductor_worker'";
        let row = c.sql.query_one(sessions, &[]).await.unwrap();
        let (all, with_tls): (i64, i64) = (row.get(0), row.get(1));
        assert!(all >= 2 && all == with_tls, "{with_tls} of {all} sessions speak TLS");
        c.cluster.stop();
        c.cluster.start();
        c.reconnect().await;
        c.said("listening, the doorbell rings", 2, SOON).await;
        c.model.control().release(Some("gate"));
        c.completed(run, LONG).await;
        assert_eq!(c.step(run, "sources").await.attempts, 1);
    });
}

#[test]
fn a_worker_waits_for_a_server_whose_certificate_it_does_not_take() {
    sealed();
    Setup::new().without_worker().run(async |c| {
        worker_over_tls(c).await;
        let sealed = sealed();
        c.cluster
            .speak_tls(&sealed.authority.expired(), &sealed.authority, LINES)
            .await;
        c.reconnect().await;
        c.start_worker();
        c.said("the server's certificate has expired", 1, SOON)
            .await;
        c.cluster
            .speak_tls(&sealed.authority.server(), &sealed.authority, LINES)
            .await;
        c.reconnect().await;
        c.said("listening, the doorbell rings", 1, SOON).await;
    });
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn commands_say_how_the_connection_is_protected_and_why_there_is_none() {
    sealed();
    Setup::new().without_worker().run(async |c| {
        worker_over_tls(c).await;
        let doctor = text(&c.environment.run(&["doctor"], LONG).stdout);
        let line = "✓ connection: TLS 1.3, certificate and name verified";
        assert!(doctor.contains(line), "{doctor}");
        assert!(
            doctor.contains("doorbell: a notification arrives"),
            "{doctor}"
        );
        assert!(!doctor.contains(PASSWORD), "{doctor}");
        // The system's authorities are those that this file holds; without it none of them knows ours.
        let system = c
            .environment
            .database
            .split("&sslmode")
            .next()
            .unwrap()
            .to_owned();
        c.environment.database = format!("{system}&sslrootcert=system");
        let file = sealed().file("ours.crt");
        c.environment.variables = vec![("SSL_CERT_FILE".into(), file)];
        let doctor = text(&c.environment.run(&["doctor"], LONG).stdout);
        assert!(doctor.contains(line), "{doctor}");
        c.environment.variables.clear();
        let history = c.environment.run(&["history"], SOON);
        let said = text(&history.stderr);
        assert_eq!(history.status.code(), Some(2), "{said}");
        assert!(
            said.contains("not trusted here\nhint: name its authority's"),
            "{said}"
        );
        assert!(!said.contains(PASSWORD), "{said}");
    });
}

#[test]
fn a_password_on_the_command_line_is_refused_before_anything_is_connected() {
    sealed();
    Setup::new().without_worker().run(async |c| {
        let tap = Tap::start(c.cluster.port(), false).await.unwrap();
        let url = format!(
            "postgres://either:{PASSWORD}@127.0.0.1:{}/postgres",
            tap.port()
        );
        for command in ["worker", "doctor", "history"] {
            let output = c.environment.run(&[command, "--database", &url], SOON);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command}: {said}");
            assert!(
                said.contains("PGPASSWORD") && !said.contains(PASSWORD),
                "{said}"
            );
        }
        assert_eq!(tap.begun(), []);
        // That the line was there to be used: the same address is taken from the environment.
        c.environment.database = url;
        c.environment.run(&["history"], SOON);
        assert_eq!(tap.begun().len(), 1);
    });
}

#[test]
fn the_database_password_reaches_no_child_and_stands_nowhere() {
    sealed();
    let setup = Setup::new().script(held_script()).without_worker();
    setup.run(async |c| {
        c.shop("shop").await;
        worker_over_tls(c).await;
        c.environment.variables = vec![
            ("CONDUCTOR_LOG".into(), "trace".into()),
            ("PGPASSWORD".into(), PASSWORD.into()),
        ];
        c.start_worker();
        let run = c
            .launch(Launch::new("research", "Is it so?").on("shop"))
            .await;
        c.held("gate", LONG).await;
        let worker = c.worker().pid();
        let started = children(c.folder(), worker);
        assert!(!started.is_empty(), "a child is held");
        for process in &started {
            for part in ["environ", "cmdline"] {
                let bytes =
                    std::fs::read(format!("/proc/{}/{part}", process.pid)).unwrap_or_default();
                assert!(!text(&bytes).contains(PASSWORD), "{part} of {process:?}");
            }
        }
        let arguments = std::fs::read(format!("/proc/{worker}/cmdline")).unwrap();
        assert!(!text(&arguments).contains(PASSWORD));
        // That it is looked for in the right way: the worker itself was given it.
        let given = std::fs::read(format!("/proc/{worker}/environ")).unwrap_or_default();
        assert!(given.is_empty() || text(&given).contains(PASSWORD));
        c.model.control().release(Some("gate"));
        c.completed(run, LONG).await;
        c.stop_worker();
        let log = std::fs::read_to_string(c.environment.log()).unwrap();
        assert!(
            log.contains("TRACE") && log.contains("DEBUG"),
            "it was logged in detail"
        );
        assert!(!log.contains(PASSWORD), "the worker's log");
        let doctor = c.environment.run(&["doctor", "--json"], LONG);
        for said in [&doctor.stdout, &doctor.stderr] {
            assert!(!text(said).contains(PASSWORD), "doctor");
        }
        let dump = std::process::Command::new(tools::postgres_programs().unwrap().join("pg_dump"))
            .arg(c.cluster.url(&c.database))
            .output()
            .unwrap();
        let dump = text(&dump.stdout);
        assert!(dump.contains("It is so."), "the dump holds the run");
        assert!(!dump.contains(PASSWORD), "the dump");
        let jobs = walk(&c.environment.state());
        assert!(!jobs.is_empty());
        for file in jobs {
            let bytes = std::fs::read(&file).unwrap_or_default();
            assert!(!text(&bytes).contains(PASSWORD), "{}", file.display());
        }
    });
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path()),
            Ok(kind) if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}
