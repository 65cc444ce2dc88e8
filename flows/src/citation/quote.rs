//! The words quoted beside a citation, and whether they stand in a text.

use crate::markup::closing_ticks;

/// How many bytes a citation and its quote may lie apart.
const MAX_GAP: usize = 80;
/// The longest quote in bytes.
const MAX_QUOTE: usize = 1000;
/// The most lines that a quote goes on for.
const MAX_LINES: usize = 4;
/// Words that may stand between a citation and its quote.
const CONNECTING: &[&str] = &[
    "codebase", "contains", "line", "quote", "quotes", "reads", "says", "states", "that", "which",
];

/// A quote and where the text goes on behind it.
#[derive(Debug)]
pub(super) struct Quote<'t> {
    pub words: &'t str,
    pub end: usize,
}

/// Up to where it is known that a quotation mark is not closed, for each that can close one.
#[derive(Debug, Default)]
pub(super) struct Closers([usize; 4]);

const CLOSERS: [char; 4] = ['"', '”', '“', '»'];

impl Closers {
    /// The next `CLOSERS[kind]` in `text[from..to]` that is not escaped.
    fn find(&mut self, text: &str, kind: usize, from: usize, to: usize) -> Option<usize> {
        let mut at = from.max(self.0[kind]);
        while at < to {
            let Some(found) = text[at..to].find(CLOSERS[kind]).map(|found| at + found) else {
                break;
            };
            if !text[from..found].ends_with('\\') {
                return Some(found);
            }
            at = found + CLOSERS[kind].len_utf8();
        }
        self.0[kind] = self.0[kind].max(to);
        None
    }
}

/// The quote that follows at `from` on the same line or in the same list item.
///
/// `direct`: nothing stands between the citation and `from`, so a plain quotation mark there closes
/// what was opened before the citation. `line`: the line of the citation.
pub(super) fn beside<'t>(
    text: &'t str,
    from: usize,
    direct: bool,
    line: &str,
    closers: &mut Closers,
) -> Option<Quote<'t>> {
    let mut at = from;
    let (mut cell, mut broken) = (false, false);
    while at <= from + MAX_GAP {
        let rest = text.get(at..)?;
        let c = rest.chars().next()?;
        match c {
            '-' if rest.starts_with("->") => return None,
            ' ' | '\t' | '\r' | '-' | '—' | '–' | ':' | ',' | '(' | ')' | '[' | ']' | '*'
            | '：' | '，' | '（' | '）' => at += c.len_utf8(),
            '|' if !cell => {
                cell = true;
                at += 1;
            }
            '\n' if !broken => {
                broken = true;
                at += 1 + continued(&rest[1..], indent(line))?;
            }
            '"' if direct && at == from => return None,
            '"' | '“' | '„' | '«' => return in_marks(text, at, c, closers),
            '`' if !cell => return in_ticks(text, at),
            c if c.is_alphabetic() => at += connecting(rest)?,
            _ => return None,
        }
    }
    None
}

fn connecting(rest: &str) -> Option<usize> {
    let length = rest.bytes().take(12).take_while(u8::is_ascii_alphabetic);
    let length = length.count();
    CONNECTING.contains(&&rest[..length]).then_some(length)
}

fn in_marks<'t>(text: &'t str, at: usize, open: char, closers: &mut Closers) -> Option<Quote<'t>> {
    let from = at + open.len_utf8();
    let to = crate::text::cut_at_char(&text[from..], MAX_QUOTE).len() + from;
    let kinds: &[usize] = match open {
        '"' => &[0],
        '“' => &[1],
        '„' => &[2, 1],
        _ => &[3],
    };
    let close = |kind: &usize| closers.find(text, *kind, from, to).map(|at| (at, *kind));
    let (close, kind) = kinds.iter().filter_map(close).min()?;
    let words = &text[from..close];
    let end = close + CLOSERS[kind].len_utf8();
    let joined = words
        .lines()
        .skip(1)
        .all(|line| continued(line, usize::MAX).is_some());
    let closes = !words.contains('\n') || !text[end..].starts_with(char::is_alphanumeric);
    let opens = !words.starts_with(char::is_whitespace);
    (joined && closes && opens && words.lines().count() <= MAX_LINES && is_telling(words))
        .then_some(Quote { words, end })
}

fn in_ticks(text: &str, at: usize) -> Option<Quote<'_>> {
    let run = text[at..].bytes().take_while(|byte| *byte == b'`').count();
    let from = at + run;
    let rest = crate::text::cut_at_char(&text[from..], MAX_QUOTE);
    let line = rest.split('\n').next().unwrap_or("");
    let close = from + closing_ticks(line, run)?;
    let words = text[from..close].trim();
    let words = words
        .strip_prefix('"')
        .and_then(|words| words.strip_suffix('"'))
        .unwrap_or(words);
    // A single name is more often what the line is about than what it says.
    let telling = words.contains(char::is_whitespace) && is_telling(words);
    let cites = || super::find(words, &mut |_: &str| false).next().is_some();
    (telling && !cites()).then_some(Quote {
        words,
        end: close + run,
    })
}

/// Whether words are more than one plain word, which would be emphasis as often as a quote.
fn is_telling(words: &str) -> bool {
    let words = words.trim();
    words.chars().count() >= 4 && !words.chars().all(char::is_alphabetic)
}

/// Whether a line goes on with the paragraph or list item before it, and where its text begins. A
/// marker is accepted when it stands deeper than `indent`.
fn continued(line: &str, depth: usize) -> Option<usize> {
    let line = line.split('\n').next().unwrap_or("");
    let body = line.trim_start();
    let start = line.len() - body.len();
    let other = body.is_empty()
        || body.starts_with(['#', '|', '>'])
        || ["```", "~~~", "---", "***"]
            .iter()
            .any(|mark| body.starts_with(mark));
    if other {
        return None;
    }
    match is_marker(body) {
        Some(length) => (start > depth).then_some(start + length),
        None => Some(start),
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The length of the list marker that a text begins with.
pub(super) fn is_marker(text: &str) -> Option<usize> {
    let digits = text.bytes().take(4).take_while(u8::is_ascii_digit).count();
    let mark = match (digits, text[digits..].chars().next()?) {
        (0, c @ ('-' | '*' | '+' | '•')) => c.len_utf8(),
        (1..=3, '.' | ')') => digits + 1,
        _ => return None,
    };
    text[mark..].starts_with([' ', '\t']).then_some(mark + 1)
}

/// A text with every stretch of white space as one blank and typographic quotation marks as plain
/// ones, as quotes are compared.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            '“' | '”' | '„' => out.push('"'),
            '‘' | '’' => out.push('\''),
            c => out.push(c),
        }
    }
    out
}

/// What of a quote must stand in the file, folded, in this order: the quote without what marks an
/// elision (`…`, `...`, `[…]`, the `()` of a call without its arguments) and without escapes.
pub fn pieces(quote: &str) -> Vec<String> {
    let plain = fold(quote).replace("[...]", "…").replace("[…]", "…");
    let plain = plain.replace("...", "…").replace("()", "…");
    plain
        .split(['…', '\\'])
        .map(|piece| {
            piece
                .trim()
                .trim_end_matches(['.', ',', ';', ':'])
                .trim_end()
        })
        .filter(|piece| !piece.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether the pieces of a quote stand in a folded text, one behind the other.
pub fn stands_in(pieces: &[String], folded: &str) -> bool {
    let mut rest = folded;
    pieces.iter().all(|piece| match rest.find(piece.as_str()) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(text: &str) -> Option<&str> {
        beside(text, 0, false, "- x", &mut Closers::default()).map(|found| found.words)
    }

    #[test]
    fn only_what_follows_directly_is_a_quote() {
        for (text, wanted) in [
            (" \"let x = 1;\" and", "let x = 1;"),
            (": “let x = 1;”", "let x = 1;"),
            (" „zwei Wörter“", "zwei Wörter"),
            (") — `let x = 1;`", "let x = 1;"),
            (" (codebase): \"let x\"", "let x"),
            (" says \"retry_count\"", "retry_count"),
            (" | \"let x\" |", "let x"),
            (":\n  \"let x\n  = 1\"", "let x\n  = 1"),
            ("\n  - \"let x\"", "let x"),
            (" `\"let x\"`", "let x"),
            (" \"s = \\\"a b\\\"\"", "s = \\\"a b\\\""),
        ] {
            assert_eq!(quote(text), Some(wanted), "{text}");
        }
        for text in [
            " -> \"let x\"",
            " calls `let x`",
            ". \"let x\"",
            " `foo()`",
            " | `let x` |",
            " \"fixes\" it",
            "\n\n\"let x\"",
            "\n- \"let x\"",
            " \" let x\"",
            " `see a.rs:10`",
            " \"let x",
            "",
        ] {
            assert_eq!(quote(text), None, "{text}");
        }
    }

    #[test]
    fn quotes_are_compared_leniently_but_in_order() {
        let file =
            fold("fn push(&self,  item: Item)\n    -> Result<()> {\n\tlog(\"a \\\"b\\\"\");\n");
        for quote in [
            "fn push(&self, item: Item) -> Result",
            "fn push() -> Result<()> {",
            "fn push(… item: Item",
            "fn [...] -> Result,",
            "log(\\\"a \\\"b\\\"",
            "log(“a",
            "...",
        ] {
            assert!(stands_in(&pieces(quote), &file), "{quote}");
        }
        for quote in ["fn Push", "Result … push", "item : Item", "fn pop"] {
            assert!(!stands_in(&pieces(quote), &file), "{quote}");
        }
    }
}
