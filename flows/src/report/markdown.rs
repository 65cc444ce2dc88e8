//! The report as Markdown.

use std::fmt::Write as _;

use super::data::{ReportData, ReportRun, ReportStep};
use super::findings::{findings, verification};
use super::format::{cell, code, duration, inline, number};
use super::header::{header, lost};
use super::nest::nest;
use super::parts::{Parts, Section, Validation, literal, parts};
use crate::catalog::builtin_flow;
use crate::findings::Review;
use crate::markup::quotable;
use crate::name::Band;
use crate::plan::{Kind, Role};
use crate::text::one_line;

/// Renders the report of a run in any status. Works in time linear in the outputs' length and never
/// panics on what models wrote.
pub fn markdown(data: &ReportData) -> String {
    let parts = parts(data);
    let size: usize = parts.answer.iter().map(|section| section.text.len()).sum();
    let mut out = String::with_capacity(size + size / 16 + 8192);
    header(&mut out, &data.run, &parts);
    validation(&mut out, &data.run, &parts);
    answer(&mut out, &data.run, &parts);
    deferred(&mut out, &parts);
    roster(&mut out, &data.run, &parts);
    next(&mut out, &data.run, &parts);
    out
}

fn validation(out: &mut String, run: &ReportRun, parts: &Parts) {
    put!(out, "\n## Validation\n");
    challenge(out, run, parts);
    for one in &parts.validations {
        judgement(out, one, parts.validations.len() > 1);
    }
    trim_end(out);
}

/// What has not been challenged, and how merged findings were verified.
pub(super) fn challenge(out: &mut String, run: &ReportRun, parts: &Parts) {
    let validators = parts
        .roster
        .iter()
        .filter(|step| step.role == Role::Validator);
    let silent: Vec<&ReportStep> = validators
        .copied()
        .filter(|step| step.said().is_none())
        .collect();
    for step in &silent {
        let state = match step.status.as_str() {
            "pending" | "running" => "has not ended yet".to_owned(),
            "failed" | "cancelled" => lost(step),
            _ => "said nothing".to_owned(),
        };
        put!(
            out,
            "The validator {state}. What follows has not been challenged.\n"
        );
    }
    if let Some(review) = &parts.review {
        verification(out, review, parts);
    } else if silent.is_empty() && parts.validations.is_empty() {
        let has = |role: Role| run.plan.steps.iter().any(|step| step.role == role);
        let why = if has(Role::MergeFindings) {
            "No findings were merged and none verified"
        } else if has(Role::Validator) {
            "No validator ran"
        } else {
            "This flow has no validator"
        };
        put!(out, "{why}: what follows has not been challenged.\n");
    }
}

fn judgement(out: &mut String, one: &Validation, several: bool) {
    if several {
        put!(
            out,
            "### {} ({})\n",
            inline(&one.step.label, 120),
            code(&one.step.step_id)
        );
    }
    if !one.step.completed() {
        put!(
            out,
            "**Incomplete**: this validator {}.\n",
            inline(&one.step.status, 20)
        );
    }
    let judgement = &one.judgement;
    match (judgement.confidence, &judgement.because) {
        (Some(level), Some(because)) => {
            put!(out, "**Confidence: {level}** ({})\n", inline(because, 4000))
        }
        (Some(level), None) => put!(out, "**Confidence: {level}**\n"),
        (None, _) => put!(out, "**Confidence: not stated**\n"),
    }
    let level = if several { "####" } else { "###" };
    if let Some(verdict) = &judgement.verdict {
        put!(out, "{level} Verdict\n");
        block(out, verdict, level.len() + 1);
    }
    if let Some(open) = &judgement.open {
        put!(out, "{level} Remains open\n");
        block(out, open, level.len() + 1);
    }
    if !judgement.rest.trim().is_empty() {
        put!(out, "{level} What was attacked\n");
        block(out, &judgement.rest, level.len() + 1);
    }
}

/// Output of a model with its headings at `top` and below, and a blank line behind it.
pub(super) fn block(out: &mut String, text: &str, top: usize) {
    out.push_str(nest(text.trim_matches('\n').trim_end(), top).trim_end());
    out.push_str("\n\n");
}

fn answer(out: &mut String, run: &ReportRun, parts: &Parts) {
    let title = if parts.complete {
        "Answer"
    } else {
        "Produced before the end, not an answer"
    };
    if let Some(review) = &parts.review {
        let title = if parts.complete {
            "Findings"
        } else {
            "Findings so far, not an answer"
        };
        put!(out, "\n## {title}\n");
        findings(out, review, run.run_id);
        yagni(out, review);
        if parts.answer.is_empty() {
            return;
        }
    }
    put!(out, "\n## {title}\n");
    if parts.answer.is_empty() {
        put!(out, "No step has put anything out.\n");
    }
    let alone = parts.answer.len() == 1 && parts.answer[0].step.role == Role::Synthesizer;
    for section in &parts.answer {
        let incomplete = match section.step.completed() {
            true => String::new(),
            false => format!(", incomplete: {}", inline(&section.step.status, 20)),
        };
        if alone {
            block(out, &section.text, 3);
            continue;
        }
        put!(out, "### {}\n", title_of(section.step, &incomplete));
        block(out, &section.text, 4);
    }
    trim_end(out);
}

/// Advice on what nobody needs, which is never a finding.
fn yagni(out: &mut String, review: &Review) {
    if review.merged.yagni.is_empty() {
        return;
    }
    put!(out, "\n## YAGNI notes (advisory)\n");
    for advice in &review.merged.yagni {
        put!(
            out,
            "### {} ({})\n",
            inline(&advice.label, 120),
            code(&advice.step)
        );
        block(out, &advice.text, 4);
    }
    trim_end(out);
}

/// `Structure (`structure`, structural-analyst)`.
fn title_of(step: &ReportStep, suffix: &str) -> String {
    let persona = step
        .persona
        .as_deref()
        .map(|persona| format!(", {}", inline(persona, 80)));
    let label = inline(&step.label, 120);
    format!(
        "{label} ({}{}{suffix})",
        code(&step.step_id),
        persona.unwrap_or_default()
    )
}

fn deferred(out: &mut String, parts: &Parts) {
    if parts.deferred.is_empty() {
        return;
    }
    put!(out, "\n## Deferred (YAGNI)\n");
    let first = &parts.deferred[0].step.step_id;
    let several = parts
        .deferred
        .iter()
        .any(|section| section.step.step_id != *first);
    for Section { step, text } in &parts.deferred {
        if several {
            put!(out, "### {}\n", title_of(step, ""));
        }
        block(out, text, if several { 4 } else { 3 });
    }
    trim_end(out);
}

fn roster(out: &mut String, run: &ReportRun, parts: &Parts) {
    put!(out, "\n## Roster\n");
    put!(
        out,
        "| Step | What | Persona | Status | Attempts | Time | Tokens |"
    );
    put!(out, "|---|---|---|---|---:|---:|---:|");
    for step in &parts.roster {
        let persona = step.persona.as_deref().map_or("code".to_owned(), cell);
        let agent = step.kind == Kind::Agent;
        let attempts = if agent {
            step.attempts.to_string()
        } else {
            String::new()
        };
        let tokens = if agent {
            number(step.tokens)
        } else {
            String::new()
        };
        let remark = step.error.as_deref().or(step.note.as_deref());
        let status = match remark.map(|remark| one_line(remark, 80)) {
            Some(error) if !error.is_empty() => cell(&format!("{}: {error}", step.status)),
            _ => cell(&step.status),
        };
        let (id, label) = (cell(&step.step_id), cell(&step.label));
        let time = duration(step.seconds);
        put!(
            out,
            "| {id} | {label} | {persona} | {status} | {attempts} | {time} | {tokens} |"
        );
    }
    if !parts.elsewhere.is_empty() {
        put!(out, "\nFull outputs that are not shown above:\n\n```sql");
        for step in &parts.elsewhere {
            put!(
                out,
                "SELECT flow_step_output({}, {});",
                run.run_id,
                literal(&step.step_id)
            );
        }
        put!(out, "```");
    }
}

fn next(out: &mut String, run: &ReportRun, parts: &Parts) {
    put!(out, "\n## Next\n");
    let (text, call) = follow(run, parts);
    let (call, fence) = quotable(&call);
    put!(out, "{text}\n\n{fence}sql\n{call}\n{fence}");
}

/// What would sensibly follow, in words and as a call.
pub(super) fn follow(run: &ReportRun, parts: &Parts) -> (String, String) {
    match (&parts.next, run.status.as_str()) {
        (Some(next), _) => (
            format!(
                "{} would sensibly follow, with this report as a provided document:",
                code(&next.flow)
            ),
            next.call.clone(),
        ),
        (None, "running") => (
            "To follow the run:".to_owned(),
            format!("SELECT * FROM flow_status({});", run.run_id),
        ),
        (None, "completed") => match larger(run) {
            Some(band) => (
                format!("At band {band} more agents look at the same question:"),
                again(run, band.as_str()),
            ),
            None => (
                "The other flows:".to_owned(),
                "SELECT * FROM flow_catalog();".to_owned(),
            ),
        },
        (None, _) => (
            "To run again what is not completed, keeping what is:".to_owned(),
            format!("SELECT flow_retry({});", run.run_id),
        ),
    }
}

/// The next band at which a flow of the library has more agents.
fn larger(run: &ReportRun) -> Option<Band> {
    let flow = builtin_flow(&run.flow_name)?;
    let band: Band = run.band.parse().ok()?;
    Band::ALL
        .iter()
        .copied()
        .find(|other| flow.agents(*other) > flow.agents(band))
}

/// The call that launches the same again.
fn again(run: &ReportRun, band: &str) -> String {
    let (flow, question) = (literal(&run.flow_name), literal(&run.question));
    let mut call = format!("SELECT flow_launch({flow}, {question}");
    if let Some(project) = &run.project {
        call.push_str(&format!(", project => {}", literal(project)));
    }
    call.push_str(&format!(", band => {}", literal(band)));
    if run.fast {
        call.push_str(", fast => true");
    }
    call.push_str(");");
    call
}

/// Leaves exactly one line end.
pub(super) fn trim_end(out: &mut String) {
    out.truncate(out.trim_end().len());
    out.push('\n');
}
