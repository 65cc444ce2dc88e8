//! Folders of our own: made private, made read-only, removed again.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode};

use super::SnapshotError;
use super::beneath::Dir;
use super::remove::remove_tree;

/// More than any folder that we write holds.
const ALL: usize = usize::MAX;

/// Makes a folder that only this user may enter.
pub(super) fn make_private(path: &Path) -> Result<(), SnapshotError> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|error| failed("make the folder", path, &error))
}

/// "cannot WHAT PATH: why", for what goes wrong in our own folder.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> SnapshotError {
    let text = format!(
        "cannot {what} {}: {error} (look at the space and the rights of the worker's state folder)",
        path.display()
    );
    SnapshotError::of(error, text)
}

/// Takes the right to write from every folder below `path` and from itself. Files are written without it.
pub(super) fn seal(path: &Path) -> Result<(), SnapshotError> {
    Dir::open(path)
        .and_then(|dir| close(&dir))
        .map_err(|error| failed("make read-only", path, &error))
}

/// Removes a folder of ours, read-only or not. That it is missing is no error.
pub(super) fn remove(path: &Path) -> Result<(), SnapshotError> {
    remove_tree(path).map_err(|error| failed("remove", path, &error))
}

fn close(dir: &Dir) -> io::Result<()> {
    for (name, kind) in dir.entries(ALL)?.0 {
        if kind == FileType::Directory {
            close(&dir.dir(&name)?)?;
        }
    }
    Ok(rustix::fs::fchmod(dir.fd(), Mode::from_raw_mode(0o555))?)
}

/// A folder for one attempt; gone with the attempt unless it was kept.
#[derive(Debug)]
pub(super) struct Attempt(PathBuf);

impl Attempt {
    pub fn new(path: PathBuf) -> Result<Self, SnapshotError> {
        make_private(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Gives the folder its final name.
    pub fn keep(self, name: &Path) -> Result<(), SnapshotError> {
        fs::rename(&self.0, name).map_err(|error| failed("make", name, &error))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::warn!(%error, "an interrupted snapshot stays until the next start");
        }
    }
}
