//! Spines: parallel angles → fold → optional synthesizer → validator → report.

use serde::Serialize;

use super::read::Table;
use super::{HEAD_KEYS, Head, VALIDATOR_PERSONA, label_of, read_head};
use crate::error::{ErrorKind, FlowError, choose};
use crate::name::{Band, Fact};
use crate::persona::Personas;
use crate::plan::spine_ids;

/// A flow made of angles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spine {
    /// Name, category, description, contracts, follower.
    #[serde(flatten)]
    pub head: Head,
    /// The first wave.
    pub angles: Vec<Angle>,
    /// Who turns the fold into one answer, if anyone does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synthesizer: Option<Synthesizer>,
    /// Who attacks the answer.
    pub validator: Validator,
}

/// One agent of a spine's first wave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Angle {
    /// Its step id.
    pub id: String,
    /// What people read.
    pub label: String,
    /// Who does it.
    pub persona: String,
    /// The band from which on it runs.
    pub band: Band,
    /// What it has to do.
    pub brief: String,
    /// The launch fact without which it has no step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Fact>,
}

/// The agent that turns the fold into one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Synthesizer {
    /// What people read.
    pub label: String,
    /// Who does it.
    pub persona: String,
    /// What it has to do.
    pub brief: String,
}

/// What is particular to this flow's validator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Validator {
    /// Added to the brief that every validator has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brief: Option<String>,
}

pub(super) fn read(table: &Table, personas: &dyn Personas) -> Result<Spine, FlowError> {
    table.only(&[&HEAD_KEYS, &["angles", "synthesizer", "validator"]])?;
    let head = read_head(table)?;
    let mut angles: Vec<Angle> = Vec::new();
    for entry in table.tables("angles")? {
        let angle = read_angle(&entry, personas)?;
        if angles.iter().any(|other| other.id == angle.id) {
            return Err(entry
                .error(ErrorKind::DuplicateId, "id", "two angles have the id")
                .with_value(&angle.id)
                .with_cure("give one of them another id"));
        }
        angles.push(angle);
    }
    let synthesizer = table
        .table("synthesizer")?
        .map(|entry| {
            entry.only(&[&["persona", "label", "brief"]])?;
            Ok(Synthesizer {
                label: entry
                    .text("label")?
                    .unwrap_or_else(|| label_of(spine_ids::SYNTHESIS)),
                persona: entry.persona("persona", personas)?,
                brief: entry.required_text("brief")?,
            })
        })
        .transpose()?;
    let validator = match table.table("validator")? {
        None => Validator::default(),
        Some(entry) => {
            entry.only(&[&["brief"]])?;
            Validator {
                brief: entry.text("brief")?,
            }
        }
    };
    table.known_persona("validator", VALIDATOR_PERSONA, personas)?;
    Ok(Spine {
        head,
        angles,
        synthesizer,
        validator,
    })
}

fn read_angle(entry: &Table, personas: &dyn Personas) -> Result<Angle, FlowError> {
    entry.only(&[&["id", "label", "persona", "band", "brief", "when"]])?;
    let id = entry.id("id")?;
    if spine_ids::ALL.contains(&id.as_str()) {
        return Err(entry
            .error(
                ErrorKind::ReservedId,
                "id",
                "a spine itself has a step of the id",
            )
            .with_value(id)
            .with_cure(format!("use another id than {}", spine_ids::ALL.join(", "))));
    }
    Ok(Angle {
        label: entry.text("label")?.unwrap_or_else(|| label_of(&id)),
        persona: entry.persona("persona", personas)?,
        band: entry
            .name(ErrorKind::UnknownBand, "band")?
            .unwrap_or(Band::Small),
        brief: entry.required_text("brief")?,
        when: entry
            .text("when")?
            .map(|when| fact(entry, &when))
            .transpose()?,
        id,
    })
}

/// An angle needs nothing, so only what is known at launch can decide whether it runs.
fn fact(entry: &Table, when: &str) -> Result<Fact, FlowError> {
    when.parse().map_err(|_| {
        let read_step = crate::name::field_reference(when).is_some();
        let kind = if read_step {
            ErrorKind::ReferenceNotNeeded
        } else {
            ErrorKind::BadReference
        };
        let problem = if read_step {
            "an angle needs no step, so it cannot read"
        } else {
            "unknown condition"
        };
        entry
            .error(kind, "when", problem)
            .with_value(when)
            .with_cure(if read_step {
                format!(
                    "use one of {}, or a general flow",
                    Fact::names().collect::<Vec<_>>().join(", ")
                )
            } else {
                choose(when, Fact::names())
            })
    })
}
