//! What the scripted model says where a form asks for words: short, true, and plainly not judged.

use std::sync::LazyLock;

use regex::Regex;

use super::analyst::Situation;
use super::context;
use super::evidence::Citation;

static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(?:fn|struct|enum|trait|class|def|type|const|interface|table|function|mod|impl)\s+([A-Za-z_][\w.]*)",
    )
    .expect("the pattern is a constant")
});

static SLOT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<[^<>]*>").expect("the pattern is a constant"));

static CHOICE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*[(<]?([a-z][a-z ]*)(?:\s*\|\s*[a-z][a-z ]*)+[)>]?")
        .expect("the pattern is a constant")
});

/// What a line is about: the name it declares, the heading it is, or its first words.
pub fn subject(citation: &Citation) -> String {
    if let Some(name) = NAMED.captures(&citation.quote) {
        return format!("`{}`", &name[1]);
    }
    let plain = citation
        .quote
        .trim_start_matches(['#', '/', '!', '-', '*', ' ']);
    let words: Vec<&str> = plain.split_whitespace().take(6).collect();
    format!("\"{}\"", words.join(" "))
}

/// The folder of a file, for a reader.
fn folder(path: &str) -> String {
    path.rsplit_once('/').map_or_else(
        || "the top folder".into(),
        |(folder, _)| format!("`{folder}/`"),
    )
}

/// The sentence of one finding, in the manner of the persona with this prefix.
pub fn claim(prefix: &str, citation: Option<&Citation>, question: &str) -> String {
    let Some(citation) = citation else {
        return match prefix {
            "JD" => format!("What would count as an answer to \"{question}\"?"),
            _ => "Nothing was read, so the question stands as it was asked".into(),
        };
    };
    let subject = subject(citation);
    let place = folder(&citation.path);
    match prefix {
        "S" => format!("{subject} has its home in {place}"),
        "B" => format!("{subject} is a step on the path that the question asks about"),
        "C" => format!("{subject} is what two actors would have to share"),
        "D" => format!("{subject} takes part in what the question asks about"),
        "DE" => format!("{subject} fixes the shape of stored data"),
        "E" => format!("{subject} exists and says what is quoted"),
        "EC" => format!("the border around {subject} -> no check was read"),
        "GAP" => format!("{subject} meets no demand by name"),
        "CA" => format!("{subject} is still said in {place}"),
        "DOR" => format!("{subject} is what an operator has to run"),
        "IA" => format!("A reader meets {subject} in {place}"),
        "JD" => format!("Is {subject} in {place} what the question means?"),
        "OCE" => format!("{subject} waits without a limit that was read"),
        "PM" => format!("{subject} stays as it is, and the wish is built beside it"),
        "PS" => format!("{place} says how the project is built: {subject}"),
        "R" => format!("If {subject} is wrong, {place} is where it shows"),
        "RA" => format!("The project says of itself: {subject}"),
        "SA" => format!("Keep {subject} as the one owner of what {place} decides"),
        "SEC" => format!("A caller of {subject} reaches {place}"),
        "SYS" => format!("{subject} is one side of a border at {place}"),
        "T" => format!("{subject} deserves a test by behaviour"),
        "UX" => format!("A person meets {subject}"),
        _ => format!("{subject} stands in {place}"),
    }
}

/// The sentence of a finding on a provided document, in the manner of the persona with this prefix.
pub fn demand(prefix: &str, document: &str) -> String {
    match prefix {
        "JD" => format!("What of {document} is a demand, and what is a wish?"),
        "GAP" => format!("{document} asks for something that no line which was read does"),
        _ => format!("{document} says so, and nothing else does"),
    }
}

/// The value of a field of such a finding.
pub fn of_document(label: &str, document: &str) -> String {
    if label.to_lowercase().starts_with("consequence") {
        format!("nothing follows from {document} alone")
    } else {
        format!("not judged; see {document}")
    }
}

/// The value of a field that is neither evidence nor a choice.
pub fn field(label: &str, citation: Option<&Citation>) -> String {
    let Some(citation) = citation else {
        return "unknown, because nothing was read".into();
    };
    let subject = subject(citation);
    let file = &citation.path;
    let label = label.to_lowercase();
    let said = |text: &str| text.replace("{s}", &subject).replace("{f}", file);
    if label.starts_with("consequence") {
        said("whoever changes {s} has to read `{f}` first")
    } else if label.starts_with("recommendation") || label.starts_with("fix") {
        said("let a language model read `{f}` before anything is changed")
    } else if label.starts_with("against") {
        said("nothing found in `{f}`")
    } else if label.starts_with("test") || label.starts_with("history") {
        "none looked for".into()
    } else {
        said("not judged; see `{f}`")
    }
}

/// The first of several words between bars, if that is what a form offers here.
pub fn choice(offered: &str) -> Option<String> {
    CHOICE.captures(offered).map(|found| found[1].trim().into())
}

static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("\u{1} \"<[^<>]*>\"").expect("the pattern is a constant"));

/// A field with its places filled, each with the words of its line where the field asks for them, and
/// without what is left of its slots. Of several ways to fill it, the first.
pub fn placed(field: &str, place: &str, citation: &Citation) -> String {
    let first = field.split(", or ").next().unwrap_or_default();
    // Marks first: a citation may hold what looks like a slot.
    let marked = first.replace(place, "\u{1}");
    let marked = QUOTED.replace_all(&marked, "\u{2}");
    let marked = SLOT.replace_all(&marked, "as read");
    let filled = marked.replace('\u{1}', &citation.place());
    filled.replace('\u{2}', &citation.full()).trim().into()
}

/// A row of a table for a line that was read.
pub fn row(row: &str, citation: &Citation) -> String {
    let cells = row.trim_matches('|').split('|').map(str::trim);
    let subject = subject(citation);
    let mut named = false;
    let filled: Vec<String> = cells
        .map(|cell| {
            if cell.contains(':') && cell.starts_with('`') {
                citation.place()
            } else if !named {
                named = true;
                subject.replace('|', " ")
            } else if cell.starts_with('<') {
                "as read".into()
            } else {
                cell.into()
            }
        })
        .collect();
    format!("| {} |", filled.join(" | "))
}

/// What stands where a place should be and there is none.
pub fn nothing_read(kind: &str) -> String {
    match kind {
        "row" => "| none | no file was read | none | none |".into(),
        _ => "none: no file was read".into(),
    }
}

/// The text of a section that is not made of items.
pub fn section(heading: &str, situation: &Situation, cited: &[Citation]) -> String {
    let question = situation.question.trim_end_matches(['.', '?']);
    let opening = ["summary", "answer", "outcome"];
    if opening.iter().any(|word| heading.contains(word)) {
        return summary(question, situation, cited);
    }
    if heading.contains("option") {
        return "A script weighs no options.".into();
    }
    if heading.contains("recommendation") || heading.contains("decision") {
        return match cited.first() {
            Some(citation) => format!("Begin at {}; nothing else was decided.", citation.place()),
            None => "None: nothing was read that could carry one.".into(),
        };
    }
    if heading.contains("trail") || heading.contains("sound") || heading.contains("held") {
        let read: Vec<String> = files(situation).iter().map(|f| format!("`{f}`")).collect();
        return match read.is_empty() {
            true => "nothing was read".into(),
            false => format!("read: {}", read.join(", ")),
        };
    }
    format!(
        "What these lines mean for \"{question}\": a run with a language model would settle it."
    )
}

fn files<'a>(situation: &'a Situation) -> Vec<&'a str> {
    let files = situation.passages.iter().map(|p| p.path.as_str());
    let mut files: Vec<&str> = files
        .filter(|path| !path.starts_with(context::FOLDER))
        .collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// What a prompt says of a flow on a document that got none.
const NO_DOCUMENT: &str = "None was provided, and this work is about a document.";

/// Whether a change was reviewed or the tree.
fn reviewed(situation: &Situation) -> String {
    let files: Vec<String> = situation
        .changed
        .keys()
        .map(|file| format!("`{file}`"))
        .collect();
    match files.len() {
        0 => "Reviewed the tree, because no change was found to review.".into(),
        1..=4 => format!("Reviewed the change, which touches {}.", files.join(", ")),
        many => format!("Reviewed the change, which touches {many} files."),
    }
}

fn summary(question: &str, situation: &Situation, cited: &[Citation]) -> String {
    let files = files(situation);
    let ids: Vec<&str> = situation
        .items
        .iter()
        .take(4)
        .map(|item| item.id.as_str())
        .collect();
    let mut sentences = Vec::new();
    if situation.reviews() {
        sentences.push(reviewed(situation));
    }
    if situation.talk.prompt.contains(NO_DOCUMENT) {
        sentences.push("No document was provided: this works from the question alone.".into());
    }
    let part = situation.part().map(|part| format!("{part}: on "));
    let part = part.unwrap_or_else(|| "On ".into());
    sentences.push(match files.len() {
        0 => format!("{part}\"{question}\" no file was read: the prompt names none."),
        1 => format!("{part}\"{question}\" one file was read."),
        several => format!("{part}\"{question}\" {several} files were read."),
    });
    if !ids.is_empty() {
        sentences.push(format!("It builds on {}.", ids.join(", ")));
    }
    if let Some(first) = cited.first() {
        sentences.push(format!(
            "The line closest to the question is {}, which speaks of {}.",
            first.place(),
            subject(first)
        ));
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_a_line_declares() {
        let mut citation = Citation {
            path: "src/a.rs".into(),
            line: 3,
            quote: "pub fn advance_run(run: i64) {".into(),
        };
        assert_eq!(subject(&citation), "`advance_run`");
        citation.quote = "# The house of cards".into();
        assert_eq!(subject(&citation), "\"The house of cards\"");
        assert!(claim("JD", Some(&citation), "q").ends_with('?'));
    }

    #[test]
    fn takes_the_first_of_offered_words_only_where_words_are_offered() {
        assert_eq!(
            choice(" assumption | scope | word").as_deref(),
            Some("assumption")
        );
        assert_eq!(
            choice("(proven|supported) <the statement>").as_deref(),
            Some("proven")
        );
        assert_eq!(choice(" <what follows>"), None);
    }

    #[test]
    fn fills_a_place_and_the_words_that_are_asked_for_beside_it() {
        let citation = Citation {
            path: "a.rs".into(),
            line: 3,
            quote: "fn run() -> Vec<u8>".into(),
        };
        let filled = placed(
            " `P` \"<words, exactly>\", then `P` <why>",
            "`P`",
            &citation,
        );
        assert_eq!(
            filled,
            "`a.rs:3` \"fn run() -> Vec<u8>\", then `a.rs:3` as read"
        );
    }

    #[test]
    fn fills_a_row_cell_by_cell() {
        let citation = Citation {
            path: "a.rs".into(),
            line: 3,
            quote: "fn run() -> Thing".into(),
        };
        let filled = row(
            "| entry point | `<path>:<line>` | <what it does> |",
            &citation,
        );
        assert_eq!(filled, "| `run` | `a.rs:3` | as read |");
    }
}
