//! What there is to review, in words: for agents as `_context/changes.md`, for people as one line of the report.

use std::fmt::Write as _;

use super::notes::shown;

/// Lines of one list that agents are shown; the rest is counted.
const MAX_LINES: usize = 200;

/// What differs from the last commit, and from the base if one was given.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Whether there are commits at all to compare with.
    pub history: bool,
    /// What is not committed, one line each: `modified    src/a.rs`.
    pub uncommitted: Vec<String>,
    /// New files that git does not know yet.
    pub untracked: Vec<Vec<u8>>,
    /// The base that was asked for.
    pub base: Option<String>,
    /// What HEAD has and the base has not; None when the base names no commit.
    pub since_base: Option<Vec<String>>,
    /// What git could not tell, or not all of: nothing is known to be unchanged then.
    pub unknown: Vec<&'static str>,
}

impl Changes {
    fn none(&self) -> bool {
        let since = self.since_base.as_deref().unwrap_or_default();
        self.unknown.is_empty()
            && self.uncommitted.is_empty()
            && self.untracked.is_empty()
            && since.is_empty()
    }

    /// One line: `changes: 2 files uncommitted, 1 file new, 5 files since main`.
    pub fn summary(&self) -> String {
        if !self.history {
            return "changes: unknown, there are no commits to compare with".into();
        }
        if self.none() {
            let since = self.base.as_deref().map(|base| {
                let base = shown(base.as_bytes());
                match self.since_base {
                    Some(_) => format!(" and none since {base}"),
                    None => format!("; the base {base} names no commit"),
                }
            });
            return format!("changes: none uncommitted{}", since.unwrap_or_default());
        }
        let mut parts: Vec<String> = self.unknown.iter().map(|it| (*it).to_owned()).collect();
        if !self.uncommitted.is_empty() {
            parts.push(format!("{} uncommitted", files(self.uncommitted.len())));
        }
        if !self.untracked.is_empty() {
            parts.push(format!("{} new", files(self.untracked.len())));
        }
        if let (Some(base), Some(since)) = (&self.base, &self.since_base) {
            parts.push(format!(
                "{} since {}",
                files(since.len()),
                shown(base.as_bytes())
            ));
        }
        format!("changes: {}", parts.join(", "))
    }

    /// What agents read first when they review.
    pub fn text(&self) -> String {
        let mut text = String::from("# What there is to review\n\n");
        if self.history && !self.none() {
            text.push_str("There are changes. They are the subject; the code around them matters as far as they touch it.\n");
        } else if self.history {
            text.push_str("Nothing is changed. The subject is the whole tree, as far as the question asks for it.\n");
        } else {
            text.push_str("There are no commits to compare with. The subject is the whole tree, as far as the question asks for it.\n");
        }
        for unknown in &self.unknown {
            let _ = write!(
                text,
                "\nNot known: {unknown}. Look at the diffs and the tree yourself.\n"
            );
        }
        if !self.uncommitted.is_empty() {
            text.push_str(
                "\n## Not committed\n\nThe lines are in `_context/uncommitted.diff`.\n\n",
            );
            list(&mut text, self.uncommitted.iter().cloned());
        }
        if !self.untracked.is_empty() {
            text.push_str("\n## New files that git does not know yet\n\nThey are in no diff: read them whole.\n\n");
            list(&mut text, self.untracked.iter().map(|path| shown(path)));
        }
        if let Some(base) = &self.base {
            let base = shown(base.as_bytes());
            match &self.since_base {
                None => {
                    let _ = write!(
                        text,
                        "\nThe base {base} names no commit of this repository: there is no `_context/base.diff`.\n"
                    );
                }
                Some(since) if since.is_empty() => {
                    let _ = write!(text, "\nNothing was committed since the base {base}.\n");
                }
                Some(since) => {
                    let _ = write!(
                        text,
                        "\n## Committed since {base}\n\nThe lines are in `_context/base.diff`.\n\n"
                    );
                    list(&mut text, since.iter().cloned());
                }
            }
        }
        text
    }
}

fn list(text: &mut String, lines: impl ExactSizeIterator<Item = String>) {
    let more = lines.len().saturating_sub(MAX_LINES);
    for line in lines.take(MAX_LINES) {
        let _ = writeln!(text, "- {line}");
    }
    if more > 0 {
        let _ = writeln!(text, "- and {more} more");
    }
}

fn files(count: usize) -> String {
    format!("{count} file{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(of: &[&str]) -> Vec<String> {
        of.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn changes_are_the_subject_where_there_are_any() {
        let changes = Changes {
            history: true,
            uncommitted: lines(&["modified    src/a.rs"]),
            untracked: vec![b"new\x1b[2J".to_vec()],
            base: Some("main".into()),
            since_base: Some(lines(&["added       b", "deleted     c"])),
            unknown: Vec::new(),
        };
        assert_eq!(
            changes.summary(),
            "changes: 1 file uncommitted, 1 file new, 2 files since main"
        );
        let text = changes.text();
        for part in [
            "There are changes.",
            "- modified    src/a.rs\n",
            "`_context/uncommitted.diff`",
            "read them whole",
            "## Committed since main",
            "- deleted     c\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn the_tree_is_the_subject_where_nothing_is_changed() {
        let mut changes = Changes {
            history: true,
            ..Changes::default()
        };
        assert_eq!(changes.summary(), "changes: none uncommitted");
        changes.base = Some("gone".into());
        assert!(changes.summary().contains("the base gone names no commit"));
        assert!(changes.text().contains("no `_context/base.diff`"));
        changes.since_base = Some(Vec::new());
        assert!(changes.summary().contains("none since gone"));
        assert!(changes.text().contains("Nothing is changed."));
        changes.history = false;
        assert!(changes.summary().contains("no commits"));
        assert!(changes.text().contains("no commits to compare with"));
    }

    #[test]
    fn what_git_cannot_tell_is_not_unchanged() {
        let changes = Changes {
            history: true,
            unknown: vec!["git could not compare the work tree"],
            ..Changes::default()
        };
        assert_eq!(
            changes.summary(),
            "changes: git could not compare the work tree"
        );
        let text = changes.text();
        assert!(
            !text.contains("Nothing is changed") && text.contains("Not known: git could not"),
            "{text}"
        );
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let changes = Changes {
            history: true,
            uncommitted: (0..1000).map(|n| format!("modified    {n}")).collect(),
            ..Changes::default()
        };
        let text = changes.text();
        assert!(text.contains("- and 800 more\n"), "{text}");
        assert!(text.lines().count() < 220);
    }
}
