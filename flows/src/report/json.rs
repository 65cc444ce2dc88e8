//! The report as JSON: the same data in the same order of importance.

use serde_json::{Value, json};

use super::data::{ReportData, ReportStep};
use super::findings;
use super::parts::{Section, parts};
use crate::findings::{Judged, Outcome, Review};

/// Renders the report of a run in any status.
///
/// Keys: `partial`, `run`, `validation` (a list, empty when no validator said anything), `answer`,
/// `review` (null unless the flow merges findings), `deferred`, `roster`, `missing`, `citations`,
/// `next` (null when nothing follows). Of a partial report `answer` is null and what there is stands
/// in `unvalidated`.
pub fn json(data: &ReportData) -> Value {
    let parts = parts(data);
    let validation: Vec<Value> = parts
        .validations
        .iter()
        .map(|one| {
            json!({
                "step_id": one.step.step_id,
                "label": one.step.label,
                "status": one.step.status,
                "confidence": one.judgement.confidence,
                "because": one.judgement.because,
                "verdict": one.judgement.verdict,
                "remains_open": one.judgement.open,
                "text": one.judgement.rest,
            })
        })
        .collect();
    let produced: Vec<Value> = parts.answer.iter().map(section).collect();
    let (answer, unvalidated) = if parts.complete {
        (json!(produced), Value::Null)
    } else {
        (Value::Null, json!(produced))
    };
    json!({
        "partial": !parts.complete,
        "run": run(data),
        "validation": validation,
        "answer": answer,
        "unvalidated": unvalidated,
        "review": parts.review.as_ref().map(review),
        "deferred": parts.deferred.iter().map(section).collect::<Vec<_>>(),
        "roster": parts.roster.iter().map(|it| step(it)).collect::<Vec<_>>(),
        "missing": parts.missing.iter().map(|it| json!({
            "step_id": it.step_id, "label": it.label, "status": it.status, "error": it.error,
        })).collect::<Vec<_>>(),
        "citations": {
            "total": data.run.citations_total,
            "broken": parts.broken.iter().map(|(it, broken)| json!({
                "step_id": it.step_id, "cited": broken.cited, "why": broken.why,
            })).collect::<Vec<_>>(),
        },
        "next": parts.next.map(|next| json!({ "flow": next.flow, "call": next.call })),
    })
}

fn review(review: &Review) -> Value {
    let of = |outcome: Outcome| -> Vec<&Judged> { findings::of(review, outcome).collect() };
    json!({
        "verified": review.verified,
        "confirmed": of(Outcome::Confirmed),
        "unproven": of(Outcome::Unproven),
        "refuted": of(Outcome::Refuted),
        "unreadable": review.raw,
        "cut": review.merged.cut,
        "cap": review.merged.cap,
        "clean": review.merged.clean,
        "missing": review.merged.missing,
        "yagni": review.merged.yagni,
    })
}

fn section(section: &Section) -> Value {
    json!({
        "step_id": section.step.step_id,
        "label": section.step.label,
        "persona": section.step.persona,
        "status": section.step.status,
        "text": section.text.trim_matches('\n'),
    })
}

fn step(step: &ReportStep) -> Value {
    json!({
        "step_id": step.step_id,
        "label": step.label,
        "kind": step.kind,
        "role": step.role,
        "persona": step.persona,
        "status": step.status,
        "attempts": step.attempts,
        "seconds": step.seconds,
        "tokens": step.tokens,
        "error": step.error,
        "note": step.note,
    })
}

/// The header: the run's own fields and what its plan says about the flow.
fn run(data: &ReportData) -> Value {
    let mut run = serde_json::to_value(&data.run).unwrap_or_default();
    if let Some(fields) = run.as_object_mut() {
        fields.remove("plan");
        let plan = &data.run.plan;
        fields.insert("description".to_owned(), json!(plan.description));
        fields.insert("category".to_owned(), json!(plan.category));
        fields.insert("contracts".to_owned(), json!(plan.contracts));
    }
    run
}
