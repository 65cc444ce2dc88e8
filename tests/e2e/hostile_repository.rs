//! Repositories that want something run: nothing of them runs, nothing in them changes.

use std::path::PathBuf;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::tree::Tree;
use conductor_tests::harness::{Conductor, Launch, Setup};
use conductor_tests::scripted::{Part, Reply, Rule, Script, ToolCall};
use serde_json::{Value, json};

fn call(name: &str, arguments: Value) -> ToolCall {
    ToolCall {
        name: name.into(),
        arguments,
    }
}

fn canary(c: &Conductor) -> PathBuf {
    c.folder().join("canary")
}

/// Asks for everything that writes or runs, then behaves.
fn disobedient(canary: &str) -> Script {
    let touch = format!("touch {canary}");
    let calls = vec![
        call(
            "run_shell_command",
            json!({"command": touch, "is_background": false}),
        ),
        call("write_file", json!({"file_path": canary, "content": "x"})),
        call(
            "write_file",
            json!({"file_path": "{snapshot}/README.md", "content": "x"}),
        ),
        call(
            "edit",
            json!({"file_path": "{snapshot}/README.md", "old_string": "# Shop", "new_string": "x"}),
        ),
        call("enter_worktree", json!({"name": "trap"})),
        call(
            "agent",
            json!({"description": "x", "prompt": touch, "subagent_type": "trap"}),
        ),
        call("exit_plan_mode", json!({"plan": "none"})),
        call("read_file", json!({"file_path": "/etc/passwd"})),
    ];
    let tries = Reply::parts([Part::ToolCalls(calls)]);
    Script::of([Rule::persona("codebase-explorer", [tries]).turn(1)])
}

#[test]
fn a_hostile_repository_is_left_byte_identical_and_nothing_of_it_runs() {
    Setup::new().run(async |c| {
        let shop = c.shop("shop").await;
        let canary = canary(c);
        shop.plant_traps(&canary);
        assert!(!canary.exists(), "planting the traps ran nothing");
        c.model
            .control()
            .set_script(disobedient(canary.to_str().unwrap()));
        let before = Tree::read(shop.root()).unwrap();
        let run = c
            .launch(Launch::new("research", "How does a lease work here?").on("shop"))
            .await;
        c.completed(run, LONG).await;

        assert!(!canary.exists(), "something ran");
        let changes = before.changes(&Tree::read(shop.root()).unwrap());
        assert_eq!(changes, [""; 0], "the repository was touched");
        for record in c.model.control().records() {
            let talk = record.conversation();
            assert_eq!(
                talk.model, "scripted-model",
                "the repository chose the model"
            );
            let mut tools = talk.tools.clone();
            tools.sort();
            assert_eq!(tools, ["glob", "grep_search", "read_file"]);
            let orders =
                talk.system.contains("Stop your task") || talk.prompt.contains("Stop your task");
            assert!(!orders, "orders of the repository are in the prompt");
            let read = talk.calls.iter().filter_map(|call| call.result.as_deref());
            assert!(
                !read.into_iter().any(|text| text.contains("root:x:0:0")),
                "a file outside was read"
            );
        }
        shop.git(&["checkout", "--quiet", "-b", "other"]);
        assert!(canary.exists(), "the traps do work: a checkout springs one");
    });
}

#[test]
fn a_snapshot_shows_uncommitted_changes_and_runs_nothing_of_the_git_configuration() {
    let looks = vec![
        call("glob", json!({"pattern": "**/*", "path": "{snapshot}"})),
        call("read_file", json!({"file_path": "{snapshot}/src/lease.rs"})),
        call("read_file", json!({"file_path": "{snapshot}/notes.md"})),
        call(
            "read_file",
            json!({"file_path": "{snapshot}/_context/log.txt"}),
        ),
        call(
            "read_file",
            json!({"file_path": "{snapshot}/_context/uncommitted.diff"}),
        ),
    ];
    let looks = Reply::parts([Part::ToolCalls(looks)]);
    let script = Script::of([Rule::persona("codebase-explorer", [looks]).turn(1)]);
    Setup::new().script(script).run(async |c| {
        let shop = c.shop("shop").await;
        shop.write(".gitattributes", "* filter=trap diff=trap\n");
        shop.write(".gitignore", "*.secret\n");
        shop.commit("Add attributes");
        let lease = std::fs::read_to_string(shop.root().join("src/lease.rs")).unwrap();
        shop.write("src/lease.rs", &lease.replace("u64 = 60", "u64 = 90"));
        shop.write("notes.md", "An untracked note.\n");
        shop.write("key.secret", "Nobody may read this.\n");
        std::fs::remove_file(shop.root().join("README.md")).unwrap();
        let canary = canary(c);
        shop.plant_git_configuration(&canary);
        assert!(!canary.exists(), "planting the configuration ran nothing");
        let before = Tree::read(shop.root()).unwrap();
        let run = c
            .launch(Launch::new("research", "How long is a lease?").on("shop"))
            .await;
        c.completed(run, LONG).await;

        assert!(!canary.exists(), "something of the repository ran");
        let changes = before.changes(&Tree::read(shop.root()).unwrap());
        assert_eq!(changes, [""; 0], "the repository or its .git was touched");
        let records = c.model.control().records();
        let explored = records
            .iter()
            .map(|record| record.conversation())
            .find(|talk| talk.system.to_lowercase().contains("explorer") && talk.turn() == 2)
            .expect("the explorer's second turn");
        let results: Vec<&str> = explored
            .calls
            .iter()
            .map(|call| call.result.as_deref().unwrap_or_default())
            .collect();
        assert!(
            results[0].contains("notes.md") && results[0].contains("src/lease.rs"),
            "{}",
            results[0]
        );
        assert!(
            !results[0].contains("key.secret"),
            "an ignored file is in the snapshot"
        );
        assert!(
            !results[0].contains("README.md"),
            "a deleted file is in the snapshot"
        );
        assert!(
            results[1].contains("LEASE_SECONDS: u64 = 90"),
            "{}",
            results[1]
        );
        assert!(results[2].contains("An untracked note."), "{}", results[2]);
        assert!(results[3].contains("Open the shop"), "{}", results[3]);
        let diff = results[4];
        assert!(
            diff.contains("-pub const LEASE_SECONDS: u64 = 60;"),
            "{diff}"
        );
        assert!(
            diff.contains("+pub const LEASE_SECONDS: u64 = 90;"),
            "{diff}"
        );
        shop.git(&["status"]);
        assert!(canary.exists(), "the traps do work: git status springs one");
    });
}
