//! The line that begins a finding: id, severity and claim, in whatever order and markup.

use super::Severity;
use super::claim::{behind_place, between, closing, in_words, trailing};
use super::lines::{entry, unmarked};
use super::names::Names;
use super::words::{Label, label, mark, rating, severity};
use crate::text::{cut_at_char, one_line};

/// How much of a line is read.
const LONGEST: usize = 4000;
/// The longest claim, in characters.
pub(super) const LONGEST_CLAIM: usize = 500;

/// What the first line of a finding says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Its id, unqualified.
    pub id: Option<String>,
    /// Whether it has a number, or an id that is not one of its step.
    pub numbered: bool,
    pub severity: Option<Severity>,
    /// Whether the severity is only a word that sentences begin with, too: `Error: …`.
    pub shy: bool,
    pub claim: String,
}

/// Reads the first line of a finding.
pub(super) fn head(line: &str, names: &Names) -> Head {
    let line = cut_at_char(line, LONGEST);
    let mut head = Head::default();
    let text = line.trim_start_matches([' ', '\t', '>', '#']);
    head.numbered = text.starts_with(|c: char| c.is_ascii_digit()) && entry(text).is_some();
    let mut rest = unmarked(line);
    let mut colour = None;
    let mut begun = false;
    loop {
        rest = rest.trim_start_matches(|c: char| {
            let separates = begun && ":：.,;)]-–—|/·。、".contains(c);
            separates || c.is_whitespace() || "*_~\u{fe0f}\u{200d}".contains(c)
        });
        let Some(first) = rest.chars().next() else {
            break;
        };
        if let Some(found) = mark(first) {
            colour = colour.or(Some(found));
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let Some(length) = token(rest, &mut head, names) else {
            break;
        };
        rest = &rest[length..];
        begun = true;
    }
    let mut claim = rest.trim_end_matches(|c: char| c.is_whitespace() || "*_".contains(c));
    if let Some((at, found)) = trailing(claim)
        && head.severity.is_none_or(|it| it == found)
    {
        head.severity = Some(found);
        claim = claim[..at].trim_end_matches(|c: char| c.is_whitespace() || "*_-–—".contains(c));
    }
    head.severity = head.severity.or_else(|| in_words(claim));
    let bracketed = match head.severity {
        None => between(claim),
        Some(_) => None,
    };
    let claim = match &bracketed {
        Some((found, without)) => {
            head.severity = Some(*found);
            without
        }
        None => claim,
    };
    head.severity = head.severity.or(colour);
    head.claim = tidy(behind_place(claim));
    head
}

/// A claim on one line, without bold marks.
pub(super) fn tidy(text: &str) -> String {
    let line = one_line(text, LONGEST_CLAIM);
    // Every other part stands in code.
    let parts: Vec<String> = line
        .split('`')
        .enumerate()
        .map(|(at, part)| {
            if at % 2 == 0 {
                part.replace("**", "")
            } else {
                part.to_owned()
            }
        })
        .collect();
    let line = parts.join("`");
    let marks = |c: char| c.is_whitespace() || "*_".contains(c);
    line.trim_matches(marks).to_owned()
}

/// The length of an id, number or severity at the beginning of a text; notes what it says.
fn token(text: &str, head: &mut Head, names: &Names) -> Option<usize> {
    let inner = text.trim_start_matches('`');
    let ticks = text.len() - inner.len();
    if head.id.is_none()
        && let Some((id, length)) = names.id(inner)
    {
        head.id = Some(id);
        let after = inner[length..].trim_start_matches('`');
        return Some(text.len() - after.len());
    }
    if ticks > 0 {
        return None;
    }
    bracketed(text, head, names)
        .or_else(|| counted(text, head))
        .or_else(|| rated(text, head))
        .or_else(|| foreign(text, head))
}

/// `[CRITICAL]`, `(B1)`, `[x]`, `(Severity: high)`.
fn bracketed(text: &str, head: &mut Head, names: &Names) -> Option<usize> {
    let open = text.chars().next()?;
    let (close, start) = (closing(open)?, open.len_utf8());
    let (length, _) = text[start..]
        .char_indices()
        .take(60)
        .find(|(_, c)| *c == close)?;
    let inner = text[start..start + length].trim_matches(|c: char| " *_`".contains(c));
    let end = start + length + close.len_utf8();
    if let Some((id, whole)) = names.id(inner)
        && head.id.is_none()
    {
        let rest =
            inner[whole..].trim_matches(|c: char| c.is_whitespace() || ",:-–—/|".contains(c));
        if rest.is_empty() || rating(rest).is_some() {
            head.severity = head.severity.or_else(|| rating(rest));
            head.id = Some(id);
            return Some(end);
        }
    }
    if let Some(found) = rating(inner) {
        head.severity = head.severity.or(Some(found));
        return Some(end);
    }
    let number = inner.trim_start_matches('#');
    let checked = matches!(inner, "" | "x" | "X");
    let numbered = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    head.numbered |= numbered;
    (checked || numbered).then_some(end)
}

/// `Finding 3`, `Issue #3`, `3.`, `#3`.
fn counted(text: &str, head: &mut Head) -> Option<usize> {
    let word: String = text
        .chars()
        .take(12)
        .take_while(|c| c.is_alphabetic())
        .collect();
    let lower = word.to_lowercase();
    let named = [
        "finding", "issue", "problem", "bug", "defect", "befund", "问题", "发现", "問題",
    ]
    .contains(&lower.as_str());
    let rest = if named { &text[word.len()..] } else { text };
    let number = rest.trim_start_matches([' ', '#']);
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let after = &number[digits..];
    let hash = rest.trim_start().starts_with('#');
    let ended = after.is_empty() || after.starts_with([':', '.', ')', ' ', '：', '、', '*']);
    let marked = named || hash || after.starts_with([')', '、']) || after.starts_with(". ");
    let fits = (1..=4).contains(&digits) && ended && marked && !head.numbered_already(named);
    head.numbered |= fits;
    fits.then(|| text.len() - after.len())
}

impl Head {
    /// Whether a bare number cannot be a number of the finding any more.
    fn numbered_already(&self, named: bool) -> bool {
        !named && (self.id.is_some() || self.severity.is_some())
    }
}

/// `Critical:`, `high severity -`, `**Warning**`.
fn rated(text: &str, head: &mut Head) -> Option<usize> {
    if head.severity.is_some() {
        return None;
    }
    let word: String = text
        .chars()
        .take(20)
        .take_while(|c| c.is_alphanumeric())
        .collect();
    let lower = word.to_lowercase();
    if let Some(rest) = text.get(word.len()..)
        && label(&lower) == Some(Label::Severity)
        && let Some(value) = rest
            .trim_start_matches(['*', ' '])
            .strip_prefix([':', '=', '：'])
    {
        let value = value.trim_start_matches(['*', ' ', '`']);
        let word: String = value.chars().take_while(|c| c.is_alphanumeric()).collect();
        head.severity = severity(&word.to_lowercase());
        head.severity?;
        return Some(text.len() - value.len() + word.len());
    }
    let found = severity(&lower)?;
    let mut after = &text[word.len()..];
    for beside in [
        " severity",
        " priority",
        " issue",
        " finding",
        " Severity",
        " Priority",
        "-severity",
        "-priority",
        "-Severity",
        "-Priority",
    ] {
        after = after.strip_prefix(beside).unwrap_or(after);
    }
    let closed = after.trim_start_matches(['*', '_', '`']);
    let spaced = closed.trim_start();
    let ended = closed.len() < after.len()
        || closed.is_empty()
        || closed.starts_with([
            ':', '：', ',', '.', '—', '–', ')', ']', '}', '/', '·', '。', '】',
        ])
        || spaced.len() < closed.len()
            && spaced.starts_with(['-', '–', '—', ':', '(', '[', '`', '·', '|', '/']);
    if !ended || closed.starts_with('|') {
        return None;
    }
    head.severity = Some(found);
    head.shy = closed.len() == after.len()
        && ["error", "errors", "info", "important"].contains(&lower.as_str());
    Some(text.len() - after.len())
}

/// An id that is not one of the step: `F-12:`.
fn foreign(text: &str, head: &mut Head) -> Option<usize> {
    if head.id.is_some() || head.severity.is_some() {
        return None;
    }
    let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
    let number = &text[letters..];
    let number = number.strip_prefix(['-', '_']).unwrap_or(number);
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    let after = &number[digits..];
    let ended = after.starts_with([':', ')', ']', '*']) || after.starts_with(". ");
    let fits = (1..=6).contains(&letters) && (1..=4).contains(&digits) && ended;
    head.numbered |= fits;
    fits.then(|| text.len() - after.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Severity::{Critical, Suggestion, Warning};

    const NAMES: Names = Names {
        step: "correctness",
        prefix: "B",
    };

    #[test]
    fn heads_are_read_in_many_dresses() {
        for (line, id, severity, claim) in [
            (
                "### B1. critical: the lock is lost",
                "B1",
                Some(Critical),
                "the lock is lost",
            ),
            (
                "### B1 (critical) the lock is lost",
                "B1",
                Some(Critical),
                "the lock is lost",
            ),
            (
                "### [B1] [CRITICAL] the lock is lost",
                "B1",
                Some(Critical),
                "the lock is lost",
            ),
            (
                "**B1. critical: the lock is lost**",
                "B1",
                Some(Critical),
                "the lock is lost",
            ),
            (
                "- `B2` — Medium — x is lost",
                "B2",
                Some(Warning),
                "x is lost",
            ),
            (
                "1. **[Critical]** `src/a.rs:10` — x is lost",
                "",
                Some(Critical),
                "x is lost",
            ),
            ("1. 🔴 x is lost", "", Some(Critical), "x is lost"),
            (
                "## Finding 3: x is lost (Severity: Low)",
                "",
                Some(Suggestion),
                "x is lost",
            ),
            ("### correctness/B7: x — High", "B7", Some(Critical), "x"),
            ("### B-4: x", "B4", None, "x"),
            ("- [ ] **Minor** - x", "", Some(Suggestion), "x"),
            ("1、严重：锁丢失", "", Some(Critical), "锁丢失"),
            ("### (B1, high) x", "B1", Some(Critical), "x"),
            ("* Severity: high, x", "", Some(Critical), "x"),
            ("### F-12: x", "", None, "x"),
            ("### High severity: x", "", Some(Critical), "x"),
            ("### B2. high-severity: z", "B2", Some(Critical), "z"),
            ("B1. Important: z", "B1", Some(Warning), "z"),
            (
                "1. **Lost update** (critical) `src/queue.rs:42` reads",
                "",
                Some(Critical),
                "Lost update `src/queue.rs:42` reads",
            ),
            (
                "3. **Swallowed** [CRITICAL] in `src/send.rs:7`",
                "",
                Some(Critical),
                "Swallowed in `src/send.rs:7`",
            ),
        ] {
            let head = head(line, &NAMES);
            assert_eq!(head.id.as_deref().unwrap_or(""), id, "{line}");
            assert_eq!(head.severity, severity, "{line}");
            assert_eq!(head.claim, claim, "{line}");
        }
    }

    #[test]
    fn sentences_are_not_taken_for_severities() {
        for line in [
            "- Error handling is missing",
            "- High memory use",
            "- Low-level calls leak",
            "### critical|warning|suggestion: x",
        ] {
            let head = head(line, &NAMES);
            assert_eq!((head.id, head.severity), (None, None), "{line}");
        }
        assert!(head("Error: connection refused", &NAMES).shy);
        assert!(head("Important: read this", &NAMES).shy);
    }
}
