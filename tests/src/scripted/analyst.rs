//! What the scripted model does without a script: it asks the child to list and to read real files,
//! and answers once it has read some.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::json;

use super::answer;
use super::conversation::Conversation;
use super::evidence::{self, Passage};
use super::form;
use super::roles::{self, Role};
use super::script::{Part, ToolCall};
use super::upstream::{self, Item};

/// Lines before and after a cited line that are read again.
const AROUND: usize = 25;

/// What a request comes to, once it has been read.
pub struct Situation<'a> {
    pub talk: &'a Conversation,
    pub role: Option<&'static Role>,
    pub snapshot: Option<&'a str>,
    pub question: String,
    pub keywords: Vec<String>,
    /// Items of earlier steps.
    pub items: Vec<Item>,
    pub passages: Vec<Passage>,
    pub fast: bool,
    /// The same for the same prompt; decides between equals.
    pub seed: u64,
}

impl<'a> Situation<'a> {
    /// Reads a conversation.
    pub fn of(talk: &'a Conversation) -> Self {
        let role = roles::recognise(&talk.system).or_else(|| roles::recognise(&talk.prompt));
        let question = question(&talk.prompt);
        let snapshot = talk.snapshot();
        Self {
            talk,
            role,
            snapshot,
            keywords: keywords(&question),
            question,
            items: upstream::items(&talk.prompt),
            passages: snapshot.map_or_else(Vec::new, |at| evidence::passages(talk, at)),
            fast: talk.prompt.contains("Fast run."),
            seed: evidence::mix(evidence::mix(1, &talk.system), &talk.prompt),
        }
    }

    /// Whether this is the step that attacks what others wrote.
    pub fn validates(&self) -> bool {
        self.role
            .is_some_and(|role| role.name == "adversarial-validator")
    }

    /// Where the form of the reply is shown.
    pub fn form(&self) -> Vec<form::Piece> {
        let shown = [&self.talk.system, &self.talk.prompt];
        let persona = shown
            .into_iter()
            .find(|text| text.contains("## Reply form"));
        form::parse(persona.unwrap_or(&self.talk.system))
    }

    fn called(&self, tool: &str) -> bool {
        self.talk.calls.iter().any(|call| call.name == tool)
    }
}

/// The reply to a request: tool calls as long as there is something to read, then the answer.
pub fn reply(talk: &Conversation) -> Vec<Part> {
    let situation = Situation::of(talk);
    let calls = next_calls(&situation);
    if calls.is_empty() {
        let answer = answer::write(&situation);
        let said = talk.broken_off.as_deref().unwrap_or_default();
        let rest = answer.strip_prefix(said).unwrap_or(&answer);
        return vec![Part::Text(rest.to_owned())];
    }
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    vec![
        Part::Reasoning(format!("Scripted: {} next.", names.join(", "))),
        Part::ToolCalls(calls),
    ]
}

fn next_calls(situation: &Situation) -> Vec<ToolCall> {
    let Some(snapshot) = situation.snapshot else {
        return Vec::new();
    };
    let offers = |tool: &str| situation.talk.offers(tool);
    if !offers("read_file") || situation.called("read_file") {
        return Vec::new();
    }
    let cited = cited_windows(situation, snapshot);
    if !cited.is_empty() {
        return cited;
    }
    if !situation.called("glob") && offers("glob") {
        let mut calls = vec![call("glob", json!({"pattern": "**/*", "path": snapshot}))];
        if let Some(word) = situation.keywords.first().filter(|_| offers("grep_search")) {
            let arguments = json!({"pattern": word, "path": snapshot});
            calls.push(call("grep_search", arguments));
        }
        return calls;
    }
    chosen_files(situation, snapshot)
        .into_iter()
        .map(|file| {
            call(
                "read_file",
                json!({"file_path": format!("{snapshot}/{file}")}),
            )
        })
        .collect()
}

fn call(name: &str, arguments: serde_json::Value) -> ToolCall {
    ToolCall {
        name: name.into(),
        arguments,
    }
}

/// Reads of the lines that the quoted items cite: one window each for the first few. Windows begin at
/// round lines, so that neighbours share one: a child halts a model that asks for the same twice.
fn cited_windows(situation: &Situation, snapshot: &str) -> Vec<ToolCall> {
    let most = if situation.fast { 3 } else { 6 };
    let mut windows: Vec<(&str, usize)> = Vec::new();
    for (path, line) in situation
        .items
        .iter()
        .filter_map(|item| item.places.first())
    {
        let begin = line.saturating_sub(AROUND) / AROUND * AROUND;
        let outside = path.split('/').any(|part| part == "..");
        if !outside && !windows.contains(&(path.as_str(), begin)) {
            windows.push((path, begin));
        }
    }
    windows.truncate(most);
    windows
        .into_iter()
        .map(|(path, begin)| {
            let path = format!("{snapshot}/{path}");
            let window = json!({"file_path": path, "offset": begin, "limit": 3 * AROUND});
            call("read_file", window)
        })
        .collect()
}

/// The two to four files most worth reading, out of what was listed and found.
fn chosen_files(situation: &Situation, snapshot: &str) -> Vec<String> {
    let hits = evidence::hits(situation.talk);
    let mut files = evidence::listed(situation.talk, snapshot);
    files.extend(hits.keys().cloned());
    files.sort();
    files.dedup();
    let mut ranked: Vec<(Reverse<usize>, u64, String)> = files
        .into_iter()
        .filter_map(|file| {
            let score = file_worth(&file, situation, &hits)?;
            Some((Reverse(score), evidence::mix(situation.seed, &file), file))
        })
        .collect();
    ranked.sort();
    let most = if situation.fast { 2 } else { 4 };
    ranked
        .into_iter()
        .take(most)
        .map(|(_, _, file)| file)
        .collect()
}

/// None for what holds no text to cite.
fn file_worth(file: &str, situation: &Situation, hits: &BTreeMap<String, usize>) -> Option<usize> {
    let lower = file.to_lowercase();
    let extension = lower
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    let hidden = lower.split('/').any(|part| {
        part.starts_with('.') || ["_context", "node_modules", "target", "vendor"].contains(&part)
    });
    let binary = [
        "png", "jpg", "jpeg", "gif", "ico", "pdf", "zip", "gz", "so", "a", "o", "bin", "woff",
        "woff2", "lock", "min.js", "map", "jsonl", "svg",
    ];
    if hidden || binary.contains(&extension) || lower.ends_with("-lock.json") {
        return None;
    }
    let source = [
        "rs", "py", "ts", "tsx", "js", "go", "java", "c", "h", "cpp", "rb", "sql", "sh", "kt",
        "swift", "php", "cs", "ex", "scala",
    ];
    let prose = ["md", "rst", "txt", "adoc", "toml", "yml", "yaml"];
    let kind = match extension {
        extension if source.contains(&extension) => 4,
        extension if prose.contains(&extension) => 2,
        _ => 1,
    };
    let named = situation
        .keywords
        .iter()
        .filter(|word| lower.contains(*word))
        .count();
    let interests = situation.role.map_or(&[][..], |role| role.interests);
    let interesting = interests
        .iter()
        .filter(|word| lower.contains(*word))
        .count();
    let found = hits.get(file).copied().unwrap_or(0).min(3);
    Some(kind + 4 * named + 2 * interesting.min(2) + 2 * found)
}

/// The question as the prompt shows it, else the prompt's opening.
fn question(prompt: &str) -> String {
    let mut lines = prompt.lines().skip_while(|line| {
        let line = line.to_lowercase();
        !(line.starts_with("question:")
            || line.starts_with('#') && line.trim_end().ends_with("question"))
    });
    let found = match lines.next() {
        Some(line) if line.starts_with('#') => lines
            .skip_while(|line| line.trim().is_empty())
            .take_while(|line| !line.starts_with("# How much") && !line.starts_with("## Project"))
            .collect::<Vec<_>>()
            .join(" "),
        Some(line) => line.split_once(':').map_or("", |(_, text)| text).into(),
        None => prompt.to_owned(),
    };
    let words: Vec<&str> = found.split_whitespace().collect();
    words.join(" ").chars().take(300).collect()
}

/// Words of the question that say what it is about, longest first.
fn keywords(question: &str) -> Vec<String> {
    let common = [
        "about", "after", "again", "does", "from", "have", "here", "into", "should", "that",
        "their", "there", "they", "this", "what", "when", "where", "which", "with", "work",
        "works", "would", "could", "between", "every", "before", "being", "than", "then", "will",
        "your",
    ];
    let mut words: Vec<String> = question
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() >= 4 && !common.contains(&word.as_str()))
        .collect();
    words.sort_by_key(|word| Reverse(word.chars().count()));
    let mut kept: Vec<String> = Vec::new();
    for word in words {
        if !kept.contains(&word) {
            kept.push(word);
        }
    }
    kept.truncate(6);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::conversation::Call;

    fn talk(system: &str, prompt: &str, calls: Vec<Call>) -> Conversation {
        Conversation {
            system: system.into(),
            prompt: prompt.into(),
            tools: ["glob", "grep_search", "read_file"]
                .map(String::from)
                .to_vec(),
            folders: vec!["/snap".into()],
            calls,
            ..Conversation::default()
        }
    }

    fn done(call: &ToolCall, result: &str) -> Call {
        Call {
            name: call.name.clone(),
            arguments: call.arguments.clone(),
            result: Some(result.into()),
        }
    }

    fn calls(parts: &[Part]) -> Vec<ToolCall> {
        parts
            .iter()
            .find_map(|part| match part {
                Part::ToolCalls(calls) => Some(calls.clone()),
                _ => None,
            })
            .unwrap_or_default()
    }

    const PROMPT: &str =
        "# Question\n\nHow does the lease work?\n\n## Project\n\nThe snapshot is /snap.\n";

    #[test]
    fn lists_then_reads_then_answers_with_what_it_read() {
        let system = "You are a structural analyst.";
        let mut listing = calls(&reply(&talk(system, PROMPT, vec![])));
        assert_eq!(listing[0].name, "glob");
        assert_eq!(listing[1].arguments["pattern"], "lease");
        let mut history = vec![
            done(
                &listing.remove(0),
                "Found\n---\n/snap/lease.rs\n/snap/logo.png\n/snap/README.md",
            ),
            done(&listing.remove(0), "No matches found"),
        ];
        let reads = calls(&reply(&talk(system, PROMPT, history.clone())));
        assert_eq!(reads[0].arguments["file_path"], "/snap/lease.rs");
        assert_eq!(reads.len(), 2);
        history.extend(
            reads
                .iter()
                .map(|call| done(call, "//! Text.\npub fn lease_token() -> u64 {\n")),
        );
        let parts = reply(&talk(system, PROMPT, history));
        let [Part::Text(answer)] = &parts[..] else {
            panic!("no answer: {parts:?}");
        };
        assert!(
            answer.contains("`lease.rs:2` \"pub fn lease_token() -> u64 {\""),
            "{answer}"
        );
        assert!(answer.contains("scripted model"), "{answer}");
    }

    #[test]
    fn opens_the_cited_lines_first_when_items_are_quoted() {
        let item =
            |id: &str, line: u32| format!("### structure/{id}. It\n- `src/a.rs:{line}` \"x\"\n");
        // Neighbours share a window.
        let prompt = format!("{PROMPT}\n{}{}", item("S1", 100), item("S2", 103));
        let reads = calls(&reply(&talk(
            "You are an adversarial validator",
            &prompt,
            vec![],
        )));
        assert_eq!(reads.len(), 1);
        assert_eq!(reads[0].arguments["file_path"], "/snap/src/a.rs");
        assert_eq!(reads[0].arguments["offset"], 75);
    }

    #[test]
    fn without_a_project_it_answers_at_once() {
        let talk = talk("You are a research analyst.", "Question: Is it so?", vec![]);
        let parts = reply(&talk);
        let [Part::Text(answer)] = &parts[..] else {
            panic!("no answer: {parts:?}");
        };
        assert!(answer.contains("Evidence (none)"), "{answer}");
        assert_eq!(parts, reply(&talk), "the same request has the same answer");
    }

    #[test]
    fn the_question_is_found_below_its_heading_or_beside_its_word() {
        assert_eq!(question(PROMPT), "How does the lease work?");
        assert_eq!(question("x\nQuestion: Why?\ny"), "Why?");
    }
}
