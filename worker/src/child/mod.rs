//! One qwen child: found, prepared, started, read and ended.

mod job;
mod model;
mod process;
mod prompt;
mod qwen;
mod settings;
pub(crate) mod stand_in;
mod toolbox;
mod trial;

use std::io;
use std::path::Path;

use crate::sandbox::SandboxError;

pub use job::{ChildSpec, CommandParts, Job};
pub use model::Model;
pub use process::Child;
pub use qwen::{MIN_VERSION, Qwen};
pub use toolbox::Toolbox;
pub use trial::trial;

/// The tools a child may offer; any other ends it.
pub const TOOLS: &[&str] = &["read_file", "grep_search", "glob"];

/// A child's heap, in MB: an answer as large as the default max_output_bytes takes less than a third of it, a flood that the
/// child gathers before it prints it ends here.
pub const MAX_HEAP_MB: u32 = 2048;

/// The command, in the child's own HOME, that hands the prompt on as it was built.
pub const PROMPT_COMMAND: &str = "conductor-prompt";

/// Why a child could not be found, prepared or started. The text is for people; trying again would not help, but for
/// `Io`.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// qwen or node is missing, too old or not what it should be.
    #[error("{0}")]
    Unusable(String),
    /// This attempt cannot be expressed: a persona too long, a prompt too large, an address that is none.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot {what}: {source}")]
    Io { what: String, source: io::Error },
}

impl ChildError {
    /// True when another attempt may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

/// Names what was tried in an I/O error.
fn io_error(what: &str, path: &Path) -> impl FnOnce(io::Error) -> ChildError {
    let what = format!("{what} {}", path.display());
    move |source| ChildError::Io { what, source }
}
