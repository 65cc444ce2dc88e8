//! Finding ids made unique: personas number alike, so `S1` of the step `structure` becomes
//! `structure/S1`.

use crate::markup::{Fences, Line, Span, code_spans};

/// Qualifies the finding ids of one output: `prefix` and one to four digits, as whole tokens.
///
/// Left alone: parts of words, file names, paths, URLs and identifiers, ids that are qualified
/// already, fenced code (but JSON and Markdown), and code spans that hold more than ids. An empty
/// prefix changes nothing. Linear in the length of the text.
pub fn qualify(step_id: &str, prefix: &str, text: &str) -> String {
    let well_formed = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !well_formed || !text.contains(prefix) {
        return text.to_owned();
    }
    let mut ids = Ids {
        step_id,
        prefix,
        out: String::with_capacity(text.len() + text.len() / 16),
    };
    let mut fences = Fences::default();
    let mut prose = true;
    for line in text.split_inclusive('\n') {
        match fences.line(line) {
            Line::Opens(info) => {
                let language = info.split([' ', ',', '{']).next().unwrap_or("");
                let known = ["json", "md", "markdown", "text", "txt"];
                prose = known.iter().any(|it| it.eq_ignore_ascii_case(language));
                ids.out.push_str(line);
            }
            Line::Inside if !prose => ids.out.push_str(line),
            Line::Closes => ids.out.push_str(line),
            Line::Inside => ids.plain(line),
            Line::Outside => ids.spans(line),
        }
    }
    ids.out
}

struct Ids<'a> {
    step_id: &'a str,
    prefix: &'a str,
    out: String,
}

impl Ids<'_> {
    /// A line that may hold code spans.
    fn spans(&mut self, line: &str) {
        let mut plain = 0;
        for Span { outer, ticks } in code_spans(line) {
            self.plain(&line[plain..outer.start]);
            let inner = outer.start + ticks..outer.end - ticks;
            let span = &line[inner.clone()];
            let mut tokens = span.split([',', ' ']);
            if tokens.all(|token| token.is_empty() || self.is_id(token)) {
                self.out.push_str(&line[outer.start..inner.start]);
                self.plain(span);
                self.out.push_str(&line[inner.end..outer.end]);
            } else {
                self.out.push_str(&line[outer.clone()]);
            }
            plain = outer.end;
        }
        self.plain(&line[plain..]);
    }

    fn is_id(&self, token: &str) -> bool {
        let digits = token.strip_prefix(self.prefix).unwrap_or("");
        (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// A stretch without code spans.
    fn plain(&mut self, text: &str) {
        let mut copied = 0;
        let mut at = 0;
        let mut last_end = usize::MAX;
        while let Some(start) = text[at..].find(self.prefix).map(|found| at + found) {
            let numbers = start + self.prefix.len();
            let digits = text[numbers..]
                .bytes()
                .take(5)
                .take_while(u8::is_ascii_digit)
                .count();
            at = start + 1;
            let end = numbers + digits;
            if !(1..=4).contains(&digits) {
                continue;
            }
            let range =
                last_end != usize::MAX && last_end + 1 == start && text[..start].ends_with('-');
            if (range || begins_token(&text[..start])) && self.ends_token(&text[end..]) {
                self.out.push_str(&text[copied..start]);
                self.out.push_str(self.step_id);
                self.out.push('/');
                copied = start;
                last_end = end;
                at = end;
            }
        }
        self.out.push_str(&text[copied..]);
    }

    fn ends_token(&self, after: &str) -> bool {
        let mut chars = after.chars();
        let Some(first) = chars.next() else {
            return true;
        };
        let second = chars.next();
        match first {
            '_' | '/' | '\\' | '=' | '[' | '@' | '#' | '%' | '&' => false,
            '.' => !second.is_some_and(char::is_alphanumeric),
            ':' => !second.is_some_and(|c| c.is_ascii_digit() || c == ':'),
            '-' => {
                let range = after[1..].strip_prefix(self.prefix);
                let number =
                    range.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
                number || !second.is_some_and(|c| c.is_alphanumeric() || c == '_')
            }
            c => !c.is_alphanumeric(),
        }
    }
}

/// Whether a token can begin after `before`.
fn begins_token(before: &str) -> bool {
    let mut chars = before.chars().rev();
    match chars.next() {
        None => true,
        Some('_' | '/' | '\\' | '.' | '-' | '#' | '@' | '=' | '&' | '?' | '%' | '$' | '<') => false,
        Some(':') => chars.next() != Some(':'),
        Some(c) => !c.is_alphanumeric(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(text: &str) -> String {
        qualify("structure", "S", text)
    }

    #[test]
    fn whole_tokens_are_qualified() {
        for (text, wanted) in [
            ("S1", "structure/S1"),
            ("## S12. Title", "## structure/S12. Title"),
            (
                "**S1** (see S2, S3).",
                "**structure/S1** (see structure/S2, structure/S3).",
            ),
            ("S1: a claim", "structure/S1: a claim"),
            (
                "S1-S3 and S4–S5",
                "structure/S1-structure/S3 and structure/S4–structure/S5",
            ),
            ("| S1 | S2's |", "| structure/S1 | structure/S2's |"),
            ("[S1] \"S2\"", "[structure/S1] \"structure/S2\""),
            (
                "`S1` and `S1, S2`",
                "`structure/S1` and `structure/S1, structure/S2`",
            ),
            ("ends with S1.", "ends with structure/S1."),
            (
                "```json\n{\"id\": \"S1\"}\n```\n",
                "```json\n{\"id\": \"structure/S1\"}\n```\n",
            ),
        ] {
            assert_eq!(s(text), wanted);
        }
    }

    #[test]
    fn what_only_looks_like_an_id_is_left_alone() {
        for text in [
            "structure/S1",
            "behavior/S1",
            "docs/S1.md and S1.md and S1/readme and S1:12",
            "AS1 S1a S1_x _S1 x.S1 éS1 S1é SS1 S12345",
            "https://example.org/S1?x=S1#S1&S1",
            "Vec<S1> a::S1 S1::new S1[0] S1=2 $S1",
            "`let S1 = 3;` and ``S1 ` x``",
            "S1-notes.md",
            "```rust\nlet x = S1;\n```\n",
            "```\nS1\n```\n",
            "S and SA1 and 1S",
        ] {
            assert_eq!(s(text), text);
        }
    }

    #[test]
    fn qualifying_twice_changes_nothing_more() {
        let once = s("S1, `S2` and S3-S4");
        assert_eq!(s(&once), once);
    }

    #[test]
    fn a_step_without_prefix_is_left_alone() {
        assert_eq!(qualify("x", "", "S1"), "S1");
        assert_eq!(qualify("x", "*", "*1"), "*1");
    }

    #[test]
    fn a_huge_line_of_back_ticks_is_linear() {
        let mut line = String::new();
        while line.len() < 4_000_000 {
            line.push_str("` S1 `` S1 ``` S1 ");
        }
        assert!(qualify("structure", "S", &line).len() >= line.len());
    }
}
