//! What a page begins with: title, notice, question and facts.

use std::fmt::Write as _;

use super::{line, short_text};
use crate::escape::escaped;
use crate::report::data::{ReportRun, ReportStep};
use crate::report::findings;
use crate::report::format::{duration, moment, number};
use crate::report::header::{CHANGES, counts, notice, provided, reviewed, short};
use crate::report::parts::Parts;

pub(super) fn header(out: &mut String, run: &ReportRun, parts: &Parts) {
    put!(out, "<header>");
    put!(
        out,
        "<h1>{} <span class=\"run\">run {}</span></h1>",
        short_text(&run.flow_name, 80),
        run.run_id
    );
    if let Some(notice) = notice(run) {
        put!(
            out,
            "<p class=\"notice {}\" role=\"note\"><strong>{}</strong> This report is partial: nothing in it is a \
             validated answer.</p>",
            crate::graph::State::of(&run.status).word(),
            line(&notice)
        );
    }
    put!(
        out,
        "<blockquote class=\"question\">{}</blockquote>",
        escaped(run.question.trim())
    );
    out.push_str("<dl class=\"facts\">\n");
    for (name, value) in facts(run, parts) {
        put!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    out.push_str("</dl>\n</header>\n");
}

/// Names and values, the values as HTML.
fn facts(run: &ReportRun, parts: &Parts) -> Vec<(&'static str, String)> {
    let fast = if run.fast { ", fast" } else { "" };
    let flow = short_text(&run.flow_name, 80);
    let mut facts = vec![
        (
            "Flow",
            format!("{flow}, band {}{fast}", short_text(&run.band, 20)),
        ),
        ("Model", short_text(&run.model, 200)),
        ("Project", project(run)),
    ];
    let mut notes = Vec::new();
    for note in &run.snapshot_notes {
        match note.strip_prefix(CHANGES) {
            Some(changes) => {
                let changes = changes.trim_start();
                let text = format!("{}{}", short_text(changes, 500), reviewed(run, changes));
                facts.push(("Changes", text));
            }
            None => notes.push(("Snapshot", short_text(note, 500))),
        }
    }
    if let Some(provided) = provided(run) {
        facts.push(("Provided", line(&provided)));
    }
    if let (Some(from), Some(at)) = (run.forked_from, run.forked_at.as_deref()) {
        let at = short_text(at, 120);
        facts.push((
            "Forked",
            format!(
                "from run {from} at <code>{at}</code>; steps before it are those of that run, and cite what it read"
            ),
        ));
    }
    let by = short_text(&run.launched_by, 100);
    facts.push((
        "Launched",
        format!("{} by {by}", escaped(&moment(&run.created_at))),
    ));
    if let Some(ended) = &run.ended_at {
        let took = duration(run.wall_seconds);
        let comma = if took.is_empty() { "" } else { ", after " };
        facts.push(("Ended", format!("{}{comma}{took}", escaped(&moment(ended)))));
    }
    let (read, written) = (number(run.input_tokens), number(run.output_tokens));
    facts.push(("Tokens", format!("{read} read, {written} written")));
    facts.push(("Steps", escaped(&counts(parts))));
    if !parts.missing.is_empty() {
        facts.push(("Missing", list(parts.missing.iter().map(|step| lost(step)))));
    }
    if let Some(review) = &parts.review {
        facts.push(("Findings", line(&findings::counts(review))));
        if let Some(steps) = findings::unreadable(review) {
            facts.push((
                "Unreadable",
                format!("{} replied in a form that could not be read", line(&steps)),
            ));
        }
    }
    let noted = parts.roster.iter().filter_map(|step| {
        let note = step.note.as_deref()?;
        Some(format!("{}: {}", id(step), short_text(note, 300)))
    });
    let noted = list(noted);
    if !noted.is_empty() {
        facts.push(("Notes", noted));
    }
    facts.push(("Citations", citations(run)));
    facts.append(&mut notes);
    facts
}

fn project(run: &ReportRun) -> String {
    let Some(project) = &run.project else {
        return "none, no files were read".to_owned();
    };
    let mut text = short_text(project, 200);
    if let Some(commit) = &run.commit {
        text.push_str(&format!(
            " at commit <code>{}</code>",
            escaped(&short(commit))
        ));
    }
    if let Some(digest) = &run.tree_digest {
        text.push_str(&format!(", files <code>{}</code>", escaped(&short(digest))));
    }
    text
}

fn id(step: &ReportStep) -> String {
    format!("<code>{}</code>", short_text(&step.step_id, 120))
}

/// A step that is missing, and why.
fn lost(step: &ReportStep) -> String {
    let why = step
        .error
        .as_deref()
        .map(|why| format!(": {}", short_text(why, 300)));
    let state = if step.status == "cancelled" {
        "was cancelled"
    } else {
        "failed"
    };
    format!(
        "{} ({}) {state}{}",
        id(step),
        short_text(&step.label, 120),
        why.unwrap_or_default()
    )
}

/// One value as it is, several as a list.
fn list(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect();
    match values.len() {
        0 | 1 => values.concat(),
        _ => format!("<ul><li>{}</li></ul>", values.join("</li><li>")),
    }
}

fn citations(run: &ReportRun) -> String {
    match (run.citations_total, run.citations_broken) {
        (0, 0) => "none checked".to_owned(),
        (total, 0) => format!("{} checked, none broken", number(total)),
        (total, broken) => format!(
            "{} checked, <a class=\"bad\" href=\"#citations\">{} broken</a>",
            number(total),
            number(broken)
        ),
    }
}
