//! What a machine can be short of, whatever it is asked to do: space, open files, memory, processes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};

/// Open files that the worker takes by itself, and for each child: its pipes, its session, a deep tree being copied.
const FILES: u64 = 128;
const FILES_OF_A_CHILD: u64 = 32;

/// Whether an error says that this machine lacks something, not that the thing asked for was wrong.
pub fn is_shortage(error: &io::Error) -> bool {
    let shortages = [
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::ROFS,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        // What fork says for want of a process.
        Errno::AGAIN,
    ];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}

/// Whether an error says that no more can be written where there is too much already.
pub fn is_full(error: &io::Error) -> bool {
    Errno::from_io_error(error).is_some_and(|errno| [Errno::NOSPC, Errno::DQUOT].contains(&errno))
}

/// Writes so many bytes into a folder and removes them again.
///
/// # Errors
/// When they cannot be written; the rest of it is removed all the same.
pub fn try_to_write(folder: &Path, bytes: usize) -> io::Result<()> {
    let path = folder.join(format!(".room-{}", uuid::Uuid::new_v4()));
    let written = File::create_new(&path).and_then(|mut file| file.write_all(&vec![0; bytes]));
    let _ = fs::remove_file(&path);
    written
}

/// Takes as many open files as this process may have. Says how many that are, and as an error how many it takes.
///
/// # Errors
/// When they are too few for a worker with so many children.
pub fn open_files(children: usize) -> Result<u64, (u64, u64)> {
    raise_open_files(FILES + FILES_OF_A_CHILD * children as u64)
}

/// As [`open_files`], where `need` are enough.
///
/// # Errors
/// When they are fewer.
pub fn raise_open_files(need: u64) -> Result<u64, (u64, u64)> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused or not, what counts is what is in force then.
    let _ = setrlimit(Resource::Nofile, limit);
    let have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if have < need {
        Err((have, need))
    } else {
        Ok(have)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_a_shortage_and_a_missing_file_is_none() {
        let error = |errno: Errno| io::Error::from(errno);
        assert!(is_shortage(&error(Errno::NOSPC)) && is_shortage(&error(Errno::MFILE)));
        assert!(is_full(&error(Errno::DQUOT)) && !is_full(&error(Errno::ROFS)));
        assert!(!is_shortage(&error(Errno::NOENT)) && !is_shortage(&error(Errno::ACCESS)));
        assert!(!is_shortage(&io::Error::other("No space left on device")));
    }

    #[test]
    fn trying_to_write_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        try_to_write(dir.path(), 100_000).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(try_to_write(&dir.path().join("gone"), 1).is_err());
    }

    #[test]
    fn more_children_take_more_open_files() {
        assert!(open_files(1).is_ok());
        let (have, need) = open_files(usize::MAX >> 8).unwrap_err();
        assert!(have < need);
    }
}
