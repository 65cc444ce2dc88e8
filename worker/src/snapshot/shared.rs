//! The snapshots under way and those that are there: one a run, whoever asks.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::disk::{Attempt, failed, remove};
use super::notes::Notes;
use super::take::{Taking, Tools};
use super::{Request, Snapshot, SnapshotError, digest};

/// Facts about a snapshot, kept beside it for a later process.
const FACTS: &str = "snapshot.json";

type Outcome = Result<Arc<Snapshot>, SnapshotError>;

/// Says to all who work on a snapshot that nobody wants it any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub fn check(&self) -> Result<(), SnapshotError> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(SnapshotError::new("given up, because its run is over")),
            false => Ok(()),
        }
    }

    fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone)]
struct Slot {
    stop: Stop,
    outcome: watch::Receiver<Option<Outcome>>,
}

impl Slot {
    /// It was taken and is not there any more: somebody has cleared our folder away.
    fn is_gone(&self) -> bool {
        let outcome = self.outcome.borrow();
        matches!(&*outcome, Some(Ok(snapshot)) if !snapshot.path.is_dir())
    }

    /// Nobody works on it and nobody will: no thread was to be had.
    fn is_lost(&self) -> bool {
        self.outcome.has_changed().is_err() && self.outcome.borrow().is_none()
    }

    fn is_under_way(&self) -> bool {
        self.outcome.borrow().is_none() && !self.is_lost()
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    dir: PathBuf,
    tools: Tools,
    runs: Mutex<HashMap<i64, Slot>>,
}

impl Shared {
    pub fn new(dir: &Path, git: &Path) -> Result<Self, SnapshotError> {
        let made = make(dir)
            .and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(0o700)))
            // Below it links are refused, also on the way.
            .and_then(|()| dir.canonicalize());
        Ok(Self {
            dir: made.map_err(|error| failed("make the folder", dir, &error))?,
            tools: Tools::new(git),
            runs: Mutex::default(),
        })
    }

    pub async fn get(this: &Arc<Self>, run_id: i64, request: &Request) -> Outcome {
        let mut outcome = this.slot(run_id, request).outcome;
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(SnapshotError::ours(
                "the work was never begun: no thread was to be had, or the worker is ending",
            )),
        }
    }

    pub async fn remove(this: &Arc<Self>, run_id: i64) -> Result<(), SnapshotError> {
        let removed = loop {
            let mut slot = {
                let mut runs = this.runs();
                match runs.get(&run_id) {
                    Some(slot) if slot.is_under_way() => slot.clone(),
                    _ => {
                        runs.remove(&run_id);
                        // Out of the way before anyone can ask for a new one.
                        let mut discarded = this.discard_attempts(run_id)?;
                        discarded.extend(this.discard(&name_of(run_id))?);
                        break discarded;
                    }
                }
            };
            slot.stop.stop();
            // An error means that it is lost, and with it what there was to wait for.
            let _ = slot.outcome.wait_for(Option::is_some).await;
        };
        blocking(move || removed.iter().try_for_each(|folder| remove(folder))).await
    }

    pub async fn sweep(this: &Arc<Self>, keep: &[i64]) -> Result<usize, SnapshotError> {
        let (this, keep) = (this.clone(), keep.to_vec());
        blocking(move || {
            let entries = fs::read_dir(&this.dir)
                .and_then(Iterator::collect::<io::Result<Vec<_>>>)
                .map_err(|error| failed("read", &this.dir, &error))?;
            let mut count = 0;
            for entry in entries {
                let name = entry.file_name().to_string_lossy().into_owned();
                let wanted = {
                    let runs = this.runs();
                    match left_by(&name) {
                        None => true,
                        Some(Left::Snapshot(run)) => runs.contains_key(&run) || keep.contains(&run),
                        Some(Left::Attempt(run)) => runs.contains_key(&run),
                        Some(Left::Discarded) => false,
                    }
                };
                if !wanted {
                    remove(&entry.path())?;
                    count += 1;
                }
            }
            Ok(count)
        })
        .await
    }

    pub fn stop_all(&self) {
        for slot in self.runs().values() {
            slot.stop.stop();
        }
    }

    /// The slot of a run; the first who asks starts the work.
    fn slot(self: &Arc<Self>, run_id: i64, request: &Request) -> Slot {
        let mut runs = self.runs();
        if let Some(slot) = runs
            .get(&run_id)
            .filter(|slot| !slot.is_gone() && !slot.is_lost())
        {
            return slot.clone();
        }
        let (publish, outcome) = watch::channel(None);
        let slot = Slot {
            stop: Stop::default(),
            outcome,
        };
        runs.insert(run_id, slot.clone());
        let (this, request, stop) = (self.clone(), request.clone(), slot.stop.clone());
        tokio::task::spawn_blocking(move || {
            let taken = catch_unwind(AssertUnwindSafe(|| this.take(run_id, &request, &stop)));
            let outcome = taken.unwrap_or_else(|_| {
                Err(SnapshotError::new(
                    "a mistake in the worker ended it (its log says where)",
                ))
            });
            if outcome.is_err() {
                // The next caller tries again.
                this.runs().remove(&run_id);
            }
            publish.send_replace(Some(outcome.map(Arc::new)));
        });
        slot
    }

    fn take(&self, run_id: i64, request: &Request, stop: &Stop) -> Result<Snapshot, SnapshotError> {
        let began = Instant::now();
        let to = self.dir.join(name_of(run_id));
        if let Some(snapshot) = kept(&to, request) {
            return Ok(snapshot);
        }
        if let Some(folder) = self.discard(&name_of(run_id))? {
            remove(&folder)?;
        }
        for folder in self.discard_attempts(run_id)? {
            remove(&folder)?;
        }
        make(&self.dir).map_err(|error| failed("make the folder", &self.dir, &error))?;
        let attempt = Attempt::new(self.dir.join(format!("taking-{run_id}.{}", random())))?;
        let snapshot = Taking {
            request,
            tools: &self.tools,
            stop,
            here: attempt.path(),
            notes: Notes::default(),
        }
        .run(&to)?;
        keep_facts(attempt.path(), &snapshot, request)?;
        attempt.keep(&to)?;
        let seconds = format!("{:.3}", began.elapsed().as_secs_f64());
        tracing::info!(
            run = run_id,
            files = snapshot.files,
            bytes = snapshot.bytes,
            seconds,
            "snapshot taken"
        );
        Ok(snapshot)
    }

    /// Discards attempts that could not even be cleared away when they failed; nobody may be making one of this run.
    fn discard_attempts(&self, run_id: i64) -> Result<Vec<PathBuf>, SnapshotError> {
        // Where our folder is gone, they are.
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let theirs =
            |name: &String| matches!(left_by(name), Some(Left::Attempt(run)) if run == run_id);
        let discarded = names.filter(theirs).map(|name| self.discard(&name));
        discarded.filter_map(Result::transpose).collect()
    }

    /// Gives a folder a name under which nobody looks for it; None when it is not there.
    fn discard(&self, name: &str) -> Result<Option<PathBuf>, SnapshotError> {
        let (from, to) = (
            self.dir.join(name),
            self.dir.join(format!("discarded-{}", random())),
        );
        match fs::rename(&from, &to) {
            Ok(()) => Ok(Some(to)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("remove", &from, &error)),
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<i64, Slot>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SnapshotError> + Send + 'static,
) -> Result<T, SnapshotError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(SnapshotError::new(format!("the work broke off: {error}"))),
    }
}

fn random() -> String {
    format!("{:016x}", fastrand::u64(..))
}

fn name_of(run_id: i64) -> String {
    format!("run-{run_id}")
}

/// What a name in our folder stands for.
enum Left {
    Snapshot(i64),
    Attempt(i64),
    Discarded,
}

fn left_by(name: &str) -> Option<Left> {
    if let Some(run) = name.strip_prefix("run-") {
        return run.parse().ok().map(Left::Snapshot);
    }
    if let Some(attempt) = name.strip_prefix("taking-") {
        let run = attempt.split('.').next().unwrap_or_default();
        return run.parse().ok().map(Left::Attempt);
    }
    name.starts_with("discarded-").then_some(Left::Discarded)
}

#[derive(Serialize, Deserialize)]
struct Facts {
    request: String,
    commit: Option<String>,
    tree_digest: String,
    notes: Vec<String>,
    changes: Option<String>,
    files: u64,
    bytes: u64,
}

fn keep_facts(dir: &Path, snapshot: &Snapshot, request: &Request) -> Result<(), SnapshotError> {
    let facts = Facts {
        request: fingerprint(request),
        commit: snapshot.commit.clone(),
        tree_digest: snapshot.tree_digest.clone(),
        notes: snapshot.notes.clone(),
        changes: snapshot.changes.clone(),
        files: snapshot.files,
        bytes: snapshot.bytes,
    };
    let path = dir.join(FACTS);
    let mut options = fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|file| Ok(serde_json::to_writer(file, &facts)?))
        .map_err(|error| failed("write", &path, &error))
}

/// The snapshot that an earlier process finished for the same request.
fn kept(dir: &Path, request: &Request) -> Option<Snapshot> {
    let facts: Facts = serde_json::from_slice(&fs::read(dir.join(FACTS)).ok()?).ok()?;
    let path = dir.join("tree");
    (facts.request == fingerprint(request) && path.is_dir()).then_some(Snapshot {
        path,
        commit: facts.commit,
        tree_digest: facts.tree_digest,
        notes: facts.notes,
        changes: facts.changes,
        files: facts.files,
        bytes: facts.bytes,
    })
}

fn fingerprint(request: &Request) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &[u8]| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    let root = request
        .root
        .as_deref()
        .map(|root| root.as_os_str().as_bytes());
    add(root.unwrap_or_default());
    add(request.base.as_deref().unwrap_or_default().as_bytes());
    for document in &request.documents {
        add(document.name.as_bytes());
        add(document.text.as_bytes());
    }
    digest::hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::super::Limits;
    use super::*;

    #[tokio::test]
    async fn work_that_could_not_begin_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let shared = Arc::new(Shared::new(dir.path(), Path::new("git")).unwrap());
        let lose = || {
            let (stop, outcome) = (Stop::default(), watch::channel(None).1);
            shared.runs().insert(1, Slot { stop, outcome });
        };
        let request = Request {
            root: None,
            base: None,
            documents: Vec::new(),
            limits: Limits::default(),
        };
        let limit = Duration::from_secs(30);
        lose();
        let taken = timeout(limit, Shared::get(&shared, 1, &request)).await;
        assert!(taken.unwrap().unwrap().path.is_dir(), "it is begun again");
        lose();
        timeout(limit, Shared::remove(&shared, 1))
            .await
            .unwrap()
            .unwrap();
        assert!(shared.runs().is_empty());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
