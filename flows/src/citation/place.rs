//! Which lines are meant: what stands behind a path, or around the word `line`.

/// Lines of a file, as a text has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub first: u64,
    pub last: u64,
    /// How many bytes it takes up.
    pub length: usize,
}

impl Place {
    /// The citation in its plain form.
    pub fn behind_path(&self, path: &str) -> String {
        match self.last == self.first {
            true => format!("{path}:{}", self.first),
            false => format!("{path}:{}-{}", self.first, self.last),
        }
    }
}

/// What a number may count that is not lines cited: `src/a.rs:120 lines`.
const COUNTED: [&str; 11] = [
    "bytes",
    "characters",
    "errors",
    "hits",
    "lines",
    "loc",
    "matches",
    "occurrences",
    "tests",
    "times",
    "warnings",
];

/// `:10`, `:10-20`, `:10:5`, `:L10`, `#L10`, `#L10C3-L20C4` at the beginning of a text.
pub(super) fn behind(text: &str) -> Option<Place> {
    let mut reader = Reader { rest: text };
    if reader.eat("#L") {
        reader.lines(text, Columns::Lettered)
    } else {
        if !reader.eat(":") {
            return None;
        }
        reader.eat("L");
        reader.lines(text, Columns::Plain)
    }
}

/// `, line 10`, ` (lines 10-20)`, `: L10` at the beginning of a text that follows a path.
pub(super) fn in_words(text: &str) -> Option<Place> {
    let mut reader = Reader { rest: text };
    reader.eat_most(&["`", "*", "\""], 3);
    reader.eat_one(&[",", ":", " —", " –", " -"]);
    reader.eat_most(&[" "], 2);
    reader.eat_one(&["(", "["]);
    reader.eat_one(&["at ", "on ", "in ", "see "]);
    if reader.rest.len() == text.len() {
        return None;
    }
    if !reader.eat_one(&["lines ", "line ", "Lines ", "Line ", "L"]) {
        return None;
    }
    reader.lines(text, Columns::None)
}

/// ` 10` or ` 10 to 20` behind the word `line`.
pub(super) fn after_word(text: &str) -> Option<Place> {
    let mut reader = Reader { rest: text };
    if !reader.eat(" ") {
        return None;
    }
    reader.lines(text, Columns::None)
}

/// The length of ` of ` or ` in `, with markup, before a path.
pub(super) fn of(text: &str) -> Option<usize> {
    let mut reader = Reader { rest: text };
    reader.eat_most(&["`", "*", ")", "]"], 3);
    if !reader.eat_one(&[" of ", " in "]) {
        return None;
    }
    reader.eat("the ");
    reader.eat("file ");
    reader.eat_most(&["`", "*", "\""], 3);
    Some(text.len() - reader.rest.len())
}

#[derive(Clone, Copy, PartialEq)]
enum Columns {
    /// `10:5`.
    Plain,
    /// `10C5`.
    Lettered,
    None,
}

impl Columns {
    fn mark(self) -> Option<&'static str> {
        match self {
            Columns::Plain => Some(":"),
            Columns::Lettered => Some("C"),
            Columns::None => None,
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn eat_one(&mut self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.eat(text))
    }

    fn eat_most(&mut self, texts: &[&str], most: usize) {
        for _ in 0..most {
            if !self.eat_one(texts) {
                return;
            }
        }
    }

    /// A number; one that is too large is the largest.
    fn number(&mut self) -> Option<u64> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        Some(number.parse().unwrap_or(u64::MAX))
    }

    /// Reads on only if the mark is followed by a number.
    fn marked_number(&mut self, mark: &str) -> Option<u64> {
        let mut ahead = Reader { rest: self.rest };
        if !ahead.eat(mark) {
            return None;
        }
        ahead.eat("L");
        let number = ahead.number()?;
        self.rest = ahead.rest;
        Some(number)
    }

    /// The lines, and nothing behind them that makes them something else.
    fn lines(mut self, text: &str, columns: Columns) -> Option<Place> {
        let first = self.number()?;
        let column = columns.mark().and_then(|mark| self.marked_number(mark));
        let in_text = columns == Columns::None;
        let marks: &[&str] = match in_text {
            true => &["-", "–", "—", " - ", " – ", " to "],
            false => &["-", "–", "—", "\u{2011}", "..=", ".."],
        };
        let mut last = marks.iter().find_map(|mark| self.marked_number(mark));
        if last.is_some()
            && let Some(mark) = columns.mark()
            && self.marked_number(mark).is_none()
            && column.is_some()
        {
            // `10:5-8` spans columns, not lines.
            last = None;
        }
        self.is_over().then(|| Place {
            first,
            last: last.unwrap_or(first),
            length: text.len() - self.rest.len(),
        })
    }

    fn is_over(&self) -> bool {
        let mut chars = self.rest.chars();
        let (next, second) = (chars.next(), chars.next());
        let digit = second.is_some_and(|c| c.is_ascii_digit());
        let goes_on = match next {
            None => false,
            Some('%' | '_') => true,
            Some('.' | ':' | '-' | '–') => digit,
            Some('/') => second.is_some_and(char::is_alphanumeric),
            Some(c) => c.is_ascii_alphanumeric(),
        };
        let word = self.rest.strip_prefix(' ').unwrap_or("");
        let length = word.bytes().take(12).take_while(u8::is_ascii_alphabetic);
        let word = word[..length.count()].to_ascii_lowercase();
        !goes_on && !COUNTED.contains(&word.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn place(found: Option<Place>, wanted: (u64, u64, usize)) {
        let found = found.map(|it| (it.first, it.last, it.length));
        assert_eq!(found, Some(wanted));
    }

    #[test]
    fn lines_behind_a_path() {
        place(behind(":10"), (10, 10, 3));
        place(behind(":10-20`"), (10, 20, 6));
        place(behind(":10–20,"), (10, 20, 8));
        place(behind(":10..20"), (10, 20, 7));
        place(behind(":10:5)"), (10, 10, 5));
        place(behind(":10:5-8"), (10, 10, 7));
        place(behind(":10:5-12:8"), (10, 12, 10));
        place(behind(":L10-L20"), (10, 20, 8));
        place(behind("#L10"), (10, 10, 4));
        place(behind("#L10-L20."), (10, 20, 8));
        place(behind("#L10C3-L20C4"), (10, 20, 12));
        place(behind(":10."), (10, 10, 3));
        place(behind(":10中"), (10, 10, 3));
        place(behind(":99999999999999999999999"), (u64::MAX, u64::MAX, 24));
    }

    #[test]
    fn what_only_begins_like_lines() {
        for text in [
            "",
            ":",
            ":x",
            "#",
            "#10",
            "#L",
            ":10ms",
            ":10%",
            ":10.5",
            ":10_000",
            ":10/20",
            ":1:2:3",
            ":10-20px",
            ":120 lines",
            ":5 matches",
            "10",
            " 10",
        ] {
            assert_eq!(behind(text), None, "{text}");
        }
    }

    #[test]
    fn lines_in_words() {
        place(in_words("`, line 10"), (10, 10, 10));
        place(in_words(" (lines 10-20)"), (10, 20, 13));
        place(in_words("` at line 10."), (10, 10, 12));
        place(in_words(": L10"), (10, 10, 5));
        place(in_words("`: lines 10 to 20"), (10, 20, 17));
        for text in [
            "line 10",
            " has 10 lines",
            ", 10",
            " line",
            " line ten",
            ". Line 10",
        ] {
            assert_eq!(in_words(text), None, "{text}");
        }
        place(after_word(" 10 of"), (10, 10, 3));
        assert_eq!(of("` of the file `a.rs"), Some("` of the file `".len()));
        assert_eq!(of(" often"), None);
    }
}
