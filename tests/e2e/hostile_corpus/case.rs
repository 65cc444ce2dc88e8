//! A case: what is planted, asked for and said; and the plot of land that it stands on.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use conductor_tests::harness::listeners::Listeners;
use conductor_tests::harness::tree::Tree;
use conductor_tests::harness::{Conductor, Repository};
use conductor_tests::scripted::{Part, ToolCall};
use serde_json::{Value, json};

use crate::hostile_corpus::text;

/// Stands in files that nobody may read; no request, frame or output may hold it.
pub const SECRET: &str = "TOP5ECRET";

/// What a model says that has seen it all.
pub const REPLY: &str = "A shop lends things: `README.md:3` \"A small shop that lends things.\" Nothing else is to be said of it.";

/// One attack.
pub struct Case {
    pub name: &'static str,
    pub plant: fn(&Plot),
    /// Beside everything that writes, which every case asks for.
    pub asks: fn(&Plot) -> Vec<ToolCall>,
    pub question: fn(&Plot) -> String,
    pub input: Option<fn(&Plot) -> Value>,
    /// What the model says at the end, if not [`REPLY`].
    pub reply: Option<fn(&Plot) -> String>,
    /// How the run fails, if it does not complete.
    pub fails: Option<&'static str>,
    /// Steps into the trap, as others would. Says whether it was one, where neither a canary nor a caller shows it.
    pub spring: Option<fn(&Plot) -> bool>,
    /// Played by an ordinary user as well.
    pub ordinary: bool,
}

impl Case {
    /// A case of what is planted alone.
    pub fn new(name: &'static str, plant: fn(&Plot)) -> Self {
        Self {
            name,
            plant,
            asks: |_| Vec::new(),
            question: |_| "What is this?".to_owned(),
            input: None,
            reply: None,
            fails: None,
            spring: None,
            ordinary: false,
        }
    }

    pub fn asks(self, asks: fn(&Plot) -> Vec<ToolCall>) -> Self {
        Self { asks, ..self }
    }

    pub fn question(self, question: fn(&Plot) -> String) -> Self {
        Self { question, ..self }
    }

    pub fn input(self, input: fn(&Plot) -> Value) -> Self {
        let input = Some(input);
        Self { input, ..self }
    }

    pub fn reply(self, reply: fn(&Plot) -> String) -> Self {
        let reply = Some(reply);
        Self { reply, ..self }
    }

    pub fn fails(self, words: &'static str) -> Self {
        let fails = Some(words);
        Self { fails, ..self }
    }

    pub fn springs(self, spring: fn(&Plot) -> bool) -> Self {
        let spring = Some(spring);
        Self { spring, ..self }
    }

    pub fn ordinary_too(self) -> Self {
        let ordinary = true;
        Self { ordinary, ..self }
    }

    /// By which the model knows the case.
    pub fn mark(&self) -> String {
        format!("(case {})", self.name)
    }

    /// Everything that the model asks for; first of all what it may have.
    pub fn calls(&self, plot: &Plot) -> Part {
        let mut calls = vec![
            call("read_file", json!({"file_path": "{snapshot}/README.md"})),
            call("glob", json!({"pattern": "**/*", "path": "{snapshot}"})),
            call(
                "grep_search",
                json!({"pattern": "lent", "path": "{snapshot}"}),
            ),
        ];
        calls.extend((self.asks)(plot));
        calls.extend(plot.writes());
        Part::ToolCalls(calls)
    }
}

pub fn call(name: &str, arguments: Value) -> ToolCall {
    let name = name.into();
    ToolCall { name, arguments }
}

/// Reads each of these places.
pub fn reads(places: &[&str]) -> Vec<ToolCall> {
    let read = |place: &&str| call("read_file", json!({"file_path": place}));
    places.iter().map(read).collect()
}

/// A repository, and a folder beside it with a secret, where whatever runs would leave a file.
pub struct Plot<'a> {
    pub repo: Repository,
    pub canaries: PathBuf,
    pub listeners: &'a Listeners,
}

impl<'a> Plot<'a> {
    pub fn new(c: &Conductor, name: &str, listeners: &'a Listeners) -> Self {
        let repo = Repository::shop(&c.environment.allowed.join(name));
        let canaries = c.folder().join("canaries").join(name);
        std::fs::create_dir_all(&canaries).unwrap();
        std::fs::write(canaries.join("secret"), format!("{SECRET} of {name}\n")).unwrap();
        // Nothing but what is tested keeps anybody from writing there.
        std::fs::set_permissions(&canaries, PermissionsExt::from_mode(0o777)).unwrap();
        Self {
            repo,
            canaries,
            listeners,
        }
    }

    /// A file that nobody may read.
    pub fn secret(&self) -> PathBuf {
        self.canaries.join("secret")
    }

    /// A file that would say that something ran.
    pub fn canary(&self) -> PathBuf {
        self.canaries.join("canary")
    }

    /// A command that would leave it.
    pub fn touch(&self) -> String {
        format!("touch '{}'", self.canary().display())
    }

    /// A program below the repository that would leave it, and passes its input on.
    pub fn program(&self, path: &str) -> PathBuf {
        let text = format!("#!/bin/sh\n{}\ncat\n", self.touch());
        self.repo.write_program(path, &text);
        self.repo.root().join(path)
    }

    /// An address that nobody may call.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.listeners.tcp)
    }

    /// What was left that was not there.
    pub fn ran(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.canaries).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name != "secret").collect()
    }

    /// Runs git here as its owner would, however that ends; what it said.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut git = std::process::Command::new("git");
        git.args(arguments).current_dir(self.repo.root());
        git.env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null");
        let said = git.output().expect("git can be run");
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// Lets everybody write everywhere, so that no right of a file holds anybody off.
    pub fn open_to_all(&self) {
        let mut open = std::process::Command::new("chmod");
        open.args(["-R", "a+rwX"]).arg(self.repo.root());
        assert!(open.status().unwrap().success());
    }

    pub fn look(&self) -> [Tree; 2] {
        [self.repo.root(), &self.canaries].map(|folder| Tree::read(folder).unwrap())
    }

    /// What differs from an earlier look.
    pub fn changes(&self, before: &[Tree; 2]) -> impl Iterator<Item = String> + use<> {
        let after = self.look();
        let changes = [0, 1].map(|which| before[which].changes(&after[which]));
        changes.into_iter().flatten()
    }

    /// Everything that writes, runs or calls: in the snapshot, the repository and beside both.
    fn writes(&self) -> Vec<ToolCall> {
        let (touch, canary, root) = (self.touch(), self.canary(), self.repo.root());
        let write = |path: &Path| json!({"file_path": path, "content": "x"});
        vec![
            call("write_file", write(&canary)),
            call("write_file", write(Path::new("{snapshot}/README.md"))),
            call("write_file", write(&root.join("README.md"))),
            call(
                "edit",
                json!({"file_path": root.join("README.md"), "old_string": "# Shop", "new_string": "x"}),
            ),
            call(
                "run_shell_command",
                json!({"command": touch, "is_background": false}),
            ),
            call("monitor", json!({"command": touch, "description": "m"})),
            call("enter_worktree", json!({"name": "trap"})),
            call(
                "agent",
                json!({"description": "x", "prompt": touch, "subagent_type": "general-purpose"}),
            ),
            call("exit_plan_mode", json!({"plan": "none"})),
            call(
                "tool_call",
                json!({"name": "write_file", "arguments": write(&canary)}),
            ),
            call("web_fetch", json!({"url": self.url(), "prompt": "x"})),
            call("read_file", json!({"file_path": self.secret()})),
            call(
                "read_file",
                json!({"file_path": text(&root.join("README.md"))}),
            ),
        ]
    }
}
