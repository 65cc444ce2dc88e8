//! Plans: what a launch pins and the database walks.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::findings::MergeOptions;
use crate::name::{Band, Category, Contract, field_reference, names};

/// The version of the plan's form that this library writes.
pub const PLAN_VERSION: u32 = 1;

/// The ids of the steps that a spine adds to its angles.
pub mod spine_ids {
    /// Joins the angles.
    pub const FOLD: &str = "fold";
    /// Turns the fold into one answer.
    pub const SYNTHESIS: &str = "synthesis";
    /// Attacks the answer.
    pub const VALIDATION: &str = "validation";
    /// Writes the report.
    pub const REPORT: &str = "report";
    /// All of them.
    pub const ALL: [&str; 4] = [FOLD, SYNTHESIS, VALIDATION, REPORT];
}

names! {
    /// Who runs a step.
    Kind, "kind",
    /// A child of the worker.
    Agent = "agent",
    /// The database itself.
    Code = "code",
}

names! {
    /// What a step is for.
    Role, "role",
    /// An agent of a spine's first wave.
    Angle = "angle",
    /// The agent that turns a fold into one answer.
    Synthesizer = "synthesizer",
    /// The agent that attacks an answer; its output stands above it in the report.
    Validator = "validator",
    /// Code that joins outputs.
    Fold = "fold",
    /// Code that joins findings.
    MergeFindings = "merge_findings",
    /// Code that writes the report.
    Render = "render",
    /// Code that makes one child per element of a list.
    FanOut = "fan_out",
    /// Any other agent, children of a fan-out included.
    Step = "step",
}

names! {
    /// How a step waits for what it needs.
    Join, "join",
    /// Until all are completed or skipped.
    All = "all",
    /// Until all have settled; at least one must have completed.
    Any = "any",
}

/// Material that the operator provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What it is called, a file name for example.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// What a definition is expanded with. Borrowed; nothing in it is trusted but its types.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// What people want to know.
    pub question: &'a str,
    /// How much to look at.
    pub band: Band,
    /// Whether every agent is told to be quick.
    pub fast: bool,
    /// The project's name, if there is one.
    pub project: Option<&'a str>,
    /// The revision to compare with, if there is one.
    pub base: Option<&'a str>,
    /// Provided material.
    pub documents: &'a [Document],
}

/// An expanded flow: what `flow_runs.plan` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`] of the library that wrote it.
    pub plan_version: u32,
    /// The flow's name.
    pub flow: String,
    /// The flow's sentence.
    pub description: String,
    /// The flow's category.
    pub category: Category,
    /// The run's band.
    pub band: Band,
    /// Whether the run is fast.
    pub fast: bool,
    /// Disciplines, in the order of [`Contract`].
    pub contracts: Vec<Contract>,
    /// The flow that would sensibly follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Whether the flow works on a document that the launcher provides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_document: bool,
    /// The steps, in the order in which they are shown; every need stands before who needs it.
    pub steps: Vec<PlanStep>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// Its id, unique in the plan.
    pub id: String,
    /// What people read.
    pub label: String,
    /// Who runs it.
    pub kind: Kind,
    /// What it is for.
    pub role: Role,
    /// The persona of an agent, or of a fan-out's children.
    #[serde(default)]
    pub persona: Option<String>,
    /// The letters before its finding numbers.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Hash of the system prompt in [`Expansion::texts`].
    #[serde(default)]
    pub persona_hash: Option<String>,
    /// Hash of the prompt template in [`Expansion::texts`].
    #[serde(default)]
    pub prompt_hash: Option<String>,
    /// The steps that must have settled before; for a fan-out among them, its children as well.
    #[serde(default)]
    pub needs: Vec<String>,
    /// How it waits for them.
    pub join: Join,
    /// `STEP.FIELD`, decided when the step could start; launch facts are decided already.
    #[serde(default)]
    pub when: Option<String>,
    /// `STEP.FIELD`, the list of a fan-out.
    #[serde(default)]
    pub foreach: Option<String>,
    /// How it merges, if it merges findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeOptions>,
    /// 1 for steps without needs, else one more than the latest of its needs.
    pub wave: u32,
}

impl PlanStep {
    /// The step of which it reads a list, if it is a fan-out.
    pub fn fans_out_over(&self) -> Option<&str> {
        let reference = self.foreach.as_deref().and_then(field_reference);
        reference.map(|(source, _)| source)
    }
}

impl Plan {
    /// The step of this id.
    pub fn step(&self, id: &str) -> Option<&PlanStep> {
        self.steps.iter().find(|step| step.id == id)
    }
}

/// A plan and the texts that it refers to by hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expansion {
    /// The plan.
    pub plan: Plan,
    /// SHA-256 in hex → text.
    pub texts: BTreeMap<String, String>,
}

/// SHA-256 of a text in lower-case hex, the key of `texts`.
pub fn text_hash(text: &str) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes everything");
            hex
        })
}

/// The steps wave by wave: all steps of one wave can run at the same time.
pub fn waves(plan: &Plan) -> Vec<Vec<&PlanStep>> {
    let mut by_wave: BTreeMap<u32, Vec<&PlanStep>> = BTreeMap::new();
    for step in &plan.steps {
        by_wave.entry(step.wave).or_default().push(step);
    }
    by_wave.into_values().collect()
}

/// Sorts the steps so that needs stand first, keeping the written order where it can, and numbers
/// the waves. The needs must be free of cycles and name only steps of the list.
pub(crate) fn order_and_number(steps: Vec<PlanStep>) -> Vec<PlanStep> {
    let mut left = steps;
    let mut waves: BTreeMap<String, u32> = BTreeMap::new();
    let mut done = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let placed = done.len();
        let mut later = Vec::new();
        for mut step in left {
            if step.needs.iter().all(|need| waves.contains_key(need)) {
                let latest = step.needs.iter().map(|need| waves[need]).max();
                step.wave = latest.unwrap_or(0) + 1;
                waves.insert(step.id.clone(), step.wave);
                done.push(step);
            } else {
                later.push(step);
            }
        }
        assert!(done.len() > placed, "a checked definition has no cycle");
        left = later;
    }
    done
}

/// All steps that have settled whenever the step `id` starts.
pub(crate) fn ancestors<'a>(steps: &'a [PlanStep], id: &str) -> BTreeSet<&'a str> {
    let needs: BTreeMap<&str, &[String]> = steps
        .iter()
        .map(|step| (step.id.as_str(), step.needs.as_slice()))
        .collect();
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = Vec::new();
    open.extend(
        needs
            .get(id)
            .into_iter()
            .flat_map(|list| list.iter())
            .map(String::as_str),
    );
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(
                needs
                    .get(next)
                    .into_iter()
                    .flat_map(|list| list.iter())
                    .map(String::as_str),
            );
        }
    }
    found
}
