//! The filter of system calls: what Landlock and mount namespaces do not cover. Landlock knows nothing of UNIX sockets
//! with a path (before ABI 9), of datagrams, of chmod, utime and attributes, of io_uring, keys or namespaces.

use std::collections::BTreeMap;
use std::ffi::c_long;

use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::calls::{
    ALWAYS, FCNTLS, IOCTLS, LEGACY, NAMESPACES, PRCTLS, PRETENDED, PRETENDED_LEGACY, SIGNALS,
};

/// What a refused call returns. Libraries take it for an older kernel and go on with what they did there (`clone3`,
/// io_uring); no file's rights return it, so it tells who refused.
const REFUSED: i32 = libc::ENOSYS;

/// Without these bits of a socket's type its kind is left.
const SOCK_KIND: u64 = 0xf;

/// Whether this kernel has filters; the error says how to mend it.
pub(super) fn check() -> Result<(), String> {
    let wanted: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the call only reads the number.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            &raw const wanted,
        )
    };
    if answer == 0 {
        return program(true).map(|_| ());
    }
    Err(format!(
        "this kernel takes no filter of system calls ({}); use one with CONFIG_SECCOMP_FILTER, and let the \
         worker's unit or container allow the call seccomp",
        std::io::Error::last_os_error()
    ))
}

/// One line for people.
pub(super) fn describe() -> String {
    let always = ALWAYS.len() + LEGACY.len();
    format!("seccomp: {always} system calls and TCP sockets, no other kind of socket")
}

/// The filter. `scoped`: something else keeps signals within the sandbox; else none may be sent.
pub(super) fn program(scoped: bool) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|e| format!("no filter of system calls for this processor ({e})"))?;
    let filter = rules(scoped)
        .and_then(|rules| {
            let (refuse, allow) = (SeccompAction::Errno(REFUSED as u32), SeccompAction::Allow);
            BpfProgram::try_from(SeccompFilter::new(rules, refuse, allow, arch)?)
        })
        .map_err(|e| format!("the filter of system calls cannot be made ({e})"))?;
    Ok([pretence(), filter].concat())
}

/// What comes before the filter and lets nothing through: some calls succeed without having been made. A filter of the
/// library has one way to refuse only, and old versions of bubblewrap take one filter only.
fn pretence() -> BpfProgram {
    let instruction = |code: u32, jf, k: u32| sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    };
    let number = std::mem::offset_of!(libc::seccomp_data, nr) as u32;
    let load = instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, number);
    let calls = PRETENDED.iter().chain(PRETENDED_LEGACY);
    let answered = calls.flat_map(|call| {
        [
            instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, *call as u32),
            instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO),
        ]
    });
    std::iter::once(load).chain(answered).collect()
}

/// Puts the filter on the calling thread and all that it starts, for good.
pub(super) fn apply(program: &BpfProgram) -> Result<(), String> {
    seccompiler::apply_filter(program)
        .map_err(|e| format!("the kernel takes no filter of system calls ({e})"))
}

/// The filter as bubblewrap reads it.
pub(super) fn bytes(program: &BpfProgram) -> Vec<u8> {
    let instruction = |i: &sock_filter| {
        let (code, k) = (i.code.to_ne_bytes(), i.k.to_ne_bytes());
        [&code[..], &[i.jt, i.jf], &k].concat()
    };
    program.iter().flat_map(instruction).collect()
}

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;
type Made<T> = Result<T, seccompiler::BackendError>;

fn rules(scoped: bool) -> Made<Rules> {
    let signals = if scoped { SIGNALS } else { &[] };
    let mut rules: Rules = [ALWAYS, LEGACY, signals]
        .into_iter()
        .flatten()
        .map(|call| (*call, Vec::new()))
        .collect();
    let number = |value: i32| u64::from(value.unsigned_abs());
    rules.extend([
        (libc::SYS_ioctl, one_of(1, IOCTLS.iter().copied())?),
        (
            libc::SYS_fcntl,
            one_of(1, FCNTLS.iter().copied().map(number))?,
        ),
        (
            libc::SYS_prctl,
            one_of(0, PRCTLS.iter().copied().map(number))?,
        ),
        // One's own limits; those of the worker belong to the same user.
        (libc::SYS_prlimit64, one_of(0, [0])?),
        (
            libc::SYS_clone,
            vec![all([(0, MaskedEq(number(NAMESPACES)), 0)])?],
        ),
        (libc::SYS_socket, sockets()?),
        // Datagrams could be sent to whoever listens at a path.
        (
            libc::SYS_socketpair,
            vec![all([(0, Eq, number(libc::AF_UNIX)), stream()])?],
        ),
        // A fast open connects without Landlock's being asked.
        (
            libc::SYS_sendto,
            vec![SeccompRule::new(vec![
                condition(3, Dword, MaskedEq(number(libc::MSG_FASTOPEN)), 0)?,
                condition(4, Qword, Eq, 0)?,
            ])?],
        ),
        (
            libc::SYS_sendmsg,
            vec![all([(2, MaskedEq(number(libc::MSG_FASTOPEN)), 0)])?],
        ),
        (
            libc::SYS_setsockopt,
            one_of(1, [libc::SOL_SOCKET, libc::IPPROTO_TCP].map(number))?,
        ),
    ]);
    Ok(rules)
}

/// TCP and nothing that Landlock does not take for it (MPTCP, SCTP).
fn sockets() -> Made<Vec<SeccompRule>> {
    let mut rules = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for protocol in [libc::IPPROTO_IP, libc::IPPROTO_TCP] {
            let number = |value: i32| u64::from(value.unsigned_abs());
            rules.push(all([
                (0, Eq, number(family)),
                stream(),
                (2, Eq, number(protocol)),
            ])?);
        }
    }
    Ok(rules)
}

type Term = (u8, SeccompCmpOp, u64);

fn stream() -> Term {
    let stream = u64::from(libc::SOCK_STREAM.unsigned_abs());
    (1, MaskedEq(SOCK_KIND), stream)
}

/// One rule for each value that an argument may have.
fn one_of(argument: u8, values: impl IntoIterator<Item = u64>) -> Made<Vec<SeccompRule>> {
    let rule = |value| all([(argument, Eq, value)]);
    values.into_iter().map(rule).collect()
}

/// Of an int the kernel looks at 32 bits, whatever the others are.
fn all<const N: usize>(terms: [Term; N]) -> Made<SeccompRule> {
    let conditions = terms.map(|(argument, op, value)| condition(argument, Dword, op, value));
    SeccompRule::new(conditions.into_iter().collect::<Made<_>>()?)
}

fn condition(
    argument: u8,
    length: SeccompCmpArgLen,
    op: SeccompCmpOp,
    value: u64,
) -> Made<SeccompCondition> {
    SeccompCondition::new(argument, length, op, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What would lead out of the sandbox, or change what it may only read, whatever else is allowed one day.
    #[rustfmt::skip]
    const NEVER: &[c_long] = &[
        libc::SYS_bind, libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4, libc::SYS_sendmmsg,
        libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
        libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_kcmp,
        libc::SYS_process_madvise, libc::SYS_pidfd_open, libc::SYS_pidfd_getfd, libc::SYS_pidfd_send_signal,
        libc::SYS_tkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_setpriority, libc::SYS_sched_setaffinity, libc::SYS_sched_setscheduler, libc::SYS_sched_setattr,
        libc::SYS_sched_setparam, libc::SYS_ioprio_set, libc::SYS_migrate_pages, libc::SYS_move_pages,
        libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key,
        libc::SYS_mount, libc::SYS_umount2, libc::SYS_move_mount, libc::SYS_open_tree, libc::SYS_fsopen,
        libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_mount_setattr, libc::SYS_pivot_root,
        libc::SYS_chroot, libc::SYS_unshare, libc::SYS_setns, libc::SYS_clone3,
        libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_fanotify_init,
        libc::SYS_inotify_init1, libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module,
        libc::SYS_kexec_load, libc::SYS_kexec_file_load, libc::SYS_reboot, libc::SYS_swapon, libc::SYS_acct,
        libc::SYS_quotactl, libc::SYS_sync, libc::SYS_syncfs, libc::SYS_syslog, libc::SYS_personality,
        libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setgroups, libc::SYS_setresuid, libc::SYS_capset,
        libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr,
        libc::SYS_removexattr, libc::SYS_fremovexattr, libc::SYS_mknodat, libc::SYS_flock,
        libc::SYS_name_to_handle_at, libc::SYS_open_by_handle_at, libc::SYS_memfd_create, libc::SYS_memfd_secret,
        libc::SYS_execveat, libc::SYS_shmget, libc::SYS_shmat, libc::SYS_msgget, libc::SYS_semget,
        libc::SYS_mq_open, libc::SYS_seccomp, libc::SYS_landlock_create_ruleset,
    ];

    #[test]
    fn what_leads_out_is_never_allowed_and_what_is_pretended_is_not_done() {
        let rules = rules(true).unwrap();
        let pretended = PRETENDED.iter().chain(PRETENDED_LEGACY);
        for call in NEVER.iter().chain(pretended) {
            assert!(!rules.contains_key(call), "{call}");
        }
        #[cfg(target_arch = "x86_64")]
        for call in [
            libc::SYS_mknod,
            libc::SYS_chown,
            libc::SYS_lchown,
            libc::SYS_uselib,
            libc::SYS_modify_ldt,
        ] {
            assert!(!rules.contains_key(&call), "{call}");
        }
        for terminal in [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSCTTY] {
            assert!(!IOCTLS.contains(&terminal), "{terminal}");
        }
    }

    #[test]
    fn signals_are_allowed_only_where_something_else_keeps_them_in() {
        for call in SIGNALS {
            assert!(rules(true).unwrap().contains_key(call));
            assert!(!rules(false).unwrap().contains_key(call));
        }
    }

    #[test]
    fn every_rule_that_has_terms_has_at_least_one() {
        // The library takes an empty list for "always".
        for call in [
            libc::SYS_ioctl,
            libc::SYS_fcntl,
            libc::SYS_prctl,
            libc::SYS_prlimit64,
            libc::SYS_clone,
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_setsockopt,
        ] {
            assert!(!rules(true).unwrap()[&call].is_empty(), "{call}");
        }
    }
}
