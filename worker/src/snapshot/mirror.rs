//! The private `GIT_DIR`: a configuration of ours, copies of index and refs, links to the repository's objects.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FileType;

use super::SnapshotError;
use super::beneath::Dir;
use super::disk::failed;
use super::facts::Facts;
use super::git::{Call, Git, GitError, Output};
use super::notes::Notes;
use super::refs;
use super::repository::{Repository, follow};
use super::shared::Stop;

const MAX_CONFIG_BYTES: u64 = 1 << 20;
const MAX_INDEX_BYTES: u64 = 256 << 20;
const MAX_LISTING_BYTES: usize = 256 << 20;
const MAX_PACKS: usize = 100_000;
/// Of shared indexes git itself removes those that it has not used for two weeks.
const MAX_SHARED_INDEXES: usize = 16;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Why there is no mirror.
pub(super) enum Trouble {
    /// The repository is not one that is read as a repository; the fragment says why.
    Unusable(String),
    Fatal(SnapshotError),
}

pub(super) struct Mirror<'a> {
    git: &'a Git,
    stop: &'a Stop,
    dir: PathBuf,
    objects: Dir,
    /// As in `Repository`.
    pub prefix: Vec<u8>,
    pub branch: Option<String>,
    pub index: Vec<Indexed>,
}

/// A path in the index that lies below the root.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Indexed {
    /// Relative to the root.
    pub path: Vec<u8>,
    pub submodule: bool,
    /// Whether there is one version of it, not the several of a conflict.
    pub merged: bool,
}

impl<'a> Mirror<'a> {
    /// Makes it in `dir`, a private folder that must not exist yet.
    pub fn build(
        repository: &Repository,
        git: &'a Git,
        dir: &Path,
        notes: &mut Notes,
        stop: &'a Stop,
    ) -> Result<Self, Trouble> {
        let ours = |error: io::Error| Trouble::Fatal(failed("write", dir, &error));
        super::disk::make_private(dir).map_err(Trouble::Fatal)?;
        for folder in ["objects/info", "store/pack"] {
            fs::create_dir_all(dir.join(folder)).map_err(ours)?;
        }
        // What git may want to write stays with us; what it reads comes from the repository.
        fs::write(dir.join("objects/info/alternates"), "../store\n").map_err(ours)?;
        let objects = repository.common.dir(b"objects").map_err(|error| {
            Trouble::Unusable(format!("its object store cannot be opened: {error}"))
        })?;
        let branch = refs::copy(repository, dir).map_err(|trouble| match trouble {
            refs::Trouble::Theirs(reason) => Trouble::Unusable(reason),
            refs::Trouble::Ours(error) => ours(error),
        })?;
        let mut mirror = Mirror {
            git,
            stop,
            dir: dir.to_owned(),
            objects,
            prefix: repository.prefix.clone(),
            branch,
            index: Vec::new(),
        };
        let config = mirror.configuration(repository)?;
        fs::write(dir.join("config"), config).map_err(ours)?;
        mirror
            .link_objects(&repository.common_path.join("objects"), notes)
            .map_err(ours)?;
        mirror.copy_index(&repository.git_dir, MAX_INDEX_BYTES)?;
        mirror.list_index()?;
        Ok(mirror)
    }

    /// Runs git in the mirror. `work_tree` is a folder of ours.
    pub fn run(
        &self,
        args: &[&[u8]],
        work_tree: &Path,
        input: Option<File>,
        max_output: usize,
    ) -> Result<Output, GitError> {
        let call = Call {
            args: args.to_vec(),
            git_dir: &self.dir,
            work_tree,
            objects: Some(&self.objects),
            input,
            max_output,
            timeout: TIMEOUT,
        };
        self.git.run(call, self.stop)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn run_here(&self, args: &[&[u8]], max_output: usize) -> Result<Output, Trouble> {
        self.run(args, &self.dir, None, max_output)
            .map_err(|error| match error {
                GitError::Failed(reason) => Trouble::Unusable(reason),
                GitError::Stopped(error) => Trouble::Fatal(error),
            })
    }

    /// Our configuration, with the few facts taken from theirs that say how to read what is there.
    fn configuration(&self, repository: &Repository) -> Result<String, Trouble> {
        let theirs = match repository.common.read(b"config", MAX_CONFIG_BYTES) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let reason = format!("its configuration cannot be read: {error}");
                return Err(Trouble::Unusable(reason));
            }
        };
        let copy = self.dir.join("theirs");
        fs::write(&copy, theirs).map_err(|e| Trouble::Fatal(failed("write", &copy, &e)))?;
        let args: [&[u8]; 6] = [
            b"config",
            b"--file",
            copy.as_os_str().as_bytes(),
            b"--no-includes",
            b"--list",
            b"-z",
        ];
        let listed = self.run_here(&args, 4 * MAX_CONFIG_BYTES as usize)?;
        fs::remove_file(&copy).map_err(|e| Trouble::Fatal(failed("remove", &copy, &e)))?;
        let facts = Facts::read(&listed.bytes).map_err(Trouble::Unusable)?;
        if repository.to_be_confirmed {
            let named = facts.worktree.as_deref();
            let named = named.and_then(|path| follow(&repository.git_dir_path, path));
            if named.as_ref() != Some(&repository.top_path) {
                return Err(Trouble::Unusable(
                    "the folder that its .git file names does not name it back".into(),
                ));
            }
        }
        Ok(facts.configuration())
    }

    /// Links packs and loose objects one level down, so that neither the alternates of the store nor a link or FIFO
    /// put into it are followed.
    fn link_objects(&self, store: &Path, notes: &mut Notes) -> io::Result<()> {
        let ours = self.dir.join("store");
        let all_files = |dir: &Dir| {
            dir.entries(MAX_PACKS).is_ok_and(|(entries, more)| {
                !more
                    && entries
                        .iter()
                        .all(|(_, kind)| *kind == FileType::RegularFile)
            })
        };
        let mut strange = false;
        for byte in 0..=u8::MAX {
            let name = format!("{byte:02x}");
            if let Ok(dir) = self.objects.dir(name.as_bytes()) {
                if all_files(&dir) {
                    symlink(store.join(&name), ours.join(&name))?;
                } else {
                    strange = true;
                }
            }
        }
        let packs = self.objects.dir(b"pack").and_then(|d| d.entries(MAX_PACKS));
        for (name, kind) in packs.map(|(entries, _)| entries).unwrap_or_default() {
            let name = std::ffi::OsStr::from_bytes(&name);
            // It would only speed things up, and need not be true.
            if kind == FileType::RegularFile && !name.as_bytes().starts_with(b"multi-pack-index") {
                symlink(store.join("pack").join(name), ours.join("pack").join(name))?;
            }
            strange |= kind != FileType::RegularFile;
        }
        if strange {
            notes.say(
                "the repository's object store holds more than files: those parts were not read",
            );
        }
        if self.objects.stat(b"info/alternates").is_ok() {
            notes.say(
                "objects that the repository borrows from elsewhere (objects/info/alternates) were not read: log and \
                 differences may be missing",
            );
        }
        Ok(())
    }

    /// Copies no more than `room` bytes.
    fn copy_index(&self, git_dir: &Dir, mut room: u64) -> Result<(), Trouble> {
        for name in [b"index".to_vec()]
            .into_iter()
            .chain(shared_indexes(git_dir))
        {
            let (content, stat) = match git_dir.read_with_stat(&name, room) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                // An old one, most likely; where it is needed, git says so.
                Err(_) if name != b"index" => continue,
                Err(error) => {
                    return Err(Trouble::Unusable(format!(
                        "its index cannot be read: {error}"
                    )));
                }
            };
            room -= content.len() as u64;
            let copy = self.dir.join(std::ffi::OsStr::from_bytes(&name));
            // Git doubts entries that are as young as the index itself, so its time belongs to it.
            fs::write(&copy, content)
                .and_then(|()| {
                    let file = File::open(&copy)?;
                    Ok(rustix::fs::futimens(&file, &super::copy::times(&stat))?)
                })
                .map_err(|error| Trouble::Fatal(failed("write", &copy, &error)))?;
        }
        Ok(())
    }

    fn list_index(&mut self) -> Result<(), Trouble> {
        let listed = self.run_here(&[b"ls-files", b"--stage", b"-z"], MAX_LISTING_BYTES)?;
        if listed.cut {
            return Err(Trouble::Unusable("its index is too large".into()));
        }
        for entry in listed.bytes.split(|b| *b == 0) {
            self.index.extend(indexed(entry, &self.prefix));
        }
        self.index.sort_unstable();
        self.index.dedup_by(|a, b| a.path == b.path);
        Ok(())
    }
}

/// What a split index may be based on, the latest first. Git touches the one that it uses.
fn shared_indexes(git_dir: &Dir) -> Vec<Vec<u8>> {
    let entries = git_dir.entries(MAX_PACKS).map(|(entries, _)| entries);
    let mut dated: Vec<((i64, u64), Vec<u8>)> = entries
        .unwrap_or_default()
        .into_iter()
        .filter(|(name, kind)| name.starts_with(b"sharedindex.") && *kind == FileType::RegularFile)
        .filter_map(|(name, _)| {
            let stat = git_dir.stat(&name).ok()?;
            #[allow(clippy::unnecessary_cast, reason = "the type differs between systems")]
            let date = (stat.st_mtime as i64, stat.st_mtime_nsec as u64);
            Some((date, name))
        })
        .collect();
    dated.sort_unstable_by(|a, b| b.cmp(a));
    let latest = dated.into_iter().take(MAX_SHARED_INDEXES);
    latest.map(|(_, name)| name).collect()
}

/// One entry of `ls-files --stage`, if it lies below the prefix: "MODE HASH STAGE<tab>PATH".
fn indexed(entry: &[u8], prefix: &[u8]) -> Option<Indexed> {
    let tab = entry.iter().position(|b| *b == b'\t')?;
    let (facts, path) = (&entry[..tab], &entry[tab + 1..]);
    let path = match prefix {
        [] => path,
        _ => path.strip_prefix(prefix)?.strip_prefix(b"/")?,
    };
    Some(Indexed {
        path: path.to_vec(),
        submodule: facts.starts_with(b"160000 "),
        merged: facts.ends_with(b" 0"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_indexes_take_no_more_room_than_there_is_the_latest_first() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (theirs, ours) = (root.join("theirs"), root.join("ours"));
        for folder in [&theirs, &ours] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(theirs.join("index"), vec![0; 300]).unwrap();
        for (age, size) in [(0, 2000), (1, 600), (2, 600), (3, 50)] {
            let file = File::create(theirs.join(format!("sharedindex.{age}"))).unwrap();
            file.set_len(size).unwrap();
            let past = std::time::SystemTime::now() - Duration::from_secs(age * 60);
            file.set_modified(past).unwrap();
        }
        for age in 10..60 {
            fs::write(theirs.join(format!("sharedindex.{age}")), "").unwrap();
            let past = std::time::SystemTime::now() - Duration::from_secs(age * 60);
            let file = File::options()
                .write(true)
                .open(theirs.join(format!("sharedindex.{age}")));
            file.unwrap().set_modified(past).unwrap();
        }
        let git = Git::assume(PathBuf::new(), false);
        let stop = Stop::default();
        let mirror = Mirror {
            git: &git,
            stop: &stop,
            dir: ours.clone(),
            objects: Dir::open(&ours).unwrap(),
            prefix: Vec::new(),
            branch: None,
            index: Vec::new(),
        };
        let copied = mirror.copy_index(&Dir::open(&theirs).unwrap(), 1000);
        assert!(copied.is_ok());
        let size = |name: &str| fs::metadata(ours.join(name)).map(|it| it.len()).ok();
        let sizes = [
            "index",
            "sharedindex.0",
            "sharedindex.1",
            "sharedindex.2",
            "sharedindex.3",
        ];
        assert_eq!(
            sizes.map(size),
            [Some(300), None, Some(600), None, Some(50)]
        );
        assert!(fs::read_dir(&ours).unwrap().count() <= MAX_SHARED_INDEXES + 1);
    }

    #[test]
    fn the_index_is_seen_from_the_root() {
        let entry = b"100644 ce013625030ba8dba906f756967f9e9ca394464a 0\tsub/a\tb";
        assert_eq!(indexed(entry, b"sub").unwrap().path, b"a\tb");
        assert_eq!(indexed(entry, b"").unwrap().path, b"sub/a\tb");
        assert!(indexed(entry, b"su").is_none());
        assert!(indexed(b"160000 ce 0\tm", b"").unwrap().submodule);
        assert!(!indexed(b"100644 ce 2\tm", b"").unwrap().merged);
    }
}
