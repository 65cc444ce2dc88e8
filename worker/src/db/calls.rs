//! The worker functions of the SQL surface, typed. One function each, no logic.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::failure::{Failure, Refusal};
use super::session::Db;

/// Short calls: none of them waits for more than a row lock.
const CALL_LIMIT: Duration = Duration::from_secs(20);
/// A claim may wait for others, and brings prompts of several hundred kilobytes each.
const CLAIM_LIMIT: Duration = Duration::from_secs(60);
/// Calls that carry output, which may be tens of megabytes over a slow line.
const BULK_LIMIT: Duration = Duration::from_secs(300);
/// A session that has sent more than this keeps buffers of that size.
const KEPT_BYTES: usize = 1 << 20;

/// What a worker tells about itself.
#[derive(Debug, Clone)]
pub struct Registration {
    pub name: String,
    pub host: String,
    pub slots: i32,
    pub roots: Vec<String>,
    /// Empty: any model.
    pub models: Vec<String>,
    pub self_check: Value,
}

/// What the server answers to it.
#[derive(Debug, Clone, Deserialize)]
pub struct Registered {
    pub worker_id: i64,
    pub extension_version: String,
    pub system_identifier: String,
    pub lease_seconds: f64,
}

/// The limits of one attempt: seconds and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub stall_timeout_s: f64,
    pub first_event_timeout_s: f64,
    pub step_timeout_s: f64,
    pub max_output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            stall_timeout_s: 90.0,
            first_event_timeout_s: 900.0,
            step_timeout_s: 3600.0,
            max_output_bytes: 64 << 20,
        }
    }
}

/// What the run has been read from so far.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RecordedSnapshot {
    pub commit: Option<String>,
    pub tree_digest: Option<String>,
    pub host: Option<String>,
}

/// One task, handed to this worker under a lease.
#[derive(Debug, Clone)]
pub struct Claim {
    pub task_id: i64,
    pub run_id: i64,
    pub step_id: String,
    pub lease: Uuid,
    pub attempt: i32,
    pub agent: String,
    pub model: String,
    pub mode_id: String,
    pub system_prompt: String,
    /// Still holds the snapshot token.
    pub prompt: String,
    pub project: Option<String>,
    pub root: Option<PathBuf>,
    pub input: Value,
    pub deadline_at: Option<DateTime<Utc>>,
    pub snapshot: Option<RecordedSnapshot>,
    pub limits: Limits,
}

/// What a heartbeat says about a lease that must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The run or the task was cancelled.
    Cancel,
    /// The lease is another's or nobody's by now: write nothing.
    Lost,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Completed,
    Failed,
    Cancelled,
}

impl Ended {
    fn as_str(self) -> &'static str {
        match self {
            Ended::Completed => "completed",
            Ended::Failed => "failed",
            Ended::Cancelled => "cancelled",
        }
    }
}

/// The result of an attempt, as `task_finish` takes it.
#[derive(Debug, Clone)]
pub struct Finish {
    pub state: Ended,
    pub output: Option<String>,
    pub error: Option<String>,
    pub usage: Value,
    /// Which of the output's citations hold; None when that was not checked.
    pub citations: Option<Value>,
    pub retryable: bool,
    /// What is to be said of a result: another language than the question's, for example.
    pub note: Option<String>,
}

impl Db {
    /// Makes this worker known, or changes what is known of it.
    pub async fn register(&self, r: &Registration) -> Result<Registered, Failure> {
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let row = self
            .session()
            .await?
            .row(
                CALL_LIMIT,
                "select conductor.worker_register($1, $2, $3, $4, $5, $6, $7, $8)",
                &[
                    (&r.name, Type::TEXT),
                    (&r.host, Type::TEXT),
                    (&pid, Type::INT4),
                    (&env!("CARGO_PKG_VERSION"), Type::TEXT),
                    (&r.slots, Type::INT4),
                    (&r.roots, Type::TEXT_ARRAY),
                    (&r.models, Type::TEXT_ARRAY),
                    (&r.self_check, Type::JSONB),
                ],
            )
            .await?;
        from_json(row.try_get(0)?)
    }

    /// Asks for at most `slots` tasks.
    pub async fn claim(&self, worker: i64, slots: i32) -> Result<Vec<Claim>, Failure> {
        let rows = self
            .session()
            .await?
            .rows(
                CLAIM_LIMIT,
                "select task_id, run_id, step_id, lease, attempt, agent, model, mode_id, system_prompt, prompt, \
                 project, root, input, deadline_at, snapshot, limits from conductor.task_claim($1, $2)",
                &[(&worker, Type::INT8), (&slots, Type::INT4)],
            )
            .await?;
        rows.iter().map(claim_from).collect()
    }

    /// Records what the run reads; false when another attempt read something else.
    pub async fn record_snapshot(
        &self,
        (task, lease): (i64, Uuid),
        commit: Option<&str>,
        tree_digest: &str,
        host: &str,
        notes: &Value,
    ) -> Result<bool, Failure> {
        let row = self
            .session()
            .await?
            .row(
                CALL_LIMIT,
                "select conductor.run_snapshot($1, $2, $3, $4, $5, $6)",
                &[
                    (&task, Type::INT8),
                    (&lease, Type::UUID),
                    (&commit, Type::TEXT),
                    (&tree_digest, Type::TEXT),
                    (&host, Type::TEXT),
                    (notes, Type::JSONB),
                ],
            )
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Renews the leases and returns those to end. Given up after `limit`, while there is time for another.
    pub async fn heartbeat(
        &self,
        worker: i64,
        leases: &[Uuid],
        limit: Duration,
    ) -> Result<Vec<(Uuid, Verdict)>, Failure> {
        let rows = self
            .session()
            .await?
            .rows(
                limit.min(CALL_LIMIT),
                "select lease, verdict from conductor.task_heartbeat($1, $2)",
                &[(&worker, Type::INT8), (&leases, Type::UUID_ARRAY)],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let verdict = match row.try_get::<_, String>("verdict")?.as_str() {
                    "cancel" => Verdict::Cancel,
                    _ => Verdict::Lost,
                };
                Ok((row.try_get("lease")?, verdict))
            })
            .collect()
    }

    /// Ends the attempt and returns the task's new state.
    pub async fn finish(&self, task: i64, lease: Uuid, finish: &Finish) -> Result<String, Failure> {
        let mut session = self.session().await?;
        let row = session
            .row(
                BULK_LIMIT,
                "select conductor.task_finish($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &[
                    (&task, Type::INT8),
                    (&lease, Type::UUID),
                    (&finish.state.as_str(), Type::TEXT),
                    (&finish.output, Type::TEXT),
                    (&finish.error, Type::TEXT),
                    (&finish.usage, Type::JSONB),
                    (&finish.citations, Type::JSONB),
                    (&finish.retryable, Type::BOOL),
                    (&finish.note, Type::TEXT),
                ],
            )
            .await;
        if finish.output.as_ref().is_some_and(|o| o.len() > KEPT_BYTES) {
            session.close();
        }
        Ok(row?.try_get(0)?)
    }

    /// Hands a task back; costs no attempt. False when it was no longer ours.
    pub async fn release(&self, task: i64, lease: Uuid) -> Result<bool, Failure> {
        let row = self
            .session()
            .await?
            .row(
                CALL_LIMIT,
                "select conductor.task_release($1, $2)",
                &[(&task, Type::INT8), (&lease, Type::UUID)],
            )
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Which of the runs are over, so that nothing needs their snapshot any more.
    pub async fn runs_over(&self, worker: i64, runs: &[i64]) -> Result<Vec<i64>, Failure> {
        let rows = self
            .session()
            .await?
            .rows(
                CALL_LIMIT,
                "select r from conductor.worker_runs_over($1, $2) r",
                &[(&worker, Type::INT8), (&runs, Type::INT8_ARRAY)],
            )
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

fn claim_from(row: &Row) -> Result<Claim, Failure> {
    Ok(Claim {
        task_id: row.try_get("task_id")?,
        run_id: row.try_get("run_id")?,
        step_id: row.try_get("step_id")?,
        lease: row.try_get("lease")?,
        attempt: row.try_get("attempt")?,
        agent: row.try_get("agent")?,
        model: row.try_get("model")?,
        mode_id: row.try_get("mode_id")?,
        system_prompt: row
            .try_get::<_, Option<String>>("system_prompt")?
            .unwrap_or_default(),
        prompt: row.try_get("prompt")?,
        project: row.try_get("project")?,
        root: row.try_get::<_, Option<String>>("root")?.map(PathBuf::from),
        input: row
            .try_get::<_, Option<Value>>("input")?
            .unwrap_or_default(),
        deadline_at: row.try_get("deadline_at")?,
        snapshot: row
            .try_get::<_, Option<Value>>("snapshot")?
            .map(from_json)
            .transpose()?,
        limits: row
            .try_get::<_, Option<Value>>("limits")?
            .map(from_json)
            .transpose()?
            .unwrap_or_default(),
    })
}

fn from_json<T: for<'de> Deserialize<'de>>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|error| {
        Failure::Refused(Refusal {
            sqlstate: "XX000".into(),
            message: format!("the server's answer has another form than expected: {error}"),
            detail: None,
            hint: Some("check that worker and extension are of one version".into()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_that_a_claim_leaves_out_have_their_defaults() {
        let limits: Limits = from_json(json!({"stall_timeout_s": 5, "more": true})).unwrap();
        assert_eq!(limits.stall_timeout_s, 5.0);
        assert_eq!(limits.max_output_bytes, 64 << 20);
    }

    #[test]
    fn an_answer_of_another_form_says_what_to_check() {
        let failure = from_json::<Registered>(json!({"id": 1})).unwrap_err();
        let Failure::Refused(refusal) = failure else {
            panic!("{failure:?}")
        };
        assert!(refusal.message.contains("worker_id"));
        assert!(refusal.hint.unwrap().contains("one version"));
    }
}
