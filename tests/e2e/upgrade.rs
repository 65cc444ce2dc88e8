//! A former version's schema under this version's library, and ALTER EXTENSION UPDATE in the middle of a run.
//! The former versions are frozen in `tests/upgrade/`.

use std::collections::BTreeSet;
use std::process::Command;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Conductor, Launch, Setup, cluster, told, tools};

/// The version before this one; that upgrade scripts chain is PostgreSQL's matter.
const FORMER: &str = "0.1.0";
const MEMBERS: &str = include_str!("../upgrade/members.sql");

/// A program of the server's, run to its end: whether it ended well, what it printed, what it said.
fn program(name: &str, arguments: &[&str]) -> (bool, String, String) {
    let path = tools::postgres_programs().unwrap().join(name);
    let output = Command::new(path).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

async fn update(c: &Conductor) {
    c.sql
        .batch_execute("alter extension conductor update")
        .await
        .unwrap();
    cluster::make_mutant(&c.sql).await;
}

/// Everything that the extension consists of.
async fn members(c: &Conductor) -> BTreeSet<String> {
    // Names are written with their schema exactly when it is not on the path.
    let sql = c.connect().await;
    sql.batch_execute("set search_path = pg_catalog")
        .await
        .unwrap();
    let rows = sql.query(MEMBERS, &[]).await.unwrap();
    rows.iter().filter_map(|row| row.get(0)).collect()
}

/// A run of two angles of which one is finished, and the claim of the other.
async fn half_a_run(c: &Conductor) -> (i64, Claimed) {
    let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
    let run = c
        .launch(Launch::new("architectural-analysis", "What depends on what?").band("medium"))
        .await;
    let claimed = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
    let [one, other]: [Claimed; 2] = claimed.try_into().expect("two angles are ready");
    sql_worker::finish(&c.sql, &one, "kept: the first angle")
        .await
        .unwrap();
    (run, other)
}

#[test]
fn an_upgraded_schema_is_in_everything_a_fresh_one() {
    let mut fresh = BTreeSet::new();
    Setup::new()
        .without_worker()
        .run(async |c| fresh = members(c).await);
    assert!(fresh.len() > 500, "the extension has {} parts", fresh.len());
    Setup::new()
        .version(FORMER)
        .without_worker()
        .run(async |c| {
            assert_ne!(members(c).await, fresh, "the former version is another one");
            update(c).await;
            let upgraded = members(c).await;
            let missing: Vec<_> = fresh.difference(&upgraded).collect();
            let left: Vec<_> = upgraded.difference(&fresh).collect();
            assert!(
                missing.is_empty() && left.is_empty(),
                "missing: {missing:#?}\nleft over or other: {left:#?}"
            );
        });
}

#[test]
fn what_roles_were_granted_before_an_upgrade_is_in_dumps_after_it() {
    const ROLES: &str =
        "create role upgrade_analyst; create role upgrade_runner; create role upgrade_operator;
        create role upgrade_gone";
    const GRANTS: &str = "select grant_launcher('upgrade_analyst'), grant_worker('upgrade_runner'),
        grant_operator('upgrade_operator'), grant_launcher('upgrade_gone')";
    let granted = async |c: &Conductor| -> BTreeSet<String> {
        let (done, dump, said) = program("pg_dump", &["-s", "-d", &c.cluster.url(&c.database)]);
        assert!(done && said.is_empty(), "{said}");
        let rights = dump
            .lines()
            .filter(|line| line.starts_with("GRANT") || line.starts_with("REVOKE"));
        rights.map(str::to_owned).collect()
    };
    let mut fresh = BTreeSet::new();
    Setup::new().without_worker().run(async |c| {
        c.sql.batch_execute(ROLES).await.unwrap();
        c.sql.batch_execute(GRANTS).await.unwrap();
        c.sql
            .batch_execute("drop owned by upgrade_gone")
            .await
            .unwrap();
        fresh = granted(c).await;
        let others = "drop owned by upgrade_analyst, upgrade_runner, upgrade_operator";
        c.sql.batch_execute(others).await.unwrap();
    });
    assert!(fresh.len() > 50, "{fresh:?}");
    Setup::new()
        .version(FORMER)
        .without_worker()
        .run(async |c| {
            c.sql.batch_execute(GRANTS).await.unwrap();
            update(c).await;
            c.sql
                .batch_execute(
                    "select regrant(); drop owned by upgrade_gone; drop role upgrade_gone",
                )
                .await
                .unwrap();
            assert_eq!(
                granted(c).await,
                fresh,
                "as if this version had been there from the beginning"
            );
            let others = "drop owned by upgrade_analyst, upgrade_runner, upgrade_operator;
            drop role upgrade_analyst, upgrade_runner, upgrade_operator";
            c.sql.batch_execute(others).await.unwrap();
        });
}

#[test]
fn an_upgrade_gives_up_at_once_behind_whoever_reads_for_long_and_leaves_everything_as_it_was() {
    Setup::new()
        .version(FORMER)
        .without_worker()
        .run(async |c| {
            let mut other = c.connect().await;
            let reading = other.transaction().await.unwrap();
            reading
                .execute("select count(*) from frames", &[])
                .await
                .unwrap();
            let refused = c
                .sql
                .batch_execute("alter extension conductor update")
                .await
                .unwrap_err();
            assert_eq!(told(&refused).0, "55P03");
            let version = "select extversion from pg_extension where extname = 'conductor'";
            assert_eq!(
                c.sql
                    .query_one(version, &[])
                    .await
                    .unwrap()
                    .get::<_, String>(0),
                FORMER
            );
            reading.commit().await.unwrap();
            update(c).await;
        });
}

#[test]
fn the_new_library_runs_the_old_schema_and_says_what_to_do() {
    Setup::new()
        .version(FORMER)
        .without_worker()
        .run(async |c| {
            let launch = "select conductor.flow_launch('research', 'Does it still run?')";
            let (done, run, said) = program(
                "psql",
                &["-XAtd", &c.cluster.url(&c.database), "-c", launch],
            );
            assert!(done, "{said}");
            assert!(
                said.contains("WARNING") && said.contains(&format!("schema: {FORMER}")),
                "{said}"
            );
            let cure = said
                .lines()
                .find_map(|line| line.strip_prefix("HINT:  "))
                .expect("the warning says what to do");

            let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
            while sql_worker::drive(&c.sql, worker).await.unwrap() > 0 {}
            let run: i64 = run.trim().parse().unwrap();
            assert_eq!(c.status(run).await.0, "completed");
            assert_eq!(c.violations().await.unwrap(), [""; 0]);

            c.sql
                .batch_execute(cure)
                .await
                .expect("what it says can be done");
            let (_, _, said) = program(
                "psql",
                &["-XAtd", &c.cluster.url(&c.database), "-c", launch],
            );
            assert!(
                !said.contains("library and schema"),
                "then there is nothing to warn of: {said}"
            );
        });
}

#[test]
fn a_run_begun_before_an_upgrade_ends_after_it() {
    Setup::new().version(FORMER).without_worker().run(async |c| {
        let (run, held) = half_a_run(c).await;
        let high = "update settings set max_output_bytes = 536870912";
        c.sql.batch_execute(high).await.unwrap();
        update(c).await;
        // Whoever holds a lease of the time before delivers; a worker of that time gets nothing new.
        sql_worker::finish(&c.sql, &held, "the second angle, by the old worker").await.unwrap();
        let old = c
            .sql
            .execute(
                "select worker_register('by-hand', 'test-host', 1, $1, 8, '{}', '{}', '{\"ok\": true}')",
                &[&FORMER],
            )
            .await
            .unwrap_err();
        let (code, _, detail, hint) = told(&old);
        assert_eq!(code, "55000");
        assert!(detail.contains(FORMER) && hint.contains("same version"), "{detail} {hint}");

        c.start_worker();
        c.completed(run, LONG).await;
        assert!(c.output(run, "fold").await.contains("kept: the first angle"));
        for step in c.steps(run).await {
            assert!(step.attempts <= 1, "{step:?} was done twice");
        }
    });
}

#[test]
fn a_worker_that_is_newer_than_the_schema_says_what_to_do_and_goes_on_by_itself_once_it_is_done() {
    Setup::new().version(FORMER).run(async |c| {
        let run = c.launch(Launch::new("research", "Is it time?")).await;
        c.said("of different versions (SQLSTATE 55000)", 1, LONG)
            .await;
        let log = std::fs::read_to_string(c.environment.log()).unwrap();
        let said = log
            .lines()
            .find(|line| line.contains("SQLSTATE 55000"))
            .unwrap();
        let versions = format!("worker: {}, extension: {FORMER}", env!("CARGO_PKG_VERSION"));
        let cure = "ALTER EXTENSION conductor UPDATE";
        assert!(said.contains(&versions) && said.contains(cure), "{said}");
        assert_eq!(c.step(run, "sources").await.attempts, 0, "nothing is taken");

        // The worker that registers again and again may hold a lock for a moment; then the upgrade gives up at once.
        c.until("the extension is upgraded", LONG, async |c: &Conductor| {
            let upgraded = c
                .sql
                .batch_execute("alter extension conductor update")
                .await;
            upgraded
                .map_err(|error| assert_eq!(told(&error).0, "55P03"))
                .ok()
        })
        .await;
        c.completed(run, LONG).await;
        assert_eq!(c.violations().await.unwrap(), [""; 0]);
    });
}

#[test]
fn a_dump_of_the_old_schema_restores_into_the_new_one_and_its_run_ends_there() {
    Setup::new()
        .version(FORMER)
        .without_worker()
        .run(async |c| {
            let (run, _) = half_a_run(c).await;
            // 0.1.0 took limits that this version does not.
            let high = "update settings set max_output_bytes = 536870912";
            c.sql.batch_execute(high).await.unwrap();
            let file = c.folder().join("old.dump");
            let (there, file) = (
                c.cluster.create_empty_database().await,
                file.to_str().unwrap(),
            );
            for (name, arguments) in [
                (
                    "pg_dump",
                    ["-Fc", "-f", file, "-d", &c.cluster.url(&c.database)].as_slice(),
                ),
                (
                    "pg_restore",
                    &["--exit-on-error", "-d", &c.cluster.url(&there), file],
                ),
            ] {
                let (done, _, said) = program(name, arguments);
                assert!(done && said.is_empty(), "{name}: {said}");
            }
            let sql = c.cluster.connect(&there).await.unwrap();
            cluster::make_mutant(&sql).await;
            sql.execute("select flow_resume()", &[]).await.unwrap();
            let worker = sql_worker::register(&sql, "by-hand", &[]).await.unwrap();
            while sql_worker::drive(&sql, worker).await.unwrap() > 0 {}
            let ended = "select status || ' ' || (select count(*) from flow_check())
                     || ' ' || (select max_output_bytes from settings)
                     || ' ' || (select extversion from pg_extension where extname = 'conductor')
                     from flow_runs where id = $1";
            let ended: String = sql.query_one(ended, &[&run]).await.unwrap().get(0);
            assert_eq!(
                ended,
                format!("completed 0 134217728 {}", env!("CARGO_PKG_VERSION"))
            );
            drop(sql);
            c.cluster.drop_database(&there).await;
        });
}
