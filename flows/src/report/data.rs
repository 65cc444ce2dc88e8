//! What a report is made from, as SQL hands it over.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::plan::{Kind, Plan, Role};

/// A run and its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportData {
    /// The run.
    pub run: ReportRun,
    /// Its steps, in any order; children of fan-outs included.
    #[serde(default, deserialize_with = "or_default")]
    pub steps: Vec<ReportStep>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportRun {
    /// Its number.
    pub run_id: i64,
    /// Its flow.
    pub flow_name: String,
    /// Its band.
    pub band: String,
    /// Whether it was fast.
    #[serde(default, deserialize_with = "or_default")]
    pub fast: bool,
    /// running, completed, failed or cancelled.
    pub status: String,
    /// The model.
    pub model: String,
    /// What was asked.
    pub question: String,
    /// The project's name.
    #[serde(default)]
    pub project: Option<String>,
    /// The commit that was read.
    #[serde(default)]
    pub commit: Option<String>,
    /// The digest of everything that was read.
    #[serde(default)]
    pub tree_digest: Option<String>,
    /// What the snapshot left out or changed.
    #[serde(default, deserialize_with = "notes")]
    pub snapshot_notes: Vec<String>,
    /// The revision that it was to compare with.
    #[serde(default)]
    pub base: Option<String>,
    /// The run that it goes on from.
    #[serde(default)]
    pub forked_from: Option<i64>,
    /// The step of that run from which on it ran anew.
    #[serde(default)]
    pub forked_at: Option<String>,
    /// What the launcher provided.
    #[serde(default, deserialize_with = "or_default")]
    pub documents: Vec<ProvidedDocument>,
    /// Who launched it.
    pub launched_by: String,
    /// When, as ISO 8601.
    pub created_at: String,
    /// When it ended, as ISO 8601.
    #[serde(default)]
    pub ended_at: Option<String>,
    /// How long it took.
    #[serde(default)]
    pub wall_seconds: Option<f64>,
    /// Tokens that models read.
    #[serde(default, deserialize_with = "or_default")]
    pub input_tokens: i64,
    /// Tokens that models wrote.
    #[serde(default, deserialize_with = "or_default")]
    pub output_tokens: i64,
    /// Citations that were checked.
    #[serde(default, deserialize_with = "or_default")]
    pub citations_total: i64,
    /// Citations among them that do not hold.
    #[serde(default, deserialize_with = "or_default")]
    pub citations_broken: i64,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// The plan that it pinned.
    pub plan: Plan,
}

/// A provided document, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvidedDocument {
    /// What it is called.
    pub name: String,
    /// How long it is.
    #[serde(default, deserialize_with = "or_default")]
    pub bytes: i64,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportStep {
    /// Its id.
    pub step_id: String,
    /// What people read.
    pub label: String,
    /// Who ran it.
    pub kind: Kind,
    /// What it was for.
    pub role: Role,
    /// Its persona.
    #[serde(default)]
    pub persona: Option<String>,
    /// The letters before its finding numbers.
    #[serde(default)]
    pub prefix: Option<String>,
    /// pending, running, completed, failed, skipped or cancelled.
    pub status: String,
    /// How often it was tried.
    #[serde(default, deserialize_with = "or_default")]
    pub attempts: i64,
    /// How long it took.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// Tokens, read and written.
    #[serde(default, deserialize_with = "or_default")]
    pub tokens: i64,
    /// Its full output.
    #[serde(default)]
    pub output: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// What is to be said of its output, although it was taken.
    #[serde(default)]
    pub note: Option<String>,
    /// What the check of its citations found; see [`super::Citations`].
    #[serde(default)]
    pub citations: Option<Value>,
}

/// SQL aggregates over nothing are null.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Notes are texts; anything else that a worker noted is shown as JSON.
fn notes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(match Value::deserialize(from)? {
        Value::Null => Vec::new(),
        Value::Array(list) => list.into_iter().map(text).collect(),
        other => vec![text(other)],
    })
}

impl ReportStep {
    /// Its output, if it has one that says anything.
    pub(super) fn said(&self) -> Option<&str> {
        self.output
            .as_deref()
            .filter(|output| !output.trim().is_empty())
    }

    /// Whether it completed.
    pub(super) fn completed(&self) -> bool {
        self.status == "completed"
    }
}
