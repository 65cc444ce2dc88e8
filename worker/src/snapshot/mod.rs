//! A private, read-only copy of what the user sees, made without running anything of the repository.

mod remove;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use remove::remove_tree;

#[derive(Debug, Clone, thiserror::Error)]
#[error("snapshot: {0}")]
pub struct SnapshotError(pub String);

/// Something the launcher provided besides the repository.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Document {
    pub name: String,
    pub text: String,
}

#[derive(Debug, Clone)]
pub struct Limits {
    pub max_file_bytes: u64,
    pub max_total_bytes: u64,
    pub max_files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_file_bytes: 16 << 20, max_total_bytes: 2 << 30, max_files: 200_000 }
    }
}

/// What to take.
#[derive(Debug, Clone)]
pub struct Request {
    /// Root of the project; None = documents only.
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
    pub files: u64,
    pub bytes: u64,
}

/// The snapshots of this worker: one a run, shared by its tasks.
pub struct Snapshots {
    _dir: PathBuf,
}

impl Snapshots {
    /// `dir` is made with owner-only permissions. `git` is an absolute path.
    pub fn new(dir: &Path, _git: &Path) -> Result<Self, SnapshotError> {
        Ok(Self { _dir: dir.to_owned() })
    }
    /// The run's snapshot; the first caller takes it, others wait for the same one. A failed one is tried again
    /// by the next caller.
    pub async fn get(&self, _run_id: i64, _request: &Request) -> Result<Arc<Snapshot>, SnapshotError> {
        unimplemented!()
    }
    /// Removes the run's snapshot, if there is one.
    pub async fn remove(&self, _run_id: i64) -> Result<(), SnapshotError> {
        unimplemented!()
    }
    /// Removes what an earlier worker process left, but for the runs given. Returns how many.
    pub async fn sweep(&self, _keep: &[i64]) -> Result<usize, SnapshotError> {
        unimplemented!()
    }
}
