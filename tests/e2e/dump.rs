//! A dump taken in the middle of a run carries all of it, in every form that a dump has, and the run goes on where it is
//! restored.

use std::collections::BTreeSet;
use std::process::Command;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Conductor, Launch, Setup, cluster, tools};
use serde_json::json;
use tokio_postgres::Client;

fn run(program: &str, arguments: &[&str], options: &str) {
    let output = Command::new(tools::postgres_programs().unwrap().join(program))
        .args(arguments)
        .env("PGOPTIONS", options)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    assert_eq!(said, "", "{program} has nothing to warn of");
}

/// What a restore by several sessions at once needs: an archive does not know in which order the tables of an extension
/// refer to each other, and their constraints are there before their rows.
const WITHOUT_CHECKS: &str = "-c session_replication_role=replica";

/// Dumps this test's database in a form and restores it into a new one; the new one's name. A directory is written and
/// read by two sessions at once.
async fn copied(c: &Conductor, form: &str) -> String {
    let file = c.folder().join(format!("run.{form}"));
    let (file, from) = (file.to_str().unwrap(), c.cluster.url(&c.database));
    let name = c.cluster.create_empty_database().await;
    let to = c.cluster.url(&name);
    let dump = ["-F", form, "-d", &from, "-f", file];
    let restore = ["--exit-on-error", "-d", &to, file];
    match form {
        "plain" => {
            run("pg_dump", &dump, "");
            run(
                "psql",
                &[
                    "-Xq",
                    "-v",
                    "ON_ERROR_STOP=1",
                    "-o",
                    "/dev/null",
                    "-d",
                    &to,
                    "-f",
                    file,
                ],
                "",
            );
        }
        "custom" => {
            run("pg_dump", &dump, "");
            run("pg_restore", &restore, "");
        }
        _ => {
            run("pg_dump", &[&dump[..], &["-j", "2"]].concat(), "");
            run(
                "pg_restore",
                &[&["-j", "2"], &restore[..]].concat(),
                WITHOUT_CHECKS,
            );
        }
    }
    cluster::make_mutant(&c.cluster.connect(&name).await.unwrap()).await;
    name
}

/// Every row of every table of the schema, with how often it is there; but the home, which names the database, and the
/// cursor of the dispatcher's turns, which begins anew.
async fn rows(sql: &Client) -> BTreeSet<String> {
    let tables = "select c.oid::regclass::text from pg_class c
                  where c.relnamespace = 'conductor'::regnamespace and c.relkind = 'r' and c.relname <> 'dispatch'";
    let mut rows = BTreeSet::new();
    for table in sql.query(tables, &[]).await.unwrap() {
        let table: String = table.get(0);
        let query = format!(
            "select count(*) || ' × ' || (to_jsonb(t) - 'home') from {table} t group by to_jsonb(t)"
        );
        let found = sql.query(&query, &[]).await.unwrap();
        assert!(
            !found.is_empty(),
            "{table} is empty, so nothing is known of it"
        );
        rows.extend(
            found
                .iter()
                .map(|row| format!("{table}: {}", row.get::<_, String>(0))),
        );
    }
    rows
}

/// A project with a grant, a persona and a flow of the user's own, and a run of that flow in the middle of its fan-out.
async fn half_a_fan_out(c: &Conductor, worker: i64) {
    let flow = json!({"name": "fan-out", "category": "analysis", "description": "One step for each part.",
        "contracts": [], "steps": [
            {"id": "list", "persona": "lister", "brief": "List the parts."},
            {"id": "each", "persona": "lister", "brief": "Look at one.", "needs": ["list"], "foreach": "list.parts"},
            {"id": "end", "persona": "lister", "brief": "Sum up.", "needs": ["each"]}]});
    c.sql
        .batch_execute(
            "select project_register('shop', '/srv/shop');
             select project_grant('shop', 'pg_monitor');
             select persona_define('lister', 'Lists.', 'You list what there is.')",
        )
        .await
        .unwrap();
    let define = "select flow_define($1)";
    c.sql.execute(define, &[&flow]).await.unwrap();
    c.launch(Launch::new("fan-out", "What is there?")).await;
    let list = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
    let parts = r#"{"parts": ["one", "two"]}"#;
    sql_worker::finish(&c.sql, &list[0], parts).await.unwrap();
    let children = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
    assert_eq!(children.len(), 2, "{children:?}");
    let first = sql_worker::finish(&c.sql, &children[0], "the first part");
    first.await.unwrap();
}

/// A run of two angles of which one is finished and the other claimed, with what it has streamed, beside half a fan-out.
async fn half_a_run(c: &Conductor) -> (i64, Claimed) {
    let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
    half_a_fan_out(c, worker).await;
    let launch = Launch::new("architectural-analysis", "What depends on what?").band("medium");
    let run = c.launch(launch).await;
    let claimed = sql_worker::claim(&c.sql, worker, 8).await.unwrap();
    let [done, held]: [Claimed; 2] = claimed.try_into().expect("two angles are ready");
    sql_worker::finish(&c.sql, &done, "kept: the first angle")
        .await
        .unwrap();
    let stream = "select task_stream($1, $2::text::uuid,
        '[{\"type\": \"message_started\"}, {\"type\": \"delta\", \"offset\": 0, \"text\": \"half\"}]')";
    c.sql
        .execute(stream, &[&held.task, &held.lease])
        .await
        .unwrap();
    (run, done)
}

#[test]
fn a_run_that_is_dumped_midway_in_any_form_completes_where_it_is_restored() {
    Setup::new().without_worker().run(async |c| {
        let (run_id, done) = half_a_run(c).await;
        let before = rows(&c.sql).await;
        for form in ["plain", "custom", "directory"] {
            let copy = copied(c, form).await;
            let there = c.cluster.connect(&copy).await.unwrap();
            let after = rows(&there).await;
            let differ: Vec<_> = before.symmetric_difference(&after).collect();
            assert!(before.len() > 20 && differ.is_empty(), "{form}: {} rows, {differ:#?}", before.len());

            // The copy does not dispatch before somebody says that it may.
            let worker = sql_worker::register(&there, "by-hand", &[]).await.unwrap();
            let refused = sql_worker::claim(&there, worker, 8).await.unwrap_err();
            assert_eq!(refused.code().map(|code| code.code()), Some("55000"), "{form}");
            there.execute("select flow_resume()", &[]).await.unwrap();
            while sql_worker::drive(&there, worker).await.unwrap() > 0 {}

            let ended = "select string_agg(status, ' ') || ', violations ' || (select count(*) from flow_check())
                         || ', steps done twice ' || (select count(*) from tasks where attempt > 2)
                         from flow_runs";
            let ended: String = there.query_one(ended, &[]).await.unwrap().get(0);
            assert_eq!(ended, "completed completed, violations 0, steps done twice 0", "{form}");
            let kept = "select flow_step_output($1, $2)";
            let kept: String = there.query_one(kept, &[&run_id, &done.step_id]).await.unwrap().get(0);
            assert_eq!(kept, "kept: the first angle", "{form}");
            // Sequences go on after what was restored.
            let next = "select flow_launch('research', 'Another?')";
            let next: i64 = there.query_one(next, &[]).await.unwrap().get(0);
            assert_eq!(next, run_id + 1, "{form}");
            let next = "select max(id) + 1 = project_register('another', '/srv/another') from projects";
            assert!(there.query_one(next, &[]).await.unwrap().get::<_, bool>(0), "{form}");
            let known = "select max(id) from workers";
            let known: i64 = there.query_one(known, &[]).await.unwrap().get(0);
            let next = sql_worker::register(&there, "another", &[]).await.unwrap();
            assert!(next > known, "{form}: {next} after {known}");
            drop(there);
            c.cluster.drop_database(&copy).await;
        }
    });
}

#[test]
fn a_worker_at_the_copy_takes_the_run_up_when_it_is_adopted_and_the_original_goes_on_for_itself() {
    Setup::new().without_worker().run(async |c| {
        let (run_id, _) = half_a_run(c).await;
        let original = c.database.clone();
        let copy = copied(c, "custom").await;
        // From here on the test looks at the copy.
        c.environment.database = c.cluster.url(&copy);
        c.sql = c.cluster.connect(&copy).await.unwrap();
        c.start_worker();
        c.until(
            "the worker says that this is a copy",
            LONG,
            async |c: &Conductor| {
                let log = std::fs::read_to_string(c.environment.log()).unwrap_or_default();
                (log.contains("is a copy") && log.contains("flow_resume")).then_some(())
            },
        )
        .await;
        assert_eq!(
            c.step(run_id, "behavior").await.status,
            "running",
            "as it was dumped"
        );
        c.sql.execute("select flow_resume()", &[]).await.unwrap();
        c.completed(run_id, LONG).await;
        c.stop_worker();
        let wrong: i64 = c
            .sql
            .query_one("select count(*) from flow_check()", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(wrong, 0);

        c.sql = c.cluster.connect(&original).await.unwrap();
        assert_eq!(c.status(run_id).await.0, "running");
        let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
        let asked = c
            .sql
            .query("select verdict from task_heartbeat($1, '{}')", &[&worker])
            .await
            .unwrap();
        assert!(asked.is_empty());
        c.cluster.drop_database(&copy).await;
    });
}
