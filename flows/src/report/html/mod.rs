//! The report as one HTML page that needs nothing else: no network, and no script to be read.
//!
//! Nothing of a run reaches the page but as text: what people and models named is escaped, and the
//! Markdown of models comes out as elements of a short list. Anchors are names and numbers of ours,
//! and the page forbids every script and style but its own.

mod answer;
mod cite;
mod head;
mod item;
mod items;
mod prose;
mod review;
mod tail;
mod validation;

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::data::ReportData;
use super::parts::{Parts, parts};
use crate::escape::escaped;
use crate::graph;
use crate::text::one_line;
use items::Items;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Renders the report of a run in any status as a page of its own.
///
/// Works in time linear in the outputs' length and never panics on what models wrote.
pub fn html(data: &ReportData) -> String {
    let parts = parts(data);
    let mut items = Items::default();
    for one in &parts.validations {
        item::outcomes(&one.judgement.rest, &mut items.outcomes);
    }
    let sections = sections(data, &parts, &mut items);
    let size: usize = sections.iter().map(|section| section.body.len()).sum();
    let mut out = String::with_capacity(size + 32 * 1024);
    top(&mut out, data);
    head::header(&mut out, &data.run, &parts);
    out.push_str("<nav class=\"contents\" aria-label=\"Contents\">\n<ul>\n");
    for section in &sections {
        let (id, name) = (section.id, section.short);
        put!(out, "<li><a href=\"#{id}\">{name}</a></li>");
    }
    out.push_str(
        "</ul>\n<button type=\"button\" id=\"fold\" hidden>Fold all</button>\n</nav>\n<main>\n",
    );
    let form = items.form();
    // Above the first section that holds items, so that it stands before what it changes.
    let first = sections.iter().position(|section| section.filtered);
    for (number, section) in sections.iter().enumerate() {
        let Section { id, title, .. } = section;
        put!(
            out,
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>"
        );
        if first == Some(number) {
            out.push_str(&form);
        }
        out.push_str(&section.body);
        out.push_str("</section>\n");
    }
    put!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>");
    out
}

/// A part of the page under a heading of level two.
struct Section {
    /// Its anchor.
    id: &'static str,
    title: &'static str,
    /// Its title in the list of contents.
    short: &'static str,
    body: String,
    /// Whether items in it are filtered.
    filtered: bool,
}

impl Section {
    fn new(id: &'static str, title: &'static str, body: String) -> Self {
        Self {
            id,
            title,
            short: title,
            body,
            filtered: false,
        }
    }

    fn filtered(mut self) -> Self {
        self.filtered = true;
        self
    }

    fn short(mut self, short: &'static str) -> Self {
        self.short = short;
        self
    }
}

fn sections(data: &ReportData, parts: &Parts, items: &mut Items) -> Vec<Section> {
    let (run, complete) = (&data.run, parts.complete);
    let mut all = vec![Section::new(
        "validation",
        "Validation",
        validation::validation(run, parts),
    )];
    if let Some(found) = &parts.review {
        let title = if complete {
            "Findings"
        } else {
            "Findings so far, not an answer"
        };
        let body = review::findings(found, items);
        all.push(
            Section::new("findings", title, body)
                .short("Findings")
                .filtered(),
        );
        if !found.merged.yagni.is_empty() {
            let body = review::advice(found);
            all.push(Section::new("advice", "YAGNI notes (advisory)", body).short("YAGNI notes"));
        }
    }
    if parts.review.is_none() || !parts.answer.is_empty() {
        let title = if complete {
            "Answer"
        } else {
            "Produced before the end, not an answer"
        };
        let short = if complete { "Answer" } else { "Produced" };
        let body = answer::answer(parts, items);
        all.push(Section::new("answer", title, body).short(short).filtered());
    }
    if !parts.deferred.is_empty() {
        let body = answer::deferred(parts);
        all.push(Section::new("deferred", "Deferred (YAGNI)", body).short("Deferred"));
    }
    all.push(Section::new("steps", "Steps", tail::steps(data, parts)));
    if !parts.elsewhere.is_empty() {
        let body = answer::elsewhere(parts, items);
        all.push(Section::new("outputs", "Outputs behind the report", body).short("Outputs"));
    }
    all.push(Section::new(
        "citations",
        "Citations",
        tail::citations(run, parts),
    ));
    all.push(Section::new("next", "Next", tail::next(run, parts)));
    all
}

/// Everything before the header: what the page is allowed, its title and style.
fn top(out: &mut String, data: &ReportData) {
    let style = format!("{STYLE}{}", graph::STYLE);
    put!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; \
         script-src 'sha256-{}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <title>{}: run {}</title>\n<style>{style}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#validation\">Skip to the validation</a>",
        digest(&style),
        digest(SCRIPT),
        escaped(&one_line(&data.run.flow_name, 80)),
        data.run.run_id,
    );
}

/// SHA-256 in base 64, as a content security policy has it.
fn digest(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = Sha256::digest(text.as_bytes());
    let mut out = String::with_capacity(44);
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .fold(0, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            if place <= three.len() {
                let letter = bits >> (18 - 6 * place) & 63;
                out.push(char::from(LETTERS[letter as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// A line of the Markdown report, without a paragraph around it.
fn line(markdown: &str) -> String {
    let mut out = String::new();
    prose::prose(&mut out, markdown, 6);
    let out = out.trim();
    let inner = out
        .strip_prefix("<p>")
        .and_then(|it| it.strip_suffix("</p>"));
    inner.unwrap_or(out).to_owned()
}

/// A text of one line as character data.
fn short_text(text: &str, max: usize) -> String {
    escaped(&one_line(text, max))
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn digests_are_those_of_a_policy() {
        // The published digests of nothing and of `abc`.
        assert_eq!(digest(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        assert_eq!(
            digest("abc"),
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
    }
}
