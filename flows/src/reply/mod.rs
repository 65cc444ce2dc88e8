//! Judging what a model replied, before it counts as a result.
//!
//! Precision comes first: a short answer is an answer. Only a reply without words, and one that does nothing but
//! announce work, is useless.

mod language;
mod phrases;
mod promise;

use crate::text::one_line;

/// What a reply is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assessment {
    /// It can be used; `note` is what readers should know of it.
    Good {
        /// `the reply is in German, the question in English` for example.
        note: Option<String>,
    },
    /// There is nothing in it.
    Useless {
        /// A lower-case fragment: `the reply was empty`.
        why: String,
    },
}

/// How much of a promise is quoted, in characters.
const QUOTED: usize = 120;

/// Judges the reply to a question. Linear in the reply, and looks at little of a long one.
pub fn assess(question: &str, output: &str) -> Assessment {
    let text = output.trim();
    if text.is_empty() {
        return useless("the reply was empty");
    }
    let text = after_thoughts(text);
    if text.is_empty() {
        return useless("the reply held only thoughts, no answer");
    }
    // An empty list may well be the answer.
    let json = text.starts_with(['{', '[']) && text.ends_with(['}', ']']);
    if !json && !has_words(text) {
        return useless("the reply held only markup, no words");
    }
    if promise::is_all(text) {
        let said = one_line(text, QUOTED);
        return useless(format!("the reply was only a promise: \"{said}\""));
    }
    Assessment::Good {
        note: language::differs(question, text),
    }
}

fn useless(why: impl Into<String>) -> Assessment {
    Assessment::Useless { why: why.into() }
}

/// What comes after the thoughts that some models begin with.
fn after_thoughts(text: &str) -> &str {
    ["think", "thinking"]
        .iter()
        .find_map(|tag| {
            let body = text
                .strip_prefix('<')?
                .strip_prefix(tag)?
                .strip_prefix('>')?;
            let end = body.find(&format!("</{tag}>"))?;
            Some(body[end + tag.len() + 3..].trim_start())
        })
        .unwrap_or(text)
}

/// Longest tag that is taken for markup, in bytes.
const MAX_TAG: usize = 300;

/// Whether anything is left without tags, fences and punctuation.
fn has_words(text: &str) -> bool {
    text.lines().any(|line| {
        let bare = line.trim_start();
        let fence = bare.starts_with("```") || bare.starts_with("~~~");
        !fence && line_has_words(bare)
    })
}

fn line_has_words(line: &str) -> bool {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let length = if c == '<' { tag_length(rest) } else { 0 };
        if length == 0 && is_word(c) {
            return true;
        }
        rest = &rest[length.max(c.len_utf8())..];
    }
    false
}

/// How long the tag is that a text begins with; 0 when it is none.
fn tag_length(text: &str) -> usize {
    let named = text[1..].starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
    let near = crate::text::cut_at_char(text, MAX_TAG);
    near.find('>').filter(|_| named).map_or(0, |end| end + 1)
}

/// Letters, digits and pictures; no punctuation, no blanks, nothing that has no width.
fn is_word(c: char) -> bool {
    let mute = c.is_ascii()
        || c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{80}'..='\u{bf}' | '\u{2000}'..='\u{206f}' | '\u{2500}'..='\u{257f}')
        || matches!(c, '\u{3000}'..='\u{303f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}')
        || matches!(c, '\u{ff00}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}');
    c.is_alphanumeric() || !mute
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_markup() {
        for empty in [
            "***",
            "---",
            "```\n```",
            "```json\n```",
            "<br>",
            "<div class=\"a\">\n</div>",
            "<!-- note -->",
            "| | |\n|--|--|",
            "…",
            "。",
            "\u{200b}\u{feff}",
            "> \n> ",
            "# \n- ",
            "─────",
        ] {
            assert!(!has_words(empty), "{empty:?}");
        }
        for text in [
            "a",
            "1",
            "✅",
            "👍",
            "漢",
            "<3",
            "a < b",
            "```\nx\n```",
            "{}x",
            "<not closed",
            "é",
        ] {
            assert!(has_words(text), "{text:?}");
        }
    }

    #[test]
    fn thoughts_are_no_answer() {
        let why = Assessment::Useless {
            why: "the reply held only thoughts, no answer".into(),
        };
        assert_eq!(assess("q", "<think>\nHm.\n</think>\n"), why);
        assert_eq!(after_thoughts("<think>a</think> b"), "b");
        assert_eq!(after_thoughts("<think>never closed"), "<think>never closed");
    }

    #[test]
    fn a_huge_reply_takes_no_time_worth_telling() {
        for part in [
            "<", "`", "\n", "[", "# ", "\"", "<a ", "I will ", "```\n", "漢", "|", ": 1. ",
        ] {
            let text = part.repeat((4 << 20) / part.len());
            assess("How does a lease work in this project?", &text);
        }
    }
}
