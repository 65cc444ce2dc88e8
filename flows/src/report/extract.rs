//! What stands at fixed places of an output: deferred items, confidence, verdict, what is open.

use super::nest::heading;
use crate::markup::{Fences, Line};
use crate::text::plain_words;

/// A text without the sections that were taken out of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// What is left.
    pub rest: String,
    /// The bodies of the sections, without their headings.
    pub taken: Vec<String>,
}

/// Takes out all sections whose title is wanted, each up to the next heading of its level or above.
/// Titles are compared in lower case, letters and digits only. Nothing is lost: every line goes to
/// one side, but for the headings of what is taken.
pub(super) fn split(text: &str, wanted: impl Fn(&str) -> bool) -> Split {
    let mut split = Split::default();
    let mut fences = Fences::default();
    let mut taking: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        if fences.line(line) == Line::Outside
            && let Some((level, title)) = heading(line)
        {
            let inside = taking.is_some_and(|taken| level > taken);
            if !inside {
                taking = wanted(&plain(title)).then_some(level);
                if taking.is_some() {
                    split.taken.push(String::new());
                    continue;
                }
            }
        }
        match (taking, split.taken.last_mut()) {
            (Some(_), Some(section)) => section.push_str(line),
            _ => split.rest.push_str(line),
        }
    }
    split
}

/// A title without marks and numbering: `3. **Deferred (YAGNI):**` → `deferred yagni`.
fn plain(title: &str) -> String {
    let words = plain_words(title);
    let unnumbered = words
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim_start();
    if unnumbered.is_empty() {
        words
    } else {
        unnumbered.to_owned()
    }
}

/// Takes the deferred items out of an output; sections that say that there are none are dropped.
pub(super) fn deferred(text: &str) -> Split {
    let mut split = split(text, |title| {
        title == "deferred yagni" || title == "yagni deferred"
    });
    split.taken.retain(|section| {
        let said = plain(section);
        !matches!(
            said.as_str(),
            "" | "none" | "nothing" | "n a" | "nothing deferred" | "no items"
        )
    });
    split
}

/// What a validator's output says at its fixed places.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// high, medium or low.
    pub confidence: Option<&'static str>,
    /// What stands behind it on the same line.
    pub because: Option<String>,
    /// Its verdict.
    pub verdict: Option<String>,
    /// What it says remains open.
    pub open: Option<String>,
    /// Everything else.
    pub rest: String,
}

/// Reads a validator's output. What is taken out of it is not in `rest`, and nothing is lost.
pub(super) fn judgement(text: &str) -> Judgement {
    let mut found = Judgement::default();
    let open = split(text, |title| {
        matches!(
            title,
            "remains open" | "what remains open" | "still open" | "open"
        )
    });
    found.open = joined(open.taken);
    let mut rest = open.rest;
    if let Some(line) = last_line(&rest, |line| confidence(line).is_some()) {
        let (level, because) = confidence(&rest[line.clone()]).expect("it was one a line ago");
        found.confidence = Some(level);
        found.because = because;
        rest.replace_range(line, "");
    } else if let Some(found_level) = confidence_section(&rest) {
        found.confidence = Some(found_level);
    }
    let verdict = split(&rest, |title| title == "verdict" || title == "the verdict");
    if let Some(text) = joined(verdict.taken) {
        found.verdict = Some(text);
        rest = verdict.rest;
    } else if let Some(line) = last_line(&rest, |line| labelled(line, "verdict").is_some()) {
        found.verdict = labelled(&rest[line.clone()], "verdict");
        rest.replace_range(line, "");
    }
    found.rest = rest;
    found
}

fn joined(sections: Vec<String>) -> Option<String> {
    let text = sections.join("\n");
    let text = text.trim_matches('\n');
    (!text.trim().is_empty()).then(|| text.to_owned())
}

/// The last line outside fenced code for which `wanted` holds.
fn last_line(text: &str, wanted: impl Fn(&str) -> bool) -> Option<std::ops::Range<usize>> {
    let mut fences = Fences::default();
    let mut at = 0;
    let mut last = None;
    for line in text.split_inclusive('\n') {
        let range = at..at + line.len();
        at = range.end;
        // No verdict needs a longer line than this.
        if fences.line(line) == Line::Outside && line.len() <= 4000 && wanted(line) {
            last = Some(range);
        }
    }
    last
}

/// `**Confidence:** medium, because …` → medium, `because …`.
pub(super) fn confidence(line: &str) -> Option<(&'static str, Option<String>)> {
    let value = [
        "confidence",
        "overall confidence",
        "confidence level",
        "final confidence",
    ]
    .iter()
    .find_map(|label| labelled(line, label))?;
    let (level, rest) = level(&value)?;
    let because = rest.trim_matches(|c: char| c.is_whitespace() || ",;:.-–—*_()`".contains(c));
    Some((level, (!because.is_empty()).then(|| because.to_owned())))
}

fn level(text: &str) -> Option<(&'static str, &str)> {
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric());
    ["high", "medium", "low"].into_iter().find_map(|level| {
        let start = text.get(..level.len())?;
        let rest = &text[level.len()..];
        let whole = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '|' || c == '/');
        (start.eq_ignore_ascii_case(level) && whole).then_some((level, rest))
    })
}

/// A section `Confidence` whose text begins with the level.
fn confidence_section(text: &str) -> Option<&'static str> {
    let sections = split(text, |title| {
        title == "confidence" || title == "overall confidence"
    });
    sections
        .taken
        .iter()
        .rev()
        .find_map(|body| level(body))
        .map(|(level, _)| level)
}

/// What stands behind `label` and a colon (or dash) on a line, whatever marks surround it.
fn labelled(line: &str, label: &str) -> Option<String> {
    let marks = |c: char| c.is_whitespace() || "#*_->`+".contains(c);
    let text = line.trim_start_matches(marks);
    let start = text.get(..label.len())?;
    if !start.eq_ignore_ascii_case(label) {
        return None;
    }
    let rest = text[label.len()..].trim_start_matches(|c: char| "*_` ".contains(c));
    let value = rest.strip_prefix([':', '=', '–', '—'])?;
    let value = value.trim_matches(|c: char| c.is_whitespace() || "*_".contains(c));
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deferred_sections_are_moved_and_nothing_is_lost() {
        let text = "# A\nx\n## Deferred (YAGNI)\n- one\n### detail\n- two\n## B\ny\n\
                    ## **3. Deferred (YAGNI):**\n- three\n";
        let found = deferred(text);
        assert_eq!(found.rest, "# A\nx\n## B\ny\n");
        assert_eq!(found.taken, ["- one\n### detail\n- two\n", "- three\n"]);
        let fenced = "```\n## Deferred (YAGNI)\n- no\n```\n";
        assert_eq!(deferred(fenced).rest, fenced);
        assert!(deferred("## Deferred (YAGNI)\nNone.\n").taken.is_empty());
    }

    #[test]
    fn confidence_is_read_in_many_dresses() {
        for (line, level) in [
            ("Confidence: high", Some("high")),
            (
                "**Confidence:** Medium — two citations are broken",
                Some("medium"),
            ),
            ("- **Confidence**: low.", Some("low")),
            ("### Confidence: HIGH", Some("high")),
            ("Overall confidence: `medium`", Some("medium")),
            ("> Confidence level = low", Some("low")),
            ("## Confidence\n\n**Low**, because …", Some("low")),
            ("Confidence: high|medium|low", None),
            ("Confidence: highly doubtful", None),
            ("My confidence is low", None),
            ("```\nConfidence: high\n```", None),
        ] {
            assert_eq!(judgement(line).confidence, level, "{line}");
        }
    }

    #[test]
    fn the_last_confidence_is_the_verdicts() {
        let found = judgement("## V1\nConfidence: low\n\n## End\nConfidence: high, all was read\n");
        assert_eq!(found.confidence, Some("high"));
        assert_eq!(found.because.as_deref(), Some("all was read"));
        assert_eq!(found.rest, "## V1\nConfidence: low\n\n## End\n");
    }

    #[test]
    fn verdict_and_what_is_open_are_taken_out() {
        let found =
            judgement("# Validation\n**Verdict:** holds\n\n## V1\nx\n\n## Remains open\n- a\n");
        assert_eq!(found.verdict.as_deref(), Some("holds"));
        assert_eq!(found.open.as_deref(), Some("- a"));
        assert_eq!(found.rest, "# Validation\n\n## V1\nx\n\n");
        let section = judgement("## Verdict\nIt holds.\nConfidence: low\n### Remains open\n- b\n");
        assert_eq!(section.verdict.as_deref(), Some("It holds."));
        assert_eq!(section.confidence, Some("low"));
        assert_eq!(section.open.as_deref(), Some("- b"));
    }
}
