//! Does it really hold? Forbidden and allowed things tried in a confined process, judged by what happened.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Policy, Sandbox, SandboxError};

/// First argument of the process that does the trying.
pub(super) const INNER: &str = "__probe";

const CANARY: &[u8] = b"canary";

/// What `Sandbox::probe` saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Probe {
    pub sandbox: String,
    pub checks: Vec<Check>,
}

/// One thing tried, and whether it ended as it must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub what: String,
    pub ok: bool,
    pub detail: String,
}

impl Probe {
    /// True when everything that must be refused was refused, and what must work worked.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|c| c.ok)
    }

    /// The checks that did not end as they must.
    pub fn failures(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|c| !c.ok)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Field {
    inside: PathBuf,
    readable: PathBuf,
    outside: PathBuf,
    open_port: u16,
    closed_port: u16,
    limits_network: bool,
    worker: u32,
}

impl Field {
    fn lay_out(root: &Path) -> io::Result<(Field, [TcpListener; 2])> {
        let field = |name: &str| root.join(name);
        for name in ["inside", "readable", "outside"] {
            fs::create_dir_all(field(name))?;
            fs::write(field(name).join("file"), CANARY)?;
        }
        let listeners = [
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        ];
        let made = Field {
            inside: field("inside"),
            readable: field("readable"),
            outside: field("outside"),
            open_port: listeners[0].local_addr()?.port(),
            closed_port: listeners[1].local_addr()?.port(),
            limits_network: false,
            worker: std::process::id(),
        };
        Ok((made, listeners))
    }

    fn policy(&self, program: &Path) -> Policy {
        Policy {
            read: vec![self.readable.clone()],
            write: vec![self.inside.clone()],
            execute: vec![program.to_owned()],
            connect: vec![self.open_port],
            cwd: self.inside.clone(),
            stdin: self.inside.join("file"),
        }
    }

    /// What nobody confined may have changed.
    fn is_untouched(&self) -> io::Result<bool> {
        for folder in [&self.outside, &self.readable] {
            let names: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
            if names.len() != 1 || fs::read(folder.join("file"))? != CANARY {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

pub(super) fn run(sandbox: &Sandbox, scratch: &Path) -> Result<Probe, SandboxError> {
    let root = scratch.join(format!("probe-{}", uuid::Uuid::new_v4()));
    let probed = probe(sandbox, &root);
    let _ = fs::remove_dir_all(&root);
    let _ = fs::remove_dir(scratch);
    probed
}

fn probe(sandbox: &Sandbox, root: &Path) -> Result<Probe, SandboxError> {
    let broken =
        |what: &str, e: &dyn std::fmt::Display| SandboxError(format!("cannot {what}: {e}"));
    fs::create_dir_all(root).map_err(|e| broken("make the probe's folder", &e))?;
    let root = fs::canonicalize(root).map_err(|e| broken("find the probe's folder", &e))?;
    let (mut field, _listeners) =
        Field::lay_out(&root).map_err(|e| broken("lay out the probe", &e))?;
    field.limits_network = sandbox.limits_network();
    let program = fs::canonicalize(&sandbox.helper).map_err(|e| broken("find the helper", &e))?;
    let spec = serde_json::to_string(&field).map_err(|e| broken("describe the probe", &e))?;
    let mut command = sandbox.command(&field.policy(&program), &program, &[INNER, &spec])?;
    let (stdout, stderr) = collect(&mut command).map_err(|e| broken("run the probe", &e))?;
    let mut checks: Vec<Check> = serde_json::from_slice(&stdout).map_err(|_| {
        SandboxError(format!(
            "the probe could not start confined: {}",
            String::from_utf8_lossy(&stderr).trim()
        ))
    })?;
    let untouched = field
        .is_untouched()
        .map_err(|e| broken("look at the probe's folder", &e))?;
    checks.push(Check {
        what: "everything outside the job folder is as it was".to_owned(),
        ok: untouched,
        detail: if untouched { "unchanged" } else { "changed" }.to_owned(),
    });
    Ok(Probe {
        sandbox: sandbox.describe(),
        checks,
    })
}

/// Runs a command to its end, holding its leash.
fn collect(command: &mut Command) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut child = command.spawn()?;
    let _leash = child.stdin.take();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    if let Some(pipe) = &mut child.stdout {
        pipe.read_to_end(&mut stdout)?;
    }
    if let Some(pipe) = &mut child.stderr {
        pipe.read_to_end(&mut stderr)?;
    }
    child.wait()?;
    Ok((stdout, stderr))
}

/// The confined side: tries everything and prints what happened.
pub(super) fn inner(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let field = args.next().and_then(|a| a.into_string().ok());
    let Some(field) = field.and_then(|f| serde_json::from_str::<Field>(&f).ok()) else {
        return ExitCode::FAILURE;
    };
    match serde_json::to_string(&try_everything(&field)) {
        Ok(checks) => {
            println!("{checks}");
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn try_everything(field: &Field) -> Vec<Check> {
    let Field {
        inside,
        readable,
        outside,
        ..
    } = field;
    let victim = outside.join("file");
    let fresh = outside.join("new");
    let mut checks = vec![
        must_work(
            "write in the job folder",
            fs::write(inside.join("new"), CANARY),
        ),
        must_work("read what it was given", fs::read(readable.join("file"))),
        must_work("connect to the model's port", connect(field.open_port)),
        must_fail("create a file outside", File::create(&fresh)),
        must_fail(
            "write to a file outside",
            OpenOptions::new().append(true).open(&victim),
        ),
        must_fail("empty a file outside", truncate(&victim)),
        must_fail("remove a file outside", fs::remove_file(&victim)),
        must_fail("make a folder outside", fs::create_dir(&fresh)),
        must_fail(
            "make a link outside",
            std::os::unix::fs::symlink("/", &fresh),
        ),
        must_fail("move a file out", fs::rename(inside.join("new"), &fresh)),
        must_fail(
            "link a file in",
            fs::hard_link(&victim, inside.join("stolen")),
        ),
        must_fail(
            "write where it may only read",
            File::create(readable.join("new")),
        ),
        must_fail("read a file outside", fs::read(&victim)),
        must_fail("list a folder outside", fs::read_dir(outside)),
        must_fail(
            "read the worker's environment",
            fs::read(format!("/proc/{}/environ", field.worker)),
        ),
        must_fail("run another program", Command::new("/usr/bin/env").output()),
    ];
    if field.limits_network {
        checks.push(must_fail(
            "connect to another port",
            connect(field.closed_port),
        ));
    }
    checks
}

fn truncate(path: &Path) -> io::Result<()> {
    rustix::fs::open(
        path,
        rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::TRUNC,
        rustix::fs::Mode::empty(),
    )?;
    Ok(())
}

fn connect(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(
        &SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        Duration::from_secs(2),
    )
}

fn must_work<T>(what: &str, tried: io::Result<T>) -> Check {
    let detail = tried
        .as_ref()
        .map_or_else(ToString::to_string, |_| "allowed".to_owned());
    Check {
        what: what.to_owned(),
        ok: tried.is_ok(),
        detail,
    }
}

fn must_fail<T>(what: &str, tried: io::Result<T>) -> Check {
    let detail = tried
        .as_ref()
        .map_or_else(ToString::to_string, |_| "was allowed".to_owned());
    Check {
        what: what.to_owned(),
        ok: tried.is_err(),
        detail,
    }
}
