//! What is laid out for the probe: canaries in folders, and listeners that nobody confined may reach.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};

use super::super::{Backend, Policy, Sandbox};
use super::{Check, INNER, collect};

pub(super) const CANARY: &[u8] = b"canary";

/// What the confined side is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    /// Its job folder, and one of another job beside it.
    pub inside: PathBuf,
    pub other_job: PathBuf,
    /// Its snapshot, and one of another run beside it.
    pub readable: PathBuf,
    pub other_snapshot: PathBuf,
    /// With the files `file` and `private`, and the sockets `.s.PGSQL.5432` and `log`.
    pub outside: PathBuf,
    pub abstract_socket: String,
    pub open_port: u16,
    pub closed_port: u16,
    pub udp_port: u16,
    /// A descriptor that was left open.
    pub left_open: i32,
    pub worker: u32,
    /// Where the worker keeps a canary in its memory.
    pub secret_at: u64,
    /// Who enforces what concerns files.
    pub backend: String,
    pub limits_network: bool,
    pub limits_programs: bool,
}

/// Folders and listeners as they are laid out for one probe; they go with it.
#[derive(Debug)]
pub struct Field {
    spec: Spec,
    before: Vec<(PathBuf, State)>,
    left_open: File,
    _secret: Box<[u8]>,
    _listeners: Listeners,
}

#[derive(Debug)]
struct Listeners {
    _tcp: [TcpListener; 2],
    _udp: UdpSocket,
    _unix: [UnixListener; 2],
    _datagrams: UnixDatagram,
}

impl Field {
    /// Lays everything out below `root`, a folder that is there and empty.
    ///
    /// # Errors
    /// When a file or a socket cannot be made.
    pub fn lay_out(root: &Path, sandbox: &Sandbox) -> io::Result<Field> {
        let folder = |name: &str| root.join(name);
        for name in [
            "jobs/own",
            "jobs/other",
            "snapshots/own",
            "snapshots/other",
            "outside",
        ] {
            fs::create_dir_all(folder(name))?;
            fs::write(folder(name).join("file"), CANARY)?;
        }
        let outside = folder("outside");
        let private = outside.join("private");
        fs::write(&private, CANARY)?;
        fs::set_permissions(&private, fs::Permissions::from_mode(0o600))?;
        let abstract_socket = format!("conductor-probe-{}", uuid::Uuid::new_v4());
        let local = (Ipv4Addr::LOCALHOST, 0);
        let tcp = [TcpListener::bind(local)?, TcpListener::bind(local)?];
        let udp = UdpSocket::bind(local)?;
        // The name of a socket is 107 bytes long at most, and this folder's may be longer.
        let short = File::open(&outside)?;
        let at = |name: &str| format!("/proc/self/fd/{}/{name}", short.as_raw_fd());
        let unix = [
            UnixListener::bind(at(".s.PGSQL.5432"))?,
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&abstract_socket)?)?,
        ];
        let datagrams = UnixDatagram::bind(at("log"))?;
        let secret: Box<[u8]> = CANARY.into();
        let left_open = File::open(&private)?;
        let landlock = sandbox.backend == Backend::Landlock;
        let spec = Spec {
            inside: folder("jobs/own"),
            other_job: folder("jobs/other"),
            readable: folder("snapshots/own"),
            other_snapshot: folder("snapshots/other"),
            outside,
            abstract_socket,
            open_port: tcp[0].local_addr()?.port(),
            closed_port: tcp[1].local_addr()?.port(),
            udp_port: udp.local_addr()?.port(),
            left_open: left_open.as_raw_fd(),
            worker: std::process::id(),
            secret_at: secret.as_ptr() as u64,
            backend: sandbox.backend_name().to_owned(),
            limits_network: sandbox.limits_network(),
            limits_programs: landlock,
        };
        let mut field = Field {
            spec,
            before: Vec::new(),
            left_open,
            _secret: secret,
            _listeners: Listeners {
                _tcp: tcp,
                _udp: udp,
                _unix: unix,
                _datagrams: datagrams,
            },
        };
        field.before = field.now()?;
        Ok(field)
    }

    /// What the program that answers to `helper_main` is told, to try everything.
    ///
    /// # Errors
    /// When a path is not UTF-8.
    pub fn arguments(&self) -> Result<[String; 2], serde_json::Error> {
        Ok([INNER.to_owned(), serde_json::to_string(&self.spec)?])
    }

    /// What the one that tries may do.
    pub fn policy(&self, program: &Path) -> Policy {
        let spec = &self.spec;
        Policy {
            read: vec![spec.readable.clone()],
            write: vec![spec.inside.clone()],
            execute: vec![program.to_owned()],
            connect: vec![spec.open_port],
            cwd: spec.inside.clone(),
            stdin: spec.inside.join("file"),
        }
    }

    /// Runs a command that was given `arguments`, with one more descriptor open than it should have, and says what it
    /// could do.
    ///
    /// # Errors
    /// When it does not start, or does not say what it could do.
    pub fn judge(&self, command: &mut Command) -> io::Result<Vec<Check>> {
        let left_open = self.left_open.try_clone()?;
        let as_told = self.left_open.as_raw_fd();
        let leave_open = move || {
            // SAFETY: the descriptor is this process's own copy.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(as_told) };
            let _keep = &left_open;
            Ok(fcntl_setfd(fd, FdFlags::empty())?)
        };
        // SAFETY: one call, which takes no lock.
        unsafe { command.pre_exec(leave_open) };
        let (stdout, stderr) = collect(command)?;
        let mut checks: Vec<Check> = serde_json::from_slice(&stdout).map_err(|_| {
            io::Error::other(format!(
                "it did not start confined: {}",
                String::from_utf8_lossy(&stderr).trim()
            ))
        })?;
        let untouched = self.now()? == self.before;
        checks.push(Check {
            what: "everything outside the job folder is as it was".to_owned(),
            ok: untouched,
            detail: if untouched { "unchanged" } else { "changed" }.to_owned(),
            refused_by: None,
        });
        Ok(checks)
    }

    /// What nobody confined may have changed.
    fn now(&self) -> io::Result<Vec<(PathBuf, State)>> {
        let spec = &self.spec;
        let mut found = Vec::new();
        for folder in [
            &spec.outside,
            &spec.readable,
            &spec.other_job,
            &spec.other_snapshot,
        ] {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                found.push((path.clone(), State::of(&path)?));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct State {
    content: Option<Vec<u8>>,
    mode: u32,
    links: u64,
    modified: SystemTime,
}

impl State {
    fn of(path: &Path) -> io::Result<State> {
        let data = fs::symlink_metadata(path)?;
        Ok(State {
            content: data.is_file().then(|| fs::read(path)).transpose()?,
            mode: data.mode(),
            links: data.nlink(),
            modified: data.modified()?,
        })
    }
}
