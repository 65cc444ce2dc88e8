//! The worker's own folder: private, and one process at a time.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::snapshot::remove_tree;

/// Holds the folder until it is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct Home {
    _lock: File,
}

/// Makes the folder if it is missing, takes it, and clears away what children of a former process left. An error is
/// one line for people.
pub fn take(dir: &Path) -> Result<Home, String> {
    let failed =
        |what: &str, error: std::io::Error| format!("cannot {what} {}: {error}", dir.display());
    let mut builder = fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| failed("make the state folder", e))?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(|e| failed("close the state folder to others,", e))?;
    let lock =
        File::create(dir.join("lock")).map_err(|e| failed("write to the state folder", e))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(format!(
                "another worker uses the state folder {} (give this one its own with --state-dir)",
                dir.display()
            ));
        }
        Err(TryLockError::Error(error)) => return Err(failed("lock the state folder", error)),
    }
    let jobs = dir.join("jobs");
    remove_tree(&jobs).map_err(|e| failed("clear the jobs in", e))?;
    builder
        .create(&jobs)
        .map_err(|e| failed("make a folder in", e))?;
    Ok(Home { _lock: lock })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_process_and_is_free_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/state");
        let first = take(&state).unwrap();
        assert!(take(&state).unwrap_err().contains("--state-dir"));
        drop(first);
        take(&state).unwrap();
    }

    #[test]
    fn what_children_left_is_cleared_and_the_folder_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let job = dir.path().join("jobs/1/home");
        fs::create_dir_all(&job).unwrap();
        take(dir.path()).unwrap();
        assert!(!job.exists());
        assert_eq!(
            fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = take(Path::new("/proc/conductor")).unwrap_err();
        assert!(error.contains("/proc/conductor"), "{error}");
    }
}
