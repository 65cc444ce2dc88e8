//! What agents are given beside the project's files, and what becomes of citations that do not hold.

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Conductor, Launch, Setup, told};
use conductor_tests::scripted::{Part, Reply, Rule, Script, ToolCall};
use serde_json::{Value, json};
use tokio_postgres::AsyncMessage;

/// Reviewers that read what there is to review, and find nothing.
fn readers_of_changes() -> Script {
    let read = |file: &str| ToolCall {
        name: "read_file".into(),
        arguments: json!({"file_path": format!("{{snapshot}}/_context/{file}")}),
    };
    let calls = vec![
        read("changes.md"),
        read("uncommitted.diff"),
        read("base.diff"),
    ];
    let clean = "## Summary\nIt was read.\n\n## Findings\nNO FINDINGS\n";
    Script::of([Rule::any([
        Reply::parts([Part::ToolCalls(calls)]),
        Reply::text(clean),
    ])])
}

/// What the first reviewer of a run read: `changes.md`, the uncommitted changes, those since the base.
async fn read_in(c: &Conductor, launch: Launch<'_>) -> (i64, [String; 3]) {
    let before = c.model.control().records().len();
    let run = c.launch(launch).await;
    c.completed(run, LONG).await;
    let records = c.model.control().records();
    let of_run = records[before..].iter().map(|record| record.conversation());
    let answered = of_run.into_iter().find(|talk| talk.rounds == 1);
    let talk = answered.expect("a reviewer has read");
    let results = talk
        .calls
        .iter()
        .map(|call| call.result.clone().unwrap_or_default());
    let read: Vec<String> = results.collect();
    (run, read.try_into().expect("three files were asked for"))
}

#[test]
fn what_there_is_to_review_is_said_in_words() {
    Setup::new().script(readers_of_changes()).run(async |c| {
        let shop = c.shop("shop").await;
        let review = Launch::new("code-review", "May this be merged?").on("shop");

        let (run, [changes, uncommitted, base]) = read_in(c, review.clone()).await;
        assert!(
            changes.contains("The subject is the whole tree"),
            "{changes}"
        );
        assert!(!uncommitted.contains("+++") && !base.contains("+++"));
        assert!(c.report(run).await.contains("the whole tree was reviewed"));

        let first = shop.head();
        shop.write(
            "src/main.rs",
            "mod lease;\n\nfn main() {\n    // changed here\n}\n",
        );
        shop.write("src/new.rs", "pub fn new_thing() {}\n");
        let (run, [changes, uncommitted, base]) = read_in(c, review.clone()).await;
        for part in [
            "There are changes.",
            "src/main.rs",
            "src/new.rs",
            "uncommitted.diff",
        ] {
            assert!(changes.contains(part), "{part} is not in:\n{changes}");
        }
        assert!(
            uncommitted.contains("+    // changed here"),
            "{uncommitted}"
        );
        assert!(!base.contains("+++"), "{base}");
        let report = c.report(run).await;
        assert!(
            report.contains("1 file uncommitted, 1 file new; the change was reviewed"),
            "{report}"
        );

        shop.commit("Change it");
        let since = review.input(json!({"base": first}));
        let (run, [changes, uncommitted, base]) = read_in(c, since).await;
        assert!(
            changes.contains(&format!("Committed since {first}")),
            "{changes}"
        );
        assert!(!uncommitted.contains("+++"), "{uncommitted}");
        assert!(
            base.contains("+    // changed here") && base.contains("new_thing"),
            "{base}"
        );
        let report = c.report(run).await;
        assert!(
            report.contains(&format!("2 files since {first}; the change was reviewed")),
            "{report}"
        );
    });
}

/// The prompt template of a step.
async fn template(c: &Conductor, run: i64, step: &str) -> String {
    let query = "select x.body from flow_steps s join texts x on x.hash = s.prompt_hash
                 where s.run_id = $1 and s.step_id = $2";
    let row = c.sql.query_one(query, &[&run, &step]).await;
    row.unwrap_or_else(|error| panic!("no prompt of {step}: {error}"))
        .get(0)
}

#[test]
fn the_briefs_that_need_it_point_at_what_tools_cannot_show() {
    Setup::new().without_worker().run(async |c| {
        c.shop("shop").await;
        let review = [
            "correctness",
            "structure",
            "security",
            "resilience",
            "concurrency",
            "tests",
            "verify",
        ];
        for (flow, steps, beside) in [
            ("investigate", &["recent-changes"][..], "`log.txt`"),
            ("code-review", &review, ""),
            ("project-documentation", &["audit"], "`uncommitted.diff`"),
        ] {
            let launch = Launch::new(flow, "Is it so?").on("shop").band("large");
            let run = c.launch(launch).await;
            for step in steps {
                let prompt = template(c, run, step).await;
                let (brief, _) = prompt.split_once("\n# The question\n").unwrap();
                for part in ["\u{1}snapshot\u{1}/_context/changes.md", beside] {
                    assert!(brief.contains(part), "{flow} {step} lacks {part}:\n{brief}");
                }
            }
        }
    });
}

const SPEC: &str = "The lease must be renewed by telegram.";

/// The flows that work on a document, as their plans say.
async fn flows_on_documents(c: &Conductor) -> Vec<String> {
    let query = "select distinct flow_name from flow_runs where (plan ->> 'needs_document')::boolean order by 1";
    let rows = c.sql.query(query, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn a_flow_on_a_document_warns_without_one_and_refuses_without_a_project_too() {
    Setup::new().without_worker().run(async |c| {
        c.shop("shop").await;
        let (client, mut connection) =
            tokio_postgres::connect(&c.environment.database, tokio_postgres::NoTls)
                .await
                .unwrap();
        let (tell, mut notices) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) =
                std::future::poll_fn(|cx| connection.poll_message(cx)).await
            {
                if let AsyncMessage::Notice(notice) = message {
                    let _ = tell.send(notice);
                }
            }
        });
        let names = c
            .sql
            .query("select name from flow_catalog()", &[])
            .await
            .unwrap();
        let mut warned = Vec::new();
        for row in &names {
            let flow: &str = row.get(0);
            Launch::new(flow, "Is it so?")
                .on("shop")
                .with(&client)
                .await
                .unwrap();
            while let Ok(notice) = notices.try_recv() {
                if notice.message().contains("works on a document") {
                    assert_eq!(notice.severity(), "WARNING");
                    assert!(
                        notice.hint().is_some_and(|hint| hint.contains("documents")),
                        "{notice:?}"
                    );
                    warned.push(flow.to_owned());
                }
            }
        }
        warned.sort();
        assert_eq!(warned, flows_on_documents(c).await);
        for flow in [
            "gap-analysis",
            "iterative-plan-review",
            "plan-implementation",
        ] {
            assert!(
                warned.iter().any(|name| name == flow),
                "{flow} does not warn"
            );
        }
        let documents = json!({"documents": [{"name": "spec.md", "text": SPEC}]});
        let mut runs = Vec::new();
        for flow in &warned {
            let refused = Launch::new(flow, "Is it so?").with(&client).await;
            let (code, message, detail, hint) = told(&refused.expect_err("it is refused"));
            assert_eq!(code, "22023", "{message} {detail}");
            assert!(
                format!("{message} {detail}").contains("document"),
                "{message} {detail}"
            );
            assert!(hint.contains("documents"), "{hint}");
            let run = Launch::new(flow, "Is it so?")
                .input(documents.clone())
                .with(&client)
                .await
                .unwrap();
            while let Ok(notice) = notices.try_recv() {
                assert!(!notice.message().contains("document"), "{notice:?}");
            }
            runs.push(run);
        }
        provided_everywhere(c, &runs).await;
    });
}

/// Every agent of these runs is shown the document, and told what it is.
async fn provided_everywhere(c: &Conductor, runs: &[i64]) {
    let worker = sql_worker::register(&c.sql, "sql", &[]).await.unwrap();
    let mut shown: Vec<(i64, String)> = Vec::new();
    let look = |task: &Claimed| {
        for part in [SPEC, "Document `spec.md`:", "Their class is *provided*"] {
            let (step, prompt) = (&task.step_id, &task.prompt);
            assert!(prompt.contains(part), "{step}: {part} is not in:\n{prompt}");
        }
        shown.push((task.run, task.step_id.clone()));
        Ok(("## Summary\nIt was read.\n".to_owned(), None))
    };
    sql_worker::play(&c.sql, worker, look).await.unwrap();
    for run in runs {
        assert_eq!(c.status(*run).await.0, "completed");
        let of_run = shown.iter().filter(|(of, _)| of == run);
        assert!(of_run.count() > 1, "run {run}: {shown:?}");
    }
}

#[test]
fn citations_that_do_not_hold_are_marked_and_the_validator_is_told() {
    let said = "## Answer\nIt is lent.\n\n## Findings\n### D1. What is and what is not\n\
        - Evidence (codebase): `src/lease.rs:12` \"pub fn renew_lease(lease: &mut Lease, now: u64) {\"\n\
        - Evidence (codebase): `src/gone.rs:3` \"pub fn gone()\"\n\
        - Evidence (codebase): `src/main.rs:999` \"fn main()\"\n\
        - Evidence (codebase): `README.md:3` \"things are sold here for ever\"\n";
    let script = Script::of([Rule::persona("codebase-explorer", [Reply::text(said)])]);
    Setup::new().script(script).run(async |c| {
        c.shop("shop").await;
        let run = c.launch(Launch::new("research", "What is lent?").on("shop")).await;
        c.completed(run, LONG).await;
        let row = c
            .sql
            .query_one(
                "select citations_total, citations_broken, citations from flow_steps where run_id = $1 and step_id = 'codebase'",
                &[&run],
            )
            .await
            .unwrap();
        let stored: Value = row.get(2);
        assert_eq!((row.get::<_, i32>(0), row.get::<_, i32>(1)), (4, 3), "{stored}");
        let markdown = c.report(run).await;
        let row = c.sql.query_one("select flow_report($1, 'html')", &[&run]).await.unwrap();
        let html: String = row.get(0);
        let records = c.model.control().records();
        let validator = records
            .iter()
            .find(|record| record.persona.as_deref() == Some("adversarial-validator"))
            .expect("the validator was asked");
        let asked = validator.conversation().prompt;
        assert!(asked.contains("3 of its 4 citations are broken"), "{asked}");
        let broken = |cited: &str| format!("class=\"cite broken\">{cited}<");
        for cited in ["src/gone.rs:3", "src/main.rs:999", "README.md:3"] {
            assert!(asked.contains(cited), "{cited} is not in:\n{asked}");
            let mark = format!("{cited} ⚠ broken citation");
            assert!(markdown.contains(&mark), "{mark} is not in:\n{markdown}");
            assert!(html.contains(&broken(cited)), "{cited} is not marked in:\n{html}");
        }
        assert!(!markdown.contains("src/lease.rs:12 ⚠"), "{markdown}");
        assert!(!html.contains(&broken("src/lease.rs:12")));
        assert!(markdown.contains("**3 broken**"), "{markdown}");
    });
}

#[test]
fn editing_a_flow_or_a_persona_never_changes_a_run_under_way() {
    Setup::new().without_worker().run(async |c| {
        let define = async |brief: &str, body: &str| {
            let flow = json!({"name": "keep", "category": "analysis", "description": "Keeps.", "contracts": [],
                "steps": [{"id": "look", "label": "Look", "persona": "keeper", "brief": brief},
                          {"id": "again", "label": "Again", "persona": "keeper", "brief": brief, "needs": ["look"]}]});
            c.sql.execute("select persona_define('keeper', 'Keeps.', $1)", &[&body]).await.unwrap();
            c.sql.execute("select flow_define($1)", &[&flow]).await.unwrap();
        };
        define("Look at the OLD thing.", "You are the OLD keeper.").await;
        let worker = sql_worker::register(&c.sql, "sql", &[]).await.unwrap();
        let launch = Launch::new("keep", "Is it so?");
        let old = c.launch(launch.clone()).await;
        let first = sql_worker::claim(&c.sql, worker, 1).await.unwrap().remove(0);
        define("Look at the NEW thing.", "You are the NEW keeper.").await;
        let new = c.launch(launch).await;
        sql_worker::finish(&c.sql, &first, "## Summary\nLooked.\n").await.unwrap();
        let mut seen = Vec::new();
        let look = |task: &Claimed| {
            let word = |text: &str| if text.contains("OLD") { "OLD" } else { "NEW" };
            seen.push((task.run, task.step_id.clone(), word(&task.prompt), word(&task.system)));
            Ok(("## Summary\nLooked.\n".to_owned(), None))
        };
        sql_worker::play(&c.sql, worker, look).await.unwrap();
        seen.sort();
        let step = |run: i64, id: &str, word: &'static str| (run, id.to_owned(), word, word);
        assert_eq!(seen, [step(old, "again", "OLD"), step(new, "again", "NEW"), step(new, "look", "NEW")]);
        assert!(first.prompt.contains("OLD") && first.system.contains("OLD"));
        for run in [old, new] {
            c.completed(run, LONG).await;
        }
    });
}
