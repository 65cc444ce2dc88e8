//! One reviewer's reply, read tolerantly: whatever form it has, nothing of its findings is lost.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::items::{Region, items};
use super::lines::{Row, rows};
use super::names::Names;
use super::pieces::{Found, Item, Piece};
use super::place::BrokenOnes;
use super::remarks::{self, is_harmless, is_trail};
use super::sections::{Section, sections};
use super::words::{nothing, plain};
use super::{Finding, Parsed, Severity, object};
use crate::qualify::qualify;
use crate::report::Citations;
use crate::text::{cut_at_char, strip_controls};

/// What findings are called where the persona has no letters for them.
const NO_PREFIX: &str = "F";

/// Reads the findings of one reviewer out of its reply.
///
/// Understood are the form that reviewers are asked for, and what models write instead: tables,
/// lists, JSON, bold headings, findings grouped by severity, a fence around it all. Findings without
/// an id, or with one that is taken, get the next free number of `prefix`. What stands where findings
/// should and cannot be read is `raw`, so a garbled reply is never clean and never empty. Control
/// characters but `\n` and `\t` are dropped. `citations` is what the check of the reply's citations
/// found. Linear in the reply's length; never panics.
pub fn parse(step_id: &str, prefix: &str, output: &str, citations: Option<&Value>) -> Parsed {
    let (names, named) = names(step_id, prefix);
    let output = strip_controls(output);
    let text = behind_thoughts(&output);
    if text.trim().is_empty() {
        return Parsed::default();
    }
    let read = read(text, &names);
    let quiet = read.none && read.is_quiet(&names);
    let broken = citations.map(Citations::read).unwrap_or_default();
    let mut parsed = Parsed {
        raw: read.unread(&names),
        yagni: read.yagni,
        ..Parsed::default()
    };
    let broken = BrokenOnes::new(&broken.broken);
    for item in numbered(joined(read.items), &names) {
        let text = match named {
            true => qualify(step_id, prefix, &item.text),
            false => item.text,
        };
        parsed.findings.push(Finding {
            id: format!("{step_id}/{}", item.id.unwrap_or_default()),
            severity: item.severity.unwrap_or(Severity::Warning),
            rated: item.severity.is_some(),
            place: item.place,
            claim: item.claim,
            broken: broken.of(&text),
            text,
            joined: Vec::new(),
        });
    }
    parsed.clean = read.none && parsed.findings.is_empty() && quiet;
    if parsed.clean {
        parsed.raw.clear();
    } else if parsed.findings.is_empty() {
        let rest = if read.rest.trim().is_empty() {
            text
        } else {
            &read.rest
        };
        parsed.raw = vec![rest.trim_matches('\n').trim_end().to_owned()];
    }
    parsed
}

/// How findings of a step are named, and whether its prefix can be one.
fn names<'a>(step: &'a str, prefix: &'a str) -> (Names<'a>, bool) {
    let named = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_alphabetic());
    let prefix = if named { prefix } else { NO_PREFIX };
    (Names { step, prefix }, named)
}

/// Whether a stretch of a step's reply that could not be read is only a remark, and no finding in
/// disguise.
pub(super) fn is_remark(step: &str, prefix: &str, text: &str) -> bool {
    remarks::is_remark(text, &names(step, prefix).0)
}

/// What a local model thinks aloud before its reply is no part of it.
fn behind_thoughts(output: &str) -> &str {
    const END: &str = "</think>";
    let thinks = output.trim_start().starts_with("<think>");
    match output.find(END) {
        Some(end) if thinks && !output[end + END.len()..].trim().is_empty() => {
            &output[end + END.len()..]
        }
        _ => output,
    }
}

#[derive(Default)]
struct Read {
    items: Vec<Item>,
    /// What could not be read, and whether it follows the words that there are no findings.
    raw: Vec<(String, bool)>,
    /// Whether it says that there are no findings.
    none: bool,
    /// What stands below headings of summaries and closing words.
    aside: Vec<String>,
    yagni: Option<String>,
    /// All but what is known to be no finding.
    rest: String,
}

impl Read {
    fn take(&mut self, found: Found) {
        self.none |= found.none;
        self.aside.extend(found.aside);
        for piece in found.pieces {
            let (text, trail) = match piece {
                Piece::Item(item) => {
                    self.items.push(item);
                    continue;
                }
                Piece::Raw(text) => (text, false),
                Piece::Trail(text) => (text, true),
            };
            if text.chars().any(char::is_alphanumeric) {
                self.raw.push((text.trim_matches('\n').to_owned(), trail));
            }
        }
    }

    /// What could not be read, without accounts of what was looked at.
    fn unread(&self, names: &Names) -> Vec<String> {
        let raw = self.raw.iter();
        raw.filter(|(text, trail)| !(*trail && is_trail(&[text], names)))
            .map(|it| it.0.clone())
            .collect()
    }

    /// Whether all that stands beside the words that there are no findings is no finding in disguise.
    fn is_quiet(&self, names: &Names) -> bool {
        let (trails, others): (Vec<_>, Vec<_>) = self.raw.iter().partition(|it| it.1);
        let trails: Vec<&str> = trails.iter().map(|it| it.0.as_str()).collect();
        others.iter().all(|it| remarks::is_remark(&it.0, names))
            && is_trail(&trails, names)
            && self.aside.iter().all(|text| is_harmless(text, names))
    }
}

fn read(text: &str, names: &Names) -> Read {
    let mut read = Read::default();
    let mut notes = Vec::new();
    if let Some(found) = object::findings(text, names) {
        read.rest = text.to_owned();
        notes.clone_from(&found.yagni);
        read.take(Found {
            pieces: found.pieces,
            none: found.none,
            yagni: found.yagni,
            aside: found.aside,
        });
        read.yagni = yagni_of(&notes);
        return read;
    }
    let begins = |line: &str| {
        let head = cut_at_char(line.trim_start(), 200);
        head.starts_with(['#', '*', '-', '|'])
            && names
                .id(head.trim_start_matches(['#', '*', ' ', '-', '|', '[']))
                .is_some()
    };
    let rows = rows(text, begins);
    let (kinds, titled) = sections(&rows, names);
    let mut at = 0;
    while at < rows.len() {
        let kind = kinds[at];
        let length = kinds[at..].iter().take_while(|it| **it == kind).count();
        let part = &rows[at..at + length];
        at += length;
        match kind {
            None => continue,
            Some(Section::Yagni) => notes.push(slice(text, part).to_owned()),
            Some(Section::Summary) => {
                if part.iter().any(|row| nothing(row.text, false)) {
                    read.none = true;
                    read.aside.push(slice(text, part).to_owned());
                }
            }
            Some(kind) => {
                read.rest.push_str(slice(text, part));
                let found_here = kind == Section::Findings;
                let region = Region {
                    text,
                    names,
                    titled: found_here,
                    none: read.none && !found_here,
                };
                let mut found = items(region, part);
                notes.append(&mut found.yagni);
                if kind == Section::Closing {
                    read.aside.push(slice(text, part).to_owned());
                }
                if titled && !found_here || kind == Section::Closing {
                    found.pieces.retain(|piece| is_sure(piece, &read.items));
                }
                read.take(found);
            }
        }
    }
    read.yagni = yagni_of(&notes);
    read
}

/// Whether something that stands beside the part for findings is one that is not known yet.
fn is_sure(piece: &Piece, known: &[Item]) -> bool {
    match piece {
        Piece::Item(item) => {
            let named = item.id.is_some() && item.severity.is_some();
            named && !known.iter().any(|it| it.id == item.id)
        }
        Piece::Raw(_) | Piece::Trail(_) => false,
    }
}

fn slice<'t>(text: &'t str, rows: &[Row]) -> &'t str {
    match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => &text[first.start..last.end],
        _ => "",
    }
}

fn yagni_of(notes: &[String]) -> Option<String> {
    let says = |note: &&String| {
        !matches!(
            plain(note).as_str(),
            "" | "none"
                | "nothing"
                | "n a"
                | "no notes"
                | "no yagni notes"
                | "nothing to note"
                | "keine"
                | "无"
                | "none found"
        )
    };
    let said: Vec<&str> = notes
        .iter()
        .filter(says)
        .map(|note| note.trim_matches('\n').trim_end())
        .collect();
    (!said.is_empty()).then(|| said.join("\n\n"))
}

/// Joins the row of an overview with the finding of the same id that it announces.
fn joined(items: Vec<Item>) -> Vec<Item> {
    let mut rows: HashMap<String, usize> = HashMap::new();
    let mut out: Vec<Item> = Vec::with_capacity(items.len());
    for item in items {
        let announced = match &item.id {
            Some(id) if !item.row => rows.remove(id),
            _ => None,
        };
        let Some(at) = announced else {
            if let (Some(id), true) = (&item.id, item.row) {
                rows.entry(id.clone()).or_insert(out.len());
            }
            out.push(item);
            continue;
        };
        let row = &mut out[at];
        row.text = format!("{}\n\n{}", row.text, item.text);
        row.severity = item.severity.or(row.severity);
        row.place = item.place.or(row.place.take());
        row.claim = item.claim;
        row.row = false;
    }
    out
}

/// Gives every item an id of its own: its own if it is free, or else the next free number.
fn numbered(mut items: Vec<Item>, names: &Names) -> Vec<Item> {
    let mut used: HashSet<String> = items.iter().filter_map(|it| it.id.clone()).collect();
    let mut seen = HashSet::new();
    let mut next = 1;
    for item in &mut items {
        if let Some(id) = &item.id
            && seen.insert(id.clone())
        {
            continue;
        }
        let mut fresh = format!("{}{next}", names.prefix);
        while !used.insert(fresh.clone()) {
            next += 1;
            fresh = format!("{}{next}", names.prefix);
        }
        seen.insert(fresh.clone());
        if let Some(taken) = item.id.replace(fresh.clone()) {
            // The text must not speak of another finding's id.
            item.text = item.text.replacen(&taken, &fresh, 1);
        }
    }
    items
}
