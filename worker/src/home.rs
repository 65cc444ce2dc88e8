//! The worker's own folder: private, and one process at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::shortage::try_to_write;
use crate::snapshot::remove_tree;

const LOCK: &str = "lock";

/// What a job takes at least: its prompt, settings and what the child keeps of its session.
const ROOM_BYTES: usize = 1 << 20;

/// Holds the folder until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    lock: Mutex<File>,
}

impl Home {
    /// Makes the folder if it is missing, takes it, and clears away what children of a former process left. An error is
    /// one line for people.
    pub fn take(dir: &Path) -> Result<Home, String> {
        let home = Home {
            dir: dir.to_owned(),
            lock: Mutex::new(lock(dir)?),
        };
        remove_tree(&home.jobs()).map_err(|e| failed("clear the jobs in", dir, &e))?;
        home.make_jobs()?;
        Ok(home)
    }

    /// Makes and takes the folder again if somebody has cleared it away. An error is one line for people.
    pub fn mend(&self) -> Result<(), String> {
        let mut held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = |data: fs::Metadata| (data.dev(), data.ino());
        let there = fs::metadata(self.dir.join(LOCK)).map(identity).ok();
        if there.is_none() || there != held.metadata().map(identity).ok() {
            *held = lock(&self.dir)?;
            tracing::warn!(state = %self.dir.display(), "the state folder was cleared away and is made again");
        }
        self.make_jobs()
    }

    /// Whether a job can be laid out here now. An error is one line for people.
    pub fn has_room(&self) -> Result<(), String> {
        has_room(&self.dir, &self.jobs())
    }

    fn jobs(&self) -> PathBuf {
        self.dir.join("jobs")
    }

    fn make_jobs(&self) -> Result<(), String> {
        make(&self.jobs()).map_err(|e| failed("make a folder in", &self.dir, &e))
    }
}

/// Whether a folder in the state folder has room for a job. An error is one line for people.
fn has_room(state: &Path, folder: &Path) -> Result<(), String> {
    try_to_write(folder, ROOM_BYTES).map_err(|e| failed("write to the state folder", state, &e))
}

/// As [`has_room`], in a folder that is made if it is missing.
pub fn find_room(state: &Path, folder: &Path) -> Result<(), String> {
    make(folder).map_err(|e| failed("make a folder in the state folder", state, &e))?;
    has_room(state, folder)
}

fn failed(what: &str, dir: &Path, error: &io::Error) -> String {
    let what = format!("cannot {what} {}: {error}", dir.display());
    format!(
        "{what} (make room and give the worker's user the right to write there, or use another one with --state-dir)"
    )
}

fn make(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir)
}

fn lock(dir: &Path) -> Result<File, String> {
    make(dir).map_err(|e| failed("make the state folder", dir, &e))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(|e| failed("close the state folder to others,", dir, &e))?;
    let lock =
        File::create(dir.join(LOCK)).map_err(|e| failed("write to the state folder", dir, &e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another worker uses the state folder {} (give this one its own with --state-dir)",
            dir.display()
        )),
        Err(TryLockError::Error(error)) => Err(failed("lock the state folder", dir, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_process_and_is_free_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/state");
        let first = Home::take(&state).unwrap();
        assert!(Home::take(&state).unwrap_err().contains("--state-dir"));
        drop(first);
        Home::take(&state).unwrap();
    }

    #[test]
    fn what_children_left_is_cleared_and_the_folder_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let job = dir.path().join("jobs/1/home");
        fs::create_dir_all(&job).unwrap();
        Home::take(dir.path()).unwrap();
        assert!(!job.exists());
        assert_eq!(
            fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = Home::take(Path::new("/proc/conductor")).unwrap_err();
        assert!(error.contains("/proc/conductor"), "{error}");
    }

    #[test]
    fn a_folder_that_was_cleared_away_is_made_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let home = Home::take(&state).unwrap();
        home.mend().unwrap();
        home.has_room().unwrap();
        fs::remove_dir_all(&state).unwrap();
        let error = home.has_room().unwrap_err();
        assert!(error.contains(state.to_str().unwrap()) && error.contains("--state-dir"));
        home.mend().unwrap();
        home.has_room().unwrap();
        assert!(Home::take(&state).unwrap_err().contains("another worker"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        let error = find_room(&link, &link.join("jobs")).unwrap_err();
        assert!(error.contains("File exists"), "{error}");
        let state = dir.path().join("state");
        find_room(&state, &state.join("jobs")).unwrap();
    }
}
