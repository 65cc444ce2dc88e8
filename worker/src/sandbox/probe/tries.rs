//! What the confined process tries. Every attempt that must fail succeeds where nothing confines: a test sees to it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::Check;
use super::field::{CANARY, Spec};
use super::raw;

/// Everything, one after the other.
pub(super) fn everything(spec: &Spec) -> Vec<Check> {
    let mut tries = Tries {
        spec,
        checks: Vec::new(),
    };
    tries.what_must_work();
    tries.writing();
    tries.changing_what_may_be_read();
    tries.reading();
    tries.other_processes();
    tries.sockets();
    tries.the_kernel();
    tries.programs();
    tries.checks
}

struct Tries<'a> {
    spec: &'a Spec,
    checks: Vec<Check>,
}

impl Tries<'_> {
    fn must_work<T>(&mut self, what: &str, tried: io::Result<T>) {
        self.checks.push(Check {
            what: what.to_owned(),
            ok: tried.is_ok(),
            detail: tried.map_or_else(|e| e.to_string(), |_| "allowed".to_owned()),
            refused_by: None,
        });
    }

    fn must_fail<T>(&mut self, what: &str, tried: io::Result<T>) {
        let refused_by = tried.as_ref().err().map(|error| {
            match error.raw_os_error() {
                // Nothing that is tried here is unknown to the kernel.
                Some(libc::ENOSYS) => "seccomp",
                Some(libc::EBADF) => "closed descriptors",
                Some(_) => &self.spec.backend,
                // It was ended, and left nothing.
                None => "resource limits",
            }
            .to_owned()
        });
        self.checks.push(Check {
            what: what.to_owned(),
            ok: tried.is_err(),
            detail: tried.map_or_else(|e| e.to_string(), |_| "was allowed".to_owned()),
            refused_by,
        });
    }

    /// For what may be answered as if it had been done.
    fn must_not_change<T: PartialEq>(
        &mut self,
        what: &str,
        look: impl Fn() -> io::Result<T>,
        change: impl FnOnce() -> io::Result<()>,
    ) {
        let tried = look().and_then(|before| {
            change()?;
            if look()? == before {
                return Err(io::Error::from_raw_os_error(libc::ENOSYS));
            }
            Ok(())
        });
        self.must_fail(what, tried);
    }

    fn what_must_work(&mut self) {
        let spec = self.spec;
        let new = spec.inside.join("new");
        self.must_work("write in the job folder", fs::write(&new, CANARY));
        let file = spec.readable.join("file");
        self.must_work("read what it was given", fs::read(file));
        self.must_work("connect to the model's port", connect(spec.open_port));
        self.must_work(
            "talk to a program that it starts",
            UnixStream::pair().and_then(|(mut one, _other)| one.write_all(CANARY)),
        );
    }

    fn writing(&mut self) {
        let Spec {
            inside,
            readable,
            outside,
            ..
        } = self.spec;
        let (victim, fresh) = (outside.join("file"), outside.join("new"));
        let clear = |made: io::Result<()>| {
            let _ = fs::remove_file(&fresh).or_else(|_| fs::remove_dir(&fresh));
            made
        };
        let write = OpenOptions::new().append(true).open(&victim);
        self.must_fail("write to a file outside", write);
        self.must_fail(
            "create a file outside",
            clear(File::create(&fresh).map(drop)),
        );
        self.must_fail("make a folder outside", clear(fs::create_dir(&fresh)));
        self.must_fail("make a link outside", clear(symlink("/", &fresh)));
        self.must_fail("move a file out", fs::rename(inside.join("new"), &fresh));
        let stolen = fs::hard_link(&victim, inside.join("stolen"));
        self.must_fail("link a file in", stolen);
        self.must_fail(
            "write where it may only read",
            File::create(readable.join("new")),
        );
        let other = self.spec.other_job.join("new");
        self.must_fail("write in another job's folder", File::create(other));
        self.must_fail("empty a file outside", truncate(&victim));
        self.must_fail("remove a file outside", fs::remove_file(&victim));
    }

    fn changing_what_may_be_read(&mut self) {
        let path = self.spec.readable.join("file");
        let Ok(file) = File::open(&path) else {
            return self.must_work("open what it was given", File::open(&path));
        };
        self.must_not_change(
            "change the rights of a file that it may read",
            || Ok(fs::metadata(&path)?.mode()),
            || fs::set_permissions(&path, fs::Permissions::from_mode(0o600)),
        );
        self.must_not_change(
            "change the rights of a file that is open for reading",
            || Ok(fs::metadata(&path)?.mode()),
            || file.set_permissions(fs::Permissions::from_mode(0o640)),
        );
        self.must_not_change(
            "change the time of a file that it may read",
            || fs::metadata(&path)?.modified(),
            || file.set_modified(SystemTime::UNIX_EPOCH),
        );
        self.must_fail(
            "set an attribute of a file that it may read",
            raw::set_attribute(&path),
        );
        self.must_fail(
            "set flags of a file that it may read",
            raw::set_flags(&file),
        );
        self.must_fail(
            "hold up who writes a file that it may read",
            raw::lease(&file),
        );
    }

    fn reading(&mut self) {
        let Spec {
            outside,
            other_job,
            other_snapshot,
            ..
        } = self.spec;
        self.must_fail("read a file outside", fs::read(outside.join("private")));
        self.must_fail("list a folder outside", fs::read_dir(outside));
        self.must_fail("watch a folder outside", raw::watch(outside));
        self.must_fail(
            "read another run's snapshot",
            fs::read(other_snapshot.join("file")),
        );
        self.must_fail(
            "read another job's folder",
            fs::read(other_job.join("file")),
        );
        self.must_fail("read the list of users", fs::read("/etc/passwd"));
        self.must_fail("read a descriptor that was left open", {
            let mut found = [0u8; CANARY.len()];
            let (fd, at) = (self.spec.left_open as u64, found.as_mut_ptr() as u64);
            raw::call(libc::SYS_pread64, [fd, at, found.len() as u64, 0, 0, 0])
        });
    }

    fn other_processes(&mut self) {
        let pid = self.spec.worker;
        let of_worker = |name: &str| PathBuf::from(format!("/proc/{pid}/{name}"));
        self.must_fail(
            "read the worker's environment",
            fs::read(of_worker("environ")),
        );
        self.must_fail("open the worker's memory", File::open(of_worker("mem")));
        self.must_fail(
            "read the worker's map of memory",
            fs::read(of_worker("maps")),
        );
        self.must_fail(
            "read the worker's command line",
            fs::read(of_worker("cmdline")),
        );
        self.must_fail("find the worker's folder", fs::read_link(of_worker("cwd")));
        self.must_fail(
            "list the worker's descriptors",
            fs::read_dir(of_worker("fd")),
        );
        let memory = raw::read_memory(pid, self.spec.secret_at, CANARY.len());
        self.must_fail("copy the worker's memory", memory);
        self.must_fail("trace the worker", raw::trace(pid));
        let signal = raw::call(libc::SYS_kill, [u64::from(pid), 0, 0, 0, 0, 0]);
        self.must_fail("send a signal to the worker", signal);
        self.must_fail("set the worker's limits", raw::set_limits(pid));
        let (which, pid) = (libc::PRIO_PROCESS as u64, u64::from(pid));
        self.must_fail(
            "make the worker wait for others",
            // To what it has already, as the call that reads it counts.
            raw::call(libc::SYS_getpriority, [which, pid, 0, 0, 0, 0]).and_then(|found| {
                raw::call(
                    libc::SYS_setpriority,
                    [which, pid, (20 - found) as u64, 0, 0, 0],
                )
            }),
        );
        self.must_fail("leave a core file", raw::in_a_fork(raw::crash));
    }

    fn sockets(&mut self) {
        let spec = self.spec;
        let at = |name: &str| -> io::Result<(rustix::fd::OwnedFd, PathBuf)> {
            let (flags, mode) = (rustix::fs::OFlags::PATH, rustix::fs::Mode::empty());
            let folder = rustix::fs::open(&spec.outside, flags, mode)?;
            let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()));
            Ok((folder, path))
        };
        self.must_fail(
            "connect to the database's socket",
            at(".s.PGSQL.5432").and_then(|(_folder, path)| UnixStream::connect(path)),
        );
        self.must_fail(
            "send to a socket at a path from one of a pair",
            at("log").and_then(|(_folder, path)| raw::datagram_from_a_pair(&path)),
        );
        self.must_fail(
            "connect to a socket without a path",
            std::os::unix::net::SocketAddr::from_abstract_name(&spec.abstract_socket)
                .and_then(|address| UnixStream::connect_addr(&address)),
        );
        let datagram = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|socket| socket.send_to(CANARY, (Ipv4Addr::LOCALHOST, spec.udp_port)));
        self.must_fail("send a datagram", datagram);
        if spec.limits_network {
            self.must_fail("connect to another port", connect(spec.closed_port));
        }
        self.must_fail(
            "connect to another port by a fast open",
            raw::fast_open(spec.closed_port),
        );
        self.must_fail(
            "connect to another port over several paths",
            raw::multipath(spec.closed_port),
        );
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        self.must_fail("listen for connections", listener);
        let listener = raw::socket(libc::AF_INET, libc::SOCK_STREAM, 0).and_then(|socket| {
            raw::call(libc::SYS_listen, [socket.as_raw_fd() as u64, 1, 0, 0, 0, 0])
        });
        self.must_fail("listen without an address", listener);
        let netlink = raw::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE);
        self.must_fail("ask the kernel for its network", netlink);
    }

    fn the_kernel(&mut self) {
        let params = [0u8; 120];
        let ring = raw::open(
            libc::SYS_io_uring_setup,
            [1, params.as_ptr() as u64, 0, 0, 0, 0],
        );
        self.must_fail("make an io_uring", ring);
        const SESSION: i64 = -3;
        let keyring = raw::call(libc::SYS_keyctl, [0, SESSION as u64, 0, 0, 0, 0]);
        self.must_fail("find the keys of the session", keyring);
        const USER_MODE_ONLY: u64 = 1;
        let faults = raw::open(libc::SYS_userfaultfd, [USER_MODE_ONLY, 0, 0, 0, 0, 0]);
        self.must_fail("handle its own page faults", faults);
        let memory = raw::call(libc::SYS_shmget, [0, 4096, 0o600, 0, 0, 0]);
        if let Ok(id) = memory {
            let _ = raw::call(libc::SYS_shmctl, [id as u64, 0, 0, 0, 0, 0]);
        }
        self.must_fail("share memory with others", memory);
        let unshare = || {
            raw::call(
                libc::SYS_unshare,
                [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0],
            )
        };
        self.must_fail(
            "become root of a namespace",
            raw::in_a_fork(|| unshare().map(drop)),
        );
        #[cfg(target_arch = "x86_64")]
        self.must_fail("make a call for 32 bits", raw::in_a_fork(raw::foreign_call));
    }

    fn programs(&mut self) {
        self.must_fail("run another program", Command::new("/usr/bin/env").output());
        #[cfg(target_arch = "x86_64")]
        {
            let program = self.spec.inside.join("program");
            let run = |path: &Path| Command::new(path).status();
            if self.spec.limits_programs {
                let written = write_program(&program).and_then(|()| run(&program));
                self.must_fail("run a program that it wrote", written);
            }
            let name = c"program";
            let in_memory = raw::open(
                libc::SYS_memfd_create,
                [name.as_ptr() as u64, 0, 0, 0, 0, 0],
            );
            let in_memory = in_memory.and_then(|file| {
                let mut file = File::from(file);
                file.write_all(&raw::program())?;
                run(&PathBuf::from(format!(
                    "/proc/self/fd/{}",
                    file.as_raw_fd()
                )))
            });
            self.must_fail("run a program in memory", in_memory);
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn write_program(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o700);
    options.open(path)?.write_all(&raw::program())
}

fn truncate(path: &Path) -> io::Result<()> {
    let (flags, mode) = (
        rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::TRUNC,
        rustix::fs::Mode::empty(),
    );
    rustix::fs::open(path, flags, mode)?;
    Ok(())
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_secs(2))
}
