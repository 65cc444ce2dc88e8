//! What a report begins with.

use std::fmt::Write as _;

use super::data::{ReportRun, ReportStep};
use super::findings::{counts as counts_of, unreadable};
use super::format::{code, duration, inline, moment, number, plural};
use super::parts::Parts;
use crate::plan::{Kind, Role};

/// Title, notice, question and facts.
pub(super) fn header(out: &mut String, run: &ReportRun, parts: &Parts) {
    put!(
        out,
        "# {}: run {}\n",
        inline(&run.flow_name, 80),
        run.run_id
    );
    if let Some(notice) = notice(run) {
        put!(out, "**{notice}**\n");
        put!(
            out,
            "This report is partial: nothing in it is a validated answer.\n"
        );
    }
    for line in run.question.trim().lines() {
        put!(out, "{}", format!("> {}", line.trim_end()).trim_end());
    }
    put!(out, "");
    let fast = if run.fast { ", fast" } else { "" };
    put!(
        out,
        "- **Flow**: {}, band {}{fast}",
        inline(&run.flow_name, 80),
        inline(&run.band, 20)
    );
    put!(out, "- **Model**: {}", inline(&run.model, 200));
    put!(out, "- **Project**: {}", project(run));
    let (changes, notes): (Vec<&String>, Vec<&String>) = run
        .snapshot_notes
        .iter()
        .partition(|note| note.starts_with(CHANGES));
    for changes in changes {
        let changes = changes[CHANGES.len()..].trim_start();
        put!(
            out,
            "- **Changes**: {}{}",
            inline(changes, 500),
            reviewed(run, changes)
        );
    }
    if let Some(provided) = provided(run) {
        put!(out, "- **Provided**: {provided}");
    }
    if let (Some(from), Some(at)) = (run.forked_from, run.forked_at.as_deref()) {
        put!(
            out,
            "- **Forked**: from run {from} at {}; steps before it are those of that run, and cite what it read",
            code(at)
        );
    }
    let by = inline(&run.launched_by, 100);
    put!(out, "- **Launched**: {} by {by}", moment(&run.created_at));
    if let Some(ended) = &run.ended_at {
        let took = duration(run.wall_seconds);
        let took = if took.is_empty() {
            took
        } else {
            format!(", after {took}")
        };
        put!(out, "- **Ended**: {}{took}", moment(ended));
    }
    let (read, written) = (number(run.input_tokens), number(run.output_tokens));
    put!(out, "- **Tokens**: {read} read, {written} written");
    put!(out, "- **Steps**: {}", counts(parts));
    if !parts.missing.is_empty() {
        let missing: Vec<String> = parts.missing.iter().map(|step| lost(step)).collect();
        put!(out, "- **Missing**: {}", missing.join("; "));
    }
    if let Some(review) = &parts.review {
        put!(out, "- **Findings**: {}", counts_of(review));
        if let Some(steps) = unreadable(review) {
            put!(
                out,
                "- **Unreadable**: {steps} replied in a form that could not be read; see below"
            );
        }
    }
    for step in &parts.roster {
        if let Some(note) = step.note.as_deref() {
            put!(
                out,
                "- **Note** on {}: {}",
                code(&step.step_id),
                inline(note, 300)
            );
        }
    }
    citations(out, run, parts);
    for note in notes {
        put!(out, "- **Snapshot**: {}", inline(note, 500));
    }
}

/// What a worker's note on what there is to review begins with.
pub(super) const CHANGES: &str = "changes:";

/// Which of the two a review of findings was about; its reviewers are told the same.
pub(super) fn reviewed(run: &ReportRun, changes: &str) -> &'static str {
    let mut steps = run.plan.steps.iter();
    let merges = steps.any(|step| step.role == Role::MergeFindings);
    if !merges || changes.starts_with("git could not") {
        ""
    } else if changes.starts_with("none") || changes.starts_with("unknown") {
        "; the whole tree was reviewed"
    } else {
        "; the change was reviewed"
    }
}

/// `spec.md (12,345 bytes)`, or that there should be one.
pub(super) fn provided(run: &ReportRun) -> Option<String> {
    if run.documents.is_empty() {
        return run
            .plan
            .needs_document
            .then(|| "nothing, although this flow works on a document".to_owned());
    }
    let names = run.documents.iter();
    let names: Vec<String> = names
        .map(|it| format!("{} ({} bytes)", code(&it.name), number(it.bytes)))
        .collect();
    Some(names.join(", "))
}

/// What has to be said before anything else of a run that did not complete.
pub(super) fn notice(run: &ReportRun) -> Option<String> {
    let state = match run.status.as_str() {
        "completed" => return None,
        "running" => "has not ended yet",
        "failed" => "failed",
        "cancelled" => "was cancelled",
        _ => "did not complete",
    };
    let why = run.error.as_deref().map(|error| inline(error, 500));
    Some(match why {
        Some(why) if !why.is_empty() => format!("This run {state}: {why}"),
        _ => format!("This run {state}."),
    })
}

fn project(run: &ReportRun) -> String {
    let Some(project) = &run.project else {
        return "none, no files were read".to_owned();
    };
    let mut text = inline(project, 200);
    if let Some(commit) = &run.commit {
        text.push_str(&format!(" at commit {}", code(&short(commit))));
    }
    if let Some(digest) = &run.tree_digest {
        text.push_str(&format!(", files {}", code(&short(digest))));
    }
    text
}

pub(super) fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

pub(super) fn counts(parts: &Parts) -> String {
    let agents = parts.roster.iter().filter(|step| step.kind == Kind::Agent);
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for step in agents {
        match counts.iter_mut().find(|(status, _)| *status == step.status) {
            Some((_, count)) => *count += 1,
            None => counts.push((&step.status, 1)),
        }
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(status, count)| format!("{} {status}", plural(*count, "agent")))
        .collect();
    if counts.is_empty() {
        "no agents".to_owned()
    } else {
        counts.join(", ")
    }
}

/// `structure` (Structure) failed: why.
pub(super) fn lost(step: &ReportStep) -> String {
    let why = step.error.as_deref().map(|error| inline(error, 300));
    let why = why
        .filter(|why| !why.is_empty())
        .map(|why| format!(": {why}"));
    let state = if step.status == "cancelled" {
        "was cancelled"
    } else {
        "failed"
    };
    let label = inline(&step.label, 120);
    format!(
        "{} ({label}) {state}{}",
        code(&step.step_id),
        why.unwrap_or_default()
    )
}

fn citations(out: &mut String, run: &ReportRun, parts: &Parts) {
    match (run.citations_total, run.citations_broken) {
        (0, 0) => put!(out, "- **Citations**: none checked"),
        (total, 0) => put!(
            out,
            "- **Citations**: {} checked, none broken",
            number(total)
        ),
        (total, broken) => {
            put!(
                out,
                "- **Citations**: {} checked, **{} broken**",
                number(total),
                number(broken)
            );
        }
    }
    const MOST: usize = 20;
    for (step, broken) in parts.broken.iter().take(MOST) {
        let why = broken
            .why
            .as_deref()
            .map(|why| format!(", {}", inline(why, 200)));
        let why = why.unwrap_or_default();
        put!(
            out,
            "    - {} in {}{why}",
            code(&broken.cited),
            code(&step.step_id)
        );
    }
    if parts.broken.len() > MOST {
        put!(
            out,
            "    - and {} more, marked where they stand",
            parts.broken.len() - MOST
        );
    }
}
