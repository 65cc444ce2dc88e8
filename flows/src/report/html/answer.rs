//! The answer, what was deferred, and the outputs behind it.

use std::fmt::Write as _;

use super::items::Items;
use super::prose::{output, prose};
use super::short_text;
use crate::plan::Role;
use crate::report::data::ReportStep;
use crate::report::parts::{Parts, Section, text_of};

pub(super) fn answer(parts: &Parts, items: &mut Items) -> String {
    let mut out = String::new();
    if parts.answer.is_empty() {
        out.push_str("<p>No step has put anything out.</p>\n");
    }
    let alone = parts.answer.len() == 1 && parts.answer[0].step.role == Role::Synthesizer;
    for Section { step, text } in &parts.answer {
        if alone {
            output(&mut out, text, 3, &step.step_id, items);
            continue;
        }
        let mut body = String::new();
        if !step.completed() {
            put!(
                body,
                "<p class=\"notice\"><strong>Incomplete</strong>: this step is {}.</p>",
                short_text(&step.status, 20)
            );
        }
        output(&mut body, text, 4, &step.step_id, items);
        fold(&mut out, &title(step), &body, true);
    }
    out
}

pub(super) fn deferred(parts: &Parts) -> String {
    let mut out = String::new();
    let first = parts.deferred.first().map(|section| &section.step.step_id);
    let several = parts
        .deferred
        .iter()
        .any(|section| Some(&section.step.step_id) != first);
    for Section { step, text } in &parts.deferred {
        if several {
            out.push_str(&title(step));
            out.push('\n');
        }
        prose(&mut out, text, if several { 4 } else { 3 });
    }
    out
}

/// Outputs that are not the answer, so that the page needs no database to be understood.
pub(super) fn elsewhere(parts: &Parts, items: &mut Items) -> String {
    let mut out = String::from("<p>What the report above was made from, in full.</p>\n");
    for step in &parts.elsewhere {
        let mut body = String::new();
        let text = text_of(step);
        if parts.review.is_some() {
            // Their findings are items already, each once.
            prose(&mut body, &text, 4);
        } else {
            output(&mut body, &text, 4, &step.step_id, items);
        }
        fold(&mut out, &title(step), &body, false);
    }
    out
}

/// A part that can be folded away; `heading` is HTML.
pub(super) fn fold(out: &mut String, heading: &str, body: &str, open: bool) {
    let open = if open { " open" } else { "" };
    put!(
        out,
        "<details{open}>\n<summary>{heading}</summary>\n{body}</details>"
    );
}

fn title(step: &ReportStep) -> String {
    let persona = step
        .persona
        .as_deref()
        .map(|persona| format!(", {}", short_text(persona, 80)));
    format!(
        "<h3>{} <span class=\"whom\"><code>{}</code>{}</span></h3>",
        short_text(&step.label, 120),
        short_text(&step.step_id, 120),
        persona.unwrap_or_default()
    )
}
