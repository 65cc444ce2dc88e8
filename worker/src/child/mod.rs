//! One qwen child: found, prepared, started, read and ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::events::Exit;
use crate::sandbox::{Check, Sandbox, SandboxError};

#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    #[error("{0}")]
    Qwen(String),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("{0}: {1}")]
    Io(String, std::io::Error),
}

/// An installed qwen-code with the node that runs it.
#[derive(Debug, Clone)]
pub struct Qwen {
    pub node: PathBuf,
    pub package: PathBuf,
    pub version: String,
}

impl Qwen {
    /// `qwen` is the package's folder, its cli.js or a link to it (as `which qwen` gives).
    pub fn locate(_node: &Path, _qwen: &Path) -> Result<Qwen, ChildError> {
        unimplemented!()
    }
}

/// Where the model is and what opens it. `Debug` does not show the key.
#[derive(Clone)]
pub struct Model {
    pub base_url: String,
    pub api_key: String,
    pub name: String,
}

/// Everything about one attempt.
pub struct ChildSpec<'a> {
    /// A folder that does not exist yet; made with owner-only permissions and removed by `Job::remove`.
    pub job_dir: PathBuf,
    pub snapshot: Option<&'a Path>,
    /// Both may hold the snapshot token, which is replaced here.
    pub system_prompt: &'a str,
    pub prompt: &'a str,
    pub model: &'a Model,
    /// Belt and braces: the child's own limits, to be set a little above the worker's.
    pub max_wall_time: Duration,
    pub max_turns: u32,
    pub toolbox: &'a Toolbox,
}

/// A job folder with prompt, settings and command line, ready to start.
pub struct Job {}

impl Job {
    pub fn prepare(_spec: &ChildSpec<'_>, _qwen: &Qwen, _sandbox: &Sandbox) -> Result<Job, ChildError> {
        unimplemented!()
    }
    pub fn start(&self) -> Result<Child, ChildError> {
        unimplemented!()
    }
    /// Removes the job folder, whatever the child left in it.
    pub fn remove(self) -> std::io::Result<()> {
        unimplemented!()
    }
}

/// A child under way. Dropping it kills its process group.
pub struct Child {}

impl Child {
    pub fn pid(&self) -> u32 {
        unimplemented!()
    }
    /// The next bytes of standard output, None at its end. Cancel-safe. Not calling it slows the child down.
    pub async fn read(&mut self) -> std::io::Result<Option<&[u8]>> {
        unimplemented!()
    }
    /// Ends the process group: TERM, grace, KILL. Returns how it ended. Idempotent after the end.
    pub async fn end(&mut self, _grace: Duration) -> Exit {
        unimplemented!()
    }
    /// Waits for the end after `read` returned None; kills what is left of the group.
    pub async fn wait(&mut self) -> Exit {
        unimplemented!()
    }
}

/// What children share and may only read: a search tool and a warm compile cache.
#[derive(Debug, Clone)]
pub struct Toolbox {}

impl Toolbox {
    /// Lays the toolbox out in `dir` (made if missing, kept between starts).
    pub fn prepare(_qwen: &Qwen, _dir: &Path) -> Result<Toolbox, ChildError> {
        unimplemented!()
    }
}

/// A whole turn of the real child, sandboxed, against a stand-in model on loopback that asks it to write: shows that
/// it starts, offers the three tools only, is refused the write, and sends the prompt as it was built. Fills the
/// compile cache on the way (about 1.5 s).
pub async fn trial(
    _qwen: &Qwen,
    _sandbox: &Sandbox,
    _toolbox: &Toolbox,
    _scratch: &Path,
) -> Result<Vec<Check>, ChildError> {
    unimplemented!()
}
