//! Attacks on this very machine: the real child is asked by a stand-in model to do what it must not, once as a worker
//! runs it and then with one layer left to hold it. What a child may do here beyond its work it may do to canaries.

mod alone;
mod as_worked;
mod ground;

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::child::{ChildError, Qwen, Toolbox, trial};
use crate::sandbox::Sandbox;
use crate::snapshot::remove_tree;

use ground::Ground;

/// One thing tried, and whether the layer held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// What alone was left to refuse it, or `all`.
    pub layer: &'static str,
    pub attack: String,
    pub held: bool,
    /// Who refused it, if somebody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<String>,
    /// What was seen, in one line.
    pub detail: String,
}

/// Attacks everything; takes about ten seconds. `git` is an absolute path, `scratch` a folder of ours, made if missing.
///
/// # Errors
/// When something could not be tried at all.
pub async fn attack(
    qwen: &Qwen,
    sandbox: &Sandbox,
    toolbox: &Toolbox,
    git: &Path,
    scratch: &Path,
) -> Result<Vec<Attempt>, ChildError> {
    let root = scratch.join(format!("attack-{}", uuid::Uuid::new_v4()));
    let ground = Ground {
        qwen,
        sandbox,
        toolbox,
        git,
    };
    // What is compiled in a first trial is read by all the others; what else it sees, `doctor` tells.
    let _ = trial(qwen, sandbox, toolbox, &root).await;
    let tried = attack_in(&ground, &root).await;
    let _ = remove_tree(&root);
    tried
}

async fn attack_in(ground: &Ground<'_>, root: &Path) -> Result<Vec<Attempt>, ChildError> {
    let mut attempts = Vec::new();
    let place = |name: &str| ground::place(&root.join(name));
    attempts.extend(as_worked::attack(ground, &place("all")?).await?);
    attempts.extend(alone::plan_mode(ground, &place("plan")?).await?);
    attempts.extend(alone::tool_list(ground, &place("tools")?).await?);
    attempts.extend(alone::start_check(ground, &place("start")?).await?);
    attempts.extend(alone::configuration(ground, &place("configuration")?).await?);
    attempts.extend(alone::kernel(ground, &place("kernel")?).await?);
    attempts.extend(alone::snapshot(ground, &place("snapshot")?).await?);
    attempts.extend(kernel_calls(ground, &root.join("probe"))?);
    Ok(attempts)
}

/// What the kernel refuses to any program, not only to qwen.
fn kernel_calls(ground: &Ground<'_>, scratch: &Path) -> Result<Vec<Attempt>, ChildError> {
    let probe = ground.sandbox.probe(scratch)?;
    let tried = probe.checks.into_iter();
    let forbidden = tried.filter(|check| check.refused_by.is_some() || !check.ok);
    Ok(forbidden
        .map(|check| Attempt {
            layer: KERNEL,
            attack: check.what,
            held: check.ok,
            refused_by: check.refused_by,
            detail: check.detail,
        })
        .collect())
}

const ALL: &str = "all";
const PLAN_MODE: &str = "plan mode";
const TOOL_LIST: &str = "tool list";
const START_CHECK: &str = "check at start";
const CONFIGURATION: &str = "configuration";
const KERNEL: &str = "kernel";
const SNAPSHOT: &str = "snapshot";

/// Whether a file was made or changed.
fn holds(path: &Path, content: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found.contains(content))
}
