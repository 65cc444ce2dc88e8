//! The kernel's layer: what a child may read, write, run and connect to, and who enforces it.

mod bubblewrap;
mod calls;
mod helper;
mod landlock;
mod probe;
mod seccomp;
mod system;

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

pub use probe::{Check, Field, Probe};

/// Exit code of the helper when it could not confine or could not start what it was given.
pub const EXIT_UNAVAILABLE: i32 = 125;

/// What the helper's error lines begin with.
pub const HELPER_PREFIX: &str = "conductor sandbox: ";

const HELPER: &str = "__sandbox";

/// Why nothing can be confined here; the text says how to mend it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("sandbox unavailable: {0}")]
pub struct SandboxError(pub String);

/// Who enforces the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    Landlock,
    Bubblewrap,
}

/// A way to confine that this machine offers. There is none that does not confine.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pub backend: Backend,
    helper: PathBuf,
    bubblewrap: Option<PathBuf>,
}

/// What one confined process may do; everything else is refused.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Files, and folders with all that is in them.
    pub read: Vec<PathBuf>,
    /// Folders that may be changed as well.
    pub write: Vec<PathBuf>,
    /// Programs that may be run; what loads them is added.
    pub execute: Vec<PathBuf>,
    /// TCP ports that may be connected to, where the kernel can tell (Landlock ABI 4 and later).
    pub connect: Vec<u16>,
    /// Folder to start in.
    pub cwd: PathBuf,
    /// Regular file to read as standard input.
    pub stdin: PathBuf,
}

/// What the helper is told: the policy and who enforces it.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    backend: Backend,
    bubblewrap: Option<PathBuf>,
    policy: Policy,
}

impl Sandbox {
    /// Finds what this machine can enforce: Landlock, else bubblewrap, and with either a filter of system calls. `helper` is the program that answers to
    /// `helper_main`; None means this very binary.
    ///
    /// # Errors
    /// When they cannot be enforced; the text says how to mend it.
    pub fn detect(helper: Option<&Path>) -> Result<Sandbox, SandboxError> {
        seccomp::check().map_err(SandboxError)?;
        let why = match landlock::check() {
            Ok(()) => return Ok(Self::new(Backend::Landlock, helper, None)),
            Err(why) => why,
        };
        match bubblewrap::find() {
            Ok(path) => Ok(Self::new(Backend::Bubblewrap, helper, Some(path))),
            Err(other) => Err(SandboxError(format!(
                "{why}, and {other}; use a kernel of 6.2 or later with landlock among its security modules, or install bubblewrap"
            ))),
        }
    }

    /// Bubblewrap, whatever the kernel offers.
    ///
    /// # Errors
    /// When it is not installed or does not work here.
    pub fn bubblewrap(helper: Option<&Path>) -> Result<Sandbox, SandboxError> {
        seccomp::check().map_err(SandboxError)?;
        match bubblewrap::find() {
            Ok(path) => Ok(Self::new(Backend::Bubblewrap, helper, Some(path))),
            Err(why) => Err(SandboxError(format!("{why}; install bubblewrap"))),
        }
    }

    fn new(backend: Backend, helper: Option<&Path>, bubblewrap: Option<PathBuf>) -> Self {
        // Through /proc a worker finds itself even when its file was replaced by an upgrade.
        let helper = helper.unwrap_or(Path::new("/proc/self/exe")).to_owned();
        Self {
            backend,
            helper,
            bubblewrap,
        }
    }

    /// One line for people: who enforces, and what it covers.
    pub fn describe(&self) -> String {
        let files = match self.backend {
            Backend::Landlock => landlock::describe(),
            Backend::Bubblewrap => {
                "bubblewrap: files, processes and signals; not TCP ports".to_owned()
            }
        };
        format!("{files}; {}", seccomp::describe())
    }

    /// Who enforces what concerns files, as people call it.
    pub fn backend_name(&self) -> &'static str {
        match self.backend {
            Backend::Landlock => "landlock",
            Backend::Bubblewrap => "bubblewrap",
        }
    }

    /// True when connections are limited to the ports of the policy.
    pub fn limits_network(&self) -> bool {
        self.backend == Backend::Landlock && landlock::limits_network()
    }

    /// The command that runs `program` confined. Its standard input is the leash: when that closes, as it does when
    /// the worker dies in whatever way, the helper kills the process group. The environment is empty.
    ///
    /// # Errors
    /// When a path of the policy is not UTF-8.
    pub fn command<S: AsRef<OsStr>>(
        &self,
        policy: &Policy,
        program: &Path,
        args: &[S],
    ) -> Result<Command, SandboxError> {
        let order = Order {
            backend: self.backend,
            bubblewrap: self.bubblewrap.clone(),
            policy: policy.clone(),
        };
        let order = serde_json::to_string(&order)
            .map_err(|e| SandboxError(format!("a path is not UTF-8: {e}")))?;
        let mut command = Command::new(&self.helper);
        command
            .arg(HELPER)
            .arg(order)
            .arg(program)
            .args(args)
            .env_clear();
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// Tries forbidden and allowed things in a confined process and looks at what really happened. `scratch` is a
    /// folder of ours, made if missing and left empty. Takes some milliseconds.
    ///
    /// # Errors
    /// When the confined process could not be started at all.
    pub fn probe(&self, scratch: &Path) -> Result<Probe, SandboxError> {
        probe::run(self, scratch)
    }
}

/// To be called first thing in `main`, before any thread exists: if this process was started as a helper it does that
/// job, and the code to exit with is returned; else None.
pub fn helper_main() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let first = args.next()?;
    if first == HELPER {
        Some(helper::main(args))
    } else if first == probe::INNER {
        Some(probe::inner(args))
    } else {
        None
    }
}
