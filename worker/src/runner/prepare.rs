//! From a claim to a started child.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::clocks::seconds;
use super::deliver::{insist, ordered};
use super::{Attempt, Halt, Started, Verdict};
use crate::child::{ChildError, ChildSpec, Job};
use crate::db::RecordedSnapshot;
use crate::relay::Relay;
use crate::shortage::is_shortage;
use crate::snapshot::{Document, Limits, Request, Snapshot, SnapshotError};

/// The only agent that this worker can start.
const AGENT: &str = "qwen";
/// The only mode that a child is ever started in.
const MODE: &str = "plan";
/// More model turns than any step needs; a child in a loop ends here at the latest.
const MAX_TURNS: u32 = 300;
/// The child's own limits lie above ours, so that ours give the reason.
const SLACK: Duration = Duration::from_secs(60);

impl Attempt {
    /// Takes the snapshot, records it, and starts the child.
    pub(super) async fn start(&mut self) -> Result<Started, Verdict> {
        self.refuse_what_cannot_run()?;
        // A child would try for more than a minute before it says so.
        self.tools.upstream.reach().await.map_err(verdict_on)?;
        let root = match &self.claim.root {
            Some(root) => {
                let allowed = self.context.config.allowed_root(root);
                Some(allowed.map_err(|error| Verdict::failed(error, false))?)
            }
            None => None,
        };
        let request = Request {
            root,
            base: self
                .claim
                .input
                .get("base")
                .and_then(Value::as_str)
                .map(str::to_owned),
            documents: documents(&self.claim.input),
            limits: Limits::default(),
        };
        let snapshots = &self.context.snapshots;
        let snapshot = tokio::select! {
            taken = snapshots.get(self.claim.run_id, &request) => taken,
            order = ordered(&mut self.orders) => return Err(Verdict::of(Halt::Ordered(order))),
        };
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let room = error.is_full() && self.room().await.is_ok();
                return Err(without_snapshot(&error, room));
            }
        };
        self.record(&snapshot).await?;
        self.spawn(&snapshot).await
    }

    fn refuse_what_cannot_run(&self) -> Result<(), Verdict> {
        let (agent, mode) = (&self.claim.agent, &self.claim.mode_id);
        if agent != AGENT {
            return Err(Verdict::failed(
                format!("agent {agent:?} is not one that this worker has"),
                false,
            ));
        }
        if mode != MODE {
            return Err(Verdict::failed(
                format!("mode {mode:?} is refused: children run in mode plan only"),
                false,
            ));
        }
        Ok(())
    }

    /// Tells the server what is read, unless it knows.
    async fn record(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), Verdict> {
        let host = self.context.config.host.clone();
        if self
            .claim
            .snapshot
            .as_ref()
            .is_some_and(|known| is_same(known, snapshot, &host))
        {
            return Ok(());
        }
        let (db, key) = (&self.context.db, (self.claim.task_id, self.claim.lease));
        let notes: Value = snapshot
            .changes
            .iter()
            .chain(&snapshot.notes)
            .cloned()
            .collect();
        let agrees = insist("run_snapshot", ordered(&mut self.orders), || {
            db.record_snapshot(
                key,
                snapshot.commit.as_deref(),
                &snapshot.tree_digest,
                &host,
                &notes,
            )
        })
        .await
        .map_err(Verdict::of)?;
        if !agrees {
            tracing::warn!(
                run = self.claim.run_id,
                "the snapshot differs from what earlier steps of the run read"
            );
        }
        Ok(())
    }

    async fn spawn(&mut self, snapshot: &Arc<Snapshot>) -> Result<Started, Verdict> {
        let (claim, tools) = (self.claim.clone(), self.tools.clone());
        let job_dir = self
            .context
            .config
            .state_dir
            .join("jobs")
            .join(claim.lease.simple().to_string());
        let path = snapshot.path.clone();
        let relay = Relay::start(tools.upstream.clone(), &claim.model).await;
        let relay = relay.map_err(|source| {
            verdict_on(ChildError::Io {
                what: "listen for the child".to_owned(),
                source,
            })
        })?;
        let model = relay.model().clone();
        let prepared = tokio::task::spawn_blocking(move || {
            let spec = ChildSpec {
                job_dir,
                snapshot: Some(&path),
                system_prompt: &claim.system_prompt,
                prompt: &claim.prompt,
                model: &model,
                max_wall_time: seconds(claim.limits.step_timeout_s).saturating_add(SLACK),
                max_turns: MAX_TURNS,
                first_event_timeout: seconds(claim.limits.first_event_timeout_s)
                    .saturating_add(SLACK),
                stall_timeout: seconds(claim.limits.stall_timeout_s).saturating_add(SLACK),
                toolbox: &tools.toolbox,
            };
            Job::prepare(&spec, &tools.qwen, &tools.sandbox)
        })
        .await
        .expect("preparing a job does not panic");
        let job = prepared.map_err(verdict_on)?;
        match job.start() {
            Ok(child) => {
                let (run, step) = (self.claim.run_id, &self.claim.step_id);
                tracing::debug!(run, %step, pid = child.pid(), "child started");
                Ok(Started {
                    child,
                    job,
                    relay,
                    snapshot: snapshot.path.clone(),
                })
            }
            Err(error) => {
                super::remove(job).await;
                Err(verdict_on(error))
            }
        }
    }
}

/// Whose fault it is that there is no snapshot. `room`: it was for want of room, and there is some without it. Then nobody
/// else has to wait for its sake.
fn without_snapshot(error: &SnapshotError, room: bool) -> Verdict {
    if room {
        let error = format!("the project is larger than what is left in the state folder: {error}");
        return Verdict::failed(error, true);
    }
    match error.is_ours() {
        true => Verdict::Unfit(error.to_string()),
        false => Verdict::failed(error.to_string(), true),
    }
}

/// Whose fault it is that there is no child: the task's, the moment's or this machine's.
fn verdict_on(error: ChildError) -> Verdict {
    match &error {
        ChildError::Refused(reason) => Verdict::failed(reason.as_str(), false),
        ChildError::Io { source, .. } if is_shortage(source) => Verdict::Unfit(error.to_string()),
        ChildError::Io { .. } => Verdict::failed(error.to_string(), true),
        ChildError::Unusable(_) | ChildError::Sandbox(_) => Verdict::Unfit(error.to_string()),
    }
}

fn is_same(known: &RecordedSnapshot, snapshot: &Snapshot, host: &str) -> bool {
    known.host.as_deref() == Some(host)
        && known.tree_digest.as_deref() == Some(&snapshot.tree_digest)
}

/// What the launcher provided; the server has checked the form.
fn documents(input: &Value) -> Vec<Document> {
    let given = input.get("documents").cloned().unwrap_or_default();
    serde_json::from_value(given).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_read_from_the_input() {
        let input = json!({"question": "q", "documents": [{"name": "spec.md", "text": "…"}]});
        assert_eq!(documents(&input)[0].name, "spec.md");
        assert!(documents(&json!({"question": "q"})).is_empty());
        assert!(documents(&Value::Null).is_empty());
    }

    #[test]
    fn what_a_machine_lacks_is_not_the_fault_of_the_task() {
        let error = |errno: i32| ChildError::Io {
            what: "write /state/jobs/1/prompt".into(),
            source: std::io::Error::from_raw_os_error(errno),
        };
        let full = verdict_on(error(libc::ENOSPC));
        assert!(matches!(full, Verdict::Unfit(reason) if reason.contains("No space left")));
        let other = verdict_on(error(libc::ENOENT));
        assert!(matches!(other, Verdict::Finish(finish) if finish.retryable));
    }

    #[test]
    fn a_project_that_takes_all_the_room_is_at_fault_itself() {
        let lacks = |errno: i32| {
            let error = std::io::Error::from_raw_os_error(errno);
            SnapshotError::of(&error, format!("cannot write the copy: {error}"))
        };
        let verdict = without_snapshot(&lacks(libc::ENOSPC), true);
        let Verdict::Finish(finish) = verdict else {
            panic!("a failure that counts");
        };
        let error = finish.error.unwrap_or_default();
        assert!(
            finish.retryable && error.contains("larger than what is left"),
            "{error}"
        );
        for (errno, room) in [(libc::EDQUOT, false), (libc::EMFILE, false)] {
            let verdict = without_snapshot(&lacks(errno), room);
            assert!(matches!(verdict, Verdict::Unfit(_)), "{errno}");
        }
    }

    #[test]
    fn a_snapshot_is_known_only_by_host_and_digest() {
        let snapshot = Snapshot {
            path: "/s".into(),
            commit: None,
            tree_digest: "d".into(),
            notes: Vec::new(),
            changes: None,
            files: 0,
            bytes: 0,
        };
        let known = |host: &str, digest: &str| RecordedSnapshot {
            commit: None,
            tree_digest: Some(digest.into()),
            host: Some(host.into()),
        };
        assert!(is_same(&known("h", "d"), &snapshot, "h"));
        assert!(!is_same(&known("other", "d"), &snapshot, "h"));
        assert!(!is_same(&known("h", "e"), &snapshot, "h"));
    }
}
