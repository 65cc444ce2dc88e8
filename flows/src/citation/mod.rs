//! Citations of lines in what models write: which file, which lines, and the words quoted beside them.
//!
//! Recognised are `a/b.rs:10`, `a/b.rs:10-20`, `a/b.rs:10:5`, `a/b.rs#L10-L20`, `a/b.rs, line 10` and
//! `line 10 of a/b.rs`, in whatever markup. What only looks alike (addresses, times, versions, ids)
//! is left out, and so is fenced code: it is better to miss a citation than to invent one.

mod lexer;
mod path;
mod place;
mod quote;

use std::borrow::Cow;
use std::ops::Range;

use lexer::Lexer;
use place::Place;
pub use quote::{fold, pieces, stands_in};

/// A place in a file that a text cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation<'t> {
    /// As it stands in the text: `./src/a.rs#L9`. Of one in words what it would be: `src/a.rs:9`.
    pub cited: Cow<'t, str>,
    /// The file, without `./` and escapes. One that starts with `/` or `~`, or that climbs with `..`,
    /// is left so.
    pub path: String,
    /// The first line, as the text has it: lines count from 1, but a text may say anything.
    pub first: u64,
    /// The last line; that of the first when only one is cited.
    pub last: u64,
    /// The words quoted beside it; see [`pieces`].
    pub quote: Option<&'t str>,
    /// Where it stands in the text, in bytes, its quote and markup not included.
    pub span: Range<usize>,
}

/// Finds every citation of a text, in order.
///
/// `known` says whether a path, relative to the project, names a file, or a folder if it ends with a
/// slash. It is asked only where the form leaves a doubt: for names without a usual extension
/// (`bin/run:3`), for names with blanks, and for what is glued to words around it. Linear in the
/// text's length.
pub fn find<'t, 'k>(
    text: &'t str,
    known: &'k mut dyn FnMut(&str) -> bool,
) -> impl Iterator<Item = Citation<'t>> + use<'t, 'k> {
    Finder {
        lexer: Lexer::new(text),
        known,
        closers: quote::Closers::default(),
    }
}

struct Finder<'t, 'k> {
    lexer: Lexer<'t>,
    known: &'k mut dyn FnMut(&str) -> bool,
    closers: quote::Closers,
}

impl<'t> Iterator for Finder<'t, '_> {
    type Item = Citation<'t>;

    fn next(&mut self) -> Option<Citation<'t>> {
        loop {
            let token = self.lexer.token()?;
            let found = match line_word(&self.lexer.text[token.clone()]) {
                Some(word) => self.line_of_file(token.end - word.len()..token.end),
                None => self.file_with_line(token),
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

impl<'t> Finder<'t, '_> {
    /// `a/b.rs:10` and `a/b.rs, line 10`; the token is the path.
    fn file_with_line(&mut self, token: Range<usize>) -> Option<Citation<'t>> {
        let text = self.lexer.text;
        let after = &text[token.end..self.lexer.line.end];
        if let Some(place) = place::behind(after) {
            let (start, path) = self.path(token.clone())?;
            let span = start..token.end + place.length;
            let cited = Cow::Borrowed(&text[span.clone()]);
            return Some(self.citation(cited, path, &place, start, span));
        }
        let place = place::in_words(after)?;
        let rest = token.end + place.length;
        if self.is_of_file(rest) {
            return None;
        }
        let (start, path) = self.path(token.clone())?;
        let cited = Cow::Owned(place.behind_path(&text[start..token.end]));
        Some(self.citation(cited, path, &place, start, start..rest))
    }

    /// `line 10 of a/b.rs`; the token is the word.
    fn line_of_file(&mut self, token: Range<usize>) -> Option<Citation<'t>> {
        let text = self.lexer.text;
        let place = place::after_word(&text[token.end..self.lexer.line.end])?;
        let name = self.file_after(token.end + place.length)?;
        let after = &text[name.end..self.lexer.line.end];
        if place::behind(after).is_some() || place::in_words(after).is_some() {
            return None;
        }
        let (start, path) = self.path(name.clone())?;
        let cited = Cow::Owned(place.behind_path(&text[start..name.end]));
        Some(self.citation(cited, path, &place, start, token.start..name.end))
    }

    /// Whether the text goes on with ` of a/b.rs`, so that lines belong to what follows.
    fn is_of_file(&mut self, at: usize) -> bool {
        self.file_after(at)
            .is_some_and(|name| self.path(name).is_some())
    }

    /// The token of ` of a/b.rs`.
    fn file_after(&self, at: usize) -> Option<Range<usize>> {
        let text = &self.lexer.text[..self.lexer.line.end];
        let start = at + place::of(&text[at..])?;
        let length = path::closed_token(&text[start..]);
        (length > 0).then(|| start..start + length)
    }

    /// The path that ends a token, with where it begins; `None` if that is no path.
    fn path(&mut self, token: Range<usize>) -> Option<(usize, String)> {
        let text = self.lexer.text;
        let word = &text[token.clone()];
        let mut start = token.start + path::start(word, text[..token.start].chars().next_back())?;
        if let Some(open) = self.lexer.words_of_span(start) {
            let whole = path::clean(&text[open..token.end]);
            if (self.known)(&whole) {
                return Some((open, whole));
            }
        }
        if let Some(glued) = path::glued(&text[start..token.end])
            && !(self.known)(&path::clean(&text[start..token.end]))
            && path::has_extension(&text[start + glued..token.end])
        {
            start += glued;
        }
        let path = path::clean(&text[start..token.end]);
        if !path::is_plausible(&path) {
            return None;
        }
        if let Some(below) = path.strip_prefix('/')
            && (self.known)(below)
        {
            return Some((start, below.to_owned()));
        }
        let is_file = path::has_extension(&path)
            || (self.known)(&path)
            || path::folder(&path).is_some_and(|folder| (self.known)(folder));
        is_file.then_some((start, path))
    }

    fn citation(
        &mut self,
        cited: Cow<'t, str>,
        path: String,
        place: &Place,
        start: usize,
        span: Range<usize>,
    ) -> Citation<'t> {
        let from = self.lexer.pass(start, span.end);
        let region = match self.lexer.span_end() {
            Some(end) => &self.lexer.text[..end],
            None => self.lexer.text,
        };
        let direct = from == span.end;
        let line = &self.lexer.text[self.lexer.line.clone()];
        let found = quote::beside(region, from, direct, line, &mut self.closers);
        if let Some(quote) = &found {
            self.lexer.go_to(quote.end);
        }
        Citation {
            cited,
            path,
            first: place.first,
            last: place.last,
            quote: found.map(|found| found.words),
            span,
        }
    }
}

/// The word that announces lines, without what opens before it.
fn line_word(token: &str) -> Option<&str> {
    let word = token.trim_start_matches(['(', '[']);
    matches!(word, "line" | "lines" | "Line" | "Lines").then_some(word)
}
