//! Flows and personas of one's own, from files to runs.

use std::process::Output;
use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, sql_worker};

const SOON: Duration = Duration::from_secs(30);

const PERSONA: &str =
    "---\nname: lease-expert\ndescription: Knows leases.\nprefix: LX\n---\nYou know leases.\n";
const FLOW: &str = "name = \"lease-check\"\ncategory = \"analysis\"\ndescription = \"Checks leases.\"\n\n\
    [[steps]]\nid = \"look\"\npersona = \"lease-expert\"\nbrief = \"Look at the first version.\"\n\n\
    [[steps]]\nid = \"again\"\npersona = \"lease-expert\"\nbrief = \"Look again at the first version.\"\nneeds = [\"look\"]\n";

fn write(c: &Conductor, name: &str, text: &str) {
    std::fs::write(c.folder().join(name), text).expect("the folder can be written");
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that is expected to succeed; what it printed.
fn done(c: &Conductor, arguments: &[&str]) -> String {
    let output = c.environment.run(arguments, SOON);
    assert!(output.status.success(), "{arguments:?}: {}", err(&output));
    out(&output)
}

/// Runs a command that is expected to be refused; what it said.
fn refused(c: &Conductor, arguments: &[&str]) -> String {
    let output = c.environment.run(arguments, SOON);
    assert_eq!(
        output.status.code(),
        Some(2),
        "{arguments:?}: {}",
        out(&output)
    );
    err(&output)
}

async fn count(c: &Conductor, query: &str) -> i64 {
    c.sql.query_one(query, &[]).await.expect("a count").get(0)
}

async fn plan(c: &Conductor, run: i64) -> String {
    let query = "select plan::text from flow_runs where id = $1";
    c.sql
        .query_one(query, &[&run])
        .await
        .expect("the run is there")
        .get(0)
}

#[test]
fn a_flow_from_a_file_runs_and_replacing_it_leaves_the_run_under_way_alone() {
    Setup::new().without_worker().run(async |c| {
        write(c, "lease-check.toml", FLOW);
        write(c, "lease-expert.md", PERSONA);
        let said = done(c, &["flow", "add", "lease-check.toml", "lease-expert.md"]);
        assert_eq!(
            said,
            "persona lease-expert is defined\nflow lease-check is defined\n"
        );
        let launched = done(
            c,
            &[
                "launch",
                "lease-check",
                "Is it so?",
                "--model",
                "scripted-model",
            ],
        );
        let run: i64 = launched.trim().parse().expect("the run's number");
        let before = plan(c, run).await;
        let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
        let first = sql_worker::claim(&c.sql, worker, 1)
            .await
            .unwrap()
            .remove(0);
        assert!(
            first.prompt.contains("Look at the first version."),
            "{}",
            first.prompt
        );

        write(
            c,
            "lease-check.toml",
            &FLOW
                .replace("first version", "second version")
                .replace("\"again\"", "\"once-more\""),
        );
        write(
            c,
            "lease-expert.md",
            &PERSONA.replace("You know leases.", "You know everything."),
        );
        let said = done(c, &["flow", "add", "lease-check.toml", "lease-expert.md"]);
        assert_eq!(
            said.matches("is replaced; runs under way keep").count(),
            2,
            "{said}"
        );
        assert_eq!(plan(c, run).await, before);
        sql_worker::finish(&c.sql, &first, "## Summary\nLooked.\n")
            .await
            .unwrap();
        let second = sql_worker::claim(&c.sql, worker, 8)
            .await
            .unwrap()
            .remove(0);
        assert_eq!(second.step_id, "again");
        assert!(
            second.prompt.contains("Look again at the first version."),
            "{}",
            second.prompt
        );
        sql_worker::finish(&c.sql, &second, "## Summary\nLooked again.\n")
            .await
            .unwrap();
        c.completed(run, LONG).await;

        let later = c.launch(Launch::new("lease-check", "Is it so now?")).await;
        sql_worker::drive(&c.sql, worker).await.unwrap();
        c.completed(later, LONG).await;
        let steps: Vec<String> = c
            .steps(later)
            .await
            .into_iter()
            .map(|step| step.step_id)
            .collect();
        assert_eq!(steps, ["look", "once-more", "report"]);
        let persona: String = c
            .sql
            .query_one("select body from personas where name = 'lease-expert'", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(persona, "You know everything.");
    });
}

#[test]
fn a_wrong_file_names_line_and_column_and_nothing_is_added() {
    Setup::new().without_worker().run(async |c| {
        write(
            c,
            "lease-check.toml",
            &FLOW.replace("needs = [\"look\"]", "needs = [\"loo\"]"),
        );
        write(c, "lease-expert.md", PERSONA);
        let said = refused(c, &["flow", "add", "lease-expert.md", "lease-check.toml"]);
        assert!(
            said.starts_with("lease-check.toml:14:10: unknown step \"loo\" in steps[1].needs[0]\n"),
            "{said}"
        );
        assert!(
            said.contains("14 | needs = [\"loo\"]\n") && said.contains("help: did you mean look?"),
            "{said}"
        );
        assert_eq!(
            count(c, "select count(*) from persona_definitions").await,
            0
        );
        assert_eq!(count(c, "select count(*) from flow_definitions").await, 0);
    });
}

#[test]
fn personas_that_the_database_has_are_found_there() {
    Setup::new().without_worker().run(async |c| {
        write(c, "lease-check.toml", FLOW);
        write(c, "lease-expert.md", PERSONA);
        let said = refused(c, &["flow", "check", "lease-check.toml"]);
        assert!(
            said.starts_with("lease-check.toml:7:11: unknown persona \"lease-expert\"")
                && said.contains("built-in personas, and the 0 defined in the database"),
            "{said}"
        );
        done(c, &["persona", "add", "lease-expert.md"]);
        let said = done(c, &["flow", "check", "lease-check.toml"]);
        assert!(said.contains("1. look (lease-expert)"), "{said}");
        assert_eq!(count(c, "select count(*) from flow_definitions").await, 0);
        assert_eq!(
            done(c, &["flow", "add", "lease-check.toml"]),
            "flow lease-check is defined\n"
        );
    });
}

#[test]
fn what_the_server_refuses_is_told_with_its_file_and_undoes_the_rest() {
    Setup::new().without_worker().run(async |c| {
        let role = format!("guest_of_{}", c.database);
        let prepare = format!(
            "create role {role} login; select grant_launcher('{role}');
             select persona_define('lease-expert', 'Knows.', 'You know.', 'LX');"
        );
        c.sql
            .batch_execute(&prepare)
            .await
            .expect("the role can be made");
        c.environment.database = c
            .environment
            .database
            .replace("postgres@", &format!("{role}@"));
        let own = PERSONA.replace("lease-expert", "my-expert");
        write(c, "my-expert.md", &own);
        write(c, "lease-expert.md", PERSONA);
        let said = refused(c, &["persona", "add", "my-expert.md", "lease-expert.md"]);
        for part in [
            "error: somebody else has defined this persona",
            "detail: name: lease-expert",
            "hint: choose another name, or ask an operator",
            "sqlstate: 42501",
            "file: lease-expert.md; nothing was added",
        ] {
            assert!(said.lines().any(|line| line == part), "{part}\n{said}");
        }
        assert_eq!(
            count(
                c,
                "select count(*) from persona_definitions where name = 'my-expert'"
            )
            .await,
            0
        );
        assert_eq!(
            done(c, &["persona", "add", "my-expert.md"]),
            "persona my-expert is defined\n"
        );
        let clean_up = format!("drop owned by {role}; drop role {role}");
        c.sql
            .batch_execute(&clean_up)
            .await
            .expect("the role can be dropped");
    });
}
