//! Keeps git from changing times, rights, owners and attributes of files, which Landlock does not: git renews the time of
//! an object that it would write if it were not there. Depth, like Landlock: a kernel without seccomp does without.

use std::io;

/// The filter, made before the fork.
#[derive(Debug, Clone)]
pub(super) struct Still(Vec<libc::sock_filter>);

/// What is refused with EPERM. Git needs none of it in its own folder.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_utimensat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
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
        let step = |code: u32, jt: u8, k: u32| libc::sock_filter {
            code: code as u16,
            jt,
            jf: 0,
            k,
        };
        let calls: Vec<libc::c_long> = [REFUSED, REFUSED_AS_WELL].concat();
        // The number of the call comes first.
        let mut steps = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
        for (at, call) in calls.iter().enumerate() {
            let over_the_rest = (calls.len() - at) as u8;
            let is_it = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
            steps.push(step(is_it, over_the_rest, *call as u32));
        }
        let answer = libc::BPF_RET | libc::BPF_K;
        steps.push(step(answer, 0, libc::SECCOMP_RET_ALLOW));
        steps.push(step(
            answer,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
        ));
        Self(steps)
    }

    /// Confines the calling thread for good. Only system calls: it runs between fork and exec.
    pub fn enter(&mut self) -> io::Result<()> {
        rustix::thread::set_no_new_privs(true)?;
        let filter = libc::sock_fprog {
            len: self.0.len() as u16,
            filter: self.0.as_mut_ptr(),
        };
        // SAFETY: the filter and its steps outlive the call, which only reads them.
        let entered = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                0,
                &raw const filter,
            )
        };
        match entered {
            0 => Ok(()),
            _ => match io::Error::last_os_error() {
                // This kernel has none, or a container refuses it.
                error
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::ENOSYS | libc::EINVAL | libc::EACCES)
                    ) =>
                {
                    Ok(())
                }
                error => Err(error),
            },
        }
    }
}
