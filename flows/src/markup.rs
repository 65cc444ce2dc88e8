//! Markdown as far as texts have to be read line by line: fences, list markers, code spans.

use std::borrow::Cow;

/// What a line is with regard to fenced code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// Opens a fence; holds its info string, trimmed.
    Opens(&'a str),
    /// Stands inside a fence.
    Inside,
    /// Closes a fence.
    Closes,
    /// Ordinary text.
    Outside,
}

/// Follows fenced code through the lines of a text, as CommonMark has it. A fence may open behind the
/// marker of a list item; it ends with the item at the latest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fences {
    open: Option<Fence>,
}

/// A fence that is open.
#[derive(Debug, Clone, Copy)]
struct Fence {
    mark: u8,
    length: usize,
    /// How far the text of the list item that it stands in is indented.
    indent: usize,
}

impl Fences {
    /// Takes the next line, with or without its line end.
    pub fn line<'a>(&mut self, line: &'a str) -> Line<'a> {
        if let Some(open) = self.open {
            match within(line, open.indent) {
                None => self.open = None,
                Some(line) => return self.inside(open, line),
            }
        }
        let (indent, text) = behind_markers(line);
        match fence(text) {
            Some((mark, length, rest)) if mark == b'~' || !rest.contains('`') => {
                self.open = Some(Fence {
                    mark,
                    length,
                    indent,
                });
                Line::Opens(rest.trim())
            }
            _ => Line::Outside,
        }
    }

    fn inside<'a>(&mut self, open: Fence, line: &str) -> Line<'a> {
        match fence(line) {
            Some((mark, length, rest))
                if mark == open.mark && length >= open.length && rest.trim().is_empty() =>
            {
                self.open = None;
                Line::Closes
            }
            _ => Line::Inside,
        }
    }

    /// The line that closes what is open.
    pub fn closing(&self) -> Option<String> {
        self.open.map(|open| {
            let mark = char::from(open.mark).to_string().repeat(open.length);
            format!("{}{mark}", " ".repeat(open.indent))
        })
    }
}

/// A line as a list item has it whose text is indented by `indent`; `None` when the item has ended.
fn within(line: &str, indent: usize) -> Option<&str> {
    let spaces = line.bytes().take_while(|byte| *byte == b' ').count();
    if spaces >= indent || line.trim().is_empty() {
        Some(&line[spaces.min(indent)..])
    } else {
        None
    }
}

/// How deep lists are looked into.
const DEEPEST_LIST: usize = 8;

/// The text behind the markers of list items, and how far it is indented.
fn behind_markers(line: &str) -> (usize, &str) {
    let mut at = 0;
    for _ in 0..DEEPEST_LIST {
        match list_marker(&line[at..]) {
            Some(length) => at += length,
            None => break,
        }
    }
    (at, &line[at..])
}

/// The length of the marker of a list item, with the blanks around it.
pub(crate) fn list_marker(text: &str) -> Option<usize> {
    let start = indent(text)?;
    let bytes = &text.as_bytes()[start..];
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let mark = match bytes.get(digits)? {
        b'-' | b'*' | b'+' if digits == 0 => 1,
        b'.' | b')' if (1..=9).contains(&digits) => digits + 1,
        _ => return None,
    };
    let blanks = bytes[mark..]
        .iter()
        .take_while(|byte| **byte == b' ')
        .count();
    (1..=4).contains(&blanks).then_some(start + mark + blanks)
}

/// Mark, length and rest of a line that begins with at least three back-ticks or tildes.
fn fence(line: &str) -> Option<(u8, usize, &str)> {
    let text = &line[indent(line)?..];
    let mark = *text.as_bytes().first()?;
    if !matches!(mark, b'`' | b'~') {
        return None;
    }
    let length = text.bytes().take_while(|byte| *byte == mark).count();
    (length >= 3).then(|| (mark, length, &text[length..]))
}

/// How many spaces a line begins with; `None` for four and more, which make it code.
pub(crate) fn indent(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    (0..4).find(|at| bytes.get(*at) != Some(&b' '))
}

/// Longest run of back-ticks at a line's beginning that [`quotable`] leaves there.
const LONGEST_RUN: usize = 15;

/// Makes a text ready to stand in a fence and says which fence no line of it can close.
///
/// Lines that begin with absurdly many back-ticks are indented, so the fence stays short.
pub fn quotable(text: &str) -> (Cow<'_, str>, String) {
    let run = |line: &str| {
        let start = line.trim_start_matches([' ', '\t']);
        start.bytes().take_while(|byte| *byte == b'`').count()
    };
    let longest = text.split('\n').map(run).max().unwrap_or(0);
    let fence = "`".repeat(longest.clamp(2, LONGEST_RUN) + 1);
    if longest <= LONGEST_RUN {
        return (Cow::Borrowed(text), fence);
    }
    let mut out = String::with_capacity(text.len() + 64);
    for line in text.split_inclusive('\n') {
        if run(line) > LONGEST_RUN {
            out.push_str("    ");
        }
        out.push_str(line);
    }
    (Cow::Owned(out), fence)
}

/// A code span of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// All of it, back-ticks included.
    pub outer: std::ops::Range<usize>,
    /// How many back-ticks stand on each side.
    pub ticks: usize,
}

/// Code spans open with fewer back-ticks than this; longer runs are text.
const LONGEST_SPAN: usize = 16;

/// The code spans of one line, in order. Linear in its length.
pub(crate) fn code_spans(line: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut unclosed = [false; LONGEST_SPAN];
    let mut at = 0;
    while let Some(start) = line[at..].find('`').map(|found| at + found) {
        let ticks = line[start..]
            .bytes()
            .take_while(|byte| *byte == b'`')
            .count();
        at = start + ticks;
        if ticks >= LONGEST_SPAN || unclosed[ticks] {
            continue;
        }
        match closing_ticks(&line[at..], ticks) {
            None => unclosed[ticks] = true,
            Some(close) => {
                at += close + ticks;
                let outer = start..at;
                spans.push(Span { outer, ticks });
            }
        }
    }
    spans
}

/// The length of what stands before the next run of exactly `run` back-ticks.
pub(crate) fn closing_ticks(text: &str, run: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(start) = text[at..].find('`').map(|found| at + found) {
        let length = text[start..]
            .bytes()
            .take_while(|byte| *byte == b'`')
            .count();
        if length == run {
            return Some(start);
        }
        at = start + length;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_open_and_close_as_markdown_has_it() {
        let text = [
            "````rust", "```", "~~~", "````", "``` a`b", "    ```", "~~~ x`y", "~~",
        ];
        let mut fences = Fences::default();
        let lines: Vec<Line> = text.iter().map(|line| fences.line(line)).collect();
        use Line::{Closes, Inside, Opens, Outside};
        let wanted = [
            Opens("rust"),
            Inside,
            Inside,
            Closes,
            Outside,
            Outside,
            Opens("x`y"),
            Inside,
        ];
        assert_eq!(lines, wanted);
        assert_eq!(fences.closing().as_deref(), Some("~~~"));
    }

    #[test]
    fn a_fence_behind_a_list_marker_ends_with_it() {
        use Line::{Closes, Inside, Opens, Outside};
        for (text, wanted) in [
            (
                "- ```rust\n  # code\n  ```\n- Fix",
                vec![Opens("rust"), Inside, Closes, Outside],
            ),
            (
                "1. a\n2. ~~~\n   x\n\n   ~~~\n# H",
                vec![Outside, Opens(""), Inside, Inside, Closes, Outside],
            ),
            (
                "- ```\n  code\n# heading\n```",
                vec![Opens(""), Inside, Outside, Opens("")],
            ),
            (
                "- - ```\n    x\n    ```\ny",
                vec![Opens(""), Inside, Closes, Outside],
            ),
            ("-```\n1.```\n- a ```", vec![Outside, Outside, Outside]),
        ] {
            let mut fences = Fences::default();
            let lines: Vec<Line> = text.lines().map(|line| fences.line(line)).collect();
            assert_eq!(lines, wanted, "{text}");
        }
        let mut fences = Fences::default();
        fences.line("- ```");
        assert_eq!(fences.closing().as_deref(), Some("  ```"));
    }

    #[test]
    fn code_spans_are_found_whatever_is_left_open() {
        let outer = |line: &str| -> Vec<String> {
            let spans = code_spans(line);
            spans
                .iter()
                .map(|it| line[it.outer.clone()].to_owned())
                .collect()
        };
        assert_eq!(outer("a `b` ``c ` d`` ` e"), ["`b`", "``c ` d``"]);
        assert!(outer("``` `` `").is_empty());
        let line = "` `` ``` ".repeat(200_000);
        assert!(code_spans(&line).len() > 1000, "and in linear time");
    }

    #[test]
    fn no_quoted_line_can_close_its_fence() {
        for text in [
            "plain",
            "```\n````\n",
            &format!("x\n {}\n", "`".repeat(1000)),
        ] {
            let (body, fence) = quotable(text);
            assert!(fence.len() <= LONGEST_RUN + 1);
            let mut fences = Fences::default();
            assert!(matches!(fences.line(&fence), Line::Opens("")));
            assert!(body.lines().all(|line| fences.line(line) == Line::Inside));
        }
    }
}
