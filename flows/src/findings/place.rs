//! Where a finding points.

use std::collections::HashMap;

use super::Place;
use super::words::Label;
use crate::citation::find;
use crate::report::Broken;
use crate::text::{cut_at_char, one_line};

/// What labels say of a place, when file and line stand apart.
#[derive(Debug, Default)]
pub(super) struct Spot {
    stated: Option<Place>,
    file: Option<String>,
    lines: Option<(u64, u64)>,
    last: Option<u64>,
}

impl Spot {
    /// Notes the first value of each label; labels of other things are passed over.
    pub fn note(&mut self, label: Label, value: &str) {
        let value = cut_at_char(value, 1000);
        match label {
            Label::Place | Label::File => {
                self.stated = self.stated.take().or_else(|| first(value));
                let path =
                    value.trim_matches(|c: char| c.is_whitespace() || "`*_\"'[]()".contains(c));
                let path = path.strip_prefix("./").unwrap_or(path);
                let is_path = !path.is_empty() && !path.contains(char::is_whitespace);
                if self.file.is_none() && is_path && path.contains(['.', '/']) {
                    self.file = Some(one_line(path, 300));
                }
            }
            Label::Line => self.lines = self.lines.or_else(|| numbers(value)),
            Label::LastLine => self.last = self.last.or_else(|| Some(numbers(value)?.0)),
            _ => {}
        }
    }

    /// The place: that of the labels, or else the first one that the text cites.
    pub fn place(self, text: &str) -> Option<Place> {
        let apart = match (self.file, self.lines) {
            (Some(path), Some((first, last))) => {
                let last = self.last.unwrap_or(last);
                Some(Place {
                    path,
                    first,
                    last: last.max(first),
                })
            }
            _ => None,
        };
        self.stated.or(apart).or_else(|| first(text))
    }
}

/// The first place that a text cites.
pub(super) fn first(text: &str) -> Option<Place> {
    find(text, &mut |_: &str| false)
        .find(|it| it.first > 0)
        .map(|it| Place {
            path: it.path,
            first: it.first,
            last: it.last.max(it.first),
        })
}

/// `10`, `L10-L20`, `10, 12`: the first number and the one that ends its range.
fn numbers(text: &str) -> Option<(u64, u64)> {
    let text = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let first: u64 = text[..digits].parse().ok().filter(|it| *it > 0)?;
    let rest = text[digits..].trim_start();
    let last = rest
        .strip_prefix(['-', '–'])
        .map(|rest| rest.trim_start_matches([' ', 'L']))
        .and_then(|rest| {
            rest.split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        });
    Some((first, last.unwrap_or(first).max(first)))
}

/// Citations that do not hold, to be looked up by the words in which they stand.
pub(super) struct BrokenOnes<'a> {
    by_words: HashMap<&'a str, &'a Broken>,
    paths: std::collections::HashSet<String>,
}

impl<'a> BrokenOnes<'a> {
    pub fn new(broken: &'a [Broken]) -> Self {
        let path = |it: &'a Broken| {
            it.cited
                .split([':', '#'])
                .next()
                .unwrap_or("")
                .replace('\\', "")
        };
        Self {
            by_words: broken.iter().map(|it| (it.cited.as_str(), it)).collect(),
            paths: broken.iter().map(path).collect(),
        }
    }

    /// Those that a text cites, each once, in its order.
    pub fn of(&self, text: &str) -> Vec<Broken> {
        let mut found: Vec<Broken> = Vec::new();
        if self.by_words.is_empty() {
            return found;
        }
        let mut seen = std::collections::HashSet::new();
        for citation in find(text, &mut |path: &str| self.paths.contains(path)) {
            if let Some(broken) = self.by_words.get(citation.cited.as_ref())
                && seen.insert(broken.cited.as_str())
            {
                found.push((*broken).clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_and_line_may_stand_apart() {
        let place = |notes: &[(Label, &str)]| {
            let mut spot = Spot::default();
            for (label, value) in notes {
                spot.note(*label, value);
            }
            spot.place("see src/z.rs:9")
                .map(|it| (it.path, it.first, it.last))
        };
        let a = |first, last| Some(("src/a.rs".to_owned(), first, last));
        assert_eq!(
            place(&[(Label::File, "`src/a.rs`"), (Label::Line, "10-20")]),
            a(10, 20)
        );
        assert_eq!(
            place(&[(Label::File, "./src/a.rs"), (Label::Line, "L7")]),
            a(7, 7)
        );
        assert_eq!(place(&[(Label::Place, "`src/a.rs:3-5`")]), a(3, 5));
        assert_eq!(
            place(&[
                (Label::File, "src/a.rs"),
                (Label::Line, "4"),
                (Label::LastLine, "6")
            ]),
            a(4, 6)
        );
        assert_eq!(
            place(&[(Label::File, "src/a.rs")]),
            Some(("src/z.rs".to_owned(), 9, 9))
        );
        assert_eq!(
            place(&[(Label::Line, "0")]),
            Some(("src/z.rs".to_owned(), 9, 9))
        );
    }
}
