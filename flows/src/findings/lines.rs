//! The lines of a reply: which of them are code, headings, list items or rows of a table.

use crate::markup::{Fences, Line, closing_ticks};

/// What a line is with regard to fences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State<'t> {
    /// Ordinary text.
    Text,
    /// Opens a fence; holds the language.
    Opens(&'t str),
    /// Stands inside a fence, or closes it.
    Fenced,
    /// A fence around the whole reply, which means nothing.
    Wrap,
}

/// A line of a text, without its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'t> {
    pub text: &'t str,
    /// Where it begins in the text, in bytes.
    pub start: usize,
    /// Where the next one begins.
    pub end: usize,
    pub state: State<'t>,
}

/// How often a fence that nothing closes is read again as text.
const MAX_REREADS: usize = 8;

/// The lines of a text.
///
/// A fence around the whole reply counts as none. Nor does one that nothing closes, when what
/// stands behind it has a line for which `begins` holds.
pub(super) fn rows<'t>(text: &'t str, begins: impl Fn(&str) -> bool) -> Vec<Row<'t>> {
    let mut rows = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let text = line.trim_end_matches(['\n', '\r']);
        let (end, state) = (at, State::Text);
        rows.push(Row {
            text,
            start,
            end,
            state,
        });
    }
    let ends_fenced = rows
        .iter()
        .rev()
        .find(|row| !row.text.trim().is_empty())
        .is_some_and(|row| bare(row.text));
    let mut from = 0;
    let mut skip = false;
    let mut wrap = Wrap {
        ends_fenced,
        ..Wrap::default()
    };
    for _ in 0..MAX_REREADS {
        let Some((open, before)) = states(&mut rows, from, skip, wrap) else {
            break;
        };
        let json = matches!(rows[open].state, State::Opens(it) if is_json(it));
        if json || !rows[open..].iter().any(|row| begins(row.text)) {
            break;
        }
        (from, skip, wrap) = (open, true, before);
    }
    rows
}

/// What is known of a fence around the whole reply.
#[derive(Debug, Clone, Copy, Default)]
struct Wrap {
    /// Whether the last line of the text can close it.
    ends_fenced: bool,
    /// Whether a line was seen before which no such fence can stand.
    begun: bool,
    /// Whether a heading or another fence was seen.
    headed: bool,
    open: bool,
}

/// Sets the states from a row on; `skip` takes that row for text. Returns the opening line of a
/// fence that is left open, with what was known of the wrap there.
fn states(rows: &mut [Row], from: usize, skip: bool, mut wrap: Wrap) -> Option<(usize, Wrap)> {
    let mut fences = Fences::default();
    let mut opened = None;
    for at in from..rows.len() {
        let line = rows[at].text;
        if skip && at == from {
            rows[at].state = State::Text;
            continue;
        }
        rows[at].state = match fences.line(line) {
            Line::Outside => {
                wrap.begun |= !line.trim().is_empty();
                wrap.headed |= heading(line).is_some();
                State::Text
            }
            Line::Opens("") if wrap.open => {
                wrap.open = false;
                fences = Fences::default();
                State::Wrap
            }
            Line::Opens(info) => {
                let known = ["markdown", "md"].contains(&info);
                let plain = ["", "text", "txt"].contains(&info);
                let json = rows
                    .get(at + 1)
                    .is_some_and(|next| next.text.trim_start().starts_with(['{', '[']));
                let around =
                    !wrap.headed && (known || plain && !wrap.begun && wrap.ends_fenced && !json);
                let before = wrap;
                wrap.headed = true;
                wrap.begun = true;
                if around {
                    wrap.open = true;
                    fences = Fences::default();
                    State::Wrap
                } else {
                    opened = Some((at, before));
                    State::Opens(info)
                }
            }
            Line::Inside => State::Fenced,
            Line::Closes => {
                opened = None;
                State::Fenced
            }
        };
    }
    opened
}

/// Whether the language of a fence is JSON.
pub(super) fn is_json(info: &str) -> bool {
    let language = info.split([' ', ',', '{']).next().unwrap_or("");
    ["json", "jsonc", "json5", "jsonl"].contains(&language.to_lowercase().as_str())
}

/// Whether a line is a fence without a language.
fn bare(line: &str) -> bool {
    let text = line.trim();
    text.len() >= 3 && (text.bytes().all(|it| it == b'`') || text.bytes().all(|it| it == b'~'))
}

/// The level of a line in bold that stands for a heading: below all marked ones.
pub(super) const BOLD: usize = 7;

/// The level of a heading and its title. A line that is all bold counts as one.
pub(super) fn heading(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_start_matches([' ', '>']).trim_end();
    let level = text.bytes().take_while(|byte| *byte == b'#').count();
    if (1..=6).contains(&level) {
        let rest = &text[level..];
        let separate = rest.is_empty() || rest.starts_with([' ', '\t']);
        let glued = level > 1 && rest.starts_with(|c: char| c.is_alphanumeric() || c == '*');
        return (separate || glued).then(|| (level, rest.trim().trim_end_matches('#').trim()));
    }
    if line.len() - line.trim_start().len() > 3 || text.len() > 500 {
        return None;
    }
    let text = text.trim_end_matches([':', '：']);
    let inner = ["**", "__"]
        .iter()
        .find_map(|mark| Some((text.strip_prefix(mark)?.strip_suffix(mark)?, mark)));
    let (inner, mark) = inner?;
    (!inner.trim().is_empty() && !inner.contains(*mark)).then(|| (BOLD, inner.trim()))
}

/// The indent of a list item and what stands behind its marker.
pub(super) fn entry(line: &str) -> Option<(usize, &str)> {
    let text = line.trim_start_matches([' ', '\t', '>']);
    let indent = line.len() - text.len();
    let bullet = text
        .strip_prefix(['-', '*', '+', '•', '–'])
        .filter(|rest| rest.starts_with([' ', '\t']));
    let rest = bullet.or_else(|| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let rest = &text[digits..];
        if !(1..=4).contains(&digits) {
            return None;
        }
        rest.strip_prefix('、').or_else(|| {
            let rest = rest.strip_prefix(['.', ')'])?;
            rest.starts_with([' ', '\t']).then_some(rest)
        })
    })?;
    let rest = rest.trim_start();
    (!rest.is_empty()).then_some((indent, rest))
}

/// A line without quote marks, heading marks and list marker.
pub(super) fn unmarked(line: &str) -> &str {
    let text = line.trim_start_matches([' ', '\t', '>']);
    let text = match heading(text) {
        Some((level, title)) if level < BOLD => title,
        _ => text,
    };
    entry(text).map_or(text, |(_, rest)| rest).trim()
}

/// Whether a line parts the head of a table from its rows.
pub(super) fn is_ruler(line: &str) -> bool {
    let text = line.trim();
    text.contains('|')
        && text.contains('-')
        && text
            .chars()
            .all(|c| matches!(c, '|' | '-' | ':' | ' ' | '\t' | '–' | '—'))
}

/// The cells of a row; pipes that are escaped or stand in code do not part cells.
pub(super) fn cells(line: &str) -> Vec<&str> {
    let text = line.trim();
    let text = text.strip_prefix('|').unwrap_or(text);
    let mut cells = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let mut unclosed = [false; 8];
    while let Some(found) = text[at..].find(['|', '`', '\\']).map(|it| at + it) {
        match text.as_bytes()[found] {
            b'|' => {
                cells.push(text[start..found].trim());
                (at, start) = (found + 1, found + 1);
            }
            b'\\' => {
                let next = text[found + 1..].chars().next();
                at = found + 1 + next.map_or(0, char::len_utf8);
            }
            _ => {
                let run = text[found..].bytes().take_while(|it| *it == b'`').count();
                at = found + run;
                if run < unclosed.len() && !unclosed[run] {
                    match closing_ticks(&text[at..], run) {
                        Some(length) => at += length + run,
                        None => unclosed[run] = true,
                    }
                }
            }
        }
    }
    let last = text[start..].trim();
    if !last.is_empty() {
        cells.push(last);
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(text: &str) -> String {
        let state = |row: &Row| match row.state {
            State::Text => 't',
            State::Opens(_) => 'o',
            State::Fenced => 'f',
            State::Wrap => 'w',
        };
        rows(text, |line| line.starts_with("### B"))
            .iter()
            .map(state)
            .collect()
    }

    #[test]
    fn a_fence_around_the_whole_reply_counts_as_none() {
        assert_eq!(
            states("```markdown\na\n```rust\nb\n```\nc\n```\n"),
            "wtofftw"
        );
        assert_eq!(states("Here:\n\n```md\n# a\n```\nBye"), "ttwtwt");
        assert_eq!(states("```\n### B1. x\n```\n"), "wtw");
        assert_eq!(states("```\ncode\n```\n### B1. x"), "offt");
        assert_eq!(states("```\n{\n}\n```"), "offf");
        assert_eq!(states("# a\n```markdown\n# b\n```\n"), "toff");
    }

    #[test]
    fn a_fence_that_nothing_closes_hides_no_finding() {
        assert_eq!(states("### B1. x\n```rust\ncode\n### B2. y"), "tttt");
        assert_eq!(states("### B1. x\n```rust\ncode\n"), "tof");
    }

    #[test]
    fn bold_lines_are_headings_below_marked_ones() {
        assert_eq!(heading("### B1. x ##"), Some((3, "B1. x")));
        assert_eq!(heading("###B1"), Some((3, "B1")));
        assert_eq!(heading("**Findings:**"), Some((BOLD, "Findings:")));
        assert_eq!(heading("**Findings**:"), Some((BOLD, "Findings")));
        assert_eq!(heading("**a** and **b**"), None);
        assert_eq!(heading("#include"), None);
    }

    #[test]
    fn cells_may_hold_pipes() {
        assert_eq!(
            cells("| a | `b || c` | d \\| e |"),
            ["a", "`b || c`", "d \\| e"]
        );
        assert_eq!(cells("a | b"), ["a", "b"]);
        assert_eq!(cells("| a | ` | b"), ["a", "`", "b"]);
    }

    #[test]
    fn list_items_have_an_indent() {
        assert_eq!(entry("  - a"), Some((2, "a")));
        assert_eq!(entry("12. a"), Some((0, "a")));
        assert_eq!(entry("3、锁"), Some((0, "锁")));
        assert_eq!(entry("-a"), None);
        assert_eq!(entry("1.5 s"), None);
    }
}
