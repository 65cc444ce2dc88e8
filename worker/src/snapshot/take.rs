//! Taking one snapshot, from the request to a sealed folder.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::io::Errno;

use super::beneath::Dir;
use super::changes::Changes;
use super::context::Context;
use super::copy::{Copier, Outcome};
use super::disk::{failed, make_private, remove, seal};
use super::git::{Git, GitError};
use super::history::History;
use super::mirror::{Mirror, Trouble};
use super::notes::Notes;
use super::repository::{self, Found, Repository};
use super::shared::Stop;
use super::short;
use super::walk::{Progress, Rules, Walk};
use super::{Request, Snapshot, SnapshotError, digest};

const MAX_RULES_BYTES: u64 = 1 << 20;
const MAX_REMARK_BYTES: usize = 4096;

/// What all attempts of this worker share.
#[derive(Debug)]
pub(super) struct Tools {
    program: PathBuf,
    git: OnceLock<Git>,
}

impl Tools {
    pub fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            git: OnceLock::new(),
        }
    }

    #[cfg(test)]
    pub fn with(git: Git) -> Self {
        Self {
            program: PathBuf::new(),
            git: OnceLock::from(git),
        }
    }

    fn git(&self, scratch: &Path, stop: &Stop) -> Result<&Git, SnapshotError> {
        if let Some(git) = self.git.get() {
            return Ok(git);
        }
        let git = Git::find(&self.program, scratch, stop)?;
        Ok(self.git.get_or_init(|| git))
    }
}

/// One attempt at one snapshot.
pub(super) struct Taking<'a> {
    pub request: &'a Request,
    pub tools: &'a Tools,
    pub stop: &'a Stop,
    /// The attempt's own folder.
    pub here: &'a Path,
    pub notes: Notes,
}

/// What was copied.
#[derive(Default)]
struct Taken {
    commit: Option<String>,
    /// Where below the folder `work` the copy of the root is.
    prefix: Vec<u8>,
    digest: String,
    files: u64,
    bytes: u64,
    changes: Changes,
}

impl<'a> Taking<'a> {
    /// Makes the snapshot in the attempt's folder, which will be named `to`.
    pub fn run(mut self, to: &Path) -> Result<Snapshot, SnapshotError> {
        let (work, tree) = (self.here.join("work"), self.here.join("tree"));
        short::begin();
        make_private(&work)?;
        let context = Context::new(self.here.join("context"))?;
        let taken = match &self.request.root {
            Some(root) => self.project(root, &work, &context)?,
            None => Taken {
                digest: digest::tree(Vec::new()),
                ..Taken::default()
            },
        };
        context.documents(&self.request.documents)?;
        if self.request.root.is_some() {
            context.write("changes.md", taken.changes.text().as_bytes())?;
        }
        let notes = self.notes.lines();
        if !notes.is_empty() {
            context.write("notes.txt", (notes.join("\n") + "\n").as_bytes())?;
        }
        let moved = fs::rename(below(&work, &taken.prefix), &tree)
            .and_then(|()| fs::rename(context.path(), tree.join("_context")));
        moved.map_err(|error| failed("make", &tree, &error))?;
        seal(&tree)?;
        remove(&work)?;
        remove(&self.here.join("git"))?;
        self.stop.check()?;
        short::check(self.here)?;
        Ok(Snapshot {
            path: to.join("tree"),
            commit: taken.commit,
            tree_digest: taken.digest,
            notes,
            changes: self.request.root.as_ref().map(|_| taken.changes.summary()),
            files: taken.files,
            bytes: taken.bytes,
        })
    }

    fn project(
        &mut self,
        root: &Path,
        work: &Path,
        context: &Context,
    ) -> Result<Taken, SnapshotError> {
        let source = Dir::open(root).map_err(|error| unreachable_root(root, &error))?;
        let reason = match repository::find(root)? {
            Found::Repository(repository) => {
                let taken = self.repository(&source, &repository, work, context);
                match taken {
                    Ok(taken) => return Ok(taken),
                    Err(Trouble::Fatal(error)) => return Err(error),
                    Err(Trouble::Unusable(reason)) => {
                        format!("read as a plain folder, not as the git repository that it is: {reason}")
                    }
                }
            }
            Found::Unusable(reason) => {
                format!("read as a plain folder, not as the git repository that it is: {reason}")
            }
            Found::Nothing => {
                "not a git repository: everything was copied, but for the folders of version control systems".into()
            }
        };
        // Read as a plain folder, a repository would show what it ignores.
        short::check(self.here)?;
        self.notes.say(reason);
        self.plain(&source, work)
    }

    fn plain(&mut self, source: &Dir, work: &Path) -> Result<Taken, SnapshotError> {
        if self.request.base.is_some() {
            self.notes
                .say("a base was given, but there is no commit to compare it with");
        }
        let found = Walk {
            rules: Rules::new(b""),
            tracked: &[],
            submodules: &[],
            repository: false,
            notes: &mut self.notes,
            stop: self.stop,
            progress: Progress::start(),
        }
        .run(source)?;
        let mut copier = self.copier(source, work)?;
        for path in &found {
            copy_untracked(&mut copier, path, &mut self.notes)?;
        }
        Ok(taken(copier, Vec::new()))
    }

    /// `Unusable` comes before anything was copied.
    fn repository(
        &mut self,
        source: &Dir,
        repository: &Repository,
        work: &Path,
        context: &Context,
    ) -> Result<Taken, Trouble> {
        let git = self
            .tools
            .git(self.here, self.stop)
            .map_err(Trouble::Fatal)?;
        let git_dir = self.here.join("git");
        let mirror = Mirror::build(repository, git, &git_dir, &mut self.notes, self.stop)?;
        let mut rules = Rules::new(&mirror.prefix);
        if let Ok(exclude) = repository.common.read(b"info/exclude", MAX_RULES_BYTES) {
            rules.add(&exclude, None);
        }
        let ignored = rules.add_above(&repository.top);
        if ignored && mirror.index.is_empty() {
            return Err(Trouble::Unusable(format!(
                "the repository {} ignores this folder",
                repository.top_path.display()
            )));
        }
        self.tracked_and_untracked(source, &mirror, (!ignored).then_some(rules), work, context)
            .map_err(Trouble::Fatal)
    }

    /// Without rules the root is ignored as a whole, and only what is tracked counts.
    fn tracked_and_untracked(
        &mut self,
        source: &Dir,
        mirror: &Mirror,
        rules: Option<Rules>,
        work: &Path,
        context: &Context,
    ) -> Result<Taken, SnapshotError> {
        let paths = |submodule: bool| -> Vec<Vec<u8>> {
            let wanted = mirror.index.iter().filter(|i| i.submodule == submodule);
            wanted.map(|i| i.path.clone()).collect()
        };
        let (tracked, submodules) = (paths(false), paths(true));
        for path in &submodules {
            self.notes.leave("submodules", path);
        }
        let untracked = match rules {
            None => Vec::new(),
            Some(rules) => Walk {
                rules,
                tracked: &tracked,
                submodules: &submodules,
                repository: true,
                notes: &mut self.notes,
                stop: self.stop,
                progress: Progress::start(),
            }
            .run(source)?,
        };
        let target = below(work, &mirror.prefix);
        fs::create_dir_all(&target).map_err(|error| failed("make", &target, &error))?;
        let mut copier = self.copier(source, &target)?;
        let mut held_back = Vec::new();
        for entry in mirror.index.iter().filter(|entry| !entry.submodule) {
            if copier.copy(&entry.path, &mut self.notes)? == Outcome::LeftOut && entry.merged {
                held_back.push(entry.path.as_slice());
            }
        }
        for path in &untracked {
            copy_untracked(&mut copier, path, &mut self.notes)?;
        }
        let mut taken = taken(copier, mirror.prefix.clone());
        if self.hold_back(mirror, &held_back, work)? {
            let mut history = History {
                mirror,
                work_tree: work,
                notes: &mut self.notes,
            };
            (taken.commit, taken.changes) =
                history.write(context, self.request.base.as_deref(), &untracked)?;
        }
        Ok(taken)
    }

    fn copier<'b>(&self, source: &'b Dir, target: &'b Path) -> Result<Copier<'b>, SnapshotError>
    where
        'a: 'b,
    {
        let dir = Dir::open(target).map_err(|error| failed("open", target, &error))?;
        let (limits, stop) = (&self.request.limits, self.stop);
        Ok(Copier::new(source, (dir, target), limits, stop))
    }

    /// Tells git not to look for the tracked files that were left out: they are not deleted.
    fn hold_back(
        &mut self,
        mirror: &Mirror,
        paths: &[&[u8]],
        work: &Path,
    ) -> Result<bool, SnapshotError> {
        if paths.is_empty() {
            return Ok(true);
        }
        let mut list = Vec::new();
        for path in paths {
            if !mirror.prefix.is_empty() {
                list.extend_from_slice(&mirror.prefix);
                list.push(b'/');
            }
            list.extend_from_slice(path);
            list.push(0);
        }
        let file = mirror.dir().join("held-back");
        let input = fs::write(&file, list)
            .and_then(|()| File::open(&file))
            .map_err(|error| failed("write", &file, &error))?;
        let args: [&[u8]; 4] = [b"update-index", b"--assume-unchanged", b"-z", b"--stdin"];
        match mirror.run(&args, work, Some(input), MAX_REMARK_BYTES) {
            Ok(_) => Ok(true),
            Err(GitError::Stopped(error)) => Err(error),
            Err(GitError::Failed(reason)) => {
                self.notes.say(format!("no log, no differences: {reason}"));
                Ok(false)
            }
        }
    }
}

fn copy_untracked(
    copier: &mut Copier,
    path: &[u8],
    notes: &mut Notes,
) -> Result<(), SnapshotError> {
    if copier.copy(path, notes)? == Outcome::Absent {
        notes.leave("gone while the tree was read", path);
    }
    Ok(())
}

fn taken(copier: Copier, prefix: Vec<u8>) -> Taken {
    Taken {
        commit: None,
        prefix,
        files: copier.entries.len() as u64,
        bytes: copier.bytes,
        digest: digest::tree(copier.entries),
        changes: Changes::default(),
    }
}

fn below(work: &Path, prefix: &[u8]) -> PathBuf {
    match prefix {
        [] => work.to_owned(),
        _ => work.join(std::ffi::OsStr::from_bytes(prefix)),
    }
}

fn unreachable_root(root: &Path, error: &io::Error) -> SnapshotError {
    let root = root.display();
    let is_link = Errno::from_io_error(error) == Some(Errno::LOOP);
    let cure = match error.kind() {
        io::ErrorKind::NotFound => {
            "does not exist: restore the folder or register the project with another root"
        }
        io::ErrorKind::PermissionDenied => {
            "is closed to the worker's user: give that user the right to read it"
        }
        kind if is_link || kind == io::ErrorKind::NotADirectory => {
            "is no folder or lies behind a symbolic link: register the real path of a folder"
        }
        _ => return SnapshotError::of(error, format!("the root {root} cannot be opened: {error}")),
    };
    SnapshotError::new(format!("the root {root} {cure}"))
}
