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
