//! Resources that run out on purpose: a file system of a few megabytes that one process and its children see, and open
//! files. Works for root and, where the kernel gives user namespaces, for anybody.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a small disk holds that begins full, and what [`fill`] writes.
const JUNK: &str = "junk";

/// A small file system in the place of a folder.
#[derive(Debug, Clone)]
pub struct SmallDisk {
    pub bytes: u64,
    /// Full before the process starts, with [`JUNK`].
    pub full: bool,
}

/// Mounts a small disk for what `command` starts, over `folder`, which exists. With `user` the process becomes that user
/// and group, to whom the disk belongs; for root only.
pub fn give_disk(command: &mut Command, folder: &Path, disk: &SmallDisk, user: Option<(u32, u32)>) {
    let text = |bytes: &[u8]| CString::new(bytes).expect("no path holds a NUL");
    // SAFETY: both have no arguments and cannot fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    let (owner, group) = user.unwrap_or((uid, gid));
    let options = format!("size={},mode=0700,uid={owner},gid={group}", disk.bytes);
    let (options, place) = (
        text(options.as_bytes()),
        text(folder.as_os_str().as_bytes()),
    );
    let junk = text(folder.join(JUNK).as_os_str().as_bytes());
    let maps = [
        (c"/proc/self/setgroups", text(b"deny")),
        (
            c"/proc/self/uid_map",
            text(format!("{uid} {uid} 1").as_bytes()),
        ),
        (
            c"/proc/self/gid_map",
            text(format!("{gid} {gid} 1").as_bytes()),
        ),
    ];
    let full = disk.full;
    let mount = move || {
        // SAFETY: system calls alone, on strings that this closure owns.
        unsafe {
            if uid == 0 {
                done(libc::unshare(libc::CLONE_NEWNS))?;
            } else {
                done(libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWUSER))?;
                for (file, content) in &maps {
                    write(file, libc::O_WRONLY, content.as_bytes(), 1)?;
                }
            }
            let private = libc::MS_REC | libc::MS_PRIVATE;
            let (none, nothing) = (std::ptr::null(), std::ptr::null());
            done(libc::mount(none, c"/".as_ptr(), none, private, nothing))?;
            let (kind, flags) = (c"tmpfs".as_ptr(), libc::MS_NOSUID | libc::MS_NODEV);
            done(libc::mount(
                kind,
                place.as_ptr(),
                kind,
                flags,
                options.as_ptr().cast(),
            ))?;
            if full {
                let create = libc::O_WRONLY | libc::O_CREAT;
                match write(&junk, create, &[0; 1 << 16], usize::MAX) {
                    Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {}
                    other => return other,
                }
            }
            if let Some((owner, group)) = user {
                done(libc::setgroups(0, std::ptr::null()))?;
                done(libc::setgid(group))?;
                done(libc::setuid(owner))?;
            }
        }
        Ok(())
    };
    // SAFETY: what runs between fork and exec allocates nothing and takes no lock.
    unsafe { command.pre_exec(mount) };
}

/// What to say when a command with a small disk does not start.
pub const NO_DISK: &str = "a process with a small disk cannot be started: run the tests as root, or allow user \
    namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)";

fn done(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Writes a text so many times; allocates nothing.
fn write(file: &CStr, flags: libc::c_int, text: &[u8], times: usize) -> io::Result<()> {
    // SAFETY: a string with its end, and a buffer with its length.
    unsafe {
        let fd = libc::open(file.as_ptr(), flags | libc::O_CLOEXEC, 0o600);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut wrote = Ok(());
        for _ in 0..times {
            if libc::write(fd, text.as_ptr().cast(), text.len()) < 0 {
                wrote = Err(io::Error::last_os_error());
                break;
            }
        }
        libc::close(fd);
        wrote
    }
}

/// A folder as a process with a file system of its own sees it.
pub fn seen_by(pid: i32, folder: &Path) -> PathBuf {
    let below = folder.strip_prefix("/").expect("the path is absolute");
    Path::new("/proc")
        .join(pid.to_string())
        .join("root")
        .join(below)
}

/// Fills a disk until so many bytes are left.
pub fn fill(disk: &Path, leave: u64) {
    let free = free(disk).checked_sub(leave).expect("so much is left");
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(disk.join(JUNK))
        .expect("junk can be made");
    let block = vec![0; 1 << 16];
    let mut left = usize::try_from(free).expect("a small disk");
    while left > 0 {
        let part = &block[..left.min(block.len())];
        match file.write(part) {
            Ok(written) => left -= written,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return,
            Err(error) => panic!("{}: {error}", disk.display()),
        }
    }
}

/// Removes what filled a disk.
pub fn make_room(disk: &Path) {
    std::fs::remove_file(disk.join(JUNK)).expect("the disk was filled");
}

/// Bytes that are left.
pub fn free(disk: &Path) -> u64 {
    let path = CString::new(disk.as_os_str().as_bytes()).expect("no path holds a NUL");
    // SAFETY: a string with its end, and a structure of plain numbers that is filled in.
    let found = unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        assert_eq!(
            libc::statvfs(path.as_ptr(), &raw mut found),
            0,
            "{}",
            disk.display()
        );
        found
    };
    found.f_bavail * found.f_frsize
}

/// Lets what `command` starts have so many open files and no more.
pub fn limit_open_files(command: &mut Command, most: u64) {
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    // SAFETY: one system call on a structure that the closure owns.
    unsafe {
        command.pre_exec(move || done(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit)))
    };
}

/// Takes every open file from a running process that it does not use now; it may ask for more again.
pub fn exhaust_open_files(pid: i32) {
    let used = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("the process lives")
        .count();
    // SAFETY: two structures of plain numbers, of which the first is filled in.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        done(libc::prlimit(
            pid,
            libc::RLIMIT_NOFILE,
            std::ptr::null(),
            &raw mut limit,
        ))
        .expect("the limit can be read");
        limit.rlim_cur = used as u64;
        done(libc::prlimit(
            pid,
            libc::RLIMIT_NOFILE,
            &raw const limit,
            std::ptr::null_mut(),
        ))
        .expect("the limit can be lowered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_disk_is_full_for_who_has_it_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("cat");
        command.stdin(std::process::Stdio::piped());
        let disk = SmallDisk {
            bytes: 1 << 20,
            full: true,
        };
        give_disk(&mut command, folder.path(), &disk, None);
        let mut child = command.spawn().expect(NO_DISK);
        let seen = seen_by(child.id().cast_signed(), folder.path());
        assert_eq!(free(&seen), 0);
        make_room(&seen);
        fill(&seen, 1 << 18);
        assert!(free(&seen) <= 1 << 18 && free(&seen) > 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
