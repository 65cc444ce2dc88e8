//! What git says about the copy: log, status, differences. It sees the copy as its work tree, never the original.

use std::path::Path;

use super::SnapshotError;
use super::changes::Changes;
use super::context::{Context, bounded};
use super::git::{GitError, Output};
use super::mirror::Mirror;
use super::notes::{Notes, shown};

const MAX_LIST_BYTES: usize = 512 << 10;
const MAX_DIFF_BYTES: usize = 8 << 20;
const MAX_LINE_BYTES: usize = 4096;
const MAX_BASE_BYTES: usize = 250;
/// What every difference is made with.
const DIFF: [&[u8]; 6] = [
    b"diff",
    b"--no-ext-diff",
    b"--no-textconv",
    b"--no-color",
    b"--ignore-submodules=all",
    b"--find-renames",
];

/// What git says about the copy in `work_tree`, which lies there as it does in the repository.
pub(super) struct History<'a> {
    pub mirror: &'a Mirror<'a>,
    pub work_tree: &'a Path,
    pub notes: &'a mut Notes,
}

impl History<'_> {
    /// Writes log, status, uncommitted difference and, when there is a base, base.diff. Returns HEAD's commit.
    /// What git cannot give becomes a note.
    pub fn write(
        &mut self,
        context: &Context,
        base: Option<&str>,
        untracked: &[Vec<u8>],
    ) -> Result<(Option<String>, Changes), SnapshotError> {
        let mut changes = Changes {
            untracked: untracked.to_vec(),
            base: base.map(str::to_owned),
            ..Changes::default()
        };
        let head = self.commit("HEAD")?;
        if head.is_none()
            && self
                .line(&[b"rev-parse", b"--verify", b"--quiet", b"HEAD"])?
                .is_some()
        {
            self.notes.say(
                "HEAD's commit is not in the repository's own object store: no log, no differences",
            );
        }
        let log = match &head {
            Some(_) => self.log()?,
            None => b"no commits yet\n".to_vec(),
        };
        context.write("log.txt", &log)?;
        let empty_tree = self.line(&[b"hash-object", b"-t", b"tree", b"--stdin"])?;
        let against = head.clone().or(empty_tree);
        if let Some(against) = against.as_deref() {
            let (status, listed) = self.status(head.as_deref(), against, untracked)?;
            changes.history = head.is_some();
            changes.uncommitted = changes.take(
                listed,
                "git could not compare the work tree",
                "more files uncommitted than are listed",
            );
            context.write("status.txt", &status)?;
            if let Some(diff) = self.diff("uncommitted.diff", &[against.as_bytes()])? {
                context.write("uncommitted.diff", &diff)?;
            }
        }
        if let Some(base) = base
            && let Some(listed) = self.base(context, base, head.as_deref())?
        {
            changes.since_base = Some(changes.take(
                listed,
                "git could not compare with the base",
                "more files since the base than are listed",
            ));
        }
        Ok((head, changes))
    }

    fn log(&mut self) -> Result<Vec<u8>, SnapshotError> {
        let mut args: Vec<&[u8]> = vec![
            b"log",
            b"--max-count=200",
            b"--no-color",
            b"--no-decorate",
            b"--no-mailmap",
            b"--date=short",
            b"--format=%h %ad %an: %s",
            b"HEAD",
        ];
        if !self.mirror.prefix.is_empty() {
            args.extend([b"--".as_slice(), &self.mirror.prefix]);
        } else {
            args.push(b"--");
        }
        let Some(log) = ask(
            self.mirror,
            self.work_tree,
            self.notes,
            "log.txt",
            &args,
            MAX_LIST_BYTES,
        )?
        else {
            return Ok(b"git could not give the log\n".to_vec());
        };
        let readable: String = String::from_utf8_lossy(&log.bytes)
            .chars()
            .map(|c| {
                if c.is_control() && c != '\n' {
                    '\u{fffd}'
                } else {
                    c
                }
            })
            .collect();
        Ok(bounded(readable.as_bytes(), log.cut))
    }

    fn status(
        &mut self,
        head: Option<&str>,
        against: &str,
        untracked: &[Vec<u8>],
    ) -> Result<(Vec<u8>, Option<Listed>), SnapshotError> {
        let mut listed = None;
        let mut text = match (head, &self.mirror.branch) {
            (Some(head), Some(branch)) => {
                format!("work tree against HEAD {head} (branch {branch})\n")
            }
            (Some(head), None) => format!("work tree against HEAD {head} (no branch)\n"),
            (None, _) => "work tree; there is no commit yet\n".to_owned(),
        };
        text.push_str("what git ignores is neither listed here nor part of this copy\n\n");
        let before = text.len();
        let more: [&[u8]; 3] = [b"--name-status", b"-z", against.as_bytes()];
        match self.compare("status.txt", &more, MAX_LIST_BYTES)? {
            Some(changes) => {
                let files = Listed::of(&changes);
                for line in &files.lines {
                    text.push_str(line);
                    text.push('\n');
                }
                listed = Some(files);
                if changes.cut {
                    text.push_str("[cut here: there are more changes]\n");
                }
            }
            None => text.push_str("git could not compare\n"),
        }
        for path in untracked {
            text.push_str(&format!("{:<12}{}\n", "untracked", shown(path)));
        }
        if text.len() == before {
            text.push_str("nothing is changed\n");
        }
        let cut = text.len() > MAX_LIST_BYTES;
        let end = text.floor_char_boundary(MAX_LIST_BYTES);
        Ok((bounded(&text.as_bytes()[..end], cut), listed))
    }

    /// Writes base.diff and returns what it is about, if git can tell; None when the base names no commit.
    fn base(
        &mut self,
        context: &Context,
        base: &str,
        head: Option<&str>,
    ) -> Result<Option<Option<Listed>>, SnapshotError> {
        let named = shown(base.as_bytes());
        let known = match is_revision(base) {
            true => self.commit(base)?,
            false => None,
        };
        let (Some(commit), Some(head)) = (known, head) else {
            self.notes.say(format!(
                "the base {named:?} names no commit of this repository: there is no base.diff"
            ));
            return Ok(None);
        };
        let fork = self.line(&[b"merge-base", commit.as_bytes(), head.as_bytes()])?;
        let from = fork.as_deref().unwrap_or(&commit);
        let args: [&[u8]; 2] = [from.as_bytes(), head.as_bytes()];
        if let Some(diff) = self.diff("base.diff", &args)? {
            let mut text = format!("what HEAD has and the base {named:?} has not\nbase {commit}\n");
            if from != commit {
                text.push_str(&format!("from where they parted, {from}\n"));
            }
            text.push_str(&format!("HEAD {head}\n\n"));
            context.write("base.diff", &[text.as_bytes(), &diff].concat())?;
        }
        let names: [&[u8]; 4] = [b"--name-status", b"-z", from.as_bytes(), head.as_bytes()];
        let listed = self.compare("changes.md", &names, MAX_LIST_BYTES)?;
        Ok(Some(listed.as_ref().map(Listed::of)))
    }

    fn diff(&mut self, file: &str, what: &[&[u8]]) -> Result<Option<Vec<u8>>, SnapshotError> {
        let mut more: Vec<&[u8]> = vec![b"--patch", b"--src-prefix=a/", b"--dst-prefix=b/"];
        more.extend(what);
        let diff = self.compare(file, &more, MAX_DIFF_BYTES)?;
        Ok(diff.map(|diff| bounded(&diff.bytes, diff.cut)))
    }

    fn compare(
        &mut self,
        file: &str,
        more: &[&[u8]],
        max: usize,
    ) -> Result<Option<Output>, SnapshotError> {
        let relative = [b"--relative=".as_slice(), &self.mirror.prefix, b"/"].concat();
        let mut args = DIFF.to_vec();
        if self.mirror.prefix.is_empty() {
            args.extend(more);
            args.push(b"--");
        } else {
            args.push(&relative);
            args.extend(more);
            args.extend([b"--".as_slice(), &self.mirror.prefix]);
        }
        ask(self.mirror, self.work_tree, self.notes, file, &args, max)
    }

    /// The commit that a revision names.
    fn commit(&self, revision: &str) -> Result<Option<String>, SnapshotError> {
        let wanted = format!("{revision}^{{commit}}");
        self.line(&[
            b"rev-parse",
            b"--verify",
            b"--quiet",
            b"--end-of-options",
            wanted.as_bytes(),
        ])
    }

    /// One line of output; None when git says no.
    fn line(&self, args: &[&[u8]]) -> Result<Option<String>, SnapshotError> {
        match self.mirror.run(args, self.work_tree, None, MAX_LINE_BYTES) {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.bytes);
                let line = text.lines().next().unwrap_or_default();
                Ok(Some(line.to_owned()).filter(|line| !line.is_empty()))
            }
            Err(GitError::Failed(_)) => Ok(None),
            Err(GitError::Stopped(error)) => Err(error),
        }
    }
}

/// What git says; a note and None when it cannot.
fn ask(
    mirror: &Mirror,
    work_tree: &Path,
    notes: &mut Notes,
    file: &str,
    args: &[&[u8]],
    max: usize,
) -> Result<Option<Output>, SnapshotError> {
    match mirror.run(args, work_tree, None, max) {
        Ok(output) => Ok(Some(output)),
        Err(GitError::Failed(reason)) => {
            notes.say(format!("no _context/{file}: {reason}"));
            Ok(None)
        }
        Err(GitError::Stopped(error)) => Err(error),
    }
}

/// Files that differ, one line each.
struct Listed {
    lines: Vec<String>,
    cut: bool,
}

impl Listed {
    /// Reads `diff --name-status -z`. The last record of a list that was cut may be half of one.
    fn of(output: &Output) -> Self {
        let mut lines: Vec<String> = changed_files(&output.bytes)
            .lines()
            .map(str::to_owned)
            .collect();
        if output.cut {
            lines.pop();
        }
        Self {
            lines,
            cut: output.cut,
        }
    }
}

impl Changes {
    /// The files of a list; what is missing of it is noted.
    fn take(
        &mut self,
        listed: Option<Listed>,
        none: &'static str,
        cut: &'static str,
    ) -> Vec<String> {
        match listed {
            None => {
                self.unknown.push(none);
                Vec::new()
            }
            Some(listed) => {
                if listed.cut {
                    self.unknown.push(cut);
                }
                listed.lines
            }
        }
    }
}

/// `diff --name-status -z` as lines for people.
fn changed_files(listed: &[u8]) -> String {
    let mut text = String::new();
    let mut parts = listed.split(|b| *b == 0).filter(|part| !part.is_empty());
    while let (Some(state), Some(path)) = (parts.next(), parts.next()) {
        let word = match state.first() {
            Some(b'A') => "added",
            Some(b'D') => "deleted",
            Some(b'R') => "renamed",
            Some(b'C') => "copied",
            Some(b'T') => "type changed",
            Some(b'U') => "conflict",
            _ => "modified",
        };
        text.push_str(&format!("{word:<12}{}", shown(path)));
        if matches!(state.first(), Some(b'R' | b'C'))
            && let Some(new) = parts.next()
        {
            text.push_str(&format!(" -> {}", shown(new)));
        }
        text.push('\n');
    }
    text
}

/// Whether it may be handed to git as a revision at all.
fn is_revision(text: &str) -> bool {
    (1..=MAX_BASE_BYTES).contains(&text.len())
        && !text.starts_with(['-', ':', '^'])
        && !text.contains("..")
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_cannot_be_an_option_or_a_range() {
        for good in ["main", "origin/main", "v1.0", "HEAD~3", "0a1b2c3"] {
            assert!(is_revision(good), "{good}");
        }
        for bad in [
            "",
            "-O/etc/passwd",
            "--output=x",
            ":/fix",
            "a..b",
            "^main",
            "a\nb",
        ] {
            assert!(!is_revision(bad), "{bad:?}");
        }
        assert!(!is_revision(&"a".repeat(300)));
    }

    #[test]
    fn changes_are_one_line_each_whatever_the_names() {
        let text = changed_files(b"M\0a\nb\0R100\0old\0new\0U\0c\0");
        assert_eq!(
            text,
            "modified    a\\nb\nrenamed     old -> new\nconflict    c\n"
        );
    }
}
