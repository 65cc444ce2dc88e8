//! What a report says, before it is laid out.

use std::collections::BTreeSet;

use super::citations::{Broken, Citations, mark};
use super::data::{ReportData, ReportStep};
use super::extract::{Judgement, deferred, judgement};
use super::review::{review, told_by_review, verifies};
use crate::catalog::builtin_flow;
use crate::findings::Review;
use crate::name::{child_number, parent_of_child};
use crate::plan::{Kind, Plan, PlanStep, Role};
use crate::qualify::qualify;

/// The parts of a report, in the order in which they are shown.
pub(super) struct Parts<'a> {
    /// Whether the run completed, so that there is an answer at all.
    pub complete: bool,
    /// What validators said.
    pub validations: Vec<Validation<'a>>,
    /// Merged findings and what became of them, in a run that merges findings.
    pub review: Option<Review>,
    /// What the verifiers of merged findings said.
    pub verifiers: Vec<Validation<'a>>,
    /// The answer, or what was produced before the run ended.
    pub answer: Vec<Section<'a>>,
    /// Deferred items, by the step that deferred them.
    pub deferred: Vec<Section<'a>>,
    /// All steps, in the plan's order, children behind their parent.
    pub roster: Vec<&'a ReportStep>,
    /// Agent steps that failed or were cancelled.
    pub missing: Vec<&'a ReportStep>,
    /// Broken citations with the step that made them.
    pub broken: Vec<(&'a ReportStep, Broken)>,
    /// Completed agent steps whose outputs are not shown.
    pub elsewhere: Vec<&'a ReportStep>,
    /// What would sensibly follow.
    pub next: Option<Next>,
}

/// The output of one validator, taken apart.
pub(super) struct Validation<'a> {
    pub step: &'a ReportStep,
    pub judgement: Judgement,
}

/// The output of one step, or a part of it.
pub(super) struct Section<'a> {
    pub step: &'a ReportStep,
    pub text: String,
}

/// The flow that would follow, and the call that launches it.
pub(super) struct Next {
    pub flow: String,
    pub call: String,
}

pub(super) fn parts(data: &ReportData) -> Parts<'_> {
    let roster = roster(data);
    let complete = data.run.status == "completed";
    let review = review(data);
    let told = |step: &ReportStep| review.is_some() && told_by_review(data, &step.step_id);
    let said = |step: &&&ReportStep| step.said().is_some();
    let shown: Vec<&ReportStep> = answering(data, &roster, complete)
        .into_iter()
        .filter(|step| !told(step))
        .collect();
    let mut answer = Vec::new();
    let mut put_off = Vec::new();
    for step in &shown {
        let split = deferred(&text_of(step));
        answer.push(Section {
            step,
            text: split.rest,
        });
        put_off.extend(split.taken.into_iter().map(|text| Section { step, text }));
    }
    // A synthesizer answers for the angles. When it defers nothing, what they deferred is shown.
    if put_off.is_empty() {
        for step in roster
            .iter()
            .filter(|step| step.role == Role::Angle)
            .filter(said)
        {
            if !shown.iter().any(|other| other.step_id == step.step_id) {
                let split = deferred(&text_of(step));
                put_off.extend(split.taken.into_iter().map(|text| Section { step, text }));
            }
        }
    }
    let mut validations = Vec::new();
    for step in roster
        .iter()
        .filter(|step| step.role == Role::Validator)
        .filter(said)
    {
        let split = deferred(&text_of(step));
        put_off.extend(split.taken.into_iter().map(|text| Section { step, text }));
        validations.push(Validation {
            step,
            judgement: judgement(&split.rest),
        });
    }
    let verifiers = roster
        .iter()
        .filter(|step| review.is_some() && verifies(data, &step.step_id))
        .map(|step| Validation {
            step,
            judgement: judgement(step.said().unwrap_or("")),
        })
        .collect();
    let elsewhere = roster
        .iter()
        .filter(|step| step.kind == Kind::Agent && step.role != Role::Validator)
        .filter(said)
        .filter(|step| !shown.iter().any(|other| other.step_id == step.step_id))
        .copied()
        .collect();
    let lost = |step: &&&ReportStep| {
        let made = step.kind == Kind::Agent || step.role == Role::FanOut;
        made && matches!(step.status.as_str(), "failed" | "cancelled")
    };
    Parts {
        complete,
        validations,
        review,
        verifiers,
        answer,
        deferred: put_off,
        missing: roster.iter().filter(lost).copied().collect(),
        broken: roster.iter().flat_map(|step| broken_of(step)).collect(),
        elsewhere,
        next: if complete { next(data) } else { None },
        roster,
    }
}

fn broken_of(step: &ReportStep) -> Vec<(&ReportStep, Broken)> {
    let found = step
        .citations
        .as_ref()
        .map(Citations::read)
        .unwrap_or_default();
    found
        .broken
        .into_iter()
        .map(|broken| (step, broken))
        .collect()
}

/// The output as it is shown: ids qualified (but a validator's own), broken citations marked.
pub(super) fn text_of(step: &ReportStep) -> String {
    let text = step.said().unwrap_or("");
    let prefix = step
        .prefix
        .as_deref()
        .filter(|_| step.role != Role::Validator);
    let text = qualify(&step.step_id, prefix.unwrap_or(""), text);
    match step.citations.as_ref().map(Citations::read) {
        Some(found) if !found.broken.is_empty() => mark(&text, &found.broken),
        _ => text,
    }
}

/// In the plan's order; what the plan does not know comes last.
fn roster(data: &ReportData) -> Vec<&ReportStep> {
    let place = |step: &ReportStep| {
        let id = parent_of_child(&step.step_id).unwrap_or(&step.step_id);
        let child = child_number(&step.step_id).unwrap_or(0);
        let found = data.run.plan.steps.iter().position(|known| known.id == id);
        (found.unwrap_or(usize::MAX), id.to_owned(), child)
    };
    let mut roster: Vec<&ReportStep> = data.steps.iter().collect();
    roster.sort_by_cached_key(|step| place(step));
    roster
}

/// The steps whose outputs are the answer. Of a run that did not complete: whatever there is.
fn answering<'a>(
    data: &ReportData,
    roster: &[&'a ReportStep],
    complete: bool,
) -> Vec<&'a ReportStep> {
    let said = |role: Role| -> Vec<&'a ReportStep> {
        roster
            .iter()
            .copied()
            .filter(|step| step.role == role && step.said().is_some())
            .collect()
    };
    let synthesis: Vec<&ReportStep> = said(Role::Synthesizer)
        .into_iter()
        .filter(|step| step.completed())
        .collect();
    if !synthesis.is_empty() {
        return synthesis;
    }
    if roster.iter().any(|step| step.role == Role::Angle) {
        return said(Role::Angle);
    }
    let ends = ends(&data.run.plan);
    let ends: Vec<&ReportStep> = roster
        .iter()
        .copied()
        .filter(|step| step.said().is_some() && step.role != Role::Validator)
        .filter(|step| {
            let id = parent_of_child(&step.step_id).unwrap_or(&step.step_id);
            ends.contains(id)
        })
        .collect();
    if complete || !ends.is_empty() {
        return ends;
    }
    said(Role::Step)
}

/// The steps of a general flow that answer: what its report needs, where a validator stands for
/// what it judges and a fold for what it joins.
fn ends(plan: &Plan) -> BTreeSet<&str> {
    let mut ends = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<&PlanStep> = plan
        .steps
        .iter()
        .filter(|step| step.role == Role::Render)
        .collect();
    while let Some(step) = open.pop() {
        for need in step.needs.iter().filter_map(|need| plan.step(need)) {
            match need.role {
                Role::Validator | Role::Fold if seen.insert(need.id.as_str()) => open.push(need),
                Role::Validator | Role::Fold => {}
                _ => _ = ends.insert(need.id.as_str()),
            }
        }
    }
    ends
}

/// The following flow, when the library has it, with this report as a provided document.
fn next(data: &ReportData) -> Option<Next> {
    let run = &data.run;
    let flow = run.plan.next.clone()?;
    // What follows a user's own flow may be a user's own as well.
    if builtin_flow(&flow).is_none() && builtin_flow(&run.flow_name).is_some() {
        return None;
    }
    let id = run.run_id;
    let mut call = format!(
        "SELECT flow_launch({}, {}",
        literal(&flow),
        literal(&run.question)
    );
    if let Some(project) = &run.project {
        call.push_str(&format!(",\n    project => {}", literal(project)));
    }
    call.push_str(&format!(",\n    band => {}", literal(&run.band)));
    call.push_str(&format!(
        ",\n    input => jsonb_build_object('documents', jsonb_build_array(jsonb_build_object(\n        \
         'name', 'run-{id}.md', 'text', flow_report({id})))));"
    ));
    Some(Next { flow, call })
}

/// A text as an SQL literal.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", quoted.replace('\\', "\\\\"))
    } else {
        format!("'{quoted}'")
    }
}
