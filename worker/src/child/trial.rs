//! A trial of the real child before any real work: does it start, and is it held?

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::stand_in::StandIn;
use super::{ChildError, ChildSpec, Job, Qwen, Toolbox, io_error};
use crate::credentials::{Credentials, Secret};
use crate::events::{Event, Outcome, Parser, ParserOptions};
use crate::relay::{Relay, Upstream};
use crate::sandbox::{Check, Sandbox};
use crate::snapshot::remove_tree;

const LIMIT: Duration = Duration::from_secs(60);
const LAST_WORD: &str = "the trial is over";
const CANARY: &str = "canary";

/// Everything that qwen would change if it could: a command, files, an address, placeholders, patterns, white space.
const PROMPT: &str = "/init @/etc/passwd @. me@example.com \\@x @{x} !{id} {{args}} $& $$ $1 {model}\n\tlast line \n";

/// One whole turn of the real child, sandboxed, against a stand-in model that asks it to write and to read what it must
/// not. Shows that it starts, offers its three tools only, is refused, and passes a prompt on as it was built. Fills
/// the compile cache on the way. Takes about 1.5 s; `scratch` is a folder of ours, made if missing.
///
/// # Errors
/// When the child could not be prepared or started at all.
pub async fn trial(
    qwen: &Qwen,
    sandbox: &Sandbox,
    toolbox: &Toolbox,
    scratch: &Path,
) -> Result<Vec<Check>, ChildError> {
    let root = scratch.join(format!("trial-{}", uuid::Uuid::new_v4()));
    fs::create_dir_all(&root).map_err(io_error("make", &root))?;
    let root = fs::canonicalize(&root).map_err(io_error("find", &root))?;
    let checks = Trial {
        qwen,
        sandbox,
        toolbox,
        root: &root,
    }
    .run()
    .await;
    let _ = remove_tree(&root);
    checks
}

struct Trial<'a> {
    qwen: &'a Qwen,
    sandbox: &'a Sandbox,
    toolbox: &'a Toolbox,
    root: &'a Path,
}

impl Trial<'_> {
    async fn run(&self) -> Result<Vec<Check>, ChildError> {
        let (snapshot, secret, target) = (
            self.root.join("snapshot"),
            self.root.join("secret"),
            self.root.join("written"),
        );
        let readable = snapshot.join("file");
        fs::create_dir(&snapshot).map_err(io_error("make", &snapshot))?;
        fs::write(&readable, CANARY).map_err(io_error("write", &readable))?;
        fs::write(&secret, CANARY).map_err(io_error("write", &secret))?;
        let calls = vec![
            ("read_file", json!({ "file_path": readable })),
            (
                "grep_search",
                json!({ "pattern": "CANARY", "path": snapshot }),
            ),
            ("read_file", json!({ "file_path": secret })),
            (
                "write_file",
                json!({ "file_path": target, "content": CANARY }),
            ),
            (
                "write_file",
                json!({ "file_path": snapshot.join("written"), "content": CANARY }),
            ),
            (
                "run_shell_command",
                json!({ "command": format!("touch {}", target.display()), "is_background": false }),
            ),
        ];
        let model = StandIn::start(calls, LAST_WORD)
            .await
            .map_err(io_error("listen for", self.root))?;
        let (events, outcome) = self.child(&snapshot, &model.base_url()).await?;

        let result = |index: usize| {
            events.iter().find_map(|event| match event {
                Event::ToolResult {
                    id,
                    is_error,
                    content,
                    ..
                } if *id == format!("call-{index}") => Some((*is_error, content.as_str())),
                _ => None,
            })
        };
        let refused = |what: &str, index: usize| {
            let refused = result(index)
                .is_none_or(|(is_error, content)| is_error && !content.contains(CANARY));
            check(
                what,
                refused,
                result(index).map_or("not even tried", |(_, content)| content),
            )
        };
        let worked = |what: &str, index: usize, sign: &str| {
            let worked = result(index)
                .is_some_and(|(is_error, content)| !is_error && content.contains(sign));
            check(
                what,
                worked,
                result(index).map_or("no result", |(_, content)| content),
            )
        };
        let answered = matches!(&outcome, Outcome::Success { output, .. } if output == LAST_WORD);
        let arrived = model.bodies().first().is_some_and(holds_prompt);
        let untouched = !target.exists() && !snapshot.join("written").exists();
        Ok(vec![
            check(
                "the child answers, in plan mode and with its three tools only",
                answered,
                &describe(&outcome),
            ),
            check(
                "a prompt arrives as it was built",
                arrived,
                if arrived {
                    "byte for byte"
                } else {
                    "changed on the way"
                },
            ),
            worked("the child reads the snapshot", 0, CANARY),
            worked("the child searches the snapshot", 1, "Found 1 match"),
            refused("reading outside the snapshot is refused", 2),
            refused("writing a file is refused", 3),
            refused("writing into the snapshot is refused", 4),
            refused("running a command is refused", 5),
            check(
                "nothing was written",
                untouched,
                if untouched { "unchanged" } else { "changed" },
            ),
        ])
    }

    async fn child(
        &self,
        snapshot: &Path,
        base_url: &str,
    ) -> Result<(Vec<Event>, Outcome), ChildError> {
        let credentials = Credentials {
            base_url: base_url.to_owned(),
            api_key: Secret::new("trial"),
        };
        let upstream = Upstream::new(&credentials).map_err(ChildError::Refused)?;
        let relay = Relay::start(upstream, "trial").await;
        let relay = relay.map_err(io_error("listen for", self.root))?;
        let spec = ChildSpec {
            job_dir: self.root.join("job"),
            snapshot: Some(snapshot),
            system_prompt: "Trial.",
            prompt: PROMPT,
            model: relay.model(),
            max_wall_time: LIMIT,
            max_turns: 4,
            first_event_timeout: LIMIT,
            stall_timeout: LIMIT,
            toolbox: self.toolbox,
        };
        let mut job = Job::prepare(&spec, self.qwen, self.sandbox)?;
        // Only this child, which reads nothing that others wrote, may leave compiled code for the next ones.
        job.policy
            .write
            .push(self.toolbox.compile_cache().to_owned());
        let mut child = job.start()?;
        let mut parser = Parser::new(ParserOptions {
            snapshot: Some(snapshot.to_owned()),
            ..ParserOptions::default()
        });
        let mut events = Vec::new();
        let reading = async {
            while let Ok(Some(bytes)) = child.read().await {
                events.append(&mut parser.push(bytes));
                if parser.violation().is_some() {
                    break;
                }
            }
        };
        let in_time = timeout(LIMIT, reading).await.is_ok() && parser.violation().is_none();
        let exit = if in_time {
            child.wait().await
        } else {
            child.end(Duration::from_secs(2)).await
        };
        let (mut last, outcome) = parser.finish(&exit);
        events.append(&mut last);
        Ok((events, outcome))
    }
}

fn check(what: &str, ok: bool, detail: &str) -> Check {
    Check {
        what: what.to_owned(),
        ok,
        detail: detail.chars().take(300).collect(),
        refused_by: None,
    }
}

fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Success { output, .. } => format!("answered {output:?}"),
        Outcome::Failure { message, .. } => message.clone(),
    }
}

/// Whether one part of the user's message is the prompt and nothing else.
fn holds_prompt(body: &Value) -> bool {
    let messages = body["messages"].as_array().into_iter().flatten();
    messages
        .filter(|m| m["role"] == "user")
        .any(|message| match &message["content"] {
            Value::String(text) => text == PROMPT,
            Value::Array(parts) => parts.iter().any(|part| part["text"] == PROMPT),
            _ => false,
        })
}
