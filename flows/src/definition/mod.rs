//! Flows as they are written, and every check on them.
//!
//! A definition is a **spine** (it has `angles`) or **general** (it has `steps`). Whatever can be
//! checked without a launch is checked when it is read, so a stored definition always expands.

mod general;
mod graph;
pub mod locate;
mod read;
mod spine;

use serde::Serialize;
use serde_json::Value;

pub use general::{Code, DEFAULT_CAP, GROUPS, General, MOST_CAP, Step, Work};
pub use spine::{Angle, Spine, Synthesizer, Validator};

use crate::error::{ErrorKind, FlowError};
use crate::name::{Band, Category, Contract};
use crate::persona::Personas;
use read::Table;

/// The persona of every spine's validator; a general step that has it validates as well.
pub const VALIDATOR_PERSONA: &str = "adversarial-validator";

/// A checked flow definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Definition {
    /// Parallel angles, fold, optional synthesizer, validator, report.
    Spine(Spine),
    /// Steps with their needs.
    General(General),
}

/// What every definition begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// The flow's id.
    pub name: String,
    /// Where a launcher shows it.
    pub category: Category,
    /// One sentence.
    pub description: String,
    /// Disciplines of its prompts, in the order of [`Contract`], each once.
    pub contracts: Vec<Contract>,
    /// The flow that would sensibly follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Whether it works on a document that the launcher provides.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub needs_document: bool,
}

const HEAD_KEYS: [&str; 6] = [
    "name",
    "category",
    "description",
    "contracts",
    "next",
    "needs_document",
];

impl Definition {
    /// Reads the TOML form. `file_name` is the file's name, `research.toml` for example; the flow
    /// must be named like it.
    ///
    /// Returns the first error in reading order, with file, field, value and cure.
    pub fn from_toml(
        file_name: &str,
        text: &str,
        personas: &dyn Personas,
    ) -> Result<Self, FlowError> {
        let value: Value = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| {
                1 + text[..span.start.min(text.len())].matches('\n').count()
            });
            let field = if line == 0 {
                String::new()
            } else {
                format!("line {line}")
            };
            FlowError::new(ErrorKind::Syntax, file_name, &field, "not valid TOML")
                .with_value(error.message())
                .with_cure("mend the TOML at that line; texts of several lines stand in \"\"\"")
        })?;
        Self::from_json(file_name, &value, personas)
    }

    /// Reads the same form from JSON, by the same rules. `origin` stands for the file in errors;
    /// only an origin that ends in `.toml` or `.json` has to be the flow's name.
    pub fn from_json(
        origin: &str,
        value: &Value,
        personas: &dyn Personas,
    ) -> Result<Self, FlowError> {
        let table = Table::root(origin, value)?;
        let angles = table.has("angles");
        if angles && table.has("steps") {
            return Err(table
                .error(
                    ErrorKind::Conflict,
                    "steps",
                    "a flow has either angles or steps",
                )
                .with_cure("remove one of the two"));
        }
        if !angles && !table.has("steps") {
            return Err(table
                .error(ErrorKind::Missing, "angles", "a flow needs angles or steps")
                .with_cure("add [[angles]] for a spine or [[steps]] for a general flow"));
        }
        if angles {
            spine::read(&table, personas).map(Self::Spine)
        } else {
            general::read(&table, personas).map(Self::General)
        }
    }

    /// Name, category, description, contracts and follower.
    pub fn head(&self) -> &Head {
        match self {
            Self::Spine(spine) => &spine.head,
            Self::General(general) => &general.head,
        }
    }

    /// The flow's id.
    pub fn name(&self) -> &str {
        &self.head().name
    }

    /// The form that [`Definition::from_json`] reads.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("a definition holds only texts, lists and names")
    }

    /// How many agents run at `band` when every `when` holds; a fan-out counts as one.
    pub fn agents(&self, band: Band) -> usize {
        match self {
            Self::Spine(spine) => {
                spine
                    .angles
                    .iter()
                    .filter(|angle| angle.band <= band)
                    .count()
                    + usize::from(spine.synthesizer.is_some())
                    + 1
            }
            Self::General(general) => general
                .steps
                .iter()
                .filter(|step| step.band <= band && matches!(step.work, Work::Agent { .. }))
                .count(),
        }
    }

    /// Every persona that the definition names, sorted, each once.
    pub fn personas(&self) -> Vec<&str> {
        let mut names: Vec<&str> = match self {
            Self::Spine(spine) => spine
                .angles
                .iter()
                .map(|angle| angle.persona.as_str())
                .chain(spine.synthesizer.iter().map(|it| it.persona.as_str()))
                .chain([VALIDATOR_PERSONA])
                .collect(),
            Self::General(general) => general
                .steps
                .iter()
                .filter_map(|step| match &step.work {
                    Work::Agent { persona, .. } => Some(persona.as_str()),
                    Work::Code { .. } => None,
                })
                .collect(),
        };
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn read_head(table: &Table) -> Result<Head, FlowError> {
    let name = table.id("name")?;
    let stem = table
        .file
        .strip_suffix(".toml")
        .or_else(|| table.file.strip_suffix(".json"));
    if stem.is_some_and(|stem| stem != name) {
        return Err(table
            .error(
                ErrorKind::NameMismatch,
                "name",
                "the file has another name than the flow",
            )
            .with_value(&name)
            .with_cure(format!("rename the file to {name}.toml, or the flow")));
    }
    let category = table.required_name(ErrorKind::UnknownCategory, "category")?;
    let description = table.required_text("description")?;
    let mut contracts: Vec<Contract> = table.names(ErrorKind::UnknownContract, "contracts")?;
    contracts.sort_unstable();
    contracts.dedup();
    let next = table.has("next").then(|| table.id("next")).transpose()?;
    Ok(Head {
        name,
        category,
        description,
        contracts,
        next,
        needs_document: table.flag("needs_document")?,
    })
}

/// `data-flow` becomes `Data flow`.
fn label_of(id: &str) -> String {
    let mut label = id.replace('-', " ");
    if let Some(first) = label.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    label
}
