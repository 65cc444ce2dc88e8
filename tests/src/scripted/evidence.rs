//! What was really listed, found and read in a conversation, out of its tool results.

use std::collections::BTreeMap;

use super::conversation::{Call, Conversation};

/// A stretch of a file as the child returned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Relative to the snapshot.
    pub path: String,
    /// Number of the first line, from 1.
    pub first: usize,
    pub lines: Vec<String>,
}

/// A line that was read, with the words of it that are quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    pub path: String,
    pub line: usize,
    pub quote: String,
}

impl Citation {
    /// As it stands in a report: `path:line` in back-ticks.
    pub fn place(&self) -> String {
        format!("`{}:{}`", self.path, self.line)
    }

    /// The citation with its words.
    pub fn full(&self) -> String {
        format!("{} \"{}\"", self.place(), self.quote)
    }
}

/// Results of one tool, with the arguments it was called with.
fn results<'a>(
    talk: &'a Conversation,
    tool: &'a str,
) -> impl Iterator<Item = (&'a Call, &'a str)> + 'a {
    talk.calls
        .iter()
        .filter(move |call| call.name == tool)
        .filter_map(|call| Some((call, call.result.as_deref()?)))
}

/// A path below the snapshot, made relative.
fn relative(path: &str, snapshot: &str) -> Option<String> {
    let rest = path.strip_prefix(snapshot)?.strip_prefix('/')?;
    (!rest.is_empty()).then(|| rest.to_owned())
}

/// Files that a listing returned, sorted.
pub fn listed(talk: &Conversation, snapshot: &str) -> Vec<String> {
    let mut files: Vec<String> = results(talk, "glob")
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| relative(line.trim(), snapshot))
        .collect();
    files.sort();
    files.dedup();
    files
}

/// Files in which a search found something, and how often.
pub fn hits(talk: &Conversation) -> BTreeMap<String, usize> {
    let mut hits = BTreeMap::new();
    for (_, text) in results(talk, "grep_search") {
        let mut file = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("File: ") {
                file = Some(name.trim().to_owned());
            } else if let Some(file) = file.as_ref().filter(|_| line.starts_with('L')) {
                *hits.entry(file.clone()).or_default() += 1;
            }
        }
    }
    hits
}

/// Everything that was read, in the order of the calls.
pub fn passages(talk: &Conversation, snapshot: &str) -> Vec<Passage> {
    results(talk, "read_file")
        .filter_map(|(call, text)| {
            let path = relative(call.arguments["file_path"].as_str()?, snapshot)?;
            let (first, body) = body_of(text)?;
            let lines = body.lines().map(Into::into).collect();
            Some(Passage { path, first, lines })
        })
        .collect()
}

/// The text of a read and the number of its first line; none if nothing was read.
fn body_of(text: &str) -> Option<(usize, &str)> {
    if let Some(rest) = text.strip_prefix("Showing lines ") {
        let (head, body) = rest.split_once("\n\n---\n\n")?;
        let first = head.split('-').next()?.trim().parse().ok()?;
        return Some((first, body));
    }
    let refused = ["File not found", "Error", "File path must", "Path is"];
    let failed = refused.iter().any(|start| text.starts_with(start));
    (!failed && !text.trim().is_empty()).then_some((1, text))
}

/// The lines most worth citing: at most `per_file` of a file and `most` in all, best first. `seed`
/// decides between equals, so that two steps that read the same file say different things.
pub fn citations(
    passages: &[Passage],
    keywords: &[String],
    seed: u64,
    per_file: usize,
    most: usize,
) -> Vec<Citation> {
    let mut found: Vec<(usize, u64, Citation)> = Vec::new();
    for passage in passages {
        let mut of_file: Vec<(usize, u64, Citation)> = passage
            .lines
            .iter()
            .enumerate()
            .filter_map(|(at, text)| {
                let quote = quotable(text)?;
                let score = worth(text, keywords);
                let line = passage.first + at;
                let path = passage.path.clone();
                let order = mix(seed, &format!("{path}:{line}"));
                Some((score, order, Citation { path, line, quote }))
            })
            .collect();
        of_file.sort_by_key(|(score, order, _)| (std::cmp::Reverse(*score), *order));
        of_file.truncate(per_file);
        found.extend(of_file);
    }
    if found.iter().any(|(score, ..)| *score > PLAIN_LINE) {
        found.retain(|(score, ..)| *score > PLAIN_LINE);
    }
    found.sort_by_key(|(score, order, _)| (std::cmp::Reverse(*score), *order));
    found.dedup_by(|a, b| a.2 == b.2);
    found.truncate(most);
    found.into_iter().map(|(_, _, citation)| citation).collect()
}

/// Words of a line that can stand between quotation marks; none where there is too little to quote.
pub(super) fn quotable(line: &str) -> Option<String> {
    let plain = |c: char| c == '"' || c == '`' || c.is_control();
    let longest = line
        .split(plain)
        .map(str::trim)
        .max_by_key(|piece| piece.chars().count())?;
    let letters = longest.chars().filter(|c| c.is_alphabetic()).count();
    if letters < 8 || line.len() > 400 {
        return None;
    }
    let mut quote: String = longest.chars().take(90).collect();
    if quote.len() < longest.len()
        && let Some((whole, _)) = quote.rsplit_once(' ')
    {
        quote = whole.to_owned();
    }
    Some(quote)
}

/// The worth of a line that neither declares anything nor has a word of the question.
const PLAIN_LINE: usize = 1;

/// How much a line is worth citing.
fn worth(line: &str, keywords: &[String]) -> usize {
    let text = line.trim().to_lowercase();
    let declares = [
        "fn ",
        "pub ",
        "struct ",
        "enum ",
        "class ",
        "def ",
        "create ",
        "function ",
        "impl ",
        "const ",
        "trait ",
        "interface ",
        "type ",
        "# ",
        "## ",
        "### ",
        "constraint ",
        "return ",
    ];
    let declared = declares.iter().any(|start| text.starts_with(start));
    let matched = keywords.iter().filter(|word| text.contains(*word)).count();
    PLAIN_LINE + 4 * matched + 2 * usize::from(declared)
}

/// FNV-1a: a small hash that is the same everywhere.
pub fn mix(seed: u64, text: &str) -> u64 {
    text.bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(name: &str, path: &str, result: &str) -> Call {
        Call {
            name: name.into(),
            arguments: json!({ "file_path": path }),
            result: Some(result.into()),
        }
    }

    fn talk(calls: Vec<Call>) -> Conversation {
        Conversation {
            calls,
            ..Conversation::default()
        }
    }

    #[test]
    fn lists_files_below_the_snapshot_only() {
        let listing = "Found 2 file(s)\n---\n/s/b.rs\n/s/src/a.rs\n/other/c.rs";
        let talk = talk(vec![call("glob", "", listing)]);
        assert_eq!(listed(&talk, "/s"), ["b.rs", "src/a.rs"]);
    }

    #[test]
    fn numbers_lines_of_whole_files_and_of_windows() {
        let window = "Showing lines 6-7 of 21 total lines.\n\n---\n\nsix\nseven";
        let talk = talk(vec![
            call("read_file", "/s/a", "one\ntwo\n"),
            call("read_file", "/s/b", window),
            call("read_file", "/s/c", "File not found: /s/c"),
        ]);
        let read = passages(&talk, "/s");
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].first, read[0].lines.len()), (1, 2));
        assert_eq!((read[1].first, read[1].lines[1].as_str()), (6, "seven"));
    }

    #[test]
    fn cites_lines_with_the_words_of_the_question_first() {
        let passage = Passage {
            path: "a.rs".into(),
            first: 10,
            lines: vec![
                "}".into(),
                "let nothing = here;".into(),
                "fn lease() -> Token".into(),
            ],
        };
        let cited = citations(&[passage], &["lease".into()], 1, 2, 5);
        assert_eq!(cited[0].full(), "`a.rs:12` \"fn lease() -> Token\"");
        assert_eq!(
            cited.len(),
            1,
            "a plain line is not cited beside a better one"
        );
    }

    #[test]
    fn a_quote_never_breaks_its_quotation_marks() {
        let quote = quotable("let long_name = \"some words of text\" + `more`;").unwrap();
        assert!(!quote.contains(['"', '`']));
        assert_eq!(quotable("});"), None);
    }

    #[test]
    fn counts_search_hits_by_file() {
        let text = "Found 3 matches\n---\nFile: a.rs\nL1: x\nL2: y\n---\nFile: b.rs\nL3: z\n---";
        let hits = hits(&talk(vec![call("grep_search", "", text)]));
        assert_eq!((hits["a.rs"], hits["b.rs"]), (2, 1));
    }
}
