//! Finding the repository that a root belongs to, and refusing to be led to somebody else's.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::SnapshotError;
use super::beneath::Dir;
use super::walk::is_git;

/// A `.git` file, `HEAD` and the like are one line.
const MAX_LINE_BYTES: u64 = 4096;

pub(super) enum Found {
    /// The root is in no repository.
    Nothing,
    /// It is, but in one that is not read as one; the fragment says why.
    Unusable(String),
    Repository(Repository),
}

/// A repository whose folders are open.
#[derive(Debug)]
pub(super) struct Repository {
    pub top: Dir,
    pub top_path: PathBuf,
    /// The root's path below the top, without slashes at its ends; empty when the root is the top.
    pub prefix: Vec<u8>,
    /// Holds HEAD and index.
    pub git_dir: Dir,
    pub git_dir_path: PathBuf,
    /// Holds configuration, refs and objects; the same, but for linked work trees.
    pub common: Dir,
    pub common_path: PathBuf,
    /// Whether `core.worktree` still has to name the top: `.git` is a file and nothing else has proven that the
    /// folder it names is meant.
    pub to_be_confirmed: bool,
}

/// Looks at the root and the folders above it on the same file system. Fails for a root that holds no files to read.
pub(super) fn find(root: &Path) -> Result<Found, SnapshotError> {
    if root.iter().any(|part| is_git(part.as_bytes())) {
        return Err(SnapshotError::new(format!(
            "{} lies inside a .git folder: register the work tree instead",
            root.display()
        )));
    }
    let mut device = None;
    for folder in root.ancestors() {
        let Ok(top) = Dir::open(folder) else { break };
        let Ok(stat) = rustix::fs::fstat(top.fd()) else {
            break;
        };
        if *device.get_or_insert(stat.st_dev) != stat.st_dev {
            break;
        }
        let git_dir = match top.stat(b".git") {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(_) if folder == root && is_git_dir(&top) => {
                return Err(SnapshotError::new(format!(
                    "{} is a bare repository, which has no files to read: register a work tree of it",
                    root.display()
                )));
            }
            Err(_) => continue,
        };
        let prefix = root.strip_prefix(folder).unwrap_or(Path::new(""));
        let prefix = prefix.as_os_str().as_bytes().to_vec();
        let found = match git_dir {
            FileType::Directory => plain(top, folder, prefix),
            FileType::RegularFile => linked(top, folder, prefix).map(Some),
            FileType::Symlink => Err("its .git is a symbolic link".to_owned()),
            _ => Err("its .git is neither a folder nor a file".to_owned()),
        };
        match found {
            Ok(Some(repository)) => return Ok(Found::Repository(repository)),
            Ok(None) => {}
            Err(reason) => return Ok(Found::Unusable(reason)),
        }
    }
    Ok(Found::Nothing)
}

fn is_git_dir(dir: &Dir) -> bool {
    let is_folder = |name: &[u8]| {
        dir.stat(name)
            .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory)
    };
    dir.stat(b"HEAD").is_ok() && is_folder(b"objects") && is_folder(b"refs")
}

fn plain(top: Dir, folder: &Path, prefix: Vec<u8>) -> Result<Option<Repository>, String> {
    let open = || top.dir(b".git");
    let (git_dir, common) = match open().and_then(|dir| Ok((dir, open()?))) {
        Ok(opened) => opened,
        Err(error) => return Err(format!("its .git cannot be read: {error}")),
    };
    // Git goes on looking above such a folder.
    if git_dir
        .stat(b"HEAD")
        .is_err_and(|e| e.kind() == ErrorKind::NotFound)
    {
        return Ok(None);
    }
    let path = folder.join(".git");
    Ok(Some(Repository {
        top,
        top_path: folder.to_owned(),
        prefix,
        git_dir,
        git_dir_path: path.clone(),
        common,
        common_path: path,
        to_be_confirmed: false,
    }))
}

/// A `.git` file may name any folder of the machine; it is believed only when that folder names this one back.
fn linked(top: Dir, folder: &Path, prefix: Vec<u8>) -> Result<Repository, String> {
    let unreadable = |error| format!("what its .git file names cannot be read: {error}");
    let named = line(&top, b".git")
        .and_then(|line| line.strip_prefix(b"gitdir: ").map(<[u8]>::to_vec))
        .ok_or("its .git file names no folder")?;
    let real = follow(folder, &named).ok_or("the folder that its .git file names is missing")?;
    let git_dir = Dir::open(&real).map_err(unreadable)?;
    let back = line(&git_dir, b"gitdir").and_then(|back| follow(&real, &back));
    let common_path = match back {
        Some(back) if back == folder.join(".git") => {
            // The usual place only: a forged one could name the store of another repository.
            let common = worktrees_of(&real).ok_or("its .git file names no linked work tree")?;
            let said = line(&git_dir, b"commondir").and_then(|said| follow(&real, &said));
            if said.as_deref() != Some(common) {
                return Err("its linked work tree is not where git puts one".into());
            }
            common.to_owned()
        }
        Some(_) => return Err("the folder that its .git file names belongs elsewhere".into()),
        None => real.clone(),
    };
    let to_be_confirmed = common_path == real;
    let common = Dir::open(&common_path).map_err(unreadable)?;
    Ok(Repository {
        top,
        top_path: folder.to_owned(),
        prefix,
        git_dir,
        git_dir_path: real,
        common,
        common_path,
        to_be_confirmed,
    })
}

/// `X` of `X/worktrees/NAME`.
fn worktrees_of(git_dir: &Path) -> Option<&Path> {
    let worktrees = git_dir.parent()?;
    (worktrees.file_name() == Some(OsStr::new("worktrees"))).then(|| worktrees.parent())?
}

fn line(dir: &Dir, name: &[u8]) -> Option<Vec<u8>> {
    let content = dir.read(name, MAX_LINE_BYTES).ok()?;
    Some(content.trim_ascii_end().to_vec())
}

/// The real path of what `named` says, seen from `base`.
pub(super) fn follow(base: &Path, named: &[u8]) -> Option<PathBuf> {
    base.join(OsStr::from_bytes(named)).canonicalize().ok()
}
