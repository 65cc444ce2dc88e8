//! Steps, citations, and what follows.

use std::fmt::Write as _;

use super::review::wrong;
use super::{line, short_text};
use crate::escape::escaped;
use crate::graph::{self, State};
use crate::plan::Kind;
use crate::report::citations::Citations;
use crate::report::data::{ReportData, ReportRun, ReportStep};
use crate::report::format::{duration, number};
use crate::report::markdown::follow;
use crate::report::parts::Parts;

/// The drawing and the roster.
pub(super) fn steps(data: &ReportData, parts: &Parts) -> String {
    let mut out = String::new();
    put!(
        out,
        "<div class=\"scroll graph\" tabindex=\"0\" role=\"group\" aria-label=\"Graph of the steps\">\n{}</div>",
        graph::inline(data)
    );
    out.push_str(
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Roster\"><table class=\"roster\">\n\
         <caption>Roster: each step with who ran it, how it ended and what it took</caption>\n\
         <thead><tr><th scope=\"col\">Step</th><th scope=\"col\">What</th><th scope=\"col\">Persona</th>\
         <th scope=\"col\">Status</th><th scope=\"col\" class=\"right\">Attempts</th>\
         <th scope=\"col\" class=\"right\">Time</th><th scope=\"col\" class=\"right\">Tokens</th></tr></thead>\n<tbody>\n",
    );
    for step in &parts.roster {
        row(&mut out, step);
    }
    out.push_str("</tbody></table></div>\n");
    out
}

fn row(out: &mut String, step: &ReportStep) {
    let persona = step.persona.as_deref().unwrap_or("code");
    let agent = step.kind == Kind::Agent;
    let of_agent = |text: String| if agent { text } else { String::new() };
    let state = State::of(&step.status);
    put!(
        out,
        "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td><td class=\"status\">\
         <span class=\"state {}\"><span aria-hidden=\"true\">{} </span>{}</span>{}{}</td>\
         <td class=\"right\">{}</td><td class=\"right\">{}</td><td class=\"right\">{}</td></tr>",
        short_text(&step.step_id, 120),
        short_text(&step.label, 120),
        short_text(persona, 80),
        state.word(),
        state.mark(),
        short_text(&step.status, 20),
        remark(step.error.as_deref()),
        remark(step.note.as_deref()),
        of_agent(step.attempts.to_string()),
        duration(step.seconds),
        of_agent(number(step.tokens)),
    );
}

fn remark(text: Option<&str>) -> String {
    match text.map(|text| short_text(text, 1000)) {
        Some(text) if !text.is_empty() => format!("<div class=\"remark\">{text}</div>"),
        _ => String::new(),
    }
}

/// How many citations of each step were checked, and each one that does not hold.
pub(super) fn citations(run: &ReportRun, parts: &Parts) -> String {
    let mut out = String::new();
    let checked: Vec<(&ReportStep, Citations)> = parts
        .roster
        .iter()
        .filter_map(|step| Some((*step, Citations::read(step.citations.as_ref()?))))
        .filter(|(_, found)| found.total > 0)
        .collect();
    if checked.is_empty() {
        let what = match (run.citations_total, run.citations_broken) {
            (0, 0) => "No citation was checked.".to_owned(),
            (total, broken) => format!(
                "{} checked, {} broken; of which steps is not known.",
                number(total),
                number(broken)
            ),
        };
        put!(out, "<p>{what}</p>");
        return out;
    }
    out.push_str(
        "<p>Each line that an output cites was looked up in the files that the step read: whether the file and \
         the line exist, and whether the words quoted beside it stand near it.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Citations by step\"><table>\n<caption>Citations by step</caption>\n\
         <thead><tr><th scope=\"col\">Step</th><th scope=\"col\" class=\"right\">Checked</th>\
         <th scope=\"col\" class=\"right\">Broken</th><th scope=\"col\">Which, and why</th></tr></thead>\n<tbody>\n",
    );
    for (step, found) in &checked {
        put!(
            out,
            "<tr><th scope=\"row\"><code>{}</code></th><td class=\"right\">{}</td><td class=\"right\">{}</td><td>",
            short_text(&step.step_id, 120),
            found.total,
            found.broken.len()
        );
        if !found.broken.is_empty() {
            out.push_str("<ul>\n");
            for broken in &found.broken {
                out.push_str("<li>");
                wrong(&mut out, &broken.cited, broken.why.as_deref());
                out.push_str("</li>\n");
            }
            out.push_str("</ul>");
        }
        out.push_str("</td></tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// The call that would sensibly follow.
pub(super) fn next(run: &ReportRun, parts: &Parts) -> String {
    let (text, call) = follow(run, parts);
    format!(
        "<p>{}</p>\n<div class=\"call\"><pre tabindex=\"0\"><code id=\"call\">{}</code></pre>\
         <button type=\"button\" id=\"copy\" hidden>Copy</button></div>\n",
        line(&text),
        escaped(&call)
    )
}
