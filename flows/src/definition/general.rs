//! General flows: steps with their needs.

use serde::Serialize;

use super::read::Table;
use super::{HEAD_KEYS, Head, graph, label_of, read_head};
use crate::error::{ErrorKind, FlowError, choose};
use crate::findings::MergeOptions;
use crate::name::{Band, Fact, field_reference, names};
use crate::persona::Personas;
use crate::plan::Join;

/// A flow made of steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct General {
    /// Name, category, description, contracts, follower.
    #[serde(flatten)]
    pub head: Head,
    /// The steps, in the order in which they are shown.
    pub steps: Vec<Step>,
}

/// A step of a general flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its id.
    pub id: String,
    /// What people read.
    pub label: String,
    /// Who or what does it.
    #[serde(flatten)]
    pub work: Work,
    /// The steps that must have settled before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// How it waits for them.
    pub join: Join,
    /// The band from which on it exists.
    pub band: Band,
    /// A launch fact or `STEP.FIELD`, without which it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// `STEP.FIELD`: a list, for each element of which it runs once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreach: Option<String>,
}

/// Who or what does a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Work {
    /// A model.
    Agent {
        /// Who it is.
        persona: String,
        /// What it has to do.
        brief: String,
    },
    /// The database itself.
    Code {
        /// Which code.
        code: Code,
        /// How it merges, if it merges findings.
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        merge: Option<MergeOptions>,
    },
}

names! {
    /// What the database can do by itself.
    Code, "code",
    /// Joins the full outputs of what it needs.
    Fold = "fold",
    /// Parses findings and joins duplicates.
    MergeFindings = "merge_findings",
    /// Writes the report.
    Render = "render",
}

const KEYS: [&str; 12] = [
    "id", "label", "persona", "brief", "code", "needs", "join", "band", "when", "foreach", "cap",
    "exempt",
];

/// How many findings of one reviewer go on, unless the flow says otherwise.
pub const DEFAULT_CAP: usize = 10;
/// The highest cap that a flow can set.
pub const MOST_CAP: usize = 1000;
/// How many needs the steps of a flow have at most together.
pub const MOST_NEEDS: usize = 10_000;
/// The field of merged findings that a `foreach` reads.
pub const GROUPS: &str = "groups";

/// The step that is added to a flow without a render step.
pub(super) const REPORT: &str = crate::plan::spine_ids::REPORT;

pub(super) fn read(table: &Table, personas: &dyn Personas) -> Result<General, FlowError> {
    table.only(&[&HEAD_KEYS, &["steps"]])?;
    let head = read_head(table)?;
    let entries = table.tables("steps")?;
    let mut steps: Vec<Step> = Vec::new();
    let mut needs = 0;
    for entry in &entries {
        let step = read_step(entry, personas)?;
        needs += step.needs.len();
        if needs > MOST_NEEDS {
            return Err(entry
                .error(ErrorKind::OutOfRange, "needs", "too many needs in all:")
                .with_value(needs.to_string())
                .with_cure(format!(
                    "use at most {MOST_NEEDS}: a fold joins what many steps would need one by one"
                )));
        }
        if steps.iter().any(|other| other.id == step.id) {
            return Err(entry
                .error(ErrorKind::DuplicateId, "id", "two steps have the id")
                .with_value(&step.id)
                .with_cure("give one of them another id"));
        }
        steps.push(step);
    }
    check_render(&entries, &steps)?;
    graph::check(&entries, &steps)?;
    Ok(General { head, steps })
}

fn read_step(entry: &Table, personas: &dyn Personas) -> Result<Step, FlowError> {
    entry.only(&[&KEYS])?;
    let id = entry.id("id")?;
    let code: Option<Code> = entry.name(ErrorKind::UnknownCode, "code")?;
    let work = match code {
        Some(code) => {
            for key in ["persona", "brief", "foreach"] {
                if entry.has(key) {
                    return Err(entry
                        .error(ErrorKind::Conflict, key, "a code step takes no such key")
                        .with_value(key)
                        .with_cure(format!("remove {key}, or remove code and name a persona")));
                }
            }
            Work::Code {
                code,
                merge: merge_options(entry, code)?,
            }
        }
        None if !entry.has("persona") && !entry.has("brief") => {
            return Err(entry
                .error(
                    ErrorKind::Missing,
                    "persona",
                    "a step is either agent or code",
                )
                .with_cure("add persona and brief, or code"));
        }
        None => {
            no_merge_keys(entry)?;
            Work::Agent {
                persona: entry.persona("persona", personas)?,
                brief: entry.required_text("brief")?,
            }
        }
    };
    Ok(Step {
        label: entry.text("label")?.unwrap_or_else(|| label_of(&id)),
        work,
        needs: entry.texts("needs")?,
        join: entry
            .name(ErrorKind::UnknownJoin, "join")?
            .unwrap_or(Join::All),
        band: entry
            .name(ErrorKind::UnknownBand, "band")?
            .unwrap_or(Band::Small),
        when: reference(entry, "when", true)?,
        foreach: reference(entry, "foreach", false)?,
        id,
    })
}

/// `cap` and `exempt`, which only merging takes.
fn merge_options(entry: &Table, code: Code) -> Result<Option<MergeOptions>, FlowError> {
    if code != Code::MergeFindings {
        return no_merge_keys(entry).map(|()| None);
    }
    let needs = entry.texts("needs")?;
    let exempt = entry.texts("exempt")?;
    if let Some((n, unknown)) = exempt
        .iter()
        .enumerate()
        .find(|(_, id)| !needs.contains(id))
    {
        return Err(entry
            .error(
                ErrorKind::UnknownStep,
                &format!("exempt[{n}]"),
                "not a step whose findings are merged:",
            )
            .with_value(unknown)
            .with_cure(choose(unknown, needs.iter().map(String::as_str))));
    }
    Ok(Some(MergeOptions {
        cap: entry.count("cap", MOST_CAP)?.unwrap_or(DEFAULT_CAP),
        exempt,
    }))
}

fn no_merge_keys(entry: &Table) -> Result<(), FlowError> {
    match ["cap", "exempt"].into_iter().find(|key| entry.has(key)) {
        None => Ok(()),
        Some(key) => Err(entry
            .error(
                ErrorKind::Conflict,
                key,
                "only merge_findings takes such a key",
            )
            .with_value(key)
            .with_cure(format!("remove {key}"))),
    }
}

fn reference(entry: &Table, key: &str, facts: bool) -> Result<Option<String>, FlowError> {
    let Some(text) = entry.text(key)? else {
        return Ok(None);
    };
    if field_reference(&text).is_some() || facts && text.parse::<Fact>().is_ok() {
        return Ok(Some(text));
    }
    let cure = if facts && !text.contains('.') {
        format!(
            "{} (or STEP.FIELD of a step that it needs)",
            choose(&text, Fact::names())
        )
    } else {
        "write STEP.FIELD, a field of the JSON that a step puts out".to_owned()
    };
    let problem = if facts {
        "unknown condition"
    } else {
        "not a field of a step"
    };
    Err(entry
        .error(ErrorKind::BadReference, key, problem)
        .with_value(text)
        .with_cure(cure))
}

/// One report, after which nothing comes; code that joins needs something to join.
fn check_render(entries: &[Table], steps: &[Step]) -> Result<(), FlowError> {
    let is = |step: &Step, wanted: Code| matches!(&step.work, Work::Code { code, .. } if *code == wanted);
    let mut renders = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| is(step, Code::Render));
    let render = renders.next();
    if let Some((second, step)) = renders.next() {
        return Err(entries[second]
            .error(ErrorKind::RenderNotLast, "code", "a second render step")
            .with_value(&step.id)
            .with_cure("keep one render step: a run has one report"));
    }
    let mut merges = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| is(step, Code::MergeFindings));
    if let Some((second, step)) = merges.nth(1) {
        return Err(entries[second]
            .error(
                ErrorKind::Conflict,
                "code",
                "a second step that merges findings",
            )
            .with_value(&step.id)
            .with_cure("let one step merge the findings of all reviewers"));
    }
    for (i, step) in steps.iter().enumerate() {
        if render.is_some_and(|(_, render)| step.needs.contains(&render.id)) {
            return Err(entries[i]
                .error(
                    ErrorKind::RenderNotLast,
                    "needs",
                    "nothing can need a render step, as does",
                )
                .with_value(&step.id)
                .with_cure("let it need what the render step needs"));
        }
        if (is(step, Code::Fold) || is(step, Code::MergeFindings)) && step.needs.is_empty() {
            return Err(entries[i]
                .error(
                    ErrorKind::Missing,
                    "needs",
                    "a step that joins outputs needs some",
                )
                .with_value(&step.id)
                .with_cure("name the steps whose outputs it joins"));
        }
        if render.is_none() && step.id == REPORT {
            return Err(entries[i]
                .error(
                    ErrorKind::ReservedId,
                    "id",
                    "the added render step has the id",
                )
                .with_value(REPORT)
                .with_cure("use another id, or add a render step of your own with another id"));
        }
    }
    Ok(())
}
