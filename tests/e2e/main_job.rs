//! A flow launched in SQL ends in a report.

use conductor_tests::harness::runs::{LONG, citation_holds, citations};
use conductor_tests::harness::tree::Tree;
use conductor_tests::harness::{Conductor, Launch, Setup};
use conductor_tests::scripted::{Part, Reply, Rule, Script, ToolCall};
use serde_json::{Value, json};

#[test]
fn a_question_without_a_project_ends_in_a_report() {
    Setup::new().run(async |c| {
        let run = c
            .launch(Launch::new("research", "Is a lease better than a lock?"))
            .await;
        c.completed(run, LONG).await;
        let steps = c.steps(run).await;
        let names: Vec<&str> = steps.iter().map(|step| step.step_id.as_str()).collect();
        assert_eq!(
            names,
            ["sources", "fold", "validation", "report"],
            "no angle that needs a project"
        );
        assert!(
            steps.iter().all(|step| step.status == "completed"),
            "{steps:?}"
        );
        let report = c.report(run).await;
        for part in [
            "research",
            "scripted-model",
            "Is a lease better than a lock?",
            "sources/RA1",
        ] {
            assert!(
                report.contains(part),
                "{part} is not in the report:\n{report}"
            );
        }
        let at = |text: &str| {
            report
                .find(text)
                .unwrap_or_else(|| panic!("no {text} in:\n{report}"))
        };
        assert!(
            at("Validation") < at("sources/RA1. "),
            "validation stands above the answer:\n{report}"
        );
    });
}

#[test]
fn an_analysis_of_a_project_cites_lines_that_exist() {
    Setup::new().run(async |c| {
        let shop = c.shop("shop").await;
        let before = Tree::read(shop.root()).unwrap();
        let launch = Launch::new("architectural-analysis", "How does a lease work here?");
        let run = c.launch(launch.on("shop").band("medium")).await;
        c.completed(run, LONG).await;
        for step in ["structure", "behavior", "synthesis", "validation"] {
            let cited = citations(&c.output(run, step).await);
            assert!(!cited.is_empty(), "{step} cites nothing");
            for citation in &cited {
                assert!(
                    citation_holds(shop.root(), citation),
                    "{step} cites {citation:?}"
                );
            }
        }
        let synthesis = c.output(run, "synthesis").await;
        assert!(synthesis.contains("structure/S1"), "{synthesis}");
        assert!(c.output(run, "validation").await.contains("synthesis/SA1"));
        let row = c
            .sql
            .query_one(
                "select commit, tree_digest is not null, total_tokens from flow_runs where id = $1",
                &[&run],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, Option<String>>(0), Some(shop.head()));
        assert!(row.get::<_, bool>(1));
        assert!(row.get::<_, i64>(2) > 0);
        let folder = c.folder().to_string_lossy().into_owned();
        assert!(
            !c.report(run).await.contains(&folder),
            "a path of this machine is in the report"
        );
        let changes = before.changes(&Tree::read(shop.root()).unwrap());
        assert_eq!(changes, [""; 0], "the repository was touched");
        let soon = std::time::Duration::from_secs(15);
        c.until("the snapshot is removed", soon, async |c: &Conductor| {
            let left = files_below(&c.folder().join("state/snapshots"));
            (left == 0).then_some(())
        })
        .await;
    });
}

/// Files below a folder.
fn files_below(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.path() {
            path if path.is_dir() => files_below(&path),
            _ => 1,
        })
        .sum()
}

#[test]
fn a_plan_at_band_large_runs_every_angle_and_keeps_what_it_defers() {
    Setup::new().slots(4).run(async |c| {
        c.shop("shop").await;
        let launch = Launch::new("plan-a-feature", "Let people renew a lease twice.");
        let run = c.launch(launch.on("shop").band("large")).await;
        c.completed(run, LONG * 2).await;
        let report = c.report(run).await;
        assert!(report.contains("Deferred (YAGNI)"), "{report}");
        for step in [
            "scope",
            "questions",
            "experience",
            "edges",
            "abuse",
            "synthesis",
            "validation",
        ] {
            assert_eq!(c.step(run, step).await.status, "completed");
            assert!(
                report.contains(step),
                "{step} is not in the roster:\n{report}"
            );
        }
    });
}

#[test]
fn provided_documents_reach_the_agents_and_are_named_as_such() {
    Setup::new().run(async |c| {
        let text = "The lease must be renewed by telegram.";
        let input = json!({"documents": [{"name": "spec.md", "text": text}]});
        let launch = Launch::new(
            "gap-analysis",
            "Does the shop do what the specification asks?",
        );
        let run = c.launch(launch.input(input)).await;
        c.completed(run, LONG).await;
        let records = c.model.control().records();
        let first = records[0].conversation();
        assert!(
            first.prompt.contains(text) && first.prompt.contains("spec.md"),
            "{}",
            first.prompt
        );
    });
}

#[test]
fn the_output_of_a_step_is_the_text_of_its_last_turn() {
    let search = ToolCall {
        name: "glob".into(),
        arguments: json!({"pattern": "**/*.rs", "path": "{snapshot}"}),
    };
    let script = Script::of([Rule::persona(
        "codebase-explorer",
        [
            Reply::parts([
                Part::text("Let me look first."),
                Part::Reasoning("thinking aloud".into()),
                Part::ToolCalls(vec![search]),
            ]),
            Reply::text("## Answer\nIt is lent.\n"),
        ],
    )]);
    Setup::new().script(script).run(async |c| {
        c.shop("shop").await;
        let run = c
            .launch(Launch::new("research", "What is lent?").on("shop"))
            .await;
        c.completed(run, LONG).await;
        assert_eq!(
            c.output(run, "codebase").await.trim(),
            "## Answer\nIt is lent."
        );
        let frames = c.frames(run).await;
        let glob = |frame: &&(String, Value)| frame.0 == "tool_call" && frame.1["name"] == "glob";
        let call = frames.iter().find(glob).expect("the tool call is a frame");
        assert_eq!(call.1["executed"], true);
        assert!(frames.iter().any(|frame| frame.0 == "tool_result"));
    });
}

#[test]
fn a_tool_call_written_as_text_stays_out_of_the_output() {
    let written = "<tool_call>\n{\"name\": \"read_file\", \"arguments\": {\"file_path\": \"/etc/passwd\"}}\n</tool_call>\n";
    let script = Script::of([Rule::persona(
        "research-analyst",
        [Reply::text(&format!(
            "## Answer\nBefore.\n{written}After.\n"
        ))],
    )]);
    Setup::new().script(script).run(async |c| {
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.completed(run, LONG).await;
        let output = c.output(run, "sources").await;
        assert!(
            output.contains("Before.") && output.contains("After."),
            "{output}"
        );
        assert!(
            !output.contains("tool_call") && !output.contains("/etc/passwd"),
            "{output}"
        );
        let frames = c.frames(run).await;
        let unexecuted = |f: &(String, Value)| f.0 == "tool_call" && f.1["executed"] == false;
        assert!(frames.iter().any(unexecuted), "{frames:?}");
    });
}

#[test]
fn frames_tell_the_run_and_a_doorbell_rings_without_content() {
    Setup::new().without_worker().run(async |c| {
        let (client, mut connection) =
            tokio_postgres::connect(&c.environment.database, tokio_postgres::NoTls)
                .await
                .unwrap();
        let (ring, mut rings) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) =
                std::future::poll_fn(|cx| connection.poll_message(cx)).await
            {
                if let tokio_postgres::AsyncMessage::Notification(note) = message {
                    let _ = ring.send((note.channel().to_owned(), note.payload().to_owned()));
                }
            }
        });
        client
            .batch_execute("listen conductor_frames")
            .await
            .unwrap();
        c.start_worker();
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.completed(run, LONG).await;
        let mut payloads = Vec::new();
        while let Ok(Some((channel, payload))) =
            tokio::time::timeout(std::time::Duration::from_secs(2), rings.recv()).await
        {
            assert_eq!(channel, "conductor_frames");
            payloads.push(serde_json::from_str::<Value>(&payload).unwrap());
        }
        assert!(!payloads.is_empty());
        for payload in &payloads {
            let mut keys: Vec<&String> = payload.as_object().unwrap().keys().collect();
            keys.sort();
            assert_eq!(keys, ["run_id", "seq", "type"]);
            assert_eq!(payload["run_id"], run);
        }
        let frames = c.frames(run).await;
        assert_eq!(frames[0].0, "flow_run_started");
        assert_eq!(frames[0].1["flow_name"], "research");
        let last = &frames.last().unwrap().1;
        assert_eq!(last["run_status"], "completed", "{last}");
        assert_eq!(last["report"], json!(c.report(run).await));
        let complete = frames
            .iter()
            .filter(|frame| frame.0 == "message_complete")
            .count();
        assert_eq!(complete, 2, "one for each agent");
    });
}

#[test]
fn a_run_can_be_followed_shown_and_found_again() {
    Setup::new().run(async |c| {
        c.shop("shop").await;
        let mut launch = Launch::new("research", "How does a lease work here?").on("shop");
        launch.launch_key = Some("once");
        let run = c.launch(launch.clone()).await;
        assert_eq!(c.launch(launch).await, run, "one key is one run");
        c.completed(run, LONG).await;
        let rows = c
            .sql
            .query(
                "select step_id, state, tokens from flow_status($1)",
                &[&run],
            )
            .await
            .unwrap();
        assert_eq!(rows.len(), 5);
        assert!(
            rows.iter()
                .all(|row| row.get::<_, String>(1) == "completed")
        );
        let shown: Value = c
            .sql
            .query_one("select flow_show($1)", &[&run])
            .await
            .unwrap()
            .get(0);
        assert!(shown.to_string().contains("codebase-explorer"), "{shown}");
        let found = c
            .sql
            .query("select * from flow_history('shop', 10)", &[])
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
        let chat: i64 = c
            .sql
            .query_one(
                "select chat_id from flow_steps where run_id = $1 and step_id = 'codebase'",
                &[&run],
            )
            .await
            .unwrap()
            .get(0);
        let messages = c
            .sql
            .query(
                "select role, content, status from chat_messages($1)",
                &[&chat],
            )
            .await
            .unwrap();
        let roles: Vec<String> = messages.iter().map(|row| row.get(0)).collect();
        assert_eq!(roles, ["user", "assistant"]);
        assert_eq!(
            messages[1].get::<_, String>(1),
            c.output(run, "codebase").await
        );
        assert_eq!(messages[1].get::<_, String>(2), "complete");
    });
}
