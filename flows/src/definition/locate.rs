//! Where in a file an error stands: from the name of a field to a line and a column.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{ErrorKind, FlowError};

/// A place in a text, for people: everything counts from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character of that line with which the place begins.
    pub column: usize,
    /// How many characters of that line belong to it, at least one.
    pub length: usize,
}

/// Finds the place of an error of [`Definition::from_toml`](super::Definition::from_toml) in the
/// text that it was given.
///
/// A wrong value is found at the value, an unknown key at the key, and a missing key at the head of
/// the table that lacks it. `None` when there is nothing to point at, as in an empty file.
pub fn in_definition(text: &str, error: &FlowError) -> Option<Place> {
    let root = match DeTable::parse(text) {
        Ok(root) => root.into_inner(),
        Err(broken) => return broken.span().map(|span| place(text, span)),
    };
    let found = if error.error_kind() == ErrorKind::UnknownKey {
        unknown_key(&root, error)
    } else {
        walk(&root, error.field()).map(|(span, _)| span)
    };
    let first_key = || root.keys().map(Spanned::span).min_by_key(|span| span.start);
    found.or_else(first_key).map(|span| place(text, span))
}

/// Finds the place of an error of [`Persona::parse`](crate::Persona::parse) in the text that it was
/// given. A missing key is found at the line that opens the front matter.
pub fn in_persona(text: &str, error: &FlowError) -> Option<Place> {
    let mut lines = front_matter(text);
    let field = error.field();
    let named = |line: &Range<usize>| {
        let (key, _) = text[line.clone()].split_once(':')?;
        (key.trim() == field).then(|| within(line.start, key))
    };
    let value = |line: &Range<usize>| {
        let (key, value) = text[line.clone()].split_once(':')?;
        (key.trim() == field).then(|| within(line.start + key.len() + 1, value))
    };
    let found = match error.error_kind() {
        ErrorKind::Syntax if !field.is_empty() => {
            lines.find(|line| Some(&text[line.clone()]) == error.value())
        }
        ErrorKind::UnknownKey => lines.find_map(|line| named(&line)),
        // The second one is one too many.
        ErrorKind::DuplicateId => lines.filter_map(|line| named(&line)).nth(1),
        ErrorKind::Empty if field == "body" => front_matter(text).last(),
        ErrorKind::Empty => lines.find_map(|line| named(&line)),
        _ => lines.find_map(|line| value(&line)),
    };
    found
        .or_else(|| front_matter(text).next())
        .map(|span| place(text, span))
}

/// The lines from the first to the one that closes the front matter, without their ends.
fn front_matter(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut at = text.len() - bare.len();
    let mut closed = false;
    let lines = bare.split_inclusive('\n').enumerate();
    lines.map_while(move |(number, line)| {
        if closed {
            return None;
        }
        let start = at;
        at += line.len();
        closed = number > 0 && line.trim_end() == "---";
        let line = line.strip_suffix('\n').unwrap_or(line);
        Some(start..start + line.strip_suffix('\r').unwrap_or(line).len())
    })
}

/// Where the trimmed `part` stands that begins at `start`.
fn within(start: usize, part: &str) -> Range<usize> {
    let start = start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

/// A step of the way to a field.
#[derive(Debug, PartialEq)]
enum Segment<'a> {
    Key(&'a str),
    Index(usize),
}

/// `angles[1].persona` as its steps. The keys that a definition knows hold neither dots nor brackets.
fn segments(field: &str) -> Vec<Segment<'_>> {
    let mut found = Vec::new();
    for part in field.split('.').filter(|part| !part.is_empty()) {
        let (key, indexes) = part.split_at(part.find('[').unwrap_or(part.len()));
        found.push(Segment::Key(key));
        let indexes = indexes.split(['[', ']']).filter(|index| !index.is_empty());
        found.extend(indexes.map_while(|index| index.parse().ok().map(Segment::Index)));
    }
    found
}

/// Follows a field as far as it exists: the span of the last value on the way, and that value. `None`
/// when not even the first key is there.
fn walk<'a, 'i>(root: &'a DeTable<'i>, field: &str) -> Option<(Range<usize>, &'a DeValue<'i>)> {
    let mut found: Option<&Spanned<DeValue<'i>>> = None;
    for segment in segments(field) {
        let next = match (segment, found.map(Spanned::get_ref)) {
            (Segment::Key(key), None) => root.get(key),
            (Segment::Key(key), Some(DeValue::Table(table))) => table.get(key),
            (Segment::Index(index), Some(DeValue::Array(list))) => list.get(index),
            _ => None,
        };
        let Some(next) = next else { break };
        found = Some(next);
    }
    found.map(|value| (value.span(), value.get_ref()))
}

/// The key itself. It may hold anything, dots included; the error has it as its value.
fn unknown_key(root: &DeTable, error: &FlowError) -> Option<Range<usize>> {
    let key = error.value()?;
    let above = error.field().strip_suffix(key)?;
    let table = match walk(root, above) {
        None => root,
        Some((_, DeValue::Table(table))) => table,
        Some(_) => return None,
    };
    table.get_key_value(key).map(|(key, _)| key.span())
}

/// The part of a span that stands on its first line.
fn place(text: &str, span: Range<usize>) -> Place {
    let start = text.floor_char_boundary(span.start);
    let end = text.ceil_char_boundary(span.end).max(start);
    let before = &text[..start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    // A text of several lines is better known by its opening than by its length.
    let first = text[start..end].lines().next().unwrap_or_default();
    Place {
        line: before.matches('\n').count() + 1,
        column: text[line_start..start].chars().count() + 1,
        length: first.chars().count().max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_way_to_it() {
        use Segment::{Index, Key};
        assert_eq!(
            segments("angles[12].needs[0]"),
            [Key("angles"), Index(12), Key("needs"), Index(0)]
        );
        assert_eq!(segments(""), []);
        assert_eq!(segments("a[x].b"), [Key("a"), Key("b")]);
    }

    #[test]
    fn columns_count_characters_and_lengths_end_with_the_line() {
        let text = "é = 1\nä = \"\"\"\nmore\"\"\"";
        let at = text.find("\"\"\"").unwrap();
        let found = place(text, at..text.len());
        assert_eq!((found.line, found.column, found.length), (2, 5, 3));
        let past = place(text, text.len() + 5..text.len() + 9);
        assert_eq!((past.line, past.length), (3, 1));
    }
}
