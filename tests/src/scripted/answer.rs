//! Fills the persona's reply form with lines that were really read.

use std::fmt::Write;

use super::analyst::Situation;
use super::evidence::{self, Citation};
use super::form::Piece;
use super::phrases;

/// Closes every answer.
pub const LABEL: &str = "_Produced by a scripted model, not by a language model: \
    it shows lines that were read, and judges nothing._";

const PLACE: &str = "`<path>:<line>`";

/// The answer to a situation in which nothing is left to read.
pub fn write(situation: &Situation) -> String {
    let mut answer = Answer::new(situation);
    for piece in situation.form() {
        answer.piece(&piece);
    }
    answer.deferred();
    let mut text = answer.text.trim_end().to_owned();
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    let _ = write!(text, "\n\n{LABEL}\n");
    text
}

struct Answer<'a> {
    situation: &'a Situation<'a>,
    /// What the findings stand on; one each.
    cited: Vec<Citation>,
    /// For the rest of the form.
    spare: Vec<Citation>,
    used: usize,
    heading: String,
    text: String,
}

impl<'a> Answer<'a> {
    fn new(situation: &'a Situation<'a>) -> Self {
        let findings = match (situation.validates(), situation.fast) {
            (true, _) => 0,
            (false, true) => 2,
            (false, false) => 4,
        };
        let mut cited = evidence::citations(
            &situation.passages,
            &situation.keywords,
            situation.seed,
            3,
            findings + 4,
        );
        let spare = cited.split_off(findings.min(cited.len()));
        Self {
            situation,
            cited,
            spare,
            used: 0,
            heading: String::new(),
            text: String::new(),
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Heading(heading) => {
                self.heading = heading.trim_start_matches('#').trim().to_lowercase();
                self.line(heading);
            }
            Piece::Item { title, fields } if self.situation.validates() => {
                self.attacks(title, fields);
            }
            Piece::Item { title, fields } => self.findings(title, fields),
            Piece::Row(row) => {
                let row = self.filled(row, "row");
                self.line(&row);
            }
            Piece::Line(line) => self.plain(line),
        }
    }

    /// One item for each citation; one that says it has no evidence where nothing was read.
    fn findings(&mut self, title: &str, fields: &[String]) {
        let (prefix, _) = title.split_once("1.").unwrap_or(("F", ""));
        let cited: Vec<Option<Citation>> = if self.cited.is_empty() {
            vec![None]
        } else {
            self.cited.iter().cloned().map(Some).collect()
        };
        for (at, citation) in cited.iter().enumerate() {
            let number = at + 1;
            let claim = phrases::claim(prefix, citation.as_ref(), &self.situation.question);
            let marked = phrases::choice(title.split_once(' ').map_or("", |(_, rest)| rest));
            let mark = marked.map_or(String::new(), |mark| format!("({mark}) "));
            self.line(&format!("### {prefix}{number}. {mark}{claim}"));
            for field in fields {
                let field = self.field(field, citation.as_ref());
                self.line(&field);
            }
            self.line("");
        }
    }

    fn field(&mut self, field: &str, citation: Option<&Citation>) -> String {
        let (label, rest) = field.split_once(':').unwrap_or((field, ""));
        let said = match (label.trim_start_matches("- "), citation) {
            (label, Some(citation)) if label.starts_with("Evidence") => {
                return format!("- Evidence (codebase): {}", citation.full());
            }
            (label, None) if label.starts_with("Evidence") => {
                let words = &self.situation.question;
                return format!(
                    "- Evidence (none): no file was read; the question says \"{words}\""
                );
            }
            (label, _) if label.starts_with("Answers") || label.starts_with("Need") => self
                .ids()
                .unwrap_or_else(|| format!("\"{}\"", self.situation.question)),
            (label, Some(citation)) if rest.contains(PLACE) && label != "Test" => {
                let filled = rest.replace(PLACE, &citation.place());
                phrases::without_slots(&filled)
            }
            (label, _) => match phrases::choice(rest) {
                Some(choice) => choice,
                None => phrases::field(label, citation),
            },
        };
        format!("{label}: {}", said.trim())
    }

    /// The validator's items: what it attacked, and whether the cited line is there at all.
    fn attacks(&mut self, title: &str, fields: &[String]) {
        let (prefix, _) = title.split_once("1.").unwrap_or(("V", ""));
        let items = &self.situation.items;
        let attacked: Vec<_> = items.iter().take(5).cloned().collect();
        if attacked.is_empty() {
            self.line("NO FINDINGS");
        }
        for (at, item) in attacked.iter().enumerate() {
            let read = item.places.iter().find_map(|place| self.read(place));
            let outcome = if read.is_some() {
                "confirmed"
            } else {
                "unproven"
            };
            self.line(&format!("### {prefix}{}. {}: {outcome}", at + 1, item.id));
            for field in fields {
                let label = field
                    .split_once(':')
                    .map_or(field.as_str(), |(label, _)| label);
                let said = match (label.trim_start_matches("- "), &read) {
                    ("Claim", _) => item.title.clone(),
                    (label, Some(citation)) if label.starts_with("Evidence") => citation.full(),
                    (label, None) if label.starts_with("Evidence") => {
                        "no cited line could be opened".into()
                    }
                    (_, Some(_)) => "the cited line is there; its meaning was not judged".into(),
                    (_, None) => "the item stands on its words alone".into(),
                };
                self.line(&format!("{label}: {said}"));
            }
            self.line("");
        }
    }

    /// A cited place, if this conversation read it.
    fn read(&self, (path, line): &(String, usize)) -> Option<Citation> {
        let passages = self.situation.passages.iter();
        let text = passages
            .filter(|passage| passage.path == *path)
            .find_map(|passage| passage.lines.get(line.checked_sub(passage.first)?))?;
        Some(Citation {
            path: path.clone(),
            line: *line,
            quote: evidence::quotable(text)?,
        })
    }

    fn confirmed(&self) -> (usize, usize) {
        let items = self.situation.items.iter().take(5);
        let all = items.clone().count();
        let read = items.filter(|item| item.places.iter().any(|at| self.read(at).is_some()));
        (read.count(), all)
    }

    fn plain(&mut self, line: &str) {
        let filled = if line.starts_with("Confidence:") {
            let (confirmed, all) = self.confirmed();
            let level = if all > 0 && confirmed == all {
                "medium"
            } else {
                "low"
            };
            format!("Confidence: {level}")
        } else if line.starts_with("<stands") {
            self.verdict()
        } else if let Some(rest) = line.strip_prefix("- ") {
            format!("- {}", self.filled(rest, "bullet"))
        } else if let Some(rest) = line.strip_prefix("1. ") {
            format!("1. {}", self.filled(rest, "step"))
        } else if line.starts_with('<') || line.contains(PLACE) {
            self.filled(line, "paragraph")
        } else {
            line.to_owned()
        };
        self.line(&filled);
    }

    fn verdict(&self) -> String {
        let (confirmed, all) = self.confirmed();
        match (confirmed, all) {
            (_, 0) => "does not stand: there was nothing to validate.".into(),
            (confirmed, all) if confirmed == all => format!(
                "stands: {all} items were attacked, and each cited line was found where it was said to be."
            ),
            (confirmed, all) => format!(
                "stands with corrections: {all} items were attacked; for {confirmed} of them the cited \
                 line was found, the others are unproven."
            ),
        }
    }

    /// A line of the form outside the items: its places filled, the rest said in our own words.
    fn filled(&mut self, line: &str, kind: &str) -> String {
        if line.contains(PLACE) {
            let Some(citation) = self.next_citation() else {
                return phrases::nothing_read(kind);
            };
            return if kind == "row" {
                phrases::row(line, &citation)
            } else {
                format!("{}: {}", phrases::subject(&citation), citation.full())
            };
        }
        if line.starts_with("<ids>") || line.starts_with("<finding id>") {
            let ids = self.ids().unwrap_or_else(|| "the findings above".into());
            return format!("{ids}: in the order in which they were read");
        }
        phrases::section(&self.heading, self.situation, &self.cited)
    }

    fn next_citation(&mut self) -> Option<Citation> {
        let all: Vec<&Citation> = self.spare.iter().chain(&self.cited).collect();
        let citation = all.get(self.used % all.len().max(1)).copied().cloned();
        self.used += 1;
        citation
    }

    /// Ids of earlier steps, the first few.
    fn ids(&self) -> Option<String> {
        let items = self.situation.items.iter().take(4);
        let ids: Vec<&str> = items.map(|item| item.id.as_str()).collect();
        (!ids.is_empty()).then(|| ids.join(", "))
    }

    fn deferred(&mut self) {
        if self.situation.validates() || !self.situation.talk.prompt.contains("## Deferred (YAGNI)")
        {
            return;
        }
        self.line("");
        self.line("## Deferred (YAGNI)");
        self.line(
            "- Anything beyond the lines above. Why: gate 1, nothing that was read calls for it. \
             Reopens when: a language model has judged those lines. Source: own idea.",
        );
    }
}
