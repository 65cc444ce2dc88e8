//! The child with only the layers that a test names.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use conductor_worker::child::{CommandParts, Job};
use conductor_worker::sandbox::{Policy, Sandbox};
use serde_json::{Value, json};

use crate::common::model::Model;
use crate::common::{Bench, model};

/// Which layers a child is started with; none of them is the default.
#[derive(Clone, Copy, Default)]
pub struct Layers<'a> {
    /// 1: its mode; yolo where none is named.
    pub mode: Option<&'static str>,
    /// 2: tools are denied on the command line, and by the system settings.
    pub denied_by_flag: bool,
    pub denied_by_settings: bool,
    /// 3: a folder of its own and the rest of the system settings.
    pub own_configuration: bool,
    /// 4: the kernel.
    pub kernel: Option<&'a Sandbox>,
    /// 5 is which folder it is given. Who runs it:
    pub user: Option<u32>,
}

/// What a child said.
#[derive(Debug)]
pub struct Said {
    pub init: Value,
    /// Whether each tool's result was an error, and its text, in order.
    pub results: Vec<(bool, String)>,
    pub result: Value,
    pub stderr: String,
}

impl Said {
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.init["tools"].as_array().into_iter().flatten();
        let mut tools: Vec<&str> = tools.filter_map(Value::as_str).collect();
        tools.sort_unstable();
        tools
    }

    pub fn mode(&self) -> &str {
        self.init["permission_mode"].as_str().unwrap_or_default()
    }
}

const SETTINGS: &str = "QWEN_CODE_SYSTEM_SETTINGS_PATH";

/// The command of a job for `bench.snapshot`, with these layers only. Without a configuration of its own it works in that
/// folder, as a person's qwen would.
pub fn command(bench: &Bench, layers: Layers, served: &Model) -> Command {
    let model = model(&served.base_url());
    let mut spec = bench.spec("Do what you must.", &model);
    spec.job_dir = bench.dir.path().join(format!("job-{}", fastrand::u64(..)));
    let job = Job::prepare(&spec, &bench.qwen, &bench.sandbox).unwrap();
    let parts = job.command_parts();
    let policy = Policy {
        cwd: match layers.own_configuration {
            true => parts.policy.cwd.clone(),
            false => bench.snapshot.clone(),
        },
        ..parts.policy.clone()
    };
    settle(&parts, layers);
    let args = arguments(&parts, layers);
    let mut command = match layers.kernel {
        Some(sandbox) => sandbox
            .command(&with_programs(policy), parts.program, &args)
            .unwrap(),
        None => {
            let mut command = Command::new(parts.program);
            let stdin = File::open(&policy.stdin).unwrap();
            command
                .args(&args)
                .env_clear()
                .current_dir(&policy.cwd)
                .stdin(stdin);
            command
        }
    };
    for (name, value) in parts.env {
        let ours = name.starts_with("QWEN_CODE_") && name.ends_with("_PATH");
        if *name == "PATH" {
            // As a person has it, so that a shell finds what it is told to run.
            command.env(name, format!("{value}:/usr/local/bin:/usr/bin:/bin"));
        } else if layers.own_configuration || !ours || *name == SETTINGS {
            command.env(name, value);
        }
    }
    if let Some(user) = layers.user {
        give(&spec.job_dir, user);
        command.uid(user).gid(user);
    }
    command
}

/// The kernel's layer with every program allowed: whether something is written is then a matter of writing alone.
fn with_programs(mut policy: Policy) -> Policy {
    for name in ["bash", "sh", "git", "touch", "env"] {
        let found = which::which(name).ok();
        policy
            .execute
            .extend(found.and_then(|path| fs::canonicalize(path).ok()));
    }
    policy
}

fn arguments(parts: &CommandParts, layers: Layers) -> Vec<String> {
    let kept = |arg: &&String| layers.denied_by_flag || !arg.starts_with("--exclude-tools=");
    let mut args: Vec<String> = parts.args.iter().filter(kept).cloned().collect();
    let mode = args.iter_mut().find(|arg| *arg == "--approval-mode=plan");
    let mode = mode.expect("a child is started in plan mode");
    *mode = format!("--approval-mode={}", layers.mode.unwrap_or("yolo"));
    args
}

/// Leaves in the system settings what belongs to these layers.
fn settle(parts: &CommandParts, layers: Layers) {
    let path = parts.env.iter().find(|(name, _)| *name == SETTINGS);
    let path = &path.expect("a child has system settings").1;
    let whole: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut kept = match layers.own_configuration {
        true => whole.clone(),
        false => json!({ "$version": 4, "tools": {} }),
    };
    let tools = kept["tools"].as_object_mut().unwrap();
    for (name, keep) in [
        ("approvalMode", layers.mode == Some("plan")),
        ("disabled", layers.denied_by_settings),
        ("exclude", layers.denied_by_settings),
    ] {
        tools.remove(name);
        if keep {
            tools.insert(name.to_owned(), whole["tools"][name].clone());
        }
    }
    kept["permissions"] = match layers.denied_by_settings {
        true => whole["permissions"].clone(),
        false => json!({}),
    };
    fs::write(path, kept.to_string()).unwrap();
}

/// Makes everything below a folder another user's.
pub fn give(folder: &Path, user: u32) {
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        std::os::unix::fs::lchown(&path, Some(user), Some(user)).unwrap();
        if path.symlink_metadata().unwrap().is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
        }
    }
}

/// Runs a child to its end.
pub fn run(bench: &Bench, layers: Layers, served: &Model) -> Said {
    let child = command(bench, layers, served)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    // A helper lets its child live as long as this is open.
    let leash = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(leash);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut said = Said {
        init: Value::Null,
        results: Vec::new(),
        result: Value::Null,
        stderr,
    };
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        if line["parent_tool_use_id"].is_string() {
            continue;
        }
        match line["type"].as_str() {
            Some("system") if line["subtype"] == "init" => said.init = line,
            Some("result") => said.result = line,
            Some("user") => {
                let blocks = line["message"]["content"].as_array().into_iter().flatten();
                let results = blocks.filter(|block| block["type"] == "tool_result");
                said.results.extend(
                    results.map(|block| (block["is_error"] == true, block["content"].to_string())),
                );
            }
            _ => {}
        }
    }
    assert!(!said.init.is_null(), "it did not start: {}", said.stderr);
    assert_eq!(said.result["subtype"], "success", "{said:#?}");
    said
}

/// Somebody who is nobody here: no name, no home, no group. None where the tests do not run as root.
pub fn nobody_known() -> Option<u32> {
    rustix::process::geteuid().is_root().then_some(61_234)
}
