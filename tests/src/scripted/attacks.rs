//! What a validator or verifier says of each item that it attacks: whether the cited line is there.

use std::fmt::Write;

use super::analyst::Situation;
use super::evidence::{self, Citation};
use super::upstream::{Item, Place};

/// Items that a validator attacks; a verifier judges all that it was given.
const MOST: usize = 5;

/// The items that are attacked, each with the cited line if it was read and says what is quoted.
pub struct Attacks<'a> {
    items: Vec<(&'a Item, Option<Citation>)>,
}

impl<'a> Attacks<'a> {
    /// Looks each item up in what was read.
    pub fn new(situation: &'a Situation<'a>) -> Self {
        let most = match situation.group {
            Some(_) => usize::MAX,
            None => MOST,
        };
        let items = situation.items.iter().take(most).map(|item| {
            let read = item.places.iter().find_map(|place| found(situation, place));
            (item, read)
        });
        Self {
            items: items.collect(),
        }
    }

    fn confirmed(&self) -> usize {
        self.items.iter().filter(|(_, read)| read.is_some()).count()
    }

    /// One item of the form for each attack.
    pub fn items(&self, title: &str, fields: &[String]) -> String {
        let (prefix, _) = title.split_once("1.").unwrap_or(("V", ""));
        let mut text = String::new();
        if self.items.is_empty() {
            text.push_str("NO FINDINGS\n");
        }
        for (at, (item, read)) in self.items.iter().enumerate() {
            let outcome = match read {
                Some(_) => "confirmed",
                None => "unproven",
            };
            let _ = writeln!(text, "### {prefix}{}. {}: {outcome}", at + 1, item.id);
            for field in fields {
                let (label, _) = field.split_once(':').unwrap_or((field, ""));
                let said = match (label.trim_start_matches("- "), read) {
                    ("Claim", _) => item.title.clone(),
                    (label, Some(citation)) if label.starts_with("Evidence") => citation.full(),
                    (label, None) if label.starts_with("Evidence") => {
                        "no cited line could be opened that holds the quoted words".into()
                    }
                    (_, Some(_)) => "the cited line is there; its meaning was not judged".into(),
                    (_, None) => "the item stands on its words alone".into(),
                };
                let _ = writeln!(text, "{label}: {said}");
            }
            text.push('\n');
        }
        text
    }

    /// The word on the whole.
    pub fn verdict(&self) -> String {
        match (self.confirmed(), self.items.len()) {
            (_, 0) => "does not stand: there was nothing to validate.".into(),
            (1, 1) => "stands: one item was attacked, and its cited line was found.".into(),
            (confirmed, all) if confirmed == all => format!(
                "stands: {all} items were attacked, and each cited line was found where it was said to be."
            ),
            (_, 1) => "stands with corrections: the one item that was attacked is unproven.".into(),
            (confirmed, all) => format!(
                "stands with corrections: {all} items were attacked; for {confirmed} of them the cited \
                 line was found, the others are unproven."
            ),
        }
    }

    /// How sure it is.
    pub fn confidence(&self) -> &'static str {
        match self.items.len() {
            0 => "low",
            all if all == self.confirmed() => "medium",
            _ => "low",
        }
    }
}

/// A cited place, if this conversation read it and the words quoted beside it are there.
fn found(situation: &Situation, place: &Place) -> Option<Citation> {
    let passages = situation.passages.iter();
    let text = passages
        .filter(|passage| passage.path == place.path)
        .find_map(|passage| passage.lines.get(place.line.checked_sub(passage.first)?))?;
    if place
        .words
        .as_deref()
        .is_some_and(|words| !text.contains(words))
    {
        return None;
    }
    Some(Citation {
        path: place.path.clone(),
        line: place.line,
        quote: evidence::quotable(text)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::conversation::{Call, Conversation};
    use serde_json::json;

    fn verifier(findings: &str) -> Conversation {
        let prompt = format!(
            "# Your part: V\n\nx\n\n# The question\n\nq\n\n# Your element\n\nYours.\n\n```\n\
             {{\"step\": \"a\", \"findings\": [{findings}]}}\n```\n"
        );
        let read = Call {
            name: "read_file".into(),
            arguments: json!({"file_path": "/s/a.rs"}),
            result: Some("fn first_of_all() {}\nfn second_of_all() {}\n".into()),
        };
        Conversation {
            system: "You are an adversarial validator".into(),
            prompt,
            folders: vec!["/s".into()],
            calls: vec![read],
            ..Conversation::default()
        }
    }

    #[test]
    fn confirms_a_line_that_was_read_and_holds_the_words_and_nothing_else() {
        let finding = |id: &str, line: u32, words: &str| {
            let text = format!("- Evidence: `a.rs:{line}` \"{words}\"");
            json!({"id": id, "claim": "It is so", "text": text}).to_string()
        };
        let findings = [
            finding("a/B1", 1, "fn first_of_all()"),
            finding("a/B2", 2, "fn first_of_all()"),
            finding("a/B3", 9, "fn ninth()"),
        ];
        let mut talk = verifier(&findings.join(", "));
        talk.prompt.push_str("The snapshot is /s.\n");
        let situation = Situation::of(&talk);
        let attacks = Attacks::new(&situation);
        let text = attacks.items(
            "V1. <id>: <confirmed|refuted|unproven>",
            &["- Claim: <c>".into()],
        );
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(
            heads,
            [
                "### V1. a/B1: confirmed",
                "### V2. a/B2: unproven",
                "### V3. a/B3: unproven"
            ]
        );
        assert_eq!(attacks.confidence(), "low");
        assert!(
            attacks
                .verdict()
                .starts_with("stands with corrections: 3 items")
        );
    }
}
