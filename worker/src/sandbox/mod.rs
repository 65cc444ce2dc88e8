//! The kernel's layer: what a child may read, write and connect to, and who enforces it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, thiserror::Error)]
#[error("sandbox unavailable: {0}")]
pub struct SandboxError(pub String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    Landlock,
    Bubblewrap,
}

/// A way to confine that was seen to work on this machine. There is none that does not confine.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pub backend: Backend,
    pub helper: PathBuf,
}

impl Sandbox {
    /// Finds what this kernel can enforce: Landlock, else bubblewrap, else an error that says how to mend it.
    /// `helper` is the program that answers to `helper_main` (None = this very binary).
    pub fn detect(_helper: Option<&Path>) -> Result<Sandbox, SandboxError> {
        unimplemented!()
    }
    /// One line for people: "landlock ABI 7, files and TCP ports".
    pub fn describe(&self) -> String {
        unimplemented!()
    }
    /// Tries forbidden and allowed things in a confined process; `scratch` is a folder of ours to try them in.
    pub fn probe(&self, _scratch: &Path) -> Result<Probe, SandboxError> {
        unimplemented!()
    }
}

/// What `Sandbox::probe` saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Probe {
    pub sandbox: String,
    pub checks: Vec<Check>,
}

impl Probe {
    /// True when everything that must be refused was refused, and what must work worked.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|c| c.ok)
    }
}

/// One thing tried: "write outside the job folder" → refused as it should be?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Check {
    pub what: String,
    pub ok: bool,
    pub detail: String,
}

/// To be called first thing in `main`, before any thread exists: if this process was started as a helper
/// (`conductor __sandbox …`) it does that job and the code to exit with is returned, else None.
pub fn helper_main() -> Option<ExitCode> {
    None
}
