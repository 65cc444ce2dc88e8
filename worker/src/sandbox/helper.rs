//! The small process between worker and child: it confines the child, waits for it and ends it with the worker.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, getpid, getppid, getrlimit,
    kill_current_process_group, kill_process, pidfd_open, set_child_subreaper,
    set_parent_process_death_signal, setpgid, setrlimit, wait,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
};

use crate::sealed::leave_no_core;

use super::{Backend, EXIT_UNAVAILABLE, HELPER_PREFIX, Order, bubblewrap, landlock, seccomp};

/// How long what a child has left behind may take to die; only the kernel can hold it up.
const SWEEP: Duration = Duration::from_millis(500);

/// No file that a child writes may grow beyond this, in bytes.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// `ORDER PROGRAM ARGS…`: runs the program confined and ends as it ends.
pub(super) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match run(args) {
        Ok(status) => end_like(status),
        Err(message) => {
            eprintln!("{HELPER_PREFIX}{message}");
            exit_code(EXIT_UNAVAILABLE)
        }
    }
}

fn run(mut args: impl Iterator<Item = OsString>) -> Result<ExitStatus, String> {
    // The group is what will be killed: never one that this process shares.
    setpgid(None, None).map_err(|e| format!("cannot lead a process group: {e}"))?;
    // Whoever leaves the group, or loses its parent, is still found here.
    set_child_subreaper(Some(getpid())).map_err(|e| format!("cannot adopt orphans: {e}"))?;
    let order = args
        .next()
        .and_then(|a| a.into_string().ok())
        .ok_or("no order given")?;
    let order: Order =
        serde_json::from_str(&order).map_err(|e| format!("order not understood: {e}"))?;
    let program = PathBuf::from(args.next().ok_or("no program given")?);
    let mut child = start(order, program, args)?;
    let status = watch(&mut child).map_err(|e| format!("cannot watch the child: {e}"));
    sweep();
    status
}

fn start(
    order: Order,
    program: PathBuf,
    args: impl Iterator<Item = OsString>,
) -> Result<Child, String> {
    let Order {
        backend,
        bubblewrap,
        policy,
    } = order;
    let stdin = File::open(&policy.stdin)
        .map_err(|e| format!("cannot open {}: {e}", policy.stdin.display()))?;
    // Bubblewrap has processes of its own; else signals are Landlock's to keep in.
    let scoped = backend == Backend::Bubblewrap || landlock::scopes_signals();
    seccomp::check()?;
    let filter = seccomp::program(scoped)?;
    let handed = hand_over(&seccomp::bytes(&filter))
        .map_err(|e| format!("cannot hand the filter of system calls over: {e}"))?;
    let mut command = match (backend, bubblewrap) {
        (Backend::Landlock, _) => Command::new(program),
        (Backend::Bubblewrap, Some(bwrap)) => {
            let mut command = Command::new(bwrap);
            command
                .args(bubblewrap::arguments(&policy))
                .args(["--seccomp", &handed.as_raw_fd().to_string()])
                .arg("--")
                .arg(program);
            command
        }
        (Backend::Bubblewrap, None) => return Err("no bubblewrap given".to_owned()),
    };
    command.args(args).stdin(stdin).current_dir(&policy.cwd);
    let helper = getpid();
    let confine = move || {
        // This thread is the helper's only one, so its end is the helper's end.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(helper) {
            return Err(io::Error::other("the helper is gone"));
        }
        leave_no_core()?;
        limit(Resource::Fsize, MAX_FILE_BYTES)?;
        // Whatever the worker has open, a child gets nothing but its three pipes.
        close_the_rest_on_exec()?;
        if backend == Backend::Landlock {
            let told = |message: String| {
                eprintln!("{HELPER_PREFIX}{message}");
                io::Error::other("not confined")
            };
            landlock::restrict(&policy).map_err(told)?;
            drop_capabilities();
            seccomp::apply(&filter).map_err(told)?;
        } else {
            fcntl_setfd(&handed, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: this process has one thread, so nothing can hold a lock across the fork.
    unsafe { command.pre_exec(confine) };
    command
        .spawn()
        .map_err(|e| format!("cannot start {}: {e}", command.get_program().display()))
}

/// A file without a name that bubblewrap reads the filter from.
fn hand_over(filter: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("filter", MemfdFlags::CLOEXEC)?);
    file.write_all(filter)?;
    file.rewind()?;
    Ok(file)
}

/// Marks every descriptor but the three pipes to be closed when the child starts.
fn close_the_rest_on_exec() -> io::Result<()> {
    let first = libc::STDERR_FILENO + 1;
    // SAFETY: it only marks descriptors.
    let marked = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if marked == 0 {
        return Ok(());
    }
    // Kernels before 5.11.
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    for fd in first..i32::try_from(most).unwrap_or(i32::MAX) {
        // SAFETY: it only marks a descriptor; what is none is an error that says so.
        if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EBADF) {
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Never more than was allowed already.
fn limit(resource: Resource, value: u64) -> rustix::io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let value = Some(value.min(most));
    setrlimit(
        resource,
        Rlimit {
            current: value,
            maximum: value,
        },
    )
}

/// A child of root needs none of root's powers; where they cannot be dropped there were none.
fn drop_capabilities() {
    for capability in CapabilitySet::all().iter() {
        let _ = remove_capability_from_bounding_set(capability);
    }
    let none = CapabilitySet::empty();
    let _ = set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    );
}

/// Waits for the child. The leash is this process's standard input: nothing is ever written to it, and its end means
/// that the worker let go or died, so everything goes.
fn watch(child: &mut Child) -> io::Result<ExitStatus> {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .ok_or(io::ErrorKind::InvalidData)?;
    let exited = pidfd_open(pid, PidfdFlags::empty())?;
    // A polite end is for the child to obey; this process has to see it through.
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGHUP,
    ] {
        signal_hook::flag::register(signal, Arc::clone(&ignored))?;
    }
    // The child's output ends with the child, not with this process.
    let null = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    let leash = io::stdin();
    loop {
        let mut fds = [
            PollFd::new(&leash, PollFlags::IN),
            PollFd::new(&exited, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        if !fds[1].revents().is_empty() {
            return child.wait();
        }
        if !fds[0].revents().is_empty() {
            sweep();
            kill_current_process_group(Signal::KILL)?;
        }
    }
}

/// Kills all that was started here and lives, whatever group or session it went to: whose parent is gone has become a
/// child of this process, so children are killed until there are none.
fn sweep() {
    let end = Instant::now() + SWEEP;
    loop {
        for pid in children() {
            let _ = kill_process(pid, Signal::KILL);
        }
        match wait(WaitOptions::NOHANG) {
            Err(rustix::io::Errno::CHILD) => return,
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(1)),
            Ok(Some(_)) if Instant::now() < end => {}
            _ => return,
        }
    }
}

/// Processes whose parent is this one.
fn children() -> Vec<Pid> {
    let own = getpid().as_raw_nonzero().to_string();
    let is_ours = |pid: &str| {
        // The name stands in parentheses and may hold anything.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(stat.rsplit_once(')')?.1.split_whitespace().nth(1)? == own)
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| process.file_name().into_string().ok())
        .filter(|pid| is_ours(pid) == Some(true))
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .collect()
}

fn end_like(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        let _ = leave_no_core();
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        return exit_code(128 + signal);
    }
    exit_code(status.code().unwrap_or(EXIT_UNAVAILABLE))
}

fn exit_code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}
