//! What validators said, taken apart.

use std::fmt::Write as _;

use super::answer::fold;
use super::prose::prose;
use super::short_text;
use crate::report::data::ReportRun;
use crate::report::markdown::challenge;
use crate::report::parts::{Parts, Validation};

pub(super) fn validation(run: &ReportRun, parts: &Parts) -> String {
    let mut out = String::new();
    let mut challenged = String::new();
    challenge(&mut challenged, run, parts);
    prose(&mut out, &challenged, 3);
    for one in &parts.validations {
        judgement(&mut out, one, parts.validations.len() > 1);
    }
    out
}

fn judgement(out: &mut String, one: &Validation, several: bool) {
    let level = if several { 4 } else { 3 };
    if several {
        let (label, id) = (&one.step.label, &one.step.step_id);
        put!(
            out,
            "<h3>{} <code>{}</code></h3>",
            short_text(label, 120),
            short_text(id, 120)
        );
    }
    if !one.step.completed() {
        put!(
            out,
            "<p class=\"notice\"><strong>Incomplete</strong>: this validator {}.</p>",
            short_text(&one.step.status, 20)
        );
    }
    let judgement = &one.judgement;
    let confidence = judgement.confidence.unwrap_or("not stated");
    let class = judgement.confidence.unwrap_or("unstated");
    let because = judgement
        .because
        .as_deref()
        .map(|because| format!(" ({})", short_text(because, 4000)));
    put!(
        out,
        "<p class=\"confidence {class}\"><strong>Confidence: {confidence}</strong>{}</p>",
        because.unwrap_or_default()
    );
    let mut part = |title: &str, text: &str| {
        put!(out, "<h{level}>{title}</h{level}>");
        prose(out, text, level + 1);
    };
    if let Some(verdict) = &judgement.verdict {
        part("Verdict", verdict);
    }
    if let Some(open) = &judgement.open {
        part("Remains open", open);
    }
    if !judgement.rest.trim().is_empty() {
        let mut body = String::new();
        prose(&mut body, &judgement.rest, level + 1);
        let title = format!("<h{level}>What was attacked</h{level}>");
        fold(out, &title, &body, true);
    }
}
