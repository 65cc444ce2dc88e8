//! The workers of the crash test: started, killed, drained, watched.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::ledger::Ledger;
use crate::harness::worker::{self, Environment, Worker};
use crate::harness::{processes, tools};

/// Children of one worker.
const SLOTS: u32 = 2;
/// How long a worker may take to drain: children that the model keeps waiting have their clocks, and what they did is
/// told to a server that may be away.
const DRAIN: Duration = Duration::from_secs(90);
/// The same when it is told to stop at once, or has nothing to finish.
const STOP: Duration = Duration::from_secs(30);

/// All workers.
pub struct Crew {
    members: Vec<Member>,
    closed: Arc<AtomicBool>,
}

/// One worker, or its empty place while it is away.
pub struct Member {
    pub environment: Environment,
    /// Locked while somebody does something to it.
    worker: Mutex<Option<Worker>>,
}

impl Crew {
    /// Starts so many workers, each with a folder of its own below this one.
    pub fn start(
        folder: &Path,
        database: &str,
        model: &str,
        number: usize,
        closed: Arc<AtomicBool>,
    ) -> Self {
        let qwen = tools::qwen().unwrap_or_else(|missing| panic!("{missing}"));
        let member = |number: usize| {
            let name = format!("w{number}");
            let own = folder.join(&name);
            for part in ["home", "state"] {
                std::fs::create_dir_all(own.join(part)).expect("the folder can be made");
            }
            let environment = Environment {
                // Its sessions are known by its name.
                database: format!("{database}?application_name={name}"),
                model_url: model.into(),
                key: "scripted".into(),
                log_level: String::new(),
                allowed: folder.join("projects"),
                folder: own,
                slots: SLOTS,
                name,
                qwen: qwen.clone(),
                disk: None,
                open_files: None,
                variables: Vec::new(),
                programs: None,
            };
            let worker = Mutex::new(Some(environment.start()));
            Member {
                environment,
                worker,
            }
        };
        let members = (1..=number).map(member).collect();
        Self { members, closed }
    }

    /// The workers' names.
    pub fn names(&self) -> Vec<String> {
        let names = self
            .members
            .iter()
            .map(|member| member.environment.name.clone());
        names.collect()
    }

    /// All workers, whatever they do.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Name and log of each.
    pub fn logs(&self) -> Vec<(String, PathBuf)> {
        let of = |member: &Member| (member.environment.name.clone(), member.environment.log());
        self.members.iter().map(of).collect()
    }

    /// Starts the worker of a place again, unless everything is being closed.
    pub fn restart(&self, member: &Member, place: &mut Option<Worker>) {
        if !self.closed.load(Ordering::Relaxed) {
            *place = Some(member.environment.start());
        }
    }

    /// Notes workers that ended though nobody told them to, and starts them again.
    pub async fn look(&self, ledger: &Ledger) {
        for member in &self.members {
            let Ok(mut place) = member.worker.try_lock() else {
                continue;
            };
            let ended = place
                .as_mut()
                .and_then(|worker| worker.wait(Duration::ZERO));
            if let Some(status) = ended {
                let words = place.as_ref().map(Worker::words).unwrap_or_default();
                let name = &member.environment.name;
                ledger.violated(format!("worker {name} ended by itself, {status}: {words}"));
                self.restart(member, &mut place);
            }
        }
    }

    /// Asks all of them to end, now that there is nothing to do.
    pub async fn stop(&self, ledger: &Ledger) {
        for member in &self.members {
            let mut place = member.worker.lock().await;
            if let Some(worker) = place.take() {
                drain(worker, None, &member.environment.name, ledger).await;
            }
        }
    }
}

impl Member {
    /// The place of this worker, for whoever comes first; none while somebody does something to it.
    pub fn place(&self) -> Option<MutexGuard<'_, Option<Worker>>> {
        let place = self.worker.try_lock().ok()?;
        place.is_some().then_some(place)
    }

    /// What this worker has started, by pid.
    pub fn children(&self, worker: &Worker) -> Vec<processes::Process> {
        let mut children = worker::children(&self.environment.folder, worker.pid());
        children.sort_by_key(|child| child.pid);
        children
    }

    /// Snapshots and jobs that are in its folder.
    pub fn folders(&self) -> Vec<PathBuf> {
        let state = self.environment.folder.join("state");
        let entries = ["snapshots", "jobs"]
            .map(|name| std::fs::read_dir(state.join(name)))
            .into_iter()
            .flatten()
            .flatten()
            .flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

/// Asks a worker to end, a second time after `impatient`, and waits for it. Notes a violation when it does not
/// end or says that it could not end well.
pub async fn drain(worker: Worker, impatient: Option<Duration>, name: &str, ledger: &Ledger) {
    let drained = tokio::task::spawn_blocking(move || {
        let mut worker = worker;
        let ended = match worker.terminate(impatient.unwrap_or(DRAIN)) {
            None if impatient.is_some() => worker.terminate(STOP),
            ended => ended,
        };
        (ended, worker.words())
    });
    match drained.await.expect("draining does not panic") {
        // With a server that is away tasks cannot be handed back: then it says so with 1.
        (Some(status), _) if status.success() => {}
        (Some(status), _) if impatient.is_some() && status.code() == Some(1) => {}
        (Some(status), words) => {
            ledger.violated(format!("worker {name} ended badly, {status}: {words}"));
        }
        (None, words) => ledger.violated(format!("worker {name} does not end: {words}")),
    }
}
