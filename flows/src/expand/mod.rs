//! From a definition and a launch to a plan.

mod draft;
mod general;

use std::collections::BTreeMap;

use crate::definition::{Angle, Definition, VALIDATOR_PERSONA};
use crate::error::{ErrorKind, FlowError, choose};
use crate::name::{Band, Fact};
use crate::persona::{Persona, Personas};
use crate::plan::{
    Expansion, Launch, PLAN_VERSION, Plan, PlanStep, Role, order_and_number, text_hash,
};
use crate::prompt::{self, Part};
use draft::{Draft, holds, spine_drafts};
use general::general_drafts;

/// Expands a definition for one launch.
///
/// Steps above the band and steps whose launch fact does not hold are left out, and so is what
/// reads a field of such a step; needs that point to them vanish. Errors: `nothing_to_run` when no
/// agent is left, `no_document` for a flow on a document that gets neither one nor a project, `unknown_persona` when a persona has gone since the definition was checked.
pub fn expand(
    definition: &Definition,
    launch: &Launch,
    personas: &dyn Personas,
) -> Result<Expansion, FlowError> {
    let mut drafts = match definition {
        Definition::Spine(spine) => spine_drafts(spine, launch),
        Definition::General(general) => general_drafts(general, launch),
    };
    let head = definition.head();
    let agents = |draft: &Draft| draft.step.persona.is_some();
    let works = match definition {
        Definition::Spine(_) => drafts.iter().any(|draft| draft.step.role == Role::Angle),
        Definition::General(_) => drafts.iter().any(agents),
    };
    if !works {
        return Err(nothing_to_run(definition, launch));
    }
    if head.needs_document && launch.documents.is_empty() && launch.project.is_none() {
        return Err(no_document(definition));
    }
    let mut known = BTreeMap::new();
    for draft in &mut drafts {
        if let Some(name) = &draft.step.persona {
            let persona = persona(definition, name, personas)?;
            draft.step.prefix = Some(persona.prefix.clone()).filter(|prefix| !prefix.is_empty());
            known.insert(name.clone(), persona);
        }
    }
    let mut briefs: BTreeMap<String, String> = BTreeMap::new();
    let mut steps = Vec::with_capacity(drafts.len());
    for draft in drafts {
        briefs.extend(draft.brief.map(|brief| (draft.step.id.clone(), brief)));
        steps.push(draft.step);
    }
    let mut steps = order_and_number(steps);
    let left_out = left_out(definition, &steps);
    let mut texts = BTreeMap::new();
    let mut pin = |text: String| {
        let hash = text_hash(&text);
        texts.insert(hash.clone(), text);
        hash
    };
    for i in 0..steps.len() {
        let Some(brief) = briefs.get(&steps[i].id) else {
            continue;
        };
        let step = &steps[i];
        let name = step
            .persona
            .as_deref()
            .expect("a step with a brief has a persona");
        let part = Part {
            label: &step.label,
            brief,
            contracts: &head.contracts,
            reviews: name == VALIDATOR_PERSONA,
            element: step.role == Role::FanOut,
            findings: merged(&steps, step),
            judges_findings: judges(&steps, step),
            prefix: step.prefix.as_deref().unwrap_or(""),
            needs_document: head.needs_document,
            left_out: &left_out,
            quotes: prompt::quotes(&steps, step),
        };
        let template = prompt::template(launch, &part);
        let system = prompt::authored(&known[name].body, launch);
        let (system, template) = (pin(system), pin(template));
        steps[i].persona_hash = Some(system);
        steps[i].prompt_hash = Some(template);
    }
    let plan = Plan {
        plan_version: PLAN_VERSION,
        flow: head.name.clone(),
        description: head.description.clone(),
        category: head.category,
        band: launch.band,
        fast: launch.fast,
        contracts: head.contracts.clone(),
        next: head.next.clone(),
        needs_document: head.needs_document,
        steps,
    };
    Ok(Expansion { plan, texts })
}

/// The labels of the angles that have no step in this run.
fn left_out(definition: &Definition, steps: &[PlanStep]) -> Vec<String> {
    let Definition::Spine(spine) = definition else {
        return Vec::new();
    };
    let absent = |angle: &&Angle| !steps.iter().any(|step| step.id == angle.id);
    let angles = spine.angles.iter().filter(absent);
    angles.map(|angle| angle.label.clone()).collect()
}

/// Whether the findings of a step are merged, so that it has to write them in the form for that.
fn merged(steps: &[PlanStep], step: &PlanStep) -> bool {
    steps
        .iter()
        .any(|other| other.role == Role::MergeFindings && other.needs.contains(&step.id))
}

/// Whether a step's children judge merged findings.
fn judges(steps: &[PlanStep], step: &PlanStep) -> bool {
    step.fans_out_over().is_some_and(|source| {
        steps
            .iter()
            .any(|other| other.role == Role::MergeFindings && other.id == source)
    })
}

fn no_document(definition: &Definition) -> FlowError {
    FlowError::new(
        ErrorKind::NoDocument,
        definition.name(),
        "needs_document",
        "nothing to work on, neither a document nor a project that may hold one, as asked for",
    )
    .with_cure(
        "give it one: input => '{\"documents\": [{\"name\": \"spec.md\", \"text\": \"…\"}]}', or a project \
         whose files hold it",
    )
}

fn persona(
    definition: &Definition,
    name: &str,
    personas: &dyn Personas,
) -> Result<Persona, FlowError> {
    personas.get(name).ok_or_else(|| {
        let names = personas.names();
        FlowError::new(
            ErrorKind::UnknownPersona,
            definition.name(),
            "persona",
            "unknown persona",
        )
        .with_value(name)
        .with_cure(choose(name, names.iter().map(String::as_str)))
    })
}

fn nothing_to_run(definition: &Definition, launch: &Launch) -> FlowError {
    let (lists, entries): (&str, Vec<(Band, Option<&str>)>) = match definition {
        Definition::Spine(spine) => {
            let entry = |it: &Angle| (it.band, it.when.map(Fact::as_str));
            ("angles", spine.angles.iter().map(entry).collect())
        }
        Definition::General(general) => (
            "steps",
            general
                .steps
                .iter()
                .map(|step| (step.band, step.when.as_deref()))
                .collect(),
        ),
    };
    let least = entries
        .iter()
        .map(|(band, _)| *band)
        .min()
        .unwrap_or(Band::Small);
    let mut facts: Vec<&str> = entries
        .iter()
        .filter_map(|(_, when)| *when)
        .filter(|when| when.parse().is_ok_and(|fact| !holds(fact, launch)))
        .collect();
    facts.sort_unstable();
    facts.dedup();
    let cure = if least > launch.band {
        format!("launch it with band {least} or larger")
    } else if facts.is_empty() {
        "launch it with a larger band".to_owned()
    } else {
        format!(
            "give the launch what its {lists} ask for: {}",
            facts.join(", ")
        )
    };
    FlowError::new(
        ErrorKind::NothingToRun,
        definition.name(),
        lists,
        "nothing is left to run with this launch at band",
    )
    .with_value(launch.band.as_str())
    .with_cure(cure)
}
