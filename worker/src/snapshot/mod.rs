//! A private, read-only copy of what the user sees, made without running anything of the repository.
//!
//! The bytes are copied by the worker itself, never through a link; git only ever sees a private `GIT_DIR` with a
//! configuration of ours and the copy as its work tree.

mod beneath;
mod changes;
mod context;
mod copy;
mod digest;
mod disk;
mod facts;
mod git;
mod history;
mod jail;
mod mirror;
mod notes;
mod refs;
mod remove;
mod repository;
mod shared;
mod short;
mod still;
mod take;
mod walk;
#[cfg(test)]
mod walls;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use shared::Shared;

use crate::shortage::{is_full, is_shortage};

pub use remove::remove_tree;

/// Why there is no snapshot: a lower-case fragment with the path and what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[error("snapshot: {text}")]
pub struct SnapshotError {
    text: String,
    fault: Fault,
}

/// What a snapshot failed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The project, or the moment.
    Theirs,
    /// This machine, which would fail with any other project as well.
    Ours,
    /// There was no more room: this machine's fault, unless it was the snapshot itself that took it all.
    Full,
}

impl SnapshotError {
    fn new(text: impl Into<String>) -> Self {
        let (text, fault) = (text.into(), Fault::Theirs);
        Self { text, fault }
    }

    /// The fault of this machine.
    fn ours(text: impl Into<String>) -> Self {
        let (text, fault) = (text.into(), Fault::Ours);
        Self { text, fault }
    }

    /// The same text, with the fault that the system's error names.
    pub(crate) fn of(error: &std::io::Error, text: String) -> Self {
        let fault = match error {
            error if is_full(error) => Fault::Full,
            error if is_shortage(error) => Fault::Ours,
            _ => Fault::Theirs,
        };
        Self { text, fault }
    }

    /// Whether it is this machine that is out of order, not the project or the moment.
    pub fn is_ours(&self) -> bool {
        self.fault != Fault::Theirs
    }

    /// Whether it was for want of room. What was taken half is gone by now.
    pub fn is_full(&self) -> bool {
        self.fault == Fault::Full
    }
}

/// Something the launcher provided besides the repository.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Document {
    pub name: String,
    pub text: String,
}

/// How much of a tree is copied at most; what is over it is left out with a note.
#[derive(Debug, Clone)]
pub struct Limits {
    pub max_file_bytes: u64,
    pub max_total_bytes: u64,
    pub max_files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_file_bytes: 16 << 20,
            max_total_bytes: 2 << 30,
            max_files: 200_000,
        }
    }
}

/// What to take.
#[derive(Debug, Clone)]
pub struct Request {
    /// Root of the project, without symbolic links on the way; None = documents only.
    pub root: Option<PathBuf>,
    /// `input.base`, as the user wrote it.
    pub base: Option<String>,
    pub documents: Vec<Document>,
    pub limits: Limits,
}

/// A snapshot on disk.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub path: PathBuf,
    /// HEAD's commit, None outside git or before the first commit.
    pub commit: Option<String>,
    /// sha256, hex, over sorted path + mode + content, `_context` left out.
    pub tree_digest: String,
    /// What was left out and why, for the report.
    pub notes: Vec<String>,
    /// What there is to review, for the report; None without a project.
    pub changes: Option<String>,
    /// Files and symbolic links copied, `_context` left out.
    pub files: u64,
    /// Bytes copied, `_context` left out.
    pub bytes: u64,
}

/// The snapshots of this worker: one a run, shared by its tasks.
pub struct Snapshots {
    shared: Arc<Shared>,
}

impl Snapshots {
    /// `dir` is made with owner-only permissions. `git` is an absolute path. Fails when the folder cannot be made.
    pub fn new(dir: &Path, git: &Path) -> Result<Self, SnapshotError> {
        let shared = Arc::new(Shared::new(dir, git)?);
        Ok(Self { shared })
    }

    /// The run's snapshot; the first caller takes it, others wait for the same one. A failed one is tried again
    /// by the next caller. Dropping the future does not end the taking: `remove` does.
    pub async fn get(
        &self,
        run_id: i64,
        request: &Request,
    ) -> Result<Arc<Snapshot>, SnapshotError> {
        Shared::get(&self.shared, run_id, request).await
    }

    /// Removes the run's snapshot, if there is one, and ends a taking under way. Fails when files cannot be removed.
    pub async fn remove(&self, run_id: i64) -> Result<(), SnapshotError> {
        Shared::remove(&self.shared, run_id).await
    }

    /// Removes what an earlier worker process left, but for the runs given (their snapshots are used again). Returns
    /// how many snapshots and interrupted attempts were removed.
    pub async fn sweep(&self, keep: &[i64]) -> Result<usize, SnapshotError> {
        Shared::sweep(&self.shared, keep).await
    }
}

impl Drop for Snapshots {
    /// Ends what is under way: the process would otherwise wait for it.
    fn drop(&mut self) {
        self.shared.stop_all();
    }
}
