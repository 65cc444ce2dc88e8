//! Merged findings and what became of them.

use std::fmt::Write as _;

use super::answer::fold;
use super::cite;
use super::items::{Items, badge};
use super::prose::prose;
use super::short_text;
use crate::findings::{Finding, Judged, Outcome, Review, Severity};
use crate::report::findings::{body, of, severity_source, words};
use crate::report::format::plural;

/// The findings, worst first; what is not confirmed apart, what was refuted folded away.
pub(super) fn findings(review: &Review, items: &mut Items) -> String {
    let mut out = String::new();
    let confirmed = of(review, Outcome::Confirmed).count();
    for severity in Severity::ALL {
        let found: Vec<&Judged> = of(review, Outcome::Confirmed)
            .filter(|it| it.severity() == *severity)
            .collect();
        let title = match severity {
            Severity::Critical => "Critical",
            Severity::Warning => "Warning",
            Severity::Suggestion => "Suggestion",
        };
        group(&mut out, title, "", &found, items);
    }
    if confirmed == 0 {
        let none = review.judged.is_empty() && review.raw.is_empty();
        let what = if none {
            "No findings."
        } else {
            "No finding was confirmed."
        };
        put!(out, "<p>{what}</p>");
    }
    let unproven: Vec<&Judged> = of(review, Outcome::Unproven).collect();
    let note = "Neither shown nor refuted: look at these before you act on them.";
    group(&mut out, "Unproven", note, &unproven, items);
    raw(&mut out, review);
    cut(&mut out, review, items);
    refuted(&mut out, review);
    out
}

fn group(out: &mut String, title: &str, note: &str, found: &[&Judged], items: &mut Items) {
    if found.is_empty() {
        return;
    }
    put!(
        out,
        "<div class=\"group\">\n<h3>{title} ({})</h3>",
        found.len()
    );
    if !note.is_empty() {
        put!(out, "<p>{note}</p>");
    }
    for judged in found {
        finding(out, &judged.finding, Some(judged), items);
    }
    out.push_str("</div>\n");
}

fn finding(out: &mut String, finding: &Finding, judged: Option<&Judged>, items: &mut Items) {
    let outcome = judged.map(|judged| judged.outcome);
    let severity = judged.map_or(finding.severity, Judged::severity);
    let step = finding.id.rsplit_once('/').map_or("", |(step, _)| step);
    let class = format!("item finding {severity}");
    out.push_str(&items.article(step, &finding.id, Some(severity), outcome, &class));
    put!(
        out,
        "<h4><span class=\"severity {severity}\">{severity}</span> <code class=\"id\">{}</code> {}{}</h4>",
        short_text(&finding.id, 120),
        short_text(&finding.claim, 300),
        outcome.map(badge).unwrap_or_default()
    );
    let source = judged.map(severity_source).unwrap_or_default();
    if !source.is_empty() {
        put!(out, "<p class=\"aside\">Severity: {severity}{source}.</p>");
    } else if !finding.rated {
        out.push_str("<p class=\"aside\">The reviewer did not say how bad it is.</p>\n");
    }
    prose(out, body(finding), 5);
    for broken in &finding.broken {
        out.push_str("<p class=\"aside\">");
        wrong(out, &broken.cited, broken.why.as_deref());
        out.push_str("</p>\n");
    }
    for other in &finding.joined {
        let mut text = String::new();
        prose(&mut text, body(other), 5);
        let title = format!(
            "Found as well by <code>{}</code>: {}",
            short_text(&other.id, 120),
            short_text(&other.claim, 300)
        );
        fold(out, &title, &text, false);
    }
    if let Some(judged) = judged {
        because(out, judged, 5);
    }
    out.push_str("</article>\n");
}

/// The verifier's words.
fn because(out: &mut String, judged: &Judged, top: usize) {
    let by = match &judged.by {
        Some(by) => format!("<code>{}</code>", short_text(by, 120)),
        None => "Verification".to_owned(),
    };
    put!(
        out,
        "<div class=\"because\">\n<p>{by}: <strong>{}</strong></p>",
        judged.outcome
    );
    prose(out, words(judged), top);
    out.push_str("</div>\n");
}

/// A citation that does not hold, and why.
pub(super) fn wrong(out: &mut String, cited: &str, why: Option<&str>) {
    let cited = format!("{cited}{}", crate::report::citations::MARK);
    cite::code(out, &cited);
    if let Some(why) = why {
        put!(out, ": {}", short_text(why, 300));
    }
}

fn raw(out: &mut String, review: &Review) {
    if review.raw.is_empty() {
        return;
    }
    out.push_str(
        "<h3>Could not be read as findings</h3>\n<p>What follows was written where findings belong and is in \
         no form that could be read. It is neither a clean review nor counted above.</p>\n",
    );
    for raw in &review.raw {
        let mut text = String::new();
        prose(&mut text, &raw.text, 5);
        let by = raw
            .by
            .as_deref()
            .map(|by| format!(", given to <code>{}</code>", short_text(by, 120)));
        let title = format!(
            "<h4>{} <span class=\"whom\"><code>{}</code>{}</span></h4>",
            short_text(&raw.label, 120),
            short_text(&raw.step, 120),
            by.unwrap_or_default()
        );
        fold(out, &title, &text, true);
    }
}

fn cut(out: &mut String, review: &Review, items: &mut Items) {
    let cut = &review.merged.cut;
    if cut.is_empty() {
        return;
    }
    put!(
        out,
        "<div class=\"group\">\n<h3>Over the cap ({})</h3>\n<p>At most {} of one reviewer go to a verifier. These \
         were not judged.</p>",
        cut.len(),
        plural(review.merged.cap, "finding")
    );
    for one in cut {
        finding(out, one, None, items);
    }
    out.push_str("</div>\n");
}

/// Not among the findings, but whoever doubts a verifier can look.
fn refuted(out: &mut String, review: &Review) {
    let refuted: Vec<&Judged> = of(review, Outcome::Refuted).collect();
    if refuted.is_empty() {
        return;
    }
    let mut text = String::from(
        "<p>Not among the findings, because a verifier showed them to be false.</p>\n<ul class=\"refuted\">\n",
    );
    for judged in &refuted {
        put!(
            text,
            "<li><p><code class=\"id\">{}</code> {}</p>",
            short_text(&judged.finding.id, 120),
            short_text(&judged.finding.claim, 300)
        );
        because(&mut text, judged, 4);
        text.push_str("</li>\n");
    }
    text.push_str("</ul>\n");
    let title = format!("<h3>Refuted ({})</h3>", refuted.len());
    fold(out, &title, &text, false);
}

/// Advice on what nobody needs, which is never a finding.
pub(super) fn advice(review: &Review) -> String {
    let mut out = String::new();
    for advice in &review.merged.yagni {
        put!(
            out,
            "<h3>{} <span class=\"whom\"><code>{}</code></span></h3>",
            short_text(&advice.label, 120),
            short_text(&advice.step, 120)
        );
        prose(&mut out, &advice.text, 4);
    }
    out
}
