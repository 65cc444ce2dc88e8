//! Does it really hold? Forbidden and allowed things tried in a confined process, judged by what happened.

mod field;
mod raw;
mod tries;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, ExitCode};

use serde::{Deserialize, Serialize};

use super::{Sandbox, SandboxError};
pub use field::Field;

/// First argument of the process that does the trying.
pub(super) const INNER: &str = "__probe";

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
    /// Who refused it, where something was to be refused and was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<String>,
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
    let field = Field::lay_out(&root, sandbox).map_err(|e| broken("lay out the probe", &e))?;
    let program = fs::canonicalize(&sandbox.helper).map_err(|e| broken("find the helper", &e))?;
    let args = field
        .arguments()
        .map_err(|e| broken("describe the probe", &e))?;
    let mut command = sandbox.command(&field.policy(&program), &program, &args)?;
    let checks = field
        .judge(&mut command)
        .map_err(|e| broken("run the probe", &e))?;
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
    let spec = args.next().and_then(|a| a.into_string().ok());
    let Some(spec) = spec.and_then(|spec| serde_json::from_str(&spec).ok()) else {
        return ExitCode::FAILURE;
    };
    match serde_json::to_string(&tries::everything(&spec)) {
        Ok(checks) => {
            println!("{checks}");
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}
