//! One verifier's output, read tolerantly: which finding it calls what, and in which words.

use std::collections::HashMap;

use super::lines::{Row, State, cells, entry, heading, is_ruler, rows, unmarked};
use super::object::{Node, read};
use super::outcomes::{only_outcome, outcome};
use super::words::{Label, field, label, plain};
use super::{Group, Outcome};
use crate::text::{cut_at_char, cut_at_line, strip_controls};

/// How many bytes of a verifier's words are kept for a finding.
const MOST_WORDS: usize = 4000;
/// How much of a line is searched for ids.
const LONGEST: usize = 4000;

/// What a verifier said of one finding.
#[derive(Debug, Default)]
pub(super) struct Ruling {
    /// The outcomes that it gave, each once, in its order.
    pub outcomes: Vec<Outcome>,
    /// Its words.
    pub words: String,
}

/// The ids that a verifier may use.
struct Ids {
    /// Id, qualified or not, to the one of the finding.
    known: HashMap<String, String>,
}

impl Ids {
    fn new(group: &Group) -> Self {
        let mut known: HashMap<String, String> = HashMap::new();
        let joined = group.findings.iter().flat_map(|it| &it.joined);
        for finding in group.findings.iter().chain(joined) {
            known.insert(finding.id.clone(), finding.id.clone());
            if let Some((_, local)) = finding.id.rsplit_once('/') {
                // Of equal ones the first counts: the group's own step.
                known
                    .entry(local.to_owned())
                    .or_insert_with(|| finding.id.clone());
            }
        }
        Self { known }
    }

    /// The ids that stand one after the other at the beginning of a text, and what follows them.
    fn leading<'t>(&self, text: &'t str) -> (Vec<String>, &'t str) {
        let mut found = Vec::new();
        let mut rest = text;
        loop {
            let start = rest
                .trim_start_matches(|c: char| c.is_whitespace() || "*_`[](),;&+、，".contains(c));
            let start = match start.strip_prefix("and ") {
                Some(after) if !found.is_empty() => after.trim_start_matches(['`', '*', ' ']),
                _ => start,
            };
            let length = start
                .find(|c: char| !(c.is_ascii_alphanumeric() || "/-_".contains(c)))
                .unwrap_or(start.len());
            let word = start[..length].trim_end_matches(['-', '/']);
            match self.known.get(word) {
                Some(id) => {
                    found.push(id.clone());
                    rest = &start[word.len()..];
                }
                None => return (found, rest),
            }
        }
    }

    /// Ids at the beginning of a line, behind its marks and the verifier's own number.
    fn of_line<'t>(&self, line: &'t str) -> (Vec<String>, &'t str) {
        let text = unmarked(line);
        let (found, rest) = self.leading(text);
        if !found.is_empty() {
            return (found, rest);
        }
        let bare = text.trim_start_matches(['*', '_', '[', '`']);
        for word in [
            "Finding ", "finding ", "Issue ", "Item ", "ID: ", "Id: ", "id: ",
        ] {
            if let Some(rest) = bare.strip_prefix(word) {
                return self.leading(rest);
            }
        }
        let rest = bare.strip_prefix('V').unwrap_or("");
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=4).contains(&digits) {
            let rest = rest[digits..]
                .trim_start_matches(|c: char| c.is_whitespace() || ".:)]*_`-–—(".contains(c));
            let rest = rest.strip_prefix("Finding ").unwrap_or(rest);
            return self.leading(rest);
        }
        (Vec::new(), text)
    }
}

/// Reads what a verifier says of the findings of its group, by their ids.
pub(super) fn rulings(output: &str, group: &Group) -> HashMap<String, Ruling> {
    let ids = Ids::new(group);
    let output = strip_controls(output);
    let mut reader = Reader {
        ids,
        found: HashMap::new(),
        open: None,
        hint: None,
    };
    if let Some((node, _)) = read(&output) {
        reader.node(&node);
        return reader.found;
    }
    let rows = rows(&output, |line| line.trim_start().starts_with("### V"));
    let mut outcome_column = None;
    let mut in_table = false;
    let mut at = 0;
    while at < rows.len() {
        let row = &rows[at];
        at += 1;
        match row.state {
            State::Text if tabular(row.text, in_table, rows.get(at)) => {
                in_table = true;
                if rows.get(at).is_some_and(|next| is_ruler(next.text)) {
                    let titles = cells(row.text);
                    outcome_column = titles
                        .iter()
                        .position(|it| label(&plain(it)) == Some(Label::Outcome));
                } else if !reader.cells(row, outcome_column) {
                    reader.line(&output, row);
                }
            }
            State::Text => {
                in_table = false;
                reader.line(&output, row);
            }
            State::Opens(_) => {
                let end = rows[at..]
                    .iter()
                    .take_while(|row| row.state == State::Fenced)
                    .last()
                    .map_or(row.end, |row| row.start);
                if let Some((node, _)) = output.get(row.end..end).and_then(read) {
                    reader.node(&node);
                }
            }
            State::Fenced | State::Wrap => {}
        }
    }
    reader.close(&output, output.len());
    reader.found
}

/// Whether a line is a row of a table.
fn tabular(line: &str, in_table: bool, next: Option<&Row>) -> bool {
    let ruled = in_table || next.is_some_and(|next| is_ruler(next.text));
    line.trim_start().starts_with('|') || ruled && line.contains('|')
}

/// Ids whose words are being read.
struct Open {
    ids: Vec<String>,
    outcomes: Vec<Outcome>,
    /// The level of its heading; none for a list item or a paragraph.
    level: Option<usize>,
    indent: usize,
    start: usize,
}

struct Reader {
    ids: Ids,
    found: HashMap<String, Ruling>,
    open: Option<Open>,
    /// The outcome of the heading above: `## Refuted`.
    hint: Option<Outcome>,
}

impl Reader {
    fn say(&mut self, id: &str, outcomes: &[Outcome], words: &str) {
        let ruling = self.found.entry(id.to_owned()).or_default();
        for outcome in outcomes {
            if !ruling.outcomes.contains(outcome) {
                ruling.outcomes.push(*outcome);
            }
        }
        if ruling.words.len() < MOST_WORDS {
            if !ruling.words.is_empty() {
                ruling.words.push_str("\n\n");
            }
            ruling.words.push_str(cut_at_line(words.trim(), MOST_WORDS));
        }
    }

    fn close(&mut self, text: &str, end: usize) {
        if let Some(open) = self.open.take() {
            let words = cut_at_line(&text[open.start..end], MOST_WORDS);
            for id in &open.ids {
                self.say(id, &open.outcomes, words);
            }
        }
    }

    fn line(&mut self, text: &str, row: &Row) {
        let line = cut_at_char(row.text, LONGEST);
        if line.trim().is_empty() {
            return;
        }
        let title = heading(line);
        let level = title.map(|it| it.0);
        let indent = line.len() - line.trim_start().len();
        let (ids, rest) = self.ids.of_line(line);
        let given = if ids.is_empty() { None } else { of_item(rest) };
        let inside = self
            .open
            .as_ref()
            .is_some_and(|open| match (open.level, level) {
                (Some(own), Some(level)) => own < level,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => indent > open.indent,
            });
        if !ids.is_empty() && (!inside || given.is_some()) {
            self.close(text, row.start);
            let outcomes = given.or(self.hint).into_iter().collect();
            let start = row.start;
            self.open = Some(Open {
                ids,
                outcomes,
                level,
                indent,
                start,
            });
            return;
        }
        // `Refuted: B1, B3`.
        if let Some((outcome, ids)) = self.reversed(line)
            && !inside
        {
            self.close(text, row.start);
            for id in ids {
                self.say(&id, &[outcome], line);
            }
            return;
        }
        if let Some(level) = level {
            if !inside
                || self
                    .open
                    .as_ref()
                    .is_some_and(|it| it.level.is_none_or(|own| level <= own))
            {
                self.close(text, row.start);
                self.hint = title.and_then(|it| only_outcome(it.1));
                return;
            }
        } else if !inside && entry(line).is_some() {
            self.close(text, row.start);
            return;
        }
        if let Some(open) = &mut self.open {
            let labelled = match field(line) {
                Some((Label::Outcome, value)) => outcome(value),
                _ => None,
            };
            let bare = || {
                Some(line)
                    .filter(|_| open.outcomes.is_empty())
                    .and_then(opening)
            };
            open.outcomes.extend(labelled.or_else(bare));
        }
    }

    fn reversed(&self, line: &str) -> Option<(Outcome, Vec<String>)> {
        let (before, after) = unmarked(line).split_once([':', '：'])?;
        let outcome = only_outcome(before)?;
        let (ids, rest) = self.ids.leading(after);
        let only = !rest.contains(char::is_alphanumeric) || rest.trim_start().starts_with('(');
        (!ids.is_empty() && only).then_some((outcome, ids))
    }

    /// The row of a table; whether it speaks of a finding.
    fn cells(&mut self, row: &Row, column: Option<usize>) -> bool {
        let cells = cells(cut_at_char(row.text, 1 << 16));
        let named = cells.iter().find_map(|cell| {
            let (ids, _) = self.ids.of_line(cell);
            (!ids.is_empty()).then_some(ids)
        });
        let Some(ids) = named else {
            return false;
        };
        let stated = column.and_then(|at| outcome(cells.get(at)?));
        let given = stated.or_else(|| {
            let short = cells.iter().filter(|cell| cell.len() < 60);
            short.filter_map(|cell| only_outcome(cell)).next()
        });
        let outcomes: Vec<Outcome> = given.into_iter().collect();
        for id in ids {
            self.say(&id, &outcomes, row.text);
        }
        true
    }

    /// JSON: objects with an id and a verdict, or ids with their verdicts.
    fn node(&mut self, node: &Node) {
        match node {
            Node::Array(list) => list.iter().for_each(|node| self.node(node)),
            Node::Leaf(_) => {}
            Node::Object(pairs) => {
                let mut ids = Vec::new();
                let mut given = None;
                for (key, value) in pairs {
                    let words = value.words();
                    match label(&plain(key)) {
                        Some(Label::Outcome) => given = given.or_else(|| outcome(&words)),
                        _ if ids.is_empty() => ids = self.ids.leading(&words).0,
                        _ => {}
                    }
                    let (named, rest) = self.ids.leading(key);
                    if !named.is_empty() && rest.is_empty() {
                        let outcome: Vec<Outcome> = match value {
                            Node::Object(pairs) => pairs
                                .iter()
                                .filter(|it| label(&plain(&it.0)) == Some(Label::Outcome))
                                .find_map(|it| outcome(&it.1.words()))
                                .into_iter()
                                .collect(),
                            value => outcome(&value.words()).into_iter().collect(),
                        };
                        named.iter().for_each(|id| self.say(id, &outcome, &words));
                    }
                }
                if given.is_some() && !ids.is_empty() {
                    let outcome: Vec<Outcome> = given.into_iter().collect();
                    let words = node.words();
                    ids.iter().for_each(|id| self.say(id, &outcome, &words));
                } else {
                    pairs.iter().for_each(|(_, node)| self.node(node));
                }
            }
        }
    }
}

/// The outcome behind the ids of a line: `: confirmed`, `(refuted) …`, `: the claim — unproven`.
fn of_item(rest: &str) -> Option<Outcome> {
    let marks = |c: char| c.is_whitespace() || ":：.,;)](*_`-–—=>→|[·".contains(c);
    let text = rest.trim_start_matches(marks);
    if let Some(found) = outcome(text) {
        return Some(found);
    }
    if let Some((Label::Outcome, value)) = field(text) {
        return outcome(value);
    }
    let end = text.trim_end_matches(|c: char| c.is_whitespace() || "*_`.)]）".contains(c));
    let parts = [
        "(", "[", " - ", " – ", " — ", ": ", "→", "=>", "**", "（", "：",
    ];
    let last = parts
        .iter()
        .filter_map(|it| Some(end.rfind(it)? + it.len()))
        .max()?;
    only_outcome(&end[last..])
}

/// The outcome that a line begins with, as a sentence of its own: `**Refuted.** The caller checks.`
fn opening(line: &str) -> Option<Outcome> {
    let text = unmarked(line).trim_start_matches(['*', '_', ' ']);
    let end = text
        .find(['.', ':', '*', '—', ',', '。', '：'])
        .unwrap_or(text.len());
    only_outcome(&text[..end])
}
