//! What can be filtered: the findings of a page, and the form that filters them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::item::item;
use crate::escape::escaped;
use crate::findings::{Outcome, Severity};
use crate::graph::State;

/// The items of a page, counted as they are written.
#[derive(Default)]
pub(super) struct Items {
    count: usize,
    /// What validators said of items, by id.
    pub outcomes: BTreeMap<String, Outcome>,
    severities: BTreeMap<Severity, usize>,
    /// `None` of those that nobody judged.
    judged: BTreeMap<Option<Outcome>, usize>,
    /// By step, in the order in which they came.
    steps: Vec<(String, usize)>,
}

/// How an item of an output begins.
pub(super) struct Opened {
    /// The start tag.
    pub article: String,
    /// What stands behind the title.
    pub badge: String,
}

impl Items {
    /// Begins an item if the title of a heading begins with an id.
    pub fn open(&mut self, step: &str, title: &str) -> Option<Opened> {
        let found = item(title)?;
        let outcome = self.outcomes.get(found.id).copied();
        let badge = outcome.map(badge).unwrap_or_default();
        let article = self.article(step, found.id, found.severity, outcome, "item");
        Some(Opened { article, badge })
    }

    /// The start tag of an item. Its anchor is a number of ours.
    pub fn article(
        &mut self,
        step: &str,
        id: &str,
        severity: Option<Severity>,
        outcome: Option<Outcome>,
        class: &str,
    ) -> String {
        self.count += 1;
        match self.steps.iter_mut().find(|(known, _)| known == step) {
            Some((_, count)) => *count += 1,
            None => self.steps.push((step.to_owned(), 1)),
        }
        *self.judged.entry(outcome).or_default() += 1;
        let mut tag = format!(
            "<article class=\"{class}\" id=\"item-{}\" data-step=\"{}\" data-id=\"{}\" data-outcome=\"{}\"",
            self.count,
            escaped(step),
            escaped(id),
            outcome.map_or("none", Outcome::as_str),
        );
        if let Some(severity) = severity {
            *self.severities.entry(severity).or_default() += 1;
        }
        let severity = severity.map_or("none", Severity::as_str);
        tag.push_str(&format!(" data-severity=\"{severity}\">\n"));
        tag
    }

    /// The form that filters the items, hidden until the script shows it. Empty without items.
    pub fn form(&self) -> String {
        let mut out = String::new();
        if self.count == 0 {
            return out;
        }
        out.push_str("<form id=\"filters\" class=\"filters\" role=\"search\" aria-label=\"Filter findings\" hidden>\n");
        if !self.severities.is_empty() {
            let rated: usize = self.severities.values().sum();
            let mut boxes: Vec<(&str, usize)> = self
                .severities
                .iter()
                .map(|(severity, count)| (severity.as_str(), *count))
                .collect();
            if rated < self.count {
                boxes.push(("none", self.count - rated));
            }
            choice(&mut out, "severity", "Severity", "not rated", &boxes);
        }
        if self.judged.keys().any(Option::is_some) {
            let mut boxes: Vec<(&str, usize)> = self
                .judged
                .iter()
                .map(|(outcome, count)| (outcome.map_or("none", Outcome::as_str), *count))
                .collect();
            boxes.sort_by_key(|(name, _)| *name == "none");
            choice(&mut out, "outcome", "Outcome", "not judged", &boxes);
        }
        out.push_str("<div class=\"row\">\n");
        if self.steps.len() > 1 {
            out.push_str("<label>Step <select name=\"step\"><option value=\"\">all</option>");
            for (step, count) in &self.steps {
                let step = escaped(step);
                out.push_str(&format!(
                    "<option value=\"{step}\">{step} ({count})</option>"
                ));
            }
            out.push_str("</select></label>\n");
        }
        out.push_str(
            "<label class=\"grow\">Text <input type=\"search\" name=\"text\" autocomplete=\"off\" \
             placeholder=\"word, path or id\"></label>\n<button type=\"reset\">Show all</button>\n</div>\n",
        );
        put!(
            out,
            "<p class=\"count\" role=\"status\">{0} of {0} findings</p>\n</form>",
            self.count
        );
        out
    }
}

/// A group of boxes to tick.
fn choice(out: &mut String, name: &str, legend: &str, none: &str, boxes: &[(&str, usize)]) {
    put!(out, "<fieldset><legend>{legend}</legend>");
    for (value, count) in boxes {
        let label = if *value == "none" { none } else { value };
        put!(
            out,
            "<label><input type=\"checkbox\" name=\"{name}\" value=\"{value}\" checked> {label} \
             <span class=\"n\">{count}</span></label>"
        );
    }
    out.push_str("</fieldset>\n");
}

/// The outcome of an item, as word and mark.
pub(super) fn badge(outcome: Outcome) -> String {
    let mark = match outcome {
        Outcome::Confirmed => State::Completed.mark(),
        Outcome::Unproven => "?",
        Outcome::Refuted => State::Failed.mark(),
    };
    format!(
        " <span class=\"badge {outcome}\"><span aria-hidden=\"true\">{mark} </span>{outcome}</span>"
    )
}
