//! One verifier's output, read tolerantly: which finding it calls what, and in which words.

use std::collections::HashMap;

use super::ids::Ids;
use super::lines::{Row, State, cells, entry, heading, is_ruler, rows, unmarked};
use super::object::{Node, read};
use super::outcomes::{only_outcome, outcome, reasoned};
use super::words::{Label, field, label, plain, rating, severity};
use super::{Group, Outcome, Severity};
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
    /// How bad it says that the finding is.
    pub severity: Option<Severity>,
    /// Its words.
    pub words: String,
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
            // What is quoted may be anybody's words.
            State::Text if quoted(row.text) => {}
            State::Text if !reader.told() && tabular(row.text, in_table, rows.get(at)) => {
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
            State::Opens(_) if reader.told() => {}
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

/// Whether a line repeats the words of others.
fn quoted(line: &str) -> bool {
    line.trim_start().starts_with('>') || unmarked(line).starts_with('>')
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
    /// Whether its first line gives the outcome, so that no other line can.
    settled: bool,
    severity: Option<Severity>,
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
    /// Whether what is open is a heading with its outcome: what stands below it is about it alone.
    fn told(&self) -> bool {
        let told = |open: &Open| open.level.is_some() && !open.outcomes.is_empty();
        self.open.as_ref().is_some_and(told)
    }

    fn say(&mut self, id: &str, outcomes: &[Outcome], words: &str) -> &mut Ruling {
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
        ruling
    }

    fn close(&mut self, text: &str, end: usize) {
        if let Some(open) = self.open.take() {
            let words = cut_at_line(&text[open.start..end], MOST_WORDS);
            for id in &open.ids {
                let ruling = self.say(id, &open.outcomes, words);
                ruling.severity = ruling.severity.or(open.severity);
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
        let told = inside && (self.told() || self.open.as_ref().is_some_and(|it| it.settled));
        let named = match ids.is_empty() {
            false if !told && (!inside || given.is_some()) => Some((ids, given)),
            true if !inside => self.reversed(line).map(|it| (it.1, Some(it.0))),
            _ => None,
        };
        if let Some((ids, given)) = named {
            self.close(text, row.start);
            self.open = Some(Open {
                ids,
                outcomes: given.or(self.hint).into_iter().collect(),
                settled: given.is_some(),
                severity: None,
                level,
                indent,
                start: row.start,
            });
            return;
        }
        let label = field(line);
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
        } else if !inside && entry(line).is_some() && !matches!(label, Some((Label::Severity, _))) {
            self.close(text, row.start);
            return;
        }
        if let Some(open) = &mut self.open {
            match label {
                Some((Label::Severity, value)) => {
                    open.severity = open.severity.or_else(|| restated(value));
                }
                _ if open.settled => {}
                Some((Label::Outcome, value)) => open.outcomes.extend(outcome(value)),
                _ if open.outcomes.is_empty() => open.outcomes.extend(opening(line)),
                _ => {}
            }
        }
    }

    /// `Refuted: B1, B3`, `Refuted: B3 – why`.
    fn reversed(&self, line: &str) -> Option<(Outcome, Vec<String>)> {
        let (before, after) = unmarked(line).split_once([':', '：'])?;
        let outcome = only_outcome(before)?;
        let (ids, rest) = self.ids.leading(after);
        let reason = rest
            .trim_start()
            .starts_with(['(', '–', '—', '-', ':', '.', ';', '：', '。']);
        let only = !rest.contains(char::is_alphanumeric) || reason;
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
                let (mut given, mut rated) = (None, None);
                for (key, value) in pairs {
                    let words = value.words();
                    match label(&plain(key)) {
                        Some(Label::Outcome) => given = given.or_else(|| outcome(&words)),
                        Some(Label::Severity) => rated = rated.or_else(|| restated(&words)),
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
                        for id in &named {
                            self.say(id, &outcome, &words);
                        }
                    }
                }
                if given.is_some() && !ids.is_empty() {
                    let outcome: Vec<Outcome> = given.into_iter().collect();
                    let words = node.words();
                    for id in &ids {
                        let ruling = self.say(id, &outcome, &words);
                        ruling.severity = ruling.severity.or(rated);
                    }
                } else {
                    pairs.iter().for_each(|(_, node)| self.node(node));
                }
            }
        }
    }
}

/// The severity that a verifier gives: `warning`, `critical → warning`, `lowered to warning: why`.
fn restated(value: &str) -> Option<Severity> {
    let ends = [',', ';', '(', '（', '—', '–', '.', ':', '，', '。', '：'];
    let clause = cut_at_char(value, 200).split(ends).next()?;
    let last = ["→", "->", "=>", " to "].iter().filter_map(|it| {
        let at = clause.rfind(it)?;
        Some(&clause[at + it.len()..])
    });
    let words = plain(last.min_by_key(|it| it.len()).unwrap_or(clause));
    let words = words.strip_prefix("should be ").unwrap_or(&words);
    rating(words).or_else(|| severity(words.split(' ').next()?))
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
    only_outcome(&text[..end]).or_else(|| reasoned(text))
}
