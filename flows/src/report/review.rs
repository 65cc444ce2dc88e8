//! Merged findings and what became of them, read out of a run's steps.

use super::citations::{Citations, mark};
use super::data::{ReportData, ReportStep};
use crate::findings::{Finding, Merged, Review, Verifier, judge};
use crate::name::{child_number, parent_of_child};
use crate::plan::{PlanStep, Role};
use crate::text::one_line;

/// The review of a run whose plan merges findings, once they are merged. Broken citations are marked.
pub(super) fn review(data: &ReportData) -> Option<Review> {
    let merge = merge_step(data)?;
    let output = row(data, &merge.id)?.said()?;
    let merged = Merged::from_output(output)?;
    let steps = data.steps.iter();
    let verifiers: Vec<Verifier> = steps
        .filter(|step| verifies(data, &step.step_id))
        .filter_map(verifier)
        .collect();
    let mut review = judge(&merged, &verifiers);
    for judged in &mut review.judged {
        mark_finding(&mut judged.finding);
        let by = judged.by.as_deref().and_then(|id| row(data, id));
        judged.because = marked(by, &judged.because);
    }
    review.merged.cut.iter_mut().for_each(mark_finding);
    for raw in &mut review.raw {
        raw.text = marked(row(data, &raw.step), &raw.text);
    }
    for advice in &mut review.merged.yagni {
        advice.text = marked(row(data, &advice.step), &advice.text);
    }
    Some(review)
}

/// The step that merges findings; a flow has at most one.
fn merge_step(data: &ReportData) -> Option<&PlanStep> {
    let steps = &data.run.plan.steps;
    steps.iter().find(|step| step.role == Role::MergeFindings)
}

/// Whether a step is one whose output a review already tells: reviewers, merge, verifiers.
pub(super) fn told_by_review(data: &ReportData, id: &str) -> bool {
    let Some(merge) = merge_step(data) else {
        return false;
    };
    let step = parent_of_child(id).unwrap_or(id);
    step == merge.id
        || fans_out_over(data, step, merge)
        || merge.needs.iter().any(|need| need == step)
}

/// Whether a step is a child of the fan-out over merged findings.
pub(super) fn verifies(data: &ReportData, id: &str) -> bool {
    let over_merge = |parent| merge_step(data).is_some_and(|it| fans_out_over(data, parent, it));
    parent_of_child(id).is_some_and(over_merge)
}

fn fans_out_over(data: &ReportData, id: &str, merge: &PlanStep) -> bool {
    let step = data.run.plan.step(id);
    step.and_then(PlanStep::fans_out_over) == Some(&merge.id)
}

fn row<'a>(data: &'a ReportData, id: &str) -> Option<&'a ReportStep> {
    data.steps.iter().find(|step| step.step_id == id)
}

fn verifier(step: &ReportStep) -> Option<Verifier<'_>> {
    let output = step.said().filter(|_| step.completed());
    let why = match step.error.as_deref().map(|error| one_line(error, 300)) {
        Some(error) if !error.is_empty() => format!("{}: {error}", step.status),
        _ => step.status.clone(),
    };
    Some(Verifier {
        step_id: &step.step_id,
        number: child_number(&step.step_id)?,
        output,
        why: output.is_none().then_some(why),
    })
}

fn mark_finding(finding: &mut Finding) {
    if !finding.broken.is_empty() {
        finding.text = mark(&finding.text, &finding.broken);
    }
    finding.joined.iter_mut().for_each(mark_finding);
}

fn marked(step: Option<&ReportStep>, text: &str) -> String {
    match step.and_then(|step| step.citations.as_ref()) {
        Some(citations) => mark(text, &Citations::read(citations).broken),
        None => text.to_owned(),
    }
}
