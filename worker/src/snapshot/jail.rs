//! Landlock around git: it reads its own program, the private folder, the copy and the object store, writes only in
//! the private folder, starts nothing else and connects to nothing. Depth, not the only wall: where the kernel has no
//! Landlock, git still has no configuration of the repository's to obey.

use std::error::Error;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
};

use super::short;

const KNOWN: ABI = ABI::V6;
/// Programs, libraries and what belongs to them.
const SYSTEM: [&str; 6] = [
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/nix/store",
    "/gnu/store",
];
/// Where the loader of programs lives; nothing else of the system may be started.
const LOADER: [&str; 7] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/nix/store",
    "/gnu/store",
];

/// What git may reach besides itself.
#[derive(Debug, Default)]
pub(super) struct Reach<'a> {
    pub write: Vec<&'a Path>,
    pub read: Vec<&'a Path>,
    /// Open folders that it may read; not found by name again, so nothing can be put in their place.
    pub read_open: Vec<std::os::fd::BorrowedFd<'a>>,
}

/// A ruleset to enter; None when this kernel has no Landlock.
pub(super) fn build(git: &Path, reach: &Reach) -> Result<Option<OwnedFd>, RulesetError> {
    rules(git, reach).map_err(noticed)
}

/// Without a rule for want of a descriptor, git would look as if it could not be confined.
fn noticed<E: Error + 'static>(error: E) -> E {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(inner) = cause {
        if let Some(inner) = inner.downcast_ref() {
            short::notice(inner);
        }
        cause = inner.source();
    }
    error
}

fn rules(git: &Path, reach: &Reach) -> Result<Option<OwnedFd>, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(KNOWN) & !AccessFs::Execute;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    let program = git.canonicalize().unwrap_or_else(|_| git.to_owned());
    let mut allow = |path: &Path, access: BitFlags<AccessFs>| -> Result<(), RulesetError> {
        // What a machine does not have needs no rule.
        if let Ok(fd) = PathFd::new(path).map_err(noticed) {
            let access = if path.is_dir() {
                access
            } else {
                access & AccessFs::from_file(KNOWN)
            };
            (&mut rules).add_rule(PathBeneath::new(fd, access))?;
        }
        Ok(())
    };
    for path in SYSTEM {
        allow(Path::new(path), read)?;
    }
    for path in LOADER {
        allow(Path::new(path), read | AccessFs::Execute)?;
    }
    allow(&program, read | AccessFs::Execute)?;
    for path in neighbours(&program) {
        allow(&path, read)?;
    }
    allow(
        Path::new("/dev/null"),
        AccessFs::ReadFile | AccessFs::WriteFile,
    )?;
    for path in &reach.read {
        allow(path, read)?;
    }
    for path in &reach.write {
        allow(path, write)?;
    }
    for fd in &reach.read_open {
        (&mut rules).add_rule(PathBeneath::new(fd.as_fd(), read))?;
    }
    Ok(rules.into())
}

/// Folders beside a git that is not the system's own.
fn neighbours(program: &Path) -> Vec<PathBuf> {
    let bin = program.parent();
    match (
        bin,
        bin.and_then(Path::file_name),
        bin.and_then(Path::parent),
    ) {
        (Some(_), Some(name), Some(above)) if name == OsStr::new("bin") => {
            ["lib", "lib64", "libexec", "share"]
                .map(|n| above.join(n))
                .into()
        }
        _ => Vec::new(),
    }
}

/// Confines the calling thread for good. Only system calls: it runs between fork and exec.
pub(super) fn enter(rules: &OwnedFd) -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    // SAFETY: takes a descriptor that is open and no flags; touches no memory of ours.
    let entered = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) };
    match entered {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
