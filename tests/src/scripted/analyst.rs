//! What the scripted model does without a script: it asks the child to list and to read real files,
//! and answers once it has read some.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::conversation::Conversation;
use super::evidence::{self, Passage};
use super::roles::{self, Role};
use super::script::{Part, ToolCall};
use super::upstream::{self, Group, Item};
use super::{answer, choice, context, form, question};

/// Lines before and after a cited line that are read again.
const AROUND: usize = 25;

/// What a prompt opens the section on the form of the reply with.
const FORM: &str = "\n# The form of your reply\n";

/// What a request comes to, once it has been read.
pub struct Situation<'a> {
    pub talk: &'a Conversation,
    pub role: Option<&'static Role>,
    pub snapshot: Option<&'a str>,
    pub question: String,
    pub keywords: Vec<String>,
    /// Items of earlier steps; of a verifier the findings that it was given.
    pub items: Vec<Item>,
    /// What a verifier was given.
    pub group: Option<Group>,
    pub passages: Vec<Passage>,
    /// Lines that a diff which was read adds or changes, by file.
    pub changed: BTreeMap<String, BTreeSet<usize>>,
    pub fast: bool,
    /// The same for the same prompt; decides between equals.
    pub seed: u64,
}

impl<'a> Situation<'a> {
    /// Reads a conversation.
    pub fn of(talk: &'a Conversation) -> Self {
        let role = roles::recognise(&talk.system).or_else(|| roles::recognise(&talk.prompt));
        let question = question::question(&talk.prompt);
        let snapshot = talk.snapshot();
        let passages = snapshot.map_or_else(Vec::new, |at| evidence::passages(talk, at));
        let group = upstream::group(&talk.prompt);
        Self {
            talk,
            role,
            snapshot,
            keywords: question::keywords(&question),
            question,
            items: match &group {
                Some(group) => group.items.clone(),
                None => upstream::items(&talk.prompt),
            },
            group,
            changed: context::changed(&passages),
            passages,
            fast: talk.prompt.contains("Fast run."),
            seed: evidence::mix(evidence::mix(1, &talk.system), &talk.prompt),
        }
    }

    /// Whether this is the step that attacks what others wrote.
    pub fn validates(&self) -> bool {
        self.role
            .is_some_and(|role| role.name == "adversarial-validator")
    }

    /// Whether the prompt asks for findings in the form of a review.
    pub fn reviews(&self) -> bool {
        self.asked_form().is_some() && !self.validates()
    }

    /// The form that the prompt itself shows, which goes before that of the persona.
    fn asked_form(&self) -> Option<&'a str> {
        let (_, asked) = self.talk.prompt.rsplit_once(FORM)?;
        asked.contains("## Reply form").then_some(asked)
    }

    /// Where the form of the reply is shown.
    pub fn form(&self) -> Vec<form::Piece> {
        let shown = self.asked_form().unwrap_or_else(|| {
            let texts = [&self.talk.system, &self.talk.prompt];
            let persona = texts
                .into_iter()
                .find(|text| text.contains("## Reply form"));
            persona.unwrap_or(&self.talk.system)
        });
        form::parse(shown)
    }

    /// What the prompt calls this step's part.
    pub fn part(&self) -> Option<&'a str> {
        let first = self.talk.prompt.lines().next()?;
        first.strip_prefix("# Your part: ")
    }

    fn called(&self, tool: &str) -> bool {
        self.talk.calls.iter().any(|call| call.name == tool)
    }

    /// Whether a file below the snapshot was asked for, found or not.
    fn asked_for(&self, file: &str) -> bool {
        let reads = self
            .talk
            .calls
            .iter()
            .filter(|call| call.name == "read_file");
        let mut paths = reads.filter_map(|call| call.arguments["file_path"].as_str());
        paths.any(|path| {
            path.strip_suffix(file)
                .is_some_and(|rest| rest.ends_with('/'))
        })
    }

    /// Whether a file of the project was asked for.
    fn asked_for_files(&self, snapshot: &str) -> bool {
        let context = format!("{snapshot}/{}", context::FOLDER);
        let mut reads = self
            .talk
            .calls
            .iter()
            .filter(|call| call.name == "read_file");
        reads.any(|call| {
            let path = call.arguments["file_path"].as_str();
            path.is_some_and(|path| !path.starts_with(&context))
        })
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

/// What the brief points at comes first, then the cited lines, else the files most worth reading.
fn next_calls(situation: &Situation) -> Vec<ToolCall> {
    let Some(snapshot) = situation.snapshot else {
        return Vec::new();
    };
    let offers = |tool: &str| situation.talk.offers(tool);
    if !offers("read_file") || situation.asked_for_files(snapshot) {
        return Vec::new();
    }
    let mut context = context::pointed_at(&situation.talk.prompt, snapshot);
    // Which diffs there are, that file says.
    if context.iter().any(|file| file.ends_with("changes.md")) {
        context.retain(|file| !file.ends_with(".diff"));
        context.extend(context::diffs(&situation.passages));
    }
    let mut calls: Vec<ToolCall> = context
        .iter()
        .filter(|file| !situation.asked_for(file))
        .map(|file| read(snapshot, file))
        .collect();
    let cited = cited_windows(situation, snapshot);
    if !cited.is_empty() {
        calls.extend(cited);
        return calls;
    }
    if !situation.called("glob") && offers("glob") {
        calls.push(call("glob", json!({"pattern": "**/*", "path": snapshot})));
        if let Some(word) = situation.keywords.first().filter(|_| offers("grep_search")) {
            let arguments = json!({"pattern": word, "path": snapshot});
            calls.push(call("grep_search", arguments));
        }
    }
    if calls.is_empty() {
        let files = choice::chosen_files(situation, snapshot);
        calls.extend(files.iter().map(|file| read(snapshot, file)));
    }
    calls
}

fn call(name: &str, arguments: serde_json::Value) -> ToolCall {
    ToolCall {
        name: name.into(),
        arguments,
    }
}

fn read(snapshot: &str, file: &str) -> ToolCall {
    call(
        "read_file",
        json!({"file_path": format!("{snapshot}/{file}")}),
    )
}

/// Reads of the lines that the quoted items cite: one window each for the first few, or for all that a
/// verifier was given. Windows begin at round lines, so that neighbours share one: a child halts a
/// model that asks for the same twice.
fn cited_windows(situation: &Situation, snapshot: &str) -> Vec<ToolCall> {
    let most = match (&situation.group, situation.fast) {
        (Some(_), _) => 20,
        (None, true) => 3,
        (None, false) => 6,
    };
    let mut windows: Vec<(&str, usize)> = Vec::new();
    for place in situation
        .items
        .iter()
        .filter_map(|item| item.places.first())
    {
        let path = place.path.as_str();
        let begin = place.line.saturating_sub(AROUND) / AROUND * AROUND;
        let outside = path.split('/').any(|part| part == "..");
        if !outside && !situation.asked_for(path) && !windows.contains(&(path, begin)) {
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
}
