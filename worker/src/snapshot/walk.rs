//! Finding what git does not track and does not ignore, without git: it would open whatever a repository calls
//! `.gitignore`, a FIFO for instance, and wait for ever.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use gix_ignore::Search;
use gix_ignore::glob::pattern::Case;
use rustix::fs::FileType;

use super::SnapshotError;
use super::beneath::Dir;
use super::notes::Notes;
use super::shared::Stop;

/// Levels of folders; each holds one open file while it is walked.
pub(super) const MAX_DEPTH: usize = 128;
/// Why what lies deeper is left out.
pub(super) const TOO_DEEP: &str = "folders more than 128 levels deep";
/// Why what has a longer path is left out.
pub(super) const TOO_LONG: &str = "paths too long";
/// Leaves room for the snapshot's own path in what the system takes for a path.
pub(super) const MAX_PATH_BYTES: usize = 3000;
/// Names seen, ignored ones included.
const MAX_SEEN: usize = 2_000_000;
/// What the paths found may need of memory together; names cost a hostile tree nothing but inodes.
const MAX_FOUND_BYTES: usize = 256 << 20;
const MAX_TIME: Duration = Duration::from_secs(120);
const MAX_RULES_BYTES: u64 = 1 << 20;
const UNREAD_RULES: &str = "ignore rules that cannot be read or are larger than 1 MiB";
/// Each further `**` of a pattern doubles the time that matching may take, for git as well.
const MAX_DOUBLE_STARS: usize = 8;
/// Folders of version control systems; their content is no part of what the user sees.
const CONTROL: [&[u8]; 8] = [
    b".git", b".hg", b".svn", b".bzr", b".jj", b".sl", b"_darcs", b".pijul",
];

/// What decides whether a path is ignored.
pub(super) struct Rules {
    search: Search,
    /// Path of the root below the repository's top, with a slash at its end, or empty.
    prefix: Vec<u8>,
    too_slow: bool,
}

impl Rules {
    /// `prefix` is the root's path below the repository's top, without a slash at its end; empty for the top itself.
    pub fn new(prefix: &[u8]) -> Self {
        let mut prefix = prefix.to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        Self {
            search: Search::default(),
            prefix,
            too_slow: false,
        }
    }

    /// Adds the lines of an ignore file. `folder` is where it stands, relative to the repository's top, with a slash
    /// at its end; None = the repository's own exclude file. Those added later win.
    pub fn add(&mut self, content: &[u8], folder: Option<&[u8]>) {
        let too_slow = &mut self.too_slow;
        let patterns = gix_ignore::parse(content, false)
            .filter(|(pattern, ..)| {
                let stars = pattern.text.windows(2).filter(|w| w == b"**").count();
                *too_slow |= stars > MAX_DOUBLE_STARS;
                stars <= MAX_DOUBLE_STARS
            })
            .map(
                |(pattern, line, kind)| gix_ignore::glob::search::pattern::Mapping {
                    pattern,
                    value: kind,
                    sequence_number: line,
                },
            )
            .collect();
        self.search
            .patterns
            .push(gix_ignore::glob::search::pattern::List {
                patterns,
                source: None,
                base: folder.filter(|f| !f.is_empty()).map(Into::into),
            });
    }

    /// Reads the ignore files of the folders above the root, top first, and says whether they leave out the root.
    pub fn add_above(&mut self, top: &Dir) -> bool {
        let prefix = self.prefix.clone();
        let mut ends = vec![0];
        ends.extend(
            (0..prefix.len())
                .filter(|i| prefix[*i] == b'/')
                .map(|i| i + 1),
        );
        for pair in ends.windows(2) {
            let (folder, next) = (&prefix[..pair[0]], &prefix[..pair[1] - 1]);
            let file = [folder, b".gitignore"].concat();
            if let Ok(content) = top.read(&file, MAX_RULES_BYTES) {
                self.add(&content, Some(folder));
            }
            if self.ignore_whole(next, true) {
                return true;
            }
        }
        false
    }

    fn ignore(&self, path: &[u8], is_dir: bool) -> bool {
        self.ignore_whole(&[&self.prefix, path].concat(), is_dir)
    }

    fn ignore_whole(&self, path: &[u8], is_dir: bool) -> bool {
        self.search
            .pattern_matching_relative_path(path.into(), Some(is_dir), Case::Sensitive)
            .is_some_and(|found| !found.pattern.is_negative())
    }
}

/// How far a walk is.
pub(super) struct Progress {
    deadline: Instant,
    seen: usize,
    found: Vec<Vec<u8>>,
    /// What further paths may need of memory.
    room: usize,
}

impl Progress {
    pub fn start() -> Self {
        Self {
            deadline: Instant::now() + MAX_TIME,
            seen: 0,
            found: Vec::new(),
            room: MAX_FOUND_BYTES,
        }
    }
}

impl Progress {
    fn find(&mut self, path: Vec<u8>) {
        let size = path.len() + size_of::<Vec<u8>>();
        match self.room.checked_sub(size) {
            Some(room) => {
                self.room = room;
                self.found.push(path);
            }
            None => self.room = 0,
        }
    }
}

/// Walks a tree; sorted paths of files and links relative to the root come out.
pub(super) struct Walk<'a> {
    pub rules: Rules,
    /// Sorted; these are known already.
    pub tracked: &'a [Vec<u8>],
    /// Not entered, sorted.
    pub submodules: &'a [Vec<u8>],
    /// Whether the root is read as a repository: then ignore rules apply everywhere and repositories in it are left
    /// out. Otherwise the rules apply below each folder that has a `.git`.
    pub repository: bool,
    pub notes: &'a mut Notes,
    pub stop: &'a Stop,
    pub progress: Progress,
}

impl Walk<'_> {
    /// Fails only when the run is over.
    pub fn run(mut self, root: &Dir) -> Result<Vec<Vec<u8>>, SnapshotError> {
        let repository = self.repository;
        self.folder(root, &[], 0, repository)?;
        if self.progress.seen >= MAX_SEEN {
            self.notes.say(format!(
                "the tree has more than {MAX_SEEN} names: the search for untracked files ended there"
            ));
        }
        if self.is_late() {
            self.notes.say(format!(
                "the search for untracked files ended after {} s",
                MAX_TIME.as_secs()
            ));
        }
        if self.progress.room == 0 {
            self.notes.say(
                "the names of untracked files are too long together: the search for them ended there",
            );
        }
        if self.rules.too_slow {
            self.notes.say(format!(
                "ignore rules with more than {MAX_DOUBLE_STARS} times ** were not applied"
            ));
        }
        Ok(self.progress.found)
    }

    fn folder(
        &mut self,
        dir: &Dir,
        path: &[u8],
        depth: usize,
        rules_apply: bool,
    ) -> Result<(), SnapshotError> {
        let entries = match dir.entries(MAX_SEEN - self.progress.seen) {
            Ok((entries, _)) => entries,
            Err(_) => {
                self.notes.leave("unreadable", path);
                return Ok(());
            }
        };
        self.progress.seen += entries.len();
        let has_git = entries.iter().any(|(name, _)| is_git(name));
        if self.repository && depth > 0 && has_git && !self.has_tracked(path) {
            let folder = &path[..path.len() - 1];
            self.notes.leave("repositories inside this one", folder);
            return Ok(());
        }
        let rules_apply = rules_apply || has_git;
        let had = self.rules.search.patterns.len();
        if rules_apply {
            match dir.read(b".gitignore", MAX_RULES_BYTES) {
                Ok(content) => {
                    let base = [&self.rules.prefix, path].concat();
                    self.rules.add(&content, Some(&base));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // Files that a person believes ignored are then part of the copy.
                Err(_) => self
                    .notes
                    .leave(UNREAD_RULES, &[path, b".gitignore"].concat()),
            }
        }
        for (name, kind) in entries {
            self.stop.check()?;
            if self.is_late() || self.progress.room == 0 {
                break;
            }
            self.entry(dir, path, (&name, kind), depth, rules_apply)?;
        }
        self.rules.search.patterns.truncate(had);
        Ok(())
    }

    fn entry(
        &mut self,
        dir: &Dir,
        folder: &[u8],
        (name, kind): (&[u8], FileType),
        depth: usize,
        rules_apply: bool,
    ) -> Result<(), SnapshotError> {
        let is_dir = kind == FileType::Directory;
        if is_git(name) || (!self.repository && is_dir && CONTROL.contains(&name)) {
            return Ok(());
        }
        let mut path = [folder, name].concat();
        let known = if is_dir {
            self.submodules
        } else {
            self.tracked
        };
        if known.binary_search(&path).is_ok() || (rules_apply && self.rules.ignore(&path, is_dir)) {
            return Ok(());
        }
        match kind {
            FileType::Directory if depth + 1 >= MAX_DEPTH => {
                self.notes.leave(TOO_DEEP, &path);
            }
            _ if path.len() > MAX_PATH_BYTES => self.notes.leave(TOO_LONG, &path),
            FileType::Directory => match dir.dir(name) {
                Ok(below) => {
                    path.push(b'/');
                    self.folder(&below, &path, depth + 1, rules_apply)?;
                }
                Err(_) => self.notes.leave("unreadable", &path),
            },
            _ => self.progress.find(path),
        }
        Ok(())
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.progress.deadline
    }

    fn has_tracked(&self, folder: &[u8]) -> bool {
        let next = self
            .tracked
            .partition_point(|path| path.as_slice() < folder);
        self.tracked
            .get(next)
            .is_some_and(|path| path.starts_with(folder))
    }
}

/// `.git` in any spelling that some file system takes for it.
pub(super) fn is_git(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b".git")
}

/// A name that other systems take for `.git`, and that git therefore refuses to track: only a forged index has it.
pub(super) fn passes_for_git(name: &[u8]) -> bool {
    // What HFS+ does not see: joiners, marks of direction, the byte order mark.
    let name: String = String::from_utf8_lossy(name)
        .chars()
        .filter(|c| !matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'))
        .collect();
    // What NTFS does not see: streams, and dots and blanks at the end.
    let name = name.split(':').next().unwrap_or_default();
    let name = name.trim_end_matches(['.', ' ']);
    name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1")
}

const _: () = assert!(MAX_DEPTH == 128, "TOO_DEEP names it");

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(root: &std::path::Path, room: usize) -> (Vec<Vec<u8>>, Vec<String>) {
        let (mut notes, stop) = (Notes::default(), Stop::default());
        let mut progress = Progress::start();
        progress.room = room;
        let walk = Walk {
            rules: Rules::new(b""),
            tracked: &[],
            submodules: &[],
            repository: false,
            notes: &mut notes,
            stop: &stop,
            progress,
        };
        let found = walk.run(&Dir::open(root).unwrap()).unwrap();
        (found, notes.lines())
    }

    #[test]
    fn names_need_no_more_memory_than_they_may() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let long = "x".repeat(200);
        for folder in ["a", "b"] {
            std::fs::create_dir(root.join(folder)).unwrap();
            for i in 0..50 {
                std::fs::write(root.join(folder).join(format!("{long}{i}")), "").unwrap();
            }
        }
        let (all, notes) = walk(&root, MAX_FOUND_BYTES);
        assert_eq!((all.len(), notes.len()), (100, 0));
        let (some, notes) = walk(&root, 5000);
        assert!((10..25).contains(&some.len()), "{}", some.len());
        assert!(notes[0].contains("too long together"), "{notes:?}");
    }

    #[test]
    fn names_that_other_systems_take_for_git_are_known() {
        for name in [
            ".git",
            ".GIT",
            "git~1",
            "GIT~1",
            ".git ",
            ".git. .",
            ".Git::$INDEX_ALLOCATION",
            ".g\u{200c}it",
            "\u{feff}.git",
        ] {
            assert!(passes_for_git(name.as_bytes()), "{name:?}");
        }
        for name in [
            ".gitignore",
            "git",
            ".github",
            ".git~1",
            "a.git",
            "git~12",
            ".gi t",
        ] {
            assert!(!passes_for_git(name.as_bytes()), "{name:?}");
        }
    }
}
