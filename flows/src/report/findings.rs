//! A review as Markdown: what was confirmed, what is unproven, what could not be read.

use std::fmt::Write as _;

use super::extract::confidence;
use super::format::{cell, code, inline, plural};
use super::markdown::{block, trim_end};
use super::parts::{Parts, Validation};
use crate::findings::{Finding, Judged, Outcome, Review, Severity};
use crate::name::child_number;

/// `14 raised: 9 confirmed, 2 unproven, 3 refuted` and what else became of them.
pub(super) fn counts(review: &Review) -> String {
    let joined: usize = review.judged.iter().map(|it| it.finding.joined.len()).sum();
    let cut = review.merged.cut.len();
    let cut_joined: usize = review.merged.cut.iter().map(|it| it.joined.len()).sum();
    let raised = review.judged.len() + joined + cut + cut_joined;
    let mut text = format!("{raised} raised");
    for outcome in Outcome::ALL {
        let count = of(review, *outcome).count();
        write!(text, ", {count} {outcome}").expect("a string takes everything");
    }
    if joined + cut_joined > 0 {
        write!(text, ", {} joined with another", joined + cut_joined)
            .expect("a string takes everything");
    }
    if cut > 0 {
        write!(text, ", **{cut} over the cap and not verified**")
            .expect("a string takes everything");
    }
    text
}

/// The reviewers whose replies could not be read, in part or at all.
pub(super) fn unreadable(review: &Review) -> Option<String> {
    let mut steps: Vec<String> = review.raw.iter().map(|raw| code(&raw.step)).collect();
    steps.dedup();
    (!steps.is_empty()).then(|| steps.join(", "))
}

pub(super) fn of(review: &Review, outcome: Outcome) -> impl Iterator<Item = &Judged> {
    review.judged.iter().filter(move |it| it.outcome == outcome)
}

/// What stands above the findings: how they were verified.
pub(super) fn verification(out: &mut String, review: &Review, parts: &Parts) {
    let none = review.judged.is_empty() && review.raw.is_empty();
    if none && review.merged.cut.is_empty() {
        let clean: Vec<String> = review
            .merged
            .clean
            .iter()
            .map(|it| code(&it.step))
            .collect();
        if clean.is_empty() {
            put!(out, "Nothing was raised, so there was nothing to verify.\n");
        } else {
            put!(
                out,
                "No findings: {} looked and found nothing. There was nothing to verify, so no verifier ran.\n",
                clean.join(", ")
            );
        }
    } else if !review.verified {
        put!(
            out,
            "**No verifier has judged these findings**: all of them are unproven.\n"
        );
    } else {
        put!(
            out,
            "The findings were given to verifiers whose task was to refute them: {}.\n",
            counts(review)
        );
    }
    for silent in &review.merged.missing {
        put!(
            out,
            "**Not reviewed**: {} ({}) {}.\n",
            code(&silent.step),
            inline(&silent.label, 120),
            inline(&silent.why, 300)
        );
    }
    if !parts.verifiers.is_empty() {
        put!(out, "| Verifier | Judged | Status | Confidence |");
        put!(out, "|---|---|---|---|");
        for one in &parts.verifiers {
            let judged = child_number(&one.step.step_id)
                .and_then(|number| review.merged.groups.get(number.checked_sub(1)?));
            let judged = judged.map_or(String::new(), |group| {
                let unread = match group.raw.len() {
                    0 => String::new(),
                    _ => ", a reply that could not be read".to_owned(),
                };
                format!(
                    "{} of {}{unread}",
                    plural(group.findings.len(), "finding"),
                    code(&group.step)
                )
            });
            put!(
                out,
                "| {} | {judged} | {} | {} |",
                cell(&one.step.step_id),
                cell(&one.step.status),
                confidence_of(one)
            );
        }
        put!(out, "");
    }
    for one in parts.verifiers.iter().filter(|it| it.step.completed()) {
        if let Some(verdict) = &one.judgement.verdict {
            put!(
                out,
                "{}: {}\n",
                code(&one.step.step_id),
                inline(verdict, 1000)
            );
        }
    }
    let open: Vec<_> = parts
        .verifiers
        .iter()
        .filter(|it| it.step.completed())
        .filter_map(|one| one.judgement.open.as_deref().map(|open| (one, open)))
        .collect();
    if !open.is_empty() {
        put!(out, "### Remains open\n");
        for (one, open) in open {
            put!(out, "{}:\n", code(&one.step.step_id));
            block(out, open, 4);
        }
    }
}

/// What one that completed says of itself; the words of another are not its last.
fn confidence_of(one: &Validation) -> &'static str {
    match one.judgement.confidence {
        _ if !one.step.completed() => "",
        Some(confidence) => confidence,
        None => "not stated",
    }
}

/// The findings, worst first; unproven ones and what could not be read apart; refuted ones counted.
pub(super) fn findings(out: &mut String, review: &Review, run: i64) {
    let confirmed = |severity: Severity| {
        of(review, Outcome::Confirmed).filter(move |it| it.severity() == severity)
    };
    let mut any = false;
    for severity in Severity::ALL {
        let count = confirmed(*severity).count();
        if count > 0 {
            any = true;
            let name = match severity {
                Severity::Critical => "Critical",
                Severity::Warning => "Warning",
                Severity::Suggestion => "Suggestion",
            };
            put!(out, "### {name} ({count})\n");
            confirmed(*severity).for_each(|judged| finding(out, judged));
        }
    }
    if !any {
        let what = if review.judged.is_empty() && review.raw.is_empty() {
            "No findings."
        } else {
            "No finding was confirmed."
        };
        put!(out, "{what}\n");
    }
    let unproven = of(review, Outcome::Unproven).count();
    if unproven > 0 {
        put!(out, "### Unproven ({unproven})\n");
        put!(
            out,
            "Neither shown nor refuted: look at these before you act on them.\n"
        );
        of(review, Outcome::Unproven).for_each(|judged| finding(out, judged));
    }
    if !review.raw.is_empty() {
        put!(out, "### Could not be read as findings\n");
        put!(
            out,
            "What follows was written where findings belong and is in no form that could be read. It is \
             neither a clean review nor counted above.\n"
        );
        for raw in &review.raw {
            let by = raw.by.as_deref().map(|by| {
                format!(
                    "; its verifier: `SELECT flow_step_output({run}, '{}');`",
                    by.replace('\'', "''")
                )
            });
            put!(
                out,
                "{} ({}){}:\n",
                inline(&raw.label, 120),
                code(&raw.step),
                by.unwrap_or_default()
            );
            block(out, &raw.text, 4);
        }
    }
    if !review.merged.cut.is_empty() {
        put!(out, "### Over the cap ({})\n", review.merged.cut.len());
        put!(
            out,
            "At most {} of one reviewer go to a verifier. These were not judged:\n",
            plural(review.merged.cap, "finding")
        );
        for one in &review.merged.cut {
            put!(
                out,
                "- {} {}: {}",
                code(&one.id),
                one.severity,
                inline(&one.claim, 300)
            );
        }
        put!(out, "");
    }
    let refuted: Vec<String> = of(review, Outcome::Refuted)
        .flat_map(|it| std::iter::once(&it.finding).chain(&it.finding.joined))
        .map(|finding| code(&finding.id))
        .collect();
    if !refuted.is_empty() {
        put!(
            out,
            "### Refuted ({})\n",
            of(review, Outcome::Refuted).count()
        );
        put!(
            out,
            "Not listed, because a verifier showed them to be false: {}. Their words: `SELECT \
             flow_report({run}, 'json');`\n",
            refuted.join(", ")
        );
    }
    trim_end(out);
}

fn finding(out: &mut String, judged: &Judged) {
    let finding = &judged.finding;
    put!(
        out,
        "#### {} {}\n",
        code(&finding.id),
        inline(&finding.claim, 300)
    );
    let source = severity_source(judged);
    if judged.outcome == Outcome::Unproven || !source.is_empty() {
        put!(out, "Severity: {}{source}.\n", judged.severity());
    }
    block(out, body(finding), 5);
    for other in &finding.joined {
        put!(
            out,
            "Found as well by {}: {}\n",
            code(&other.id),
            inline(&other.claim, 300)
        );
    }
    let because = words(judged);
    let by = judged.by.as_deref().map_or("Verification".to_owned(), code);
    if because.is_empty() {
        put!(out, "{by}: **{}**.\n", judged.outcome);
    } else if judged.by.is_none() {
        put!(out, "**{}**: {}\n", judged.outcome, inline(because, 1000));
    } else {
        put!(out, "{by}: **{}**.\n", judged.outcome);
        block(out, because, 5);
    }
}

/// Who says how bad a finding is, where that is not its reviewer.
pub(super) fn severity_source(judged: &Judged) -> String {
    match (judged.severity, judged.finding.rated) {
        (Some(_), true) => format!(
            ", says the verifier; the reviewer said {}",
            judged.finding.severity
        ),
        (Some(_), false) => ", says the verifier".to_owned(),
        (None, false) => " (not said by the reviewer)".to_owned(),
        (None, true) => String::new(),
    }
}

/// A verifier's words on a finding, without the heading where that says only what stands above them,
/// and without the confidence that closes the whole reply.
pub(super) fn words(judged: &Judged) -> &str {
    let mut text = judged.because.trim();
    let first = text.lines().next().unwrap_or_default();
    let said = first.trim_end_matches(|c: char| c.is_whitespace() || "*_`.".contains(c));
    let known = first.starts_with('#')
        && first.contains(&judged.finding.id)
        && said.ends_with(judged.outcome.as_str());
    if known {
        text = text[first.len()..].trim_start();
    }
    match text.rsplit_once('\n') {
        Some((rest, last)) if confidence(last).is_some() => rest.trim_end(),
        None if confidence(text).is_some() => "",
        _ => text,
    }
}

/// The text of a finding without its heading, which stands above it already.
pub(super) fn body(finding: &Finding) -> &str {
    let text = finding.text.trim_start_matches('\n');
    match text.split_once('\n') {
        Some((first, rest)) if first.trim_start().starts_with('#') => rest,
        None if text.trim_start().starts_with('#') => "",
        _ => text,
    }
}
