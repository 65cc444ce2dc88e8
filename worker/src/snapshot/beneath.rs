//! Reaching files below a folder without ever following a symbolic link, whoever swaps one in.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::short;

/// What a path below a folder turned out to be.
pub(super) enum Found {
    File(File, Stat),
    Link(Vec<u8>, Stat),
    Folder,
    /// A FIFO, socket or device; it was not opened.
    Special,
}

/// Names in a folder, with what they name.
pub(super) type Names = Vec<(Vec<u8>, FileType)>;

/// An open folder.
#[derive(Debug)]
pub(super) struct Dir(OwnedFd);

impl Dir {
    /// Opens a folder by its absolute path. A symbolic link on the way is an error (ELOOP).
    pub fn open(path: &Path) -> io::Result<Dir> {
        let slash = noticed(fs::open(c"/", folder_flags(), Mode::empty()))?;
        let below = path.as_os_str().as_bytes();
        let start = below.iter().position(|b| *b != b'/').unwrap_or(below.len());
        if start == below.len() {
            return Ok(Dir(slash));
        }
        Dir(slash).dir(&below[start..])
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Opens a folder below this one.
    pub fn dir(&self, path: &[u8]) -> io::Result<Dir> {
        Ok(Dir(open_beneath(self.fd(), path, folder_flags())?))
    }

    /// Type and times of what is at `path`, a link not followed. Only a hint: the opening decides.
    pub fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        noticed(fs::statat(self.fd(), path, flags))
    }

    /// Opens a regular file or reads a link; anything else is only looked at.
    pub fn look(&self, path: &[u8]) -> io::Result<Found> {
        match FileType::from_raw_mode(self.stat(path)?.st_mode) {
            FileType::RegularFile => self.open_file(path),
            FileType::Symlink => self.read_link(path),
            FileType::Directory => Ok(Found::Folder),
            _ => Ok(Found::Special),
        }
    }

    fn open_file(&self, path: &[u8]) -> io::Result<Found> {
        // Without O_NONBLOCK a FIFO that took the file's place would block for ever.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
        let fd = open_beneath(self.fd(), path, flags | OFlags::CLOEXEC)?;
        let stat = fs::fstat(&fd)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Found::File(File::from(fd), stat),
            FileType::Directory => Found::Folder,
            _ => Found::Special,
        })
    }

    fn read_link(&self, path: &[u8]) -> io::Result<Found> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = open_beneath(self.fd(), path, flags)?;
        let stat = fs::fstat(&fd)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let target = noticed(fs::readlinkat(&fd, c"", Vec::new()))?;
                Ok(Found::Link(target.into_bytes(), stat))
            }
            _ => Err(Errno::STALE.into()),
        }
    }

    /// The content of a small regular file; an error when it is anything else or larger than `max` bytes.
    pub fn read(&self, path: &[u8], max: u64) -> io::Result<Vec<u8>> {
        Ok(self.read_with_stat(path, max)?.0)
    }

    pub fn read_with_stat(&self, path: &[u8], max: u64) -> io::Result<(Vec<u8>, Stat)> {
        let Found::File(file, stat) = self.look(path)? else {
            return Err(io::Error::other("not a regular file"));
        };
        let mut content = Vec::new();
        let mut some = file.take(max + 1);
        some.read_to_end(&mut content).map_err(short::noticed)?;
        if content.len() as u64 > max {
            return Err(io::Error::other(format!("larger than {max} bytes")));
        }
        Ok((content, stat))
    }

    /// Names and types in this folder, sorted by name, at most `max` of them; the flag says that there are more.
    pub fn entries(&self, max: usize) -> io::Result<(Names, bool)> {
        let mut entries = Vec::new();
        for entry in noticed(fs::Dir::read_from(self.fd()))? {
            let entry = noticed(entry)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            if entries.len() == max {
                return Ok((entries, true));
            }
            entries.push((name.to_vec(), entry.file_type()));
        }
        for (name, kind) in &mut entries {
            if *kind == FileType::Unknown
                && let Ok(stat) = self.stat(name)
            {
                *kind = FileType::from_raw_mode(stat.st_mode);
            }
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok((entries, false))
    }
}

/// What could not be opened for want of something looks to the caller as if it were not to be read.
fn noticed<T>(result: Result<T, Errno>) -> io::Result<T> {
    result.map_err(|errno| short::noticed(errno.into()))
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn open_beneath(base: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    // What is only read shall not look as if somebody had read it; only an owner may ask for that.
    let mut flags = match flags.contains(OFlags::PATH) {
        true => flags,
        false => flags | OFlags::NOATIME,
    };
    loop {
        match fs::openat2(base, path, flags, Mode::empty(), resolve) {
            Err(Errno::PERM) if flags.contains(OFlags::NOATIME) => flags -= OFlags::NOATIME,
            // An old kernel lacks the call, an old container filter refuses it.
            Err(Errno::NOSYS | Errno::PERM) => return step_by_step(base, path, flags),
            Err(Errno::INTR) => {}
            other => return noticed(other),
        }
    }
}

/// The same without openat2: each component opened by itself.
fn step_by_step(base: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let mut held: Option<OwnedFd> = None;
    let mut parts = path.split(|b| *b == b'/').peekable();
    while let Some(part) = parts.next() {
        if matches!(part, b"" | b"." | b"..") {
            return Err(Errno::XDEV.into());
        }
        let at = held.as_ref().map_or(base, |fd| fd.as_fd());
        let flags = match parts.peek() {
            Some(_) => OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            None => flags,
        };
        let opened = match fs::openat(at, part, flags, Mode::empty()) {
            Err(Errno::PERM) if flags.contains(OFlags::NOATIME) => {
                fs::openat(at, part, flags - OFlags::NOATIME, Mode::empty())
            }
            other => other,
        };
        held = Some(noticed(opened)?);
    }
    held.ok_or_else(|| Errno::NOENT.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn neither_way_of_opening_follows_a_link_or_climbs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::fs::write(path.join("a/b/f"), "content").unwrap();
        std::fs::write(path.join("outside"), "secret").unwrap();
        symlink("b", path.join("a/to-folder")).unwrap();
        symlink("b/f", path.join("a/to-file")).unwrap();
        let base = Dir::open(&path.join("a")).unwrap();
        for open in [open_beneath, step_by_step] {
            let open = |p: &[u8]| open(base.fd(), p, OFlags::RDONLY | OFlags::NOFOLLOW);
            assert!(open(b"b/f").is_ok());
            for refused in [
                b"to-folder/f".as_slice(),
                b"to-file",
                b"../outside",
                b"b/../../outside",
                b"/etc/passwd",
            ] {
                assert!(open(refused).is_err(), "{refused:?}");
            }
        }
    }

    #[test]
    fn a_root_behind_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        std::fs::create_dir(path.join("real")).unwrap();
        symlink("real", path.join("link")).unwrap();
        assert!(Dir::open(&path.join("real")).is_ok());
        assert!(Dir::open(&path.join("link")).is_err());
        assert!(Dir::open(Path::new("/")).is_ok());
    }

    #[test]
    fn a_small_file_is_read_within_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        std::fs::write(path.join("f"), "12345").unwrap();
        let base = Dir::open(&path).unwrap();
        assert_eq!(base.read(b"f", 5).unwrap(), b"12345");
        assert!(base.read(b"f", 4).is_err());
        assert!(base.read(b"missing", 4).is_err());
    }
}
