//! What stands around the claim of a line: a severity behind or in it, a place before it.

use super::Severity;
use super::words::{rating, severity};
use crate::citation::find;
use crate::text::cut_at_char;

/// How much of a claim is searched for a severity in brackets.
const LONGEST: usize = 400;

/// What closes a bracket.
pub(super) fn closing(open: char) -> Option<char> {
    Some(match open {
        '[' => ']',
        '(' => ')',
        '{' => '}',
        '【' => '】',
        '（' => '）',
        _ => return None,
    })
}

/// A severity at the end, and where it begins: `… (critical)`, `… — High`.
pub(super) fn trailing(claim: &str) -> Option<(usize, Severity)> {
    let at = if claim.ends_with([')', ']', '）', '】']) {
        claim.rfind(['(', '[', '（', '【'])?
    } else {
        let dash = [" - ", " – ", " — ", " | "];
        dash.iter().filter_map(|it| claim.rfind(it)).max()?
    };
    Some((at, rating(&claim[at..])?))
}

/// `… Severity: high …` in the middle of a line.
pub(super) fn in_words(claim: &str) -> Option<Severity> {
    let lower = claim.to_ascii_lowercase();
    let at = lower.find("severity")? + "severity".len();
    let value = lower[at..].trim_start_matches(['*', ' ', '_']);
    let value = value
        .strip_prefix([':', '='])?
        .trim_start_matches(['*', ' ', '_', '`']);
    severity(value.split(|c: char| !c.is_alphanumeric()).next()?)
}

/// A severity in brackets behind the bold title, or before the place, and the claim without it:
/// `**Lost update** (critical) src/a.rs:4`.
pub(super) fn between(claim: &str) -> Option<(Severity, String)> {
    let mut code = false;
    for (at, c) in cut_at_char(claim, LONGEST).char_indices() {
        code ^= c == '`';
        let Some(close) = closing(c).filter(|_| !code) else {
            continue;
        };
        let (before, inner) = (claim[..at].trim_end(), &claim[at + c.len_utf8()..]);
        let Some((length, _)) = inner.char_indices().take(40).find(|it| it.1 == close) else {
            continue;
        };
        let after = inner[length + close.len_utf8()..].trim_start();
        let titled = before.ends_with("**") || before.ends_with("__");
        let said = before.contains(char::is_alphanumeric);
        if said
            && (titled || begins_place(after))
            && let Some(found) = rating(&inner[..length])
        {
            let blank = match after.starts_with([':', ',', '.', ';', '：', '，', '。']) {
                true => "",
                false => " ",
            };
            return Some((found, format!("{before}{blank}{after}")));
        }
    }
    None
}

/// Whether a text begins with a place: `` in `src/a.rs:4` ``, `src/a.rs:4`.
fn begins_place(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || "*_:,—–-".contains(c));
    let text = ["in ", "at ", "bei ", "en ", "dans ", "在 ", "在"]
        .iter()
        .find_map(|it| text.strip_prefix(it))
        .unwrap_or(text);
    let word = text.split_whitespace().next().unwrap_or("");
    let path = word.contains(['.', '/']) && word.contains(':');
    text.starts_with('`') || path && word.contains(|c: char| c.is_ascii_digit())
}

/// A claim without the place that it begins with: `` `a.rs:1` — claim ``.
pub(super) fn behind_place(claim: &str) -> &str {
    let Some(place) = find(claim, &mut |_: &str| false).next() else {
        return claim;
    };
    let before = &claim[..place.span.start];
    if before.chars().any(char::is_alphanumeric) {
        return claim;
    }
    let after = claim[place.span.end..].trim_start_matches(['`', ')', ']', '*', '_']);
    let rest = after.trim_start();
    let rest = rest.trim_start_matches(['-', '–', '—', ':', '：', '|', ',']);
    let parted = rest.len() < after.trim_start().len();
    if parted && rest.chars().any(char::is_alphanumeric) {
        rest
    } else {
        claim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_severity_in_brackets_stands_behind_a_title_or_before_a_place() {
        for (claim, wanted) in [
            (
                "Lost update** (critical) `src/q.rs:42` reads",
                Some("Lost update** `src/q.rs:42` reads"),
            ),
            (
                "Swallowed** [CRITICAL]: nobody reads it",
                Some("Swallowed**: nobody reads it"),
            ),
            (
                "x is lost (high) in src/a.rs:4",
                Some("x is lost in src/a.rs:4"),
            ),
            ("memory use (high) in loops", None),
            ("`f(low)` at `src/a.rs:4`", None),
            ("(critical) `src/a.rs:4`", None),
        ] {
            assert_eq!(between(claim).map(|it| it.1).as_deref(), wanted, "{claim}");
        }
    }
}
