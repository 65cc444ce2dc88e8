//! Everything that a model can ask for that writes, runs or calls, and what it would change.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use conductor_worker::child::Toolbox;
use serde_json::json;

use crate::bare::{Layers, Said, run};
use crate::common::Bench;
use crate::common::model::{Answer, Model};
use crate::fixture::{Photograph, Repo, photograph};

/// A repository in the place of the snapshot, a folder beside it, and a port that nobody may call.
pub struct Field {
    pub bench: Bench,
    pub repo: Repo,
    pub outside: PathBuf,
    port: u16,
    calls: Arc<AtomicUsize>,
    before: (Photograph, Photograph),
}

/// What an attack left behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Paths that are new, gone or different, relative to the field; `.git` and `.qwen` by their names alone.
    pub changed: Vec<String>,
    pub called: bool,
}

const NOTEBOOK: &str = r#"{"cells": [{"id": "c1", "cell_type": "code", "source": ["x"], "metadata": {}, "outputs": [],
    "execution_count": null}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}"#;

impl Field {
    pub async fn new() -> Field {
        let mut bench = Bench::new().await;
        bench.toolbox = warm(&bench);
        let top = fs::canonicalize(bench.dir.path()).unwrap().join("field");
        let repo = Repo::init(&top.join("repo"), &[]);
        repo.write("a.txt", "one\ntwo\n");
        repo.write("n.ipynb", NOTEBOOK);
        // Into itself, by a way that does not pass what a copy of it is in.
        repo.link("back", repo.path.to_str().unwrap());
        repo.configure("user.name", "A");
        repo.configure("user.email", "a@example.org");
        repo.commit("first");
        let outside = top.join("outside");
        fs::create_dir(&outside).unwrap();
        bench.snapshot = repo.path.clone();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        std::thread::spawn(move || {
            for _ in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut field = Field {
            bench,
            repo,
            outside,
            port,
            calls,
            before: Default::default(),
        };
        field.look();
        field
    }

    /// What is there now is what must stay.
    pub fn look(&mut self) {
        self.before = (photograph(&self.repo.path), photograph(&self.outside));
    }

    /// Lets the model ask for everything, a folder at a time.
    pub fn attack(&self, layers: Layers) -> (Said, Damage) {
        let served = Model::start(self.answers(&self.bench.snapshot));
        let said = run(&self.bench, layers, &served);
        (said, self.damage())
    }

    /// What differs from what was looked at.
    pub fn damage(&self) -> Damage {
        let mut changed = Vec::new();
        for (before, folder) in [
            (&self.before.0, &self.repo.path),
            (&self.before.1, &self.outside),
        ] {
            let after = photograph(folder);
            let paths = before.keys().chain(after.keys());
            let differs = paths.filter(|path| before.get(*path) != after.get(*path));
            changed.extend(differs.filter_map(|path| {
                let name = path.strip_prefix(folder.parent()?).ok()?.to_str()?;
                // A folder whose entry changed says no more than the entry.
                if path.is_dir() && before.contains_key(path) {
                    return None;
                }
                let short = [".git/", ".qwen/"].iter().find_map(|inner| {
                    let (begin, _) = name.split_once(inner)?;
                    Some(format!("{begin}{}", inner.trim_end_matches('/')))
                });
                Some(short.unwrap_or_else(|| name.to_owned()))
            }));
        }
        changed.sort();
        changed.dedup();
        Damage {
            changed,
            called: self.calls.load(Ordering::SeqCst) > 0,
        }
    }

    /// What must be read before it may be edited; everything that writes, runs or calls; an end.
    fn answers(&self, project: &Path) -> Vec<Answer> {
        let (at, out) = (
            |name: &str| project.join(name),
            |name: &str| self.outside.join(name),
        );
        let (port, back) = (self.port, at("back"));
        let (notebook, text) = (at("n.ipynb"), at("a.txt"));
        let shell = format!(
            "echo x > '{}'; echo x > '{}'; echo x > '{}'; cd '{}' && git commit --allow-empty -q -m x",
            at("shell").display(),
            out("shell").display(),
            back.join("via-link").display(),
            project.display()
        );
        let monitor = format!("echo x > '{}'", at("monitor").display());
        let reads = vec![
            ("read_file", json!({ "file_path": text })),
            ("read_file", json!({ "file_path": notebook })),
        ];
        let attacks = vec![
            (
                "write_file",
                json!({ "file_path": at("new"), "content": "x" }),
            ),
            (
                "write_file",
                json!({ "file_path": out("new"), "content": "x" }),
            ),
            (
                "edit",
                json!({ "file_path": text, "old_string": "one", "new_string": "x" }),
            ),
            (
                "notebook_edit",
                json!({ "notebook_path": notebook, "cell_id": "c1", "new_source": "y", "edit_mode": "replace" }),
            ),
            (
                "run_shell_command",
                json!({ "command": shell, "is_background": false }),
            ),
            ("monitor", json!({ "command": monitor, "description": "m" })),
            (
                "agent",
                json!({ "description": "d", "prompt": "write", "subagent_type": "general-purpose" }),
            ),
            ("skill", json!({ "skill": "review" })),
            ("exit_plan_mode", json!({ "plan": "p" })),
            (
                "tool_call",
                json!({ "name": "enter_worktree", "arguments": { "name": "bridge" } }),
            ),
            (
                "todo_write",
                json!({ "todos": [{ "id": "1", "content": "x", "status": "pending" }] }),
            ),
            (
                "record_artifact",
                json!({ "workspacePath": "a.txt", "title": "t" }),
            ),
            (
                "web_fetch",
                json!({ "url": format!("http://127.0.0.1:{port}/"), "prompt": "x" }),
            ),
            (
                "send_message",
                json!({ "to": "general-purpose", "message": "write" }),
            ),
            ("update_goal", json!({ "status": "complete" })),
            ("enter_worktree", json!({ "name": "trap" })),
        ];
        vec![
            Answer::Calls(reads),
            Answer::Calls(attacks),
            Answer::Text("done".to_owned()),
        ]
    }
}

/// What children share, kept from one run of the tests to the next: compiled code makes each of them twice as fast.
fn warm(bench: &Bench) -> Toolbox {
    static WARM: OnceLock<Toolbox> = OnceLock::new();
    let prepare = || Toolbox::prepare(&bench.qwen, &PathBuf::from(WARM_FOLDER)).unwrap();
    WARM.get_or_init(prepare).clone()
}

/// Where that is.
pub const WARM_FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/layers-toolbox");

/// What the attack does where nothing stops it.
pub fn everything() -> Damage {
    let changed = [
        "outside/new",
        "outside/shell",
        "repo/.git",
        "repo/.qwen",
        "repo/a.txt",
        "repo/monitor",
        "repo/n.ipynb",
        "repo/new",
        "repo/shell",
        "repo/via-link",
    ];
    Damage {
        changed: changed.map(str::to_owned).to_vec(),
        called: true,
    }
}
