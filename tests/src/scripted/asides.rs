//! What stands beside the findings: provided documents, the log, what is disputed, what nobody needs.

use std::fmt::Write;
use std::sync::LazyLock;

use regex::Regex;

use super::analyst::Situation;
use super::evidence::{self, Citation, Passage};
use super::{context, phrases, upstream};

/// Provided documents that are named, and disputes, at most.
const MOST: usize = 2;

/// Items that are compared with each other, at most.
const COMPARED: usize = 60;

static DOCUMENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^Document `([^`\n]+)`:\n\n`{3,}\n").expect("the pattern is a constant")
});

/// The first words of each provided document, with its name.
fn documents(prompt: &str) -> Vec<(&str, String)> {
    let Some((_, rest)) = prompt.split_once("\n# Provided documents\n") else {
        return Vec::new();
    };
    let found = DOCUMENT.captures_iter(rest).filter_map(|found| {
        let whole = found.get(0)?;
        let name = found.get(1)?.as_str();
        let words = rest[whole.end()..]
            .lines()
            .take(50)
            .take_while(|line| !line.starts_with("```"))
            .find_map(evidence::quotable)?;
        Some((name, words))
    });
    found.take(MOST).collect()
}

/// An item for each provided document, numbered on from `so_far`: of class provided, and single-source.
pub fn provided(situation: &Situation, prefix: &str, so_far: usize, fields: &[String]) -> String {
    let mut text = String::new();
    // Who builds on items of others has them from there.
    if situation.reviews() || !situation.items.is_empty() {
        return text;
    }
    for (at, (name, words)) in documents(&situation.talk.prompt).into_iter().enumerate() {
        let number = so_far + at + 1;
        let _ = writeln!(
            text,
            "### {prefix}{number}. {}",
            phrases::demand(prefix, name)
        );
        for field in fields {
            let (label, rest) = field.split_once(':').unwrap_or((field, ""));
            let label = label.trim_start_matches("- ");
            let said = if label.starts_with("Evidence") {
                let _ = writeln!(
                    text,
                    "- Evidence (provided, single-source): {name}, \"{words}\""
                );
                continue;
            } else {
                phrases::choice(rest).unwrap_or_else(|| phrases::of_document(label, name))
            };
            let _ = writeln!(text, "- {label}: {said}");
        }
        text.push('\n');
    }
    text
}

/// The newest entry of the log, where the brief points at the log.
pub fn from_the_log(situation: &Situation) -> Option<Citation> {
    let log = format!("{}log.txt", context::FOLDER);
    let read = |passage: &&Passage| passage.path == log;
    let passage = situation.passages.iter().find(read)?;
    let lines = passage.lines.iter().enumerate();
    let (at, quote) = lines
        .take(20)
        .find_map(|(at, line)| Some((at, evidence::quotable(line)?)))?;
    Some(Citation {
        path: log,
        line: passage.first + at,
        quote,
    })
}

/// Bullets on what the quoted items leave in dispute: two steps on one line, and items that stand on a
/// single source.
pub fn disputed(situation: &Situation) -> String {
    let mut text = String::new();
    let items = &situation.items[..situation.items.len().min(COMPARED)];
    for conflict in upstream::conflicts(items).into_iter().take(MOST) {
        let (one, other, place) = (conflict.one, conflict.other, conflict.place);
        let says = place.words.as_ref();
        let says = says.map_or(String::new(), |words| format!(": \"{words}\""));
        let _ = writeln!(
            text,
            "- Contradiction: {} says \"{}\", {} says \"{}\", and both cite one line. On what the system \
             does today the codebase wins, `{}:{}`{says}.",
            one.id,
            plain(&one.title),
            other.id,
            plain(&other.title),
            place.path,
            place.line
        );
    }
    for item in items.iter().filter(|item| item.single_source).take(MOST) {
        let _ = writeln!(
            text,
            "- Single-source: {} stands on a provided document alone and carries no recommendation.",
            item.id
        );
    }
    text
}

/// A title that can stand between quotation marks.
fn plain(title: &str) -> String {
    title.replace('"', "'")
}

/// The sections that contracts ask for at the end of a reply.
pub fn closing(situation: &Situation, spare: Option<&Citation>) -> String {
    let prompt = &situation.talk.prompt;
    if situation.validates() {
        String::new()
    } else if situation.reviews() && prompt.contains("## YAGNI notes") {
        let Some(citation) = spare else {
            return String::new();
        };
        format!(
            "\n## YAGNI notes\n- {} {} may be more than anybody needs. Why: gate 1, nothing that was read \
             calls for it. Simpler: remove it. Reopens when: somebody names who needs it.\n",
            citation.place(),
            phrases::subject(citation)
        )
    } else if !situation.reviews() && prompt.contains("## Deferred (YAGNI)") {
        let source = situation.items.first();
        let source = source.map_or("own idea", |item| item.id.as_str());
        format!(
            "\n## Deferred (YAGNI)\n- Anything beyond the lines above. Why: gate 1, nothing that was read \
             calls for it. Reopens when: a language model has judged those lines. Source: {source}.\n"
        )
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::conversation::Conversation;

    fn said(prompt: &str, tell: impl Fn(&Situation) -> String) -> String {
        let talk = Conversation {
            prompt: prompt.into(),
            ..Conversation::default()
        };
        tell(&Situation::of(&talk))
    }

    const PROVIDED: &str = "# The question\n\nq\n\n# Provided documents\n\nThe operator provided these.\n\n\
        Document `spec.md`:\n\n````\n# Spec\nThe lease is renewed by telegram.\n````\n\n# Contracts\n\nx\n";

    #[test]
    fn a_provided_document_is_cited_as_provided_and_as_the_only_source() {
        let fields = [
            "- Evidence (codebase): `<path>:<line>`".into(),
            "- Kind: <missing|partial>".into(),
        ];
        let text = said(PROVIDED, |s| provided(s, "GAP", 4, &fields));
        assert!(text.starts_with("### GAP5. "), "{text}");
        assert!(
            text.contains("- Evidence (provided, single-source): spec.md, \"The lease is renewed by telegram.\""),
            "{text}"
        );
        assert!(text.contains("- Kind: missing"), "{text}");
        assert_eq!(
            said("# The question\n\nq\n", |s| provided(s, "GAP", 4, &fields)),
            ""
        );
    }

    #[test]
    fn a_dispute_names_both_sides_and_the_line() {
        let prompt = "### a/S1. One\n- `x.rs:1` \"fn x\"\n### b/B1. Other \"so\"\n- `x.rs:1`\n\
            ### b/B2. Third\n- Evidence (provided, single-source): y\n";
        let text = said(prompt, disputed);
        assert!(
            text.starts_with("- Contradiction: a/S1 says \"One\", b/B1 says \"Other 'so'\""),
            "{text}"
        );
        assert!(text.contains("`x.rs:1`: \"fn x\""), "{text}");
        assert!(text.contains("- Single-source: b/B2 "), "{text}");
    }

    #[test]
    fn closes_with_the_section_that_the_contract_asks_for() {
        let deferred = said("### a/S1. One\n```\n## Deferred (YAGNI)\n```\n", |s| {
            closing(s, None)
        });
        assert!(
            deferred.contains("## Deferred (YAGNI)") && deferred.contains("Source: a/S1"),
            "{deferred}"
        );
        assert_eq!(said("nothing asked", |s| closing(s, None)), "");
    }
}
