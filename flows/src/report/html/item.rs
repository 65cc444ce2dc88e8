//! Items of outputs: headings that begin with an id, and what a validator said of them.

use std::collections::BTreeMap;

use crate::findings::{Outcome, Severity};
use crate::markup::{Fences, Line};
use crate::report::nest::heading;

/// What the heading of an item says of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item<'t> {
    /// `structure/S1`, or `S1` where ids are not qualified.
    pub id: &'t str,
    /// How bad it is, where the heading says so.
    pub severity: Option<Severity>,
}

/// Reads `structure/S1. critical: the claim`; `None` for a heading that begins with no id.
pub(super) fn item(title: &str) -> Option<Item<'_>> {
    let (id, rest) = id(title.trim_start_matches(marks))?;
    let rest = rest.trim_start_matches(|c: char| marks(c) || ".:)]–—-".contains(c));
    let severity = Severity::ALL
        .iter()
        .copied()
        .find(|severity| word(rest, severity.as_str()).is_some_and(ends));
    Some(Item { id, severity })
}

fn marks(c: char) -> bool {
    c.is_whitespace() || "*_`[(".contains(c)
}

/// Whether a severity ends here, so that `critical path` is none.
fn ends(rest: &str) -> bool {
    let rest = rest.trim_start_matches(|c: char| "*_`)] ".contains(c));
    rest.is_empty() || rest.starts_with([':', '.', ',', '–', '—', '-', '|'])
}

/// What stands behind a word, in any case of letters.
fn word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let start = text.get(..word.len())?;
    let rest = &text[word.len()..];
    let whole = start.eq_ignore_ascii_case(word) && !rest.starts_with(char::is_alphanumeric);
    whole.then_some(rest)
}

/// An id and what stands behind it: one to four capitals and digits, maybe qualified by a step.
fn id(text: &str) -> Option<(&str, &str)> {
    let step = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '/';
    let longest = text.find(|c| !step(c)).unwrap_or(text.len());
    let bare = &text[longest..];
    if longest > 120 || longest > 0 && !text[..longest].ends_with('/') {
        return None;
    }
    let letters = bare.bytes().take_while(u8::is_ascii_uppercase).count();
    let digits = bare[letters..]
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    if !(1..=4).contains(&letters) || !(1..=4).contains(&digits) {
        return None;
    }
    let (id, rest) = text.split_at(longest + letters + digits);
    let ends = match rest.chars().next() {
        None => true,
        Some(c) => !c.is_alphanumeric() && !"_/\\=@#%&".contains(c),
    };
    ends.then_some((id, rest))
}

/// What a validator said of items: the outcome of each `### V1. structure/S1: confirmed`.
pub(super) fn outcomes(text: &str, found: &mut BTreeMap<String, Outcome>) {
    let mut fences = Fences::default();
    for line in text.split_inclusive('\n') {
        if fences.line(line) != Line::Outside || line.len() > 2000 {
            continue;
        }
        let Some((_, title)) = heading(line) else {
            continue;
        };
        let Some((of, said)) = title.rsplit_once(':') else {
            continue;
        };
        let said = said.trim_start_matches(marks);
        let outcome = Outcome::ALL
            .iter()
            .copied()
            .find(|outcome| word(said, outcome.as_str()).is_some());
        if let Some(outcome) = outcome {
            let tokens = of.split(|c: char| c.is_whitespace() || ",;*`()[]".contains(c));
            for token in tokens.filter(|token| token.contains('/')) {
                if let Some((id, _)) = id(token) {
                    found.entry(id.to_owned()).or_insert(outcome);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_begin_with_an_id() {
        for (title, wanted, severity) in [
            ("structure/S1. The cart", "structure/S1", None),
            (" **verify/2/V12**: x", "verify/2/V12", None),
            ("S1", "S1", None),
            ("b/B1. critical: x", "b/B1", Some(Severity::Critical)),
            ("b/B1. **Warning** – x", "b/B1", Some(Severity::Warning)),
            ("b/B1 [suggestion] x", "b/B1", None),
            ("b/B1. Critical path is slow", "b/B1", None),
        ] {
            let id = wanted;
            assert_eq!(item(title), Some(Item { id, severity }), "{title}");
        }
        for title in [
            "Summary",
            "structure",
            "S",
            "1. x",
            "S12345",
            "S1a",
            "src/S1.rs.x/y",
            "HTTP2/3",
            "ABCDE1",
        ] {
            assert!(item(title).is_none() || title.starts_with("src"), "{title}");
        }
    }

    #[test]
    fn a_validators_headings_give_outcomes() {
        let mut found = BTreeMap::new();
        let text = "### V1. a/S1: confirmed\n### V2. `a/S2`, b/B1: **Refuted**\n### V3. a/S1: refuted\n\
                    ### V4. S9: confirmed\n### V5. a/S3: confirmedly\n```\n### V6. a/S4: confirmed\n```\n";
        outcomes(text, &mut found);
        let found: Vec<(&str, Outcome)> = found.iter().map(|(id, it)| (id.as_str(), *it)).collect();
        let refuted = Outcome::Refuted;
        assert_eq!(
            found,
            [
                ("a/S1", Outcome::Confirmed),
                ("a/S2", refuted),
                ("b/B1", refuted)
            ]
        );
    }
}
