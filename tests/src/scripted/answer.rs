//! Fills the persona's reply form with lines that were really read.

use std::fmt::Write;

use super::analyst::Situation;
use super::attacks::Attacks;
use super::evidence::{self, Citation, Passage};
use super::form::Piece;
use super::{asides, context, phrases};

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
    let spare = answer.spare.first().or(answer.cited.last());
    let asides = asides::closing(situation, spare);
    answer.text.push_str(&asides);
    let mut text = answer.text.trim_end().to_owned();
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    let _ = write!(text, "\n\n{LABEL}\n");
    text
}

struct Answer<'a> {
    situation: &'a Situation<'a>,
    attacks: Attacks<'a>,
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
        let (per_file, most) = match situation.reviews() {
            true => (8, 24),
            false => (3, findings + 4),
        };
        let mut cited = evidence::citations(
            &worth_citing(situation),
            &situation.keywords,
            situation.seed,
            per_file,
            most,
        );
        if situation.reviews() {
            spread(&mut cited, situation.seed);
        }
        let spare = cited.split_off(findings.min(cited.len()));
        if findings > 0 && !situation.reviews() {
            cited.extend(asides::from_the_log(situation));
        }
        Self {
            situation,
            attacks: Attacks::new(situation),
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
                let attacks = self.attacks.items(title, fields);
                self.text.push_str(&attacks);
            }
            Piece::Item { title, fields } => self.findings(title, fields),
            Piece::Row(row) => {
                let row = self.filled(row, "row");
                self.line(&row);
            }
            Piece::Line(line) => self.plain(line),
        }
    }

    /// One item for each citation; where nothing was read, one that says it has no evidence, or none.
    fn findings(&mut self, title: &str, fields: &[String]) {
        let (prefix, rest) = title.split_once("1.").unwrap_or(("F", ""));
        if self.cited.is_empty() && self.situation.reviews() {
            self.line("NO FINDINGS\n");
            return;
        }
        let cited: Vec<Option<Citation>> = if self.cited.is_empty() {
            vec![None]
        } else {
            self.cited.iter().cloned().map(Some).collect()
        };
        for (at, citation) in cited.iter().enumerate() {
            let number = at + 1;
            let claim = phrases::claim(prefix, citation.as_ref(), &self.situation.question);
            let mark = match phrases::choice(rest) {
                Some(_) if self.situation.reviews() => format!("{}: ", self.severity(at)),
                Some(mark) => format!("({mark}) "),
                None => String::new(),
            };
            self.line(&format!("### {prefix}{number}. {mark}{claim}"));
            for field in fields {
                let field = self.field(field, citation.as_ref());
                self.line(&field);
            }
            self.line("");
        }
        let provided = asides::provided(self.situation, prefix, cited.len(), fields);
        self.text.push_str(&provided);
    }

    /// Severities fall from one finding to the next; half of the reviewers see nothing critical.
    fn severity(&self, at: usize) -> &'static str {
        let severities = ["critical", "warning", "warning", "suggestion"];
        let from = usize::from(self.situation.seed.is_multiple_of(2));
        severities[(at + from).min(3)]
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
            (label, _)
                if ["Answers", "Need", "Subject"]
                    .iter()
                    .any(|it| label.starts_with(it)) =>
            {
                self.ids()
                    .unwrap_or_else(|| format!("\"{}\"", self.situation.question))
            }
            (label, Some(citation)) if rest.contains(PLACE) && label != "Test" => {
                phrases::placed(rest, PLACE, citation)
            }
            (label, _) => match phrases::choice(rest) {
                Some(choice) => choice,
                None => phrases::field(label, citation),
            },
        };
        format!("{label}: {}", said.trim())
    }

    fn plain(&mut self, line: &str) {
        let filled = if line.starts_with("Confidence:") {
            format!("Confidence: {}", self.attacks.confidence())
        } else if line.starts_with("<stands") {
            self.attacks.verdict()
        } else if let Some(rest) = line.strip_prefix("- ") {
            if ["open", "conflict", "contradict"]
                .iter()
                .any(|word| self.heading.contains(word))
            {
                let disputed = asides::disputed(self.situation);
                self.text.push_str(&disputed);
            }
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
}

/// Leaves the best line first and shuffles the others, so that reviewers agree on one thing and differ in
/// the rest.
fn spread(cited: &mut [Citation], seed: u64) {
    if let Some((_, others)) = cited.split_first_mut() {
        others.sort_by_cached_key(|citation| evidence::mix(seed, &citation.place()));
    }
}

/// What may be cited: of a reviewer the changed lines where there are any, and never `_context`.
fn worth_citing(situation: &Situation) -> Vec<Passage> {
    let files = situation
        .passages
        .iter()
        .filter(|passage| !passage.path.starts_with(context::FOLDER));
    let all: Vec<Passage> = files.cloned().collect();
    if !situation.reviews() {
        return all;
    }
    let mut changed = Vec::new();
    for passage in &all {
        let lines = situation.changed.get(&passage.path).into_iter().flatten();
        changed.extend(lines.filter_map(|line| {
            let text = passage.lines.get(line.checked_sub(passage.first)?)?;
            Some(Passage {
                path: passage.path.clone(),
                first: *line,
                lines: vec![text.clone()],
            })
        }));
    }
    if changed
        .iter()
        .any(|passage| evidence::quotable(&passage.lines[0]).is_some())
    {
        changed
    } else {
        all
    }
}
