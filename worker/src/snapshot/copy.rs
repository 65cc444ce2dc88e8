//! Copying bytes: each file opened without following links, everything bounded.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::beneath::{Dir, Found};
use super::digest::{Entry, Kind};
use super::notes::{Notes, size};
use super::shared::Stop;
use super::short;
use super::walk::{MAX_DEPTH, MAX_PATH_BYTES, TOO_DEEP, TOO_LONG, passes_for_git};
use super::{Limits, SnapshotError};

const BUFFER_BYTES: usize = 256 << 10;
/// The folder in a snapshot that is ours.
pub(super) const CONTEXT: &[u8] = b"_context";

/// What became of one path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Copied,
    /// It is not there, or not a file.
    Absent,
    /// It is there and a note says why it was not copied.
    LeftOut,
}

pub(super) struct Copier<'a> {
    source: &'a Dir,
    target: Dir,
    /// Where the target is, for people.
    folder: &'a Path,
    limits: &'a Limits,
    stop: &'a Stop,
    buffer: Vec<u8>,
    folders: HashSet<Vec<u8>>,
    pub entries: Vec<Entry>,
    pub bytes: u64,
}

/// Reading the source failed, which is noted, or writing our copy did, which ends the attempt.
enum Failure {
    Read,
    Write(io::Error),
}

impl<'a> Copier<'a> {
    pub fn new(
        source: &'a Dir,
        target: (Dir, &'a Path),
        limits: &'a Limits,
        stop: &'a Stop,
    ) -> Self {
        let (target, folder) = target;
        Self {
            source,
            target,
            folder,
            limits,
            stop,
            buffer: vec![0; BUFFER_BYTES],
            folders: HashSet::new(),
            entries: Vec::new(),
            bytes: 0,
        }
    }

    /// Copies what is at `path` below the source, if it may be. Fails when the copy cannot be written, or the run is
    /// over.
    pub fn copy(&mut self, path: &[u8], notes: &mut Notes) -> Result<Outcome, SnapshotError> {
        self.stop.check()?;
        if let Some(why) = refused(path) {
            notes.leave(why, path);
            return Ok(Outcome::LeftOut);
        }
        let found = match self.source.look(path) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(Outcome::Absent),
            Err(_) => {
                notes.leave("unreadable", path);
                return Ok(Outcome::LeftOut);
            }
        };
        let left = match found {
            Found::Folder => return Ok(Outcome::Absent),
            Found::Special => Some("neither files nor folders nor links".to_owned()),
            Found::File(file, stat) => self.file(path, file, &stat)?,
            Found::Link(target, stat) => self.link(path, &target, &stat)?,
        };
        Ok(match left {
            None => Outcome::Copied,
            Some(why) => {
                notes.leave(&why, path);
                Outcome::LeftOut
            }
        })
    }

    /// Copies a file; says why not, if not.
    fn file(
        &mut self,
        path: &[u8],
        file: File,
        stat: &Stat,
    ) -> Result<Option<String>, SnapshotError> {
        let max = self.limits.max_file_bytes;
        let length = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if length > max {
            return Ok(Some(too_large(max)));
        }
        if let Some(why) = self.over(length) {
            return Ok(Some(why));
        }
        let executable = stat.st_mode & 0o100 != 0;
        let mode = Mode::from_raw_mode(if executable { 0o555 } else { 0o444 });
        let room = max.min(self.limits.max_total_bytes - self.bytes);
        let (bytes, content) = match self.write(path, file, stat, mode, room) {
            Ok(Some(written)) => written,
            Ok(None) => return self.undo(path, "grown while they were read".into()),
            Err(Failure::Read) => return self.undo(path, "unreadable".into()),
            Err(Failure::Write(error)) => return self.failed(path, &error).map(Some),
        };
        self.bytes += bytes;
        self.entries.push(Entry {
            path: path.to_vec(),
            kind: if executable {
                Kind::Executable
            } else {
                Kind::Plain
            },
            content,
        });
        Ok(None)
    }

    /// The bytes written and their hash; None when there are more than `room`.
    fn write(
        &mut self,
        path: &[u8],
        mut file: File,
        stat: &Stat,
        mode: Mode,
        room: u64,
    ) -> Result<Option<(u64, [u8; 32])>, Failure> {
        self.make_folders(path).map_err(Failure::Write)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let out = fs::openat(self.target.fd(), path, flags | OFlags::CLOEXEC, mode);
        let mut out = File::from(out.map_err(|e| Failure::Write(e.into()))?);
        let (mut hash, mut total) = (Sha256::new(), 0);
        loop {
            let count = match file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    short::notice(&error);
                    return Err(Failure::Read);
                }
            };
            total += count as u64;
            if total > room {
                return Ok(None);
            }
            hash.update(&self.buffer[..count]);
            out.write_all(&self.buffer[..count])
                .map_err(Failure::Write)?;
        }
        // The umask may have taken rights from the mode. The time is what git compares.
        fs::fchmod(&out, mode)
            .and_then(|()| fs::futimens(&out, &times(stat)))
            .map_err(|e| Failure::Write(e.into()))?;
        Ok(Some((total, hash.finalize().into())))
    }

    fn link(
        &mut self,
        path: &[u8],
        target: &[u8],
        stat: &Stat,
    ) -> Result<Option<String>, SnapshotError> {
        if !stays_inside(path, target) {
            return Ok(Some("symbolic links that lead out of the tree".into()));
        }
        if let Some(why) = self.over(target.len() as u64) {
            return Ok(Some(why));
        }
        let made = self.make_folders(path).and_then(|()| {
            let at = self.target.fd();
            fs::symlinkat(target, at, path)?;
            Ok(fs::utimensat(
                at,
                path,
                &times(stat),
                AtFlags::SYMLINK_NOFOLLOW,
            )?)
        });
        if let Err(error) = made {
            return self.failed(path, &error).map(Some);
        }
        self.bytes += target.len() as u64;
        self.entries.push(Entry {
            path: path.to_vec(),
            kind: Kind::Link,
            content: Sha256::digest(target).into(),
        });
        Ok(None)
    }

    /// Why another file of this length does not fit.
    fn over(&self, length: u64) -> Option<String> {
        let Limits {
            max_files,
            max_total_bytes,
            ..
        } = self.limits;
        if self.entries.len() as u64 >= *max_files {
            return Some(format!("over the limit of {max_files} files"));
        }
        (self.bytes + length > *max_total_bytes)
            .then(|| format!("over the limit of {} in all", size(*max_total_bytes)))
    }

    fn undo(&self, path: &[u8], why: String) -> Result<Option<String>, SnapshotError> {
        match fs::unlinkat(self.target.fd(), path, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(Some(why)),
            Err(error) => self.failed(path, &error.into()).map(Some),
        }
    }

    fn make_folders(&mut self, path: &[u8]) -> io::Result<()> {
        let Some(end) = path.iter().rposition(|b| *b == b'/') else {
            return Ok(());
        };
        if self.folders.contains(&path[..end]) {
            return Ok(());
        }
        let ends = (0..path.len()).filter(|i| path[*i] == b'/');
        for end in ends {
            let folder = &path[..end];
            if !self.folders.contains(folder) {
                fs::mkdirat(self.target.fd().as_fd(), folder, Mode::RWXU)?;
                self.folders.insert(folder.to_vec());
            }
        }
        Ok(())
    }

    /// A tree that changes may show a folder and a link under one name. Everything else is our own trouble.
    fn failed(&self, path: &[u8], error: &io::Error) -> Result<String, SnapshotError> {
        let changed = [Errno::EXIST, Errno::NOTDIR, Errno::ISDIR, Errno::LOOP];
        if Errno::from_io_error(error).is_some_and(|errno| changed.contains(&errno)) {
            return Ok("changed while the tree was read".into());
        }
        let text = format!(
            "cannot write the copy of {} in {}: {error} (look at the space of the worker's state folder)",
            super::notes::shown(path),
            self.folder.display()
        );
        Err(SnapshotError::of(error, text))
    }
}

fn too_large(max: u64) -> String {
    format!("larger than {}", size(max))
}

pub(super) fn times(stat: &Stat) -> Timestamps {
    let modified = Timespec {
        tv_sec: stat.st_mtime as _,
        tv_nsec: stat.st_mtime_nsec as _,
    };
    Timestamps {
        last_access: modified,
        last_modification: modified,
    }
}

fn is_absent(error: &io::Error) -> bool {
    let absent = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::STALE];
    Errno::from_io_error(error).is_some_and(|errno| absent.contains(&errno))
}

/// Why no file of this name is copied. An index may hold any bytes as a path.
fn refused(path: &[u8]) -> Option<&'static str> {
    let mut parts = path.split(|b| *b == b'/');
    if path.contains(&0) || parts.clone().any(|p| matches!(p, b"" | b"." | b"..")) {
        return Some("names that are no paths inside the tree");
    }
    if parts.clone().any(passes_for_git) {
        return Some("files of version control");
    }
    if parts.next() == Some(CONTEXT) {
        return Some("a _context of the project's own (the snapshot's stands in its place)");
    }
    if path.len() > MAX_PATH_BYTES {
        return Some(TOO_LONG);
    }
    // Sealing and removing hold an open file for each level; an index may name thousands.
    let levels = path.iter().filter(|b| **b == b'/').count();
    (levels >= MAX_DEPTH).then_some(TOO_DEEP)
}

/// Whether a link at `path` leads to a place inside the tree, whatever other links it passes. Only leading `..` can be
/// judged by counting: after a name, which may itself be a link, `..` leads anywhere.
fn stays_inside(path: &[u8], target: &[u8]) -> bool {
    if target.is_empty() || target.starts_with(b"/") {
        return false;
    }
    let depth = path.iter().filter(|b| **b == b'/').count();
    let (mut up, mut below) = (0, false);
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." if below => return false,
            b".." => up += 1,
            _ => below = true,
        }
    }
    up <= depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_judged_by_where_they_can_lead() {
        for (path, target, inside) in [
            ("a", "b", true),
            ("a", "./b/c", true),
            ("a/b/c", "../../d", true),
            ("a/b", "..", true),
            ("a", "..", false),
            ("a/b", "../../d", false),
            ("a", "/etc/passwd", false),
            ("a", "", false),
            // With `link` leading to the root, this one would lead out of it.
            ("a/b/c", "link/../x", false),
        ] {
            let judged = stays_inside(path.as_bytes(), target.as_bytes());
            assert_eq!(judged, inside, "{path} -> {target}");
        }
    }

    #[test]
    fn names_from_a_hostile_index_are_refused() {
        for path in [
            "../x",
            "/etc/passwd",
            "a//b",
            "a/.",
            ".git/config",
            "a/.GIT/x",
            "a/GIT~1/config",
            ".git ./hooks/x",
            "_context/log.txt",
            "",
        ] {
            assert!(refused(path.as_bytes()).is_some(), "{path}");
        }
        for path in ["a/b", ".gitignore", "a/_context/b", "..a", "_contexts"] {
            assert!(refused(path.as_bytes()).is_none(), "{path}");
        }
    }
}
