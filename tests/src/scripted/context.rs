//! What a brief points at in the snapshot's `_context`, and what the diffs there say was changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::evidence::Passage;

/// The folder, as a path of it begins.
pub const FOLDER: &str = "_context/";

static HUNK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^@@ -\d+(?:,\d+)? \+(\d+)").expect("the pattern is a constant"));

/// The brief of a prompt: what stands before the question.
fn brief(prompt: &str) -> &str {
    prompt
        .split_once("\n# The question\n")
        .map_or("", |(brief, _)| brief)
}

/// What may stand in the folder, and is named alone where another file of it has been named in full.
const NAMES: [&str; 4] = ["changes.md", "log.txt", "uncommitted.diff", "base.diff"];

/// Files of `_context` that the brief names, relative to the snapshot: by their path, or beside one that
/// is named so.
pub fn pointed_at(prompt: &str, snapshot: &str) -> Vec<String> {
    let brief = brief(prompt);
    let folder = format!("{snapshot}/{FOLDER}");
    let mut files: Vec<String> = Vec::new();
    for rest in brief.split(&folder).skip(1) {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c));
        let name = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
        let file = format!("{FOLDER}{name}");
        if name.contains('.') && !files.contains(&file) {
            files.push(file);
        }
    }
    for name in NAMES {
        let file = format!("{FOLDER}{name}");
        let named = !files.is_empty() && brief.contains(&format!("`{name}`"));
        if named && !files.contains(&file) {
            files.push(file);
        }
    }
    files
}

/// The lines of `changes.md`, once it was read.
fn told(passages: &[Passage]) -> impl Iterator<Item = &str> {
    let changes = passages
        .iter()
        .filter(|passage| passage.path.strip_prefix(FOLDER) == Some("changes.md"));
    changes.flat_map(|passage| passage.lines.iter().map(String::as_str))
}

/// The diffs that `changes.md` says there are.
pub fn diffs(passages: &[Passage]) -> Vec<String> {
    ["uncommitted.diff", "base.diff"]
        .into_iter()
        .filter(|name| {
            told(passages).any(|line| line.contains(name) && !line.contains("there is no"))
        })
        .map(|name| format!("{FOLDER}{name}"))
        .collect()
}

/// The files that `changes.md` says are new, and in no diff.
fn untracked(passages: &[Passage]) -> impl Iterator<Item = String> {
    told(passages)
        .skip_while(|line| !line.starts_with("## New files"))
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| line.strip_prefix("- "))
        .filter(|line| !line.starts_with("and ") || !line.ends_with(" more"))
        .map(Into::into)
}

/// Lines of a new file that count as changed; no more are cited anyway.
const NEW_LINES: usize = 400;

/// The lines that the diffs that were read added or changed, by file, numbered as in the snapshot.
/// Files that git does not know are new from their first line.
pub fn changed(passages: &[Passage]) -> BTreeMap<String, BTreeSet<usize>> {
    let mut changed: BTreeMap<String, BTreeSet<usize>> = untracked(passages)
        .map(|file| (file, (1..=NEW_LINES).collect()))
        .collect();
    let diffs = passages
        .iter()
        .filter(|passage| passage.path.starts_with(FOLDER) && passage.path.ends_with(".diff"));
    for passage in diffs {
        let mut file: Option<&str> = None;
        let mut number = 0;
        for line in &passage.lines {
            if let Some(named) = line.strip_prefix("+++ ") {
                file = named.trim().strip_prefix("b/");
                if let Some(file) = file {
                    changed.entry(file.into()).or_default();
                }
            } else if let Some(hunk) = HUNK.captures(line) {
                number = hunk[1].parse().unwrap_or(0);
            } else if let (Some(file), true) = (file, line.starts_with('+')) {
                changed.entry(file.into()).or_default().insert(number);
                number += 1;
            } else if line.starts_with(' ') || line.is_empty() {
                number += 1;
            }
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(path: &str, text: &str) -> Passage {
        Passage {
            path: path.into(),
            first: 1,
            lines: text.lines().map(Into::into).collect(),
        }
    }

    #[test]
    fn finds_the_files_that_the_brief_names_and_no_others() {
        let prompt = "# Your part: X\n\nRead `/s/_context/changes.md`, then /s/_context/log.txt. See `/s/_context/` \
                      and `/s/_context/changes.md`.\n\n# The question\n\nIs `/s/_context/status.txt` so?\n";
        assert_eq!(
            pointed_at(prompt, "/s"),
            ["_context/changes.md", "_context/log.txt"]
        );
        let beside =
            "Read `/s/_context/changes.md`, and `log.txt` beside it.\n\n# The question\n\n";
        assert_eq!(
            pointed_at(beside, "/s"),
            ["_context/changes.md", "_context/log.txt"]
        );
        let alone = "Is there a `log.txt`?\n\n# The question\n\n";
        assert!(pointed_at(alone, "/s").is_empty());
    }

    #[test]
    fn reads_the_diffs_that_the_note_on_changes_names() {
        let told = passage(
            "_context/changes.md",
            "There are changes, see uncommitted.diff.",
        );
        assert_eq!(diffs(&[told]), ["_context/uncommitted.diff"]);
        assert!(diffs(&[passage("a.md", "base.diff")]).is_empty());
        let gone = passage(
            "_context/changes.md",
            "The base x names no commit: there is no `_context/base.diff`.",
        );
        assert!(diffs(&[gone]).is_empty());
    }

    #[test]
    fn numbers_changed_lines_as_the_snapshot_does() {
        let diff = "diff --git a/x.rs b/x.rs\n--- a/x.rs\n+++ b/x.rs\n@@ -1,3 +1,4 @@\n one\n-two\n+2\n+2b\n three\n\
                    --- a/gone.rs\n+++ /dev/null\n@@ -1 +0,0 @@\n-it\n";
        let changed = changed(&[
            passage("_context/uncommitted.diff", diff),
            passage("x.rs", "+++ b/no.rs\n"),
        ]);
        assert_eq!(changed.len(), 1);
        assert_eq!(changed["x.rs"].iter().copied().collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_file_that_git_does_not_know_is_new_as_a_whole() {
        let told = "## New files that git does not know yet\n\nRead them whole.\n\n- new.rs\n- and 3 more\n\n## Else\n- x\n";
        let changed = changed(&[passage("_context/changes.md", told)]);
        assert_eq!(changed.keys().collect::<Vec<_>>(), ["new.rs"]);
        assert!(changed["new.rs"].contains(&1));
    }
}
