//! Findings of reviewers: read out of what models wrote, joined across reviewers, and judged.
//!
//! One reviewer's reply is parsed, those of all are merged, and what the verifiers said is applied. Nothing
//! is lost on the way: what cannot be read is kept as it was written, what is
//! joined or cut is listed, and a finding that nobody judged is unproven.

mod body;
mod claim;
mod head;
mod ids;
mod items;
mod lines;
mod merge;
mod names;
mod object;
mod outcomes;
mod output;
mod parse;
mod phrases;
mod pieces;
mod place;
mod remarks;
mod ruling;
mod sections;
mod table;
mod titles;
mod verdict;
mod words;

use serde::{Deserialize, Serialize};

pub use merge::merge;
pub use parse::parse;
pub use verdict::judge;

use crate::name::names;
use crate::report::Broken;

names! {
    /// How bad a finding is, worst first.
    Severity, "severity",
    /// Must not be merged.
    Critical = "critical",
    /// Should be mended.
    Warning = "warning",
    /// Could be better.
    Suggestion = "suggestion",
}

names! {
    /// What became of a finding.
    Outcome, "outcome",
    /// The verifier tried to refute it and could not.
    Confirmed = "confirmed",
    /// Neither shown nor refuted, or not judged at all.
    Unproven = "unproven",
    /// A line shows that it is false.
    Refuted = "refuted",
}

/// Where a finding points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file, relative to the project.
    pub path: String,
    /// Its first line, from 1.
    pub first: u64,
    /// Its last line, at least `first`.
    pub last: u64,
}

/// One finding of one reviewer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its id, qualified by its step: `correctness/B1`. Unique within a run.
    pub id: String,
    /// How bad it is; a warning when the reviewer did not say.
    pub severity: Severity,
    /// Whether the reviewer said how bad it is.
    #[serde(default)]
    pub rated: bool,
    /// The first place that it cites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What it says, in one line.
    pub claim: String,
    /// All of it, as it was written, ids qualified.
    pub text: String,
    /// Citations in it that do not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Broken>,
    /// Findings of other reviewers that say the same and were joined with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joined: Vec<Finding>,
}

/// What one reviewer's reply holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Its findings, in its order.
    pub findings: Vec<Finding>,
    /// Whether it says that there are none, and has none.
    pub clean: bool,
    /// What stands where findings should and cannot be read, as it was written.
    pub raw: Vec<String>,
    /// Its notes on what nobody needs, without their heading.
    pub yagni: Option<String>,
}

/// How findings are merged; from the definition of the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeOptions {
    /// At most so many findings of one step go on.
    pub cap: usize,
    /// Steps without a cap.
    #[serde(default)]
    pub exempt: Vec<String>,
}

/// The findings of one step that go to one verifier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The step that found them.
    pub step: String,
    /// What people read for it.
    pub label: String,
    /// The findings, worst first.
    pub findings: Vec<Finding>,
    /// What could not be read, as it was written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<String>,
}

/// A step without findings, and why it has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silent {
    /// The step.
    pub step: String,
    /// What people read for it.
    pub label: String,
    /// Why, in one line: `failed: connection refused`. Empty for a step that found nothing.
    #[serde(default)]
    pub why: String,
}

/// Notes of one step on what nobody needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// The step.
    pub step: String,
    /// What people read for it.
    pub label: String,
    /// The notes, as they were written.
    pub text: String,
}

/// What `merge_findings` puts out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// What goes to verifiers, one group each, in the order of the steps. A `foreach` reads it.
    pub groups: Vec<Group>,
    /// Findings above the cap of their step: not verified, but listed.
    #[serde(default)]
    pub cut: Vec<Finding>,
    /// The cap that cut them.
    pub cap: usize,
    /// Steps that say that there is nothing to find.
    #[serde(default)]
    pub clean: Vec<Silent>,
    /// Steps that have put nothing out.
    #[serde(default)]
    pub missing: Vec<Silent>,
    /// Advisory notes on what nobody needs.
    #[serde(default)]
    pub yagni: Vec<Advice>,
}

/// A verifier and what it said, as [`judge()`] needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verifier<'a> {
    /// Its step: `verify/2` judges the second group.
    pub step_id: &'a str,
    /// Its number, from 1: that of the group that it judges.
    pub number: usize,
    /// What it put out, if it completed.
    pub output: Option<&'a str>,
    /// Why it has not, in one line.
    pub why: Option<String>,
}

/// A finding and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// What became of it.
    pub outcome: Outcome,
    /// The verifier's words on it, or why there are none.
    pub because: String,
    /// The step that judged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What the verifier says it is, where that differs from what the reviewer said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

impl Judged {
    /// How bad it is: what the verifier says, or else the reviewer.
    pub fn severity(&self) -> Severity {
        self.severity.unwrap_or(self.finding.severity)
    }
}

/// Findings and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Every finding that went to verifiers, also those that were joined and judged otherwise than
    /// the one that leads: confirmed ones by severity, then unproven, then refuted.
    pub judged: Vec<Judged>,
    /// What could not be read: the group's step and label, the text, and what its verifier said of it.
    pub raw: Vec<RawText>,
    /// What the merge left out, and who said nothing.
    pub merged: Merged,
    /// Whether a verifier ran at all.
    pub verified: bool,
}

/// A text that could not be read as findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawText {
    /// The step that wrote it.
    pub step: String,
    /// What people read for it.
    pub label: String,
    /// The text, as it was written.
    pub text: String,
    /// The step of the verifier that was given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}
