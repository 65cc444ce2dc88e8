//! Calls for which there is no safe function, each made the way an attacker would.

use std::ffi::{CString, c_long, c_void};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A system call by its number; what it returns, or its error.
pub(super) fn call(number: c_long, args: [u64; 6]) -> io::Result<c_long> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: callers pass pointers that are good for as long as the call lasts.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(answer)
    }
}

/// As `call`, for what returns a descriptor.
pub(super) fn open(number: c_long, args: [u64; 6]) -> io::Result<OwnedFd> {
    let fd = call(number, args)? as i32;
    // SAFETY: the kernel has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    let args = [family as u64, kind as u64, protocol as u64, 0, 0, 0];
    open(libc::SYS_socket, args)
}

/// An address on this machine, as the kernel reads it.
pub(super) fn loopback(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    }
}

/// Connects with data, without the call that connects.
pub(super) fn fast_open(port: u16) -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let (address, data) = (loopback(port), b"x");
    let sent = call(
        libc::SYS_sendto,
        [
            socket.as_raw_fd() as u64,
            data.as_ptr() as u64,
            data.len() as u64,
            libc::MSG_FASTOPEN as u64,
            (&raw const address) as u64,
            size_of_val(&address) as u64,
        ],
    );
    under_way(sent)
}

/// Connects by a protocol that is TCP under another name.
pub(super) fn multipath(port: u16) -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP)?;
    let address = loopback(port);
    let (fd, length) = (socket.as_raw_fd() as u64, size_of_val(&address) as u64);
    let args = [fd, (&raw const address) as u64, length, 0, 0, 0];
    under_way(call(libc::SYS_connect, args))
}

fn under_way(tried: io::Result<c_long>) -> io::Result<()> {
    match tried {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
        _ => Ok(()),
    }
}

/// Sends to a socket at a path from one of a pair, which no call has made for it.
pub(super) fn datagram_from_a_pair(path: &Path) -> io::Result<()> {
    let mut pair = [0; 2];
    let (unix, datagram) = (libc::AF_UNIX as u64, libc::SOCK_DGRAM as u64);
    let at = pair.as_mut_ptr() as u64;
    call(libc::SYS_socketpair, [unix, datagram, 0, at, 0, 0])?;
    // SAFETY: the kernel has just made them.
    let [one, _other] = pair.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    let one = std::os::unix::net::UnixDatagram::from(one);
    one.send_to(b"x", path).map(drop)
}

/// Changes the flags of a file that is open for reading only.
pub(super) fn set_flags(file: &File) -> io::Result<()> {
    const NO_DUMP: libc::c_long = 0x40;
    const FS_IOC_SETFLAGS: u64 = 0x4008_6602;
    let flags = NO_DUMP;
    let fd = file.as_raw_fd() as u64;
    call(
        libc::SYS_ioctl,
        [fd, FS_IOC_SETFLAGS, (&raw const flags) as u64, 0, 0, 0],
    )
    .map(drop)
}

/// Makes the owner of a file wait whenever somebody wants to write it.
pub(super) fn lease(file: &File) -> io::Result<()> {
    let (fd, how) = (file.as_raw_fd() as u64, libc::F_RDLCK as u64);
    let args = [fd, libc::F_SETLEASE as u64, how, 0, 0, 0];
    call(libc::SYS_fcntl, args).map(drop)
}

pub(super) fn set_attribute(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let (name, value) = (c"user.probe", b"x");
    let args = [
        path.as_ptr() as u64,
        name.as_ptr() as u64,
        value.as_ptr() as u64,
        value.len() as u64,
        0,
        0,
    ];
    call(libc::SYS_setxattr, args).map(drop)
}

pub(super) fn watch(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let watcher = open(libc::SYS_inotify_init1, [0; 6])?;
    let (fd, all) = (watcher.as_raw_fd() as u64, u64::from(libc::IN_ALL_EVENTS));
    let args = [fd, path.as_ptr() as u64, all, 0, 0, 0];
    call(libc::SYS_inotify_add_watch, args).map(drop)
}

/// Reads the memory of another process.
pub(super) fn read_memory(pid: u32, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut found = vec![0u8; length];
    let local = libc::iovec {
        iov_base: found.as_mut_ptr().cast(),
        iov_len: length,
    };
    let remote = libc::iovec {
        iov_base: at as *mut c_void,
        iov_len: length,
    };
    let (local, remote) = ((&raw const local) as u64, (&raw const remote) as u64);
    call(
        libc::SYS_process_vm_readv,
        [u64::from(pid), local, 1, remote, 1, 0],
    )?;
    Ok(found)
}

/// Traces another process without stopping it; it is let go when this one ends.
pub(super) fn trace(pid: u32) -> io::Result<()> {
    const PTRACE_SEIZE: u64 = 0x4206;
    let args = [PTRACE_SEIZE, u64::from(pid), 0, 0, 0, 0];
    call(libc::SYS_ptrace, args).map(drop)
}

/// Sets the limit of another process to what it is.
pub(super) fn set_limits(pid: u32) -> io::Result<()> {
    let mut limits = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let (pid, which) = (u64::from(pid), libc::RLIMIT_NOFILE as u64);
    let at = (&raw mut limits) as u64;
    call(libc::SYS_prlimit64, [pid, which, 0, at, 0, 0])?;
    call(libc::SYS_prlimit64, [pid, which, at, 0, 0, 0]).map(drop)
}

/// Does something in a process of its own, and says how that ended. `dumped` is an error of its own kind: Ok.
pub(super) fn in_a_fork(act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    // SAFETY: this process has one thread, so the new one can do whatever this one could.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = match act() {
            Ok(()) => 0,
            Err(e) => e.raw_os_error().unwrap_or(libc::EIO),
        };
        // SAFETY: nothing of this copy is to be cleaned up.
        unsafe { libc::_exit(code) };
    }
    if pid == -1 {
        return Err(io::Error::last_os_error());
    }
    let mut status = 0;
    // SAFETY: the status is this function's own.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    if libc::WIFSIGNALED(status) {
        return match libc::WTERMSIG(status) {
            // The filter's way to end who calls in a foreign manner.
            libc::SIGSYS => Err(io::Error::from_raw_os_error(libc::ENOSYS)),
            _ if libc::WCOREDUMP(status) => Ok(()),
            signal => Err(io::Error::other(format!("ended by signal {signal}"))),
        };
    }
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Ends as a program does that crashes, with as large a core file as it may have.
pub(super) fn crash() -> io::Result<()> {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limits are this function's own.
    unsafe {
        libc::getrlimit(libc::RLIMIT_CORE, &raw mut limits);
        limits.rlim_cur = limits.rlim_max;
        libc::setrlimit(libc::RLIMIT_CORE, &raw const limits);
        libc::abort()
    }
}

/// Makes a call in the manner of programs for 32 bits, which have numbers of their own.
#[cfg(target_arch = "x86_64")]
pub(super) fn foreign_call() -> io::Result<()> {
    const GETPID: i32 = 20;
    let mut answer = GETPID;
    // SAFETY: it changes nothing but the registers that are named.
    unsafe {
        std::arch::asm!("int 0x80", inout("eax") answer, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if answer > 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(-answer))
    }
}

/// The smallest program: it ends with code 0.
#[cfg(target_arch = "x86_64")]
pub(super) fn program() -> Vec<u8> {
    const CODE: [u8; 9] = [0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
    const BASE: u64 = 0x40_0000;
    let (header, table) = (64u16, 56u16);
    let start = u64::from(header + table);
    let size = start + CODE.len() as u64;
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1u32.to_le_bytes());
    elf.extend(
        [BASE + start, u64::from(header), 0]
            .map(u64::to_le_bytes)
            .concat(),
    );
    elf.extend(0u32.to_le_bytes());
    elf.extend([header, table, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1u32, 5].map(u32::to_le_bytes).concat());
    elf.extend(
        [0, BASE, BASE, size, size, 0x1000]
            .map(u64::to_le_bytes)
            .concat(),
    );
    elf.extend(CODE);
    elf
}
