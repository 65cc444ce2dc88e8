//! The tokens of a Markdown text that may be paths: line by line, fences left out, code spans known.

use crate::markup::closing_ticks;
use std::ops::Range;

use super::path;
use super::quote::is_marker;
use crate::markup::{Fences, Line};

/// Code spans open with fewer back-ticks than this; longer runs are text.
const LONGEST_RUN: usize = 16;
/// The longest destination of a link that is passed over.
const MAX_LINK: usize = 1024;
/// How many bytes into a code span a name with blanks may reach.
const MAX_NAME: usize = 300;

/// A code span: its content, and the length of the runs around it.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    run: usize,
}

#[derive(Debug)]
pub(super) struct Lexer<'t> {
    pub text: &'t str,
    /// The line that is read, without its end.
    pub line: Range<usize>,
    at: usize,
    next_line: usize,
    span: Option<Span>,
    /// Bit n: no run of n back-ticks is left on this line.
    unclosed: u32,
    /// What lies before belongs to the last citation.
    free: usize,
    code: Code,
}

impl<'t> Lexer<'t> {
    pub fn new(text: &'t str) -> Self {
        Self {
            text,
            line: 0..0,
            at: 0,
            next_line: 0,
            span: None,
            unclosed: 0,
            free: 0,
            code: Code::default(),
        }
    }

    /// The next run of characters that may be a path, and goes on behind it.
    pub fn token(&mut self) -> Option<Range<usize>> {
        loop {
            if self.at >= self.line.end {
                self.advance()?;
                continue;
            }
            if let Some(span) = self.span.filter(|span| self.at >= span.end) {
                self.at = self.at.max(span.end + span.run);
                self.span = None;
                continue;
            }
            let rest = &self.text[self.at..self.line.end];
            if rest.starts_with('`') {
                self.back_ticks(rest);
                continue;
            }
            let length = path::token(rest);
            if length == 0 {
                self.at += rest.chars().next().map_or(1, char::len_utf8);
                continue;
            }
            let token = self.at..self.at + length;
            self.at = token.end;
            if rest[length..].starts_with("://") {
                self.at += url(&rest[length..]);
                continue;
            }
            return Some(token);
        }
    }

    /// Goes to the next line that is prose.
    fn advance(&mut self) -> Option<()> {
        while self.next_line < self.text.len() {
            let start = self.next_line;
            let rest = &self.text[start..];
            let end = rest.find('\n').map_or(self.text.len(), |at| start + at);
            self.next_line = end + 1;
            if self.code.is_prose(&self.text[start..end]) {
                self.line = start..end;
                self.at = self.at.max(start);
                self.free = self.at;
                self.span = None;
                self.unclosed = 0;
                return Some(());
            }
        }
        None
    }

    fn back_ticks(&mut self, rest: &str) {
        let run = rest.bytes().take_while(|byte| *byte == b'`').count();
        let start = self.at + run;
        self.at = start;
        if self.span.is_some() || run >= LONGEST_RUN || self.unclosed & (1 << run) != 0 {
            return;
        }
        match closing_ticks(&rest[run..], run) {
            Some(length) => {
                let end = start + length;
                self.span = Some(Span { start, end, run });
            }
            None => self.unclosed |= 1 << run,
        }
    }

    /// Where the code span around `at` begins, if other words of it stand before and nothing was
    /// cited in it yet.
    pub fn words_of_span(&self, at: usize) -> Option<usize> {
        let span = self.span?;
        let open = span.start;
        let fits = open >= self.free && open < at && at - open <= MAX_NAME;
        let words = &self.text[open..at.max(open)];
        (fits && at <= span.end && !words.contains(':') && !words.starts_with(' ')).then_some(open)
    }

    /// The end of the code span that is read.
    pub fn span_end(&self) -> Option<usize> {
        self.span.map(|span| span.end)
    }

    /// Passes a citation that ends at `end` and the markup that closes behind it, the destination of
    /// a link included; `path` is where its path begins. Returns where something beside it begins.
    pub fn pass(&mut self, path: usize, end: usize) -> usize {
        let mut at = end;
        match self.span {
            Some(span) if end <= span.end && self.text[end..span.end].trim().is_empty() => {
                at = span.end + span.run;
            }
            // More stands in the span, or the lines stand in words behind it.
            Some(_) => {}
            None if self.text[..path].ends_with('`') => {
                at += self.text[end..].len() - self.text[end..].trim_start_matches('`').len();
            }
            None => {}
        }
        let rest = &self.text[at..self.line.end];
        let label = rest.trim_start_matches('*');
        let link = if label.starts_with("](") {
            Some(label)
        } else {
            Some(rest).filter(|_| self.text[..path].ends_with("]("))
        };
        if let Some(close) = link.and_then(close_of_link) {
            at = self.line.end - link.map_or(0, str::len) + close;
        }
        self.go_to(at);
        at
    }

    /// Goes on at a place behind.
    pub fn go_to(&mut self, at: usize) {
        self.at = self.at.max(at);
        self.free = self.at;
        self.span = self.span.filter(|span| self.at < span.end);
    }
}

/// How long the rest of an address is.
fn url(rest: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || "<>\"`|”»".contains(c);
    rest.find(ends).unwrap_or(rest.len())
}

/// Where the destination of a link is over, its closing bracket included.
fn close_of_link(rest: &str) -> Option<usize> {
    let close = rest.bytes().take(MAX_LINK).position(|byte| byte == b')')?;
    Some(close + 1)
}

/// Tells prose from fenced code, also in lists and quotes.
#[derive(Debug, Default)]
struct Code {
    fences: Fences,
    /// How deep the open fence stands.
    open: Option<usize>,
    begun: bool,
}

impl Code {
    fn is_prose(&mut self, line: &str) -> bool {
        if let Some(depth) = self.open {
            let body = line.trim_start_matches([' ', '\t', '>']);
            let deeper = line.len() - body.len() > depth + 3;
            if !deeper && self.fences.line(body) == Line::Closes {
                self.open = None;
            }
            return false;
        }
        let body = body_of(line);
        let begun = self.begun;
        self.begun |= !body.trim().is_empty();
        let Line::Opens(info) = self.fences.line(body) else {
            return true;
        };
        // A fence around the whole reply is no code.
        if !begun && matches!(info, "markdown" | "md") {
            self.fences = Fences::default();
        } else {
            self.open = Some(line.len() - body.len());
        }
        false
    }
}

/// A line without indent, quote marks and list markers.
fn body_of(line: &str) -> &str {
    let mut body = line.trim_start_matches([' ', '\t', '>']);
    while let Some(length) = is_marker(body) {
        body = body[length..].trim_start_matches([' ', '\t', '>']);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<&str> {
        let mut lexer = Lexer::new(text);
        std::iter::from_fn(|| lexer.token())
            .map(|token| &text[token])
            .collect()
    }

    #[test]
    fn fences_are_left_out_at_every_depth() {
        assert_eq!(
            tokens(
                "a\n```\nb\n```\n- c\n    ```rust\n    d\n    ```\n> ~~~\n> e\n> ~~~\n- ```\n  f\n  ```\ng"
            ),
            ["a", "-", "c", "g"]
        );
        assert_eq!(tokens("a\n```\n       ```\nb"), ["a"]);
    }

    #[test]
    fn a_fence_around_the_whole_reply_is_no_code() {
        assert_eq!(
            tokens("\n```markdown\na\n```rust\nb\n```\nc\n```\n"),
            ["a", "c"]
        );
        assert_eq!(tokens("a\n```markdown\nb\n```\n"), ["a"]);
    }

    #[test]
    fn addresses_are_passed_over() {
        assert_eq!(tokens("a https://h/b.rs:10?c=d b"), ["a", "b"]);
    }
}
