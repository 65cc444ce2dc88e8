//! A whole conversation with the scripted model in this process: its default behaviour, with the child's
//! three reading tools on a folder. For tests in which neither the child nor the wire is the point.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::scripted::conversation::{Call, Conversation};
use crate::scripted::{Part, ToolCall, analyst};

/// Turns after which a conversation that does not end is a defect of the scripted model.
const MOST_TURNS: usize = 12;

/// What the scripted model answers to this prompt, when the snapshot is this folder.
pub fn answer(system: &str, prompt: &str, snapshot: &Path) -> String {
    conversation(system, prompt, snapshot).1
}

/// The same, with the calls that it made on the way and what they returned.
pub fn conversation(system: &str, prompt: &str, snapshot: &Path) -> (Conversation, String) {
    let folder = snapshot.to_str().expect("the path is text");
    let mut talk = Conversation {
        system: system.into(),
        prompt: prompt.replace("\u{1}snapshot\u{1}", folder),
        tools: ["glob", "grep_search", "read_file"]
            .map(String::from)
            .to_vec(),
        folders: vec![folder.into()],
        ..Conversation::default()
    };
    for _ in 0..MOST_TURNS {
        let mut text = String::new();
        let mut calls = Vec::new();
        for part in analyst::reply(&talk) {
            match part {
                Part::Text(said) => text.push_str(&said),
                Part::ToolCalls(asked) => calls.extend(asked),
                _ => {}
            }
        }
        if calls.is_empty() {
            return (talk, text);
        }
        talk.rounds += 1;
        talk.calls.extend(calls.into_iter().map(called));
    }
    panic!("the scripted model reads and reads: {:?}", talk.calls);
}

/// Runs one call, in the words of the child's tools.
fn called(call: ToolCall) -> Call {
    let argument = |name: &str| call.arguments[name].as_str().unwrap_or_default().to_owned();
    let result = match call.name.as_str() {
        "glob" => listing(Path::new(&argument("path"))),
        "grep_search" => search(Path::new(&argument("path")), &argument("pattern")),
        _ => read(&argument("file_path"), &call.arguments),
    };
    Call {
        name: call.name,
        arguments: call.arguments,
        result: Some(result),
    }
}

/// The files below a folder, sorted, without git's own.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != ".git" {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn listing(folder: &Path) -> String {
    let files = files(folder);
    let lines: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    format!("Found {} file(s)\n---\n{}", lines.len(), lines.join("\n"))
}

fn search(folder: &Path, word: &str) -> String {
    let mut text = String::from("Found matches\n---\n");
    for file in files(folder) {
        let content = std::fs::read_to_string(&file).unwrap_or_default();
        let lines = content.lines().enumerate();
        let hits: Vec<String> = lines
            .filter(|(_, line)| line.to_lowercase().contains(word))
            .map(|(at, line)| format!("L{}: {line}\n", at + 1))
            .collect();
        if !hits.is_empty() {
            let name = file.strip_prefix(folder).unwrap_or(&file);
            text.push_str(&format!("File: {}\n{}---\n", name.display(), hits.concat()));
        }
    }
    text
}

fn read(path: &str, arguments: &Value) -> String {
    let Ok(text) = std::fs::read_to_string(path) else {
        return format!("File not found: {path}");
    };
    let number = |name: &str| {
        arguments[name]
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
    };
    let Some(limit) = number("limit") else {
        return text;
    };
    let all: Vec<&str> = text.lines().collect();
    let from = number("offset").unwrap_or(0).min(all.len());
    let to = (from + limit).min(all.len());
    let head = format!(
        "Showing lines {}-{to} of {} total lines.",
        from + 1,
        all.len()
    );
    format!("{head}\n\n---\n\n{}", all[from..to].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "# Your part: Correctness\n\nRead `\u{1}snapshot\u{1}/_context/changes.md` first.\n\n\
        # The question\n\nIs the lease right?\n\n# How much to do\n\nBand small.\n\n# The project\n\nIts files stand read-only in \u{1}snapshot\u{1}\n\n\
        # Contracts\n\n```\n## YAGNI notes\n- x\n```\n\n# The form of your reply\n\nUse this form.\n\n## Reply form\n```\n\
        ## Summary\n<two sentences: what you reviewed, the change or the tree>\n\n## Findings\n\
        ### B1. <critical|warning|suggestion>: <the claim>\n- Where: `<path>:<line>`\n\
        - Evidence (codebase): `<path>:<line>` \"<words of that line>\"\n- Consequence: <c>\n- Fix: <f>\n```\n";

    fn folder(changes: &str, diff: Option<&str>) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("_context/changes.md", changes);
        if let Some(diff) = diff {
            write("_context/uncommitted.diff", diff);
        }
        write(
            "src/lease.rs",
            "//! Leases of things.\npub fn renew_lease() {}\npub fn other_lease() {}\n",
        );
        write(
            "src/other.rs",
            "//! Lease lease lease.\npub fn lease_lease() {}\n",
        );
        folder
    }

    #[test]
    fn a_reviewer_reads_the_change_first_and_cites_changed_lines_only() {
        let diff = "--- a/src/lease.rs\n+++ b/src/lease.rs\n@@ -1,2 +1,3 @@\n //! Leases of things.\n+pub fn renew_lease() {}\n pub fn other_lease() {}\n";
        let folder = folder(
            "There are uncommitted changes: uncommitted.diff.",
            Some(diff),
        );
        let system = "You are a behavioral analyst.";
        let (talk, text) = conversation(system, FORM, folder.path());
        let first = talk.calls[0].arguments["file_path"].as_str().unwrap();
        assert!(first.ends_with("/_context/changes.md"), "{first}");
        assert!(
            text.contains("Reviewed the change, which touches `src/lease.rs`."),
            "{text}"
        );
        assert!(text.contains("- Where: `src/lease.rs:2`\n"), "{text}");
        assert!(
            !text.contains("lease.rs:3") && !text.contains("other.rs:"),
            "{text}"
        );
        let severities = ["### B1. critical: ", "### B1. warning: "];
        assert!(severities.iter().any(|head| text.contains(head)), "{text}");
        assert_eq!(text, answer(system, FORM, folder.path()), "the same twice");
    }

    #[test]
    fn a_reviewer_without_a_change_reviews_the_tree_and_says_so() {
        let folder = folder("There is nothing to compare with: review the tree.", None);
        let text = answer("You are a behavioral analyst.", FORM, folder.path());
        assert!(text.contains("Reviewed the tree"), "{text}");
        assert!(text.contains("### B2. "), "{text}");
        assert!(text.contains("## YAGNI notes\n- `"), "{text}");
    }

    #[test]
    fn a_reviewer_that_finds_nothing_to_read_has_no_findings() {
        let folder = tempfile::tempdir().unwrap();
        let text = answer("You are a behavioral analyst.", FORM, folder.path());
        assert!(text.contains("## Findings\nNO FINDINGS\n"), "{text}");
    }

    #[test]
    fn the_form_of_every_persona_is_filled_and_no_slot_is_left() {
        let folder = folder("Nothing is changed.", None);
        let personas = concat!(env!("CARGO_MANIFEST_DIR"), "/../personas");
        let slot = regex::Regex::new("<[a-z][^<>]*>").unwrap();
        for entry in std::fs::read_dir(personas).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            let system = text.splitn(3, "---\n").nth(2).unwrap();
            let prompt = "# Your part: X\n\nLook.\n\n# The question\n\nHow is a lease renewed?\n\n# How much to do\n\n\
                Band small.\n\n# The project\n\nIts files stand read-only in \u{1}snapshot\u{1}\n\n\
                # What the steps before you found\n\n```\n### a/S1. It is renewed\n\
                - Evidence (codebase): `src/lease.rs:2` \"pub fn renew_lease()\"\n```\n\n# The form of your reply\n\nx\n";
            let answer = answer(system, prompt, folder.path());
            let left: Vec<&str> = slot
                .find_iter(&answer)
                .map(|found| found.as_str())
                .collect();
            assert!(left.is_empty(), "{left:?} in:\n{answer}");
        }
    }
}
