//! Keeps git from changing times, rights, owners and attributes of files, which Landlock does not: git renews the time of
//! an object that it would write if it were not there. Depth, like Landlock: a kernel without seccomp does without.

use std::io;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// The filter, made before the fork; None for a processor that there is none for.
#[derive(Debug, Clone)]
pub(super) struct Still(Option<BpfProgram>);

/// What is refused. Git needs none of it in its own folder.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_utimensat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
];

/// The same of older days.
#[cfg(target_arch = "x86_64")]
const REFUSED_AS_WELL: &[libc::c_long] = &[
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_AS_WELL: &[libc::c_long] = &[];

impl Still {
    pub fn new() -> Self {
        let calls = REFUSED.iter().chain(REFUSED_AS_WELL);
        let rules = calls.map(|call| (*call, Vec::new())).collect();
        let (allow, refuse) = (
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        );
        let filter = TargetArch::try_from(std::env::consts::ARCH)
            .and_then(|arch| SeccompFilter::new(rules, allow, refuse, arch))
            .and_then(BpfProgram::try_from);
        Self(filter.ok())
    }

    /// Confines the calling thread for good. Only system calls: it runs between fork and exec.
    pub fn enter(&self) -> io::Result<()> {
        let Some(filter) = &self.0 else {
            return Ok(());
        };
        match seccompiler::apply_filter(filter) {
            // This kernel has none, or a container refuses it.
            Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error))
                if matches!(
                    error.raw_os_error(),
                    Some(libc::ENOSYS | libc::EINVAL | libc::EACCES)
                ) =>
            {
                Ok(())
            }
            Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error)) => {
                Err(error)
            }
            Err(_) => Err(io::ErrorKind::InvalidInput.into()),
            Ok(()) => Ok(()),
        }
    }
}
