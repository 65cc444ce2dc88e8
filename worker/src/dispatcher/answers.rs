//! What the dispatcher does when a call comes back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{Id, JoinError};
use tokio::time::Instant;
use uuid::Uuid;

use super::{DEAF_POLL, Dispatcher, EAGER, EAGER_POLL, Mode, RECHECK, Running, SLOW_POLL, TIDY};
use crate::checks::SelfCheck;
use crate::db::{Claim, Failure, Registered, Verdict};
use crate::runner::{self, Context, Ending, Order};

/// What people are told of an attempt that panicked.
const BROKE_OFF: &str = "a mistake in the worker ended it (its log says where)";

/// A call that came back.
pub enum Answer {
    /// What was found, and how often there was doubt when the looking began.
    Checked(Box<SelfCheck>, u64),
    Registered(Result<Registered, Failure>),
    Claimed(Result<Vec<Claim>, Failure>),
    Beaten(Result<Vec<(Uuid, Verdict)>, Failure>),
    /// The runs whose snapshot is gone.
    Tidied(Result<Vec<i64>, Failure>),
    /// A task that has no runner was handed back, or its failure told.
    Settled,
}

/// Removes the snapshots of those runs that are over, and returns the runs whose snapshot is gone.
pub async fn tidy(context: &Context, worker: i64, idle: &[i64]) -> Result<Vec<i64>, Failure> {
    let over = context.db.runs_over(worker, idle).await?;
    Ok(remove(context, over.into_iter()).await)
}

/// Removes the snapshots of these runs, and returns the runs whose snapshot is gone.
pub async fn remove(context: &Context, runs: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut gone = Vec::new();
    for run in runs {
        match context.snapshots.remove(run).await {
            Ok(()) => {
                tracing::debug!(run, "snapshot removed");
                gone.push(run);
            }
            Err(error) => tracing::warn!(run, %error, "a snapshot could not be removed"),
        }
    }
    gone
}

/// The self-check of a worker that has been stopped: other hosts need not wait for it.
pub fn stopped() -> Value {
    json!({"ok": false, "checks": [{"name": "worker", "ok": false, "detail": "the worker was stopped"}]})
}

impl Dispatcher {
    pub(super) fn on_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Checked(check, doubts) => self.on_checked(*check, doubts),
            Answer::Registered(result) => self.on_registered(result),
            Answer::Claimed(result) => self.on_claimed(result),
            Answer::Beaten(result) => self.on_beaten(result),
            Answer::Tidied(result) => self.on_tidied(result),
            Answer::Settled => self.settling -= 1,
        }
    }

    fn on_checked(&mut self, mut check: SelfCheck, doubts: u64) {
        self.activities.check.done();
        self.doubt.lift(doubts);
        self.tools = check.tools.take().map(Arc::new);
        if self.tools.is_some() {
            self.check_backoff.reset();
            if self.is_news("check", "in order") {
                let sandbox = check.lines.iter().find(|line| line.name == "sandbox");
                let sandbox = sandbox.map(|line| line.detail.as_str()).unwrap_or_default();
                tracing::info!(sandbox, "self-check passed");
            }
        } else {
            let reasons = check.reasons();
            if self.is_news("check", &reasons.join("\n")) {
                tracing::error!(
                    "no tasks are taken until this is mended (looked at every {} s at least):",
                    RECHECK.as_secs()
                );
                for reason in reasons {
                    tracing::error!("  {reason}");
                }
            }
            self.activities
                .check
                .within(self.check_backoff.next_delay());
        }
        self.check = Some(check);
        self.activities.register.soon();
    }

    fn on_registered(&mut self, result: Result<Registered, Failure>) {
        self.activities.register.done();
        match result {
            Ok(registered) => {
                self.register_backoff.reset();
                let message = format!(
                    "worker {} of system {}",
                    registered.worker_id, registered.system_identifier
                );
                if self.is_news("server", &message) {
                    let (worker, extension) = (registered.worker_id, &registered.extension_version);
                    tracing::info!(
                        worker,
                        extension,
                        lease = registered.lease_seconds,
                        "registered"
                    );
                }
                self.worker = Some(registered);
                self.activities.claim.soon();
                self.activities.beat.within(self.beat_period());
            }
            Err(failure) => {
                self.complain("server", "registering", &failure);
                self.activities
                    .register
                    .within(self.register_backoff.next_delay());
            }
        }
    }

    fn on_claimed(&mut self, result: Result<Vec<Claim>, Failure>) {
        self.activities.claim.done();
        match result {
            Ok(claims) => {
                self.said.remove("claim");
                // That it asks says that it lives, and nothing is written for it. Not behind a pooler, where others ask
                // through the same session.
                if self.running.is_empty() && self.rings {
                    self.activities.beat.put_off(self.beat_period());
                }
                for claim in claims {
                    match self.tools.clone() {
                        Some(tools) if self.mode == Mode::Working && self.is_fit() => {
                            self.launch(claim, tools);
                        }
                        _ => self.give_back(claim),
                    }
                }
            }
            Err(failure) => {
                self.complain("claim", "claiming", &failure);
                self.register_anew(&failure);
            }
        }
        self.activities.claim.within(self.poll_period());
    }

    fn poll_period(&self) -> Duration {
        if Instant::now() < self.eager_until {
            return EAGER_POLL;
        }
        let poll = if self.rings { SLOW_POLL } else { DEAF_POLL };
        if self.running.is_empty() {
            // In time to stand for the next heartbeat.
            poll.min(self.beat_period() / 2)
        } else {
            poll
        }
    }

    fn on_beaten(&mut self, result: Result<Vec<(Uuid, Verdict)>, Failure>) {
        self.activities.beat.done();
        match result {
            Ok(verdicts) => {
                self.said.remove("beat");
                self.renewed = self.last_beat;
                for (lease, verdict) in verdicts {
                    self.end_child(lease, verdict);
                }
                self.activities.beat.within(self.beat_period());
            }
            Err(failure) => {
                self.complain("beat", "renewing leases", &failure);
                self.register_anew(&failure);
                self.activities
                    .beat
                    .within((self.beat_period() / 4).max(Duration::from_millis(200)));
            }
        }
    }

    fn end_child(&mut self, lease: Uuid, verdict: Verdict) {
        let Some(running) = self
            .running
            .values()
            .find(|running| running.claim.lease == lease)
        else {
            return;
        };
        let order = match verdict {
            Verdict::Cancel => Order::Cancel,
            Verdict::Lost => Order::Drop,
        };
        // A first order stands: handing back is not undone by what a heartbeat finds afterwards.
        running.orders.send_if_modified(|current| {
            let first = *current == Order::Run;
            if first {
                *current = order;
            }
            first
        });
    }

    fn on_tidied(&mut self, result: Result<Vec<i64>, Failure>) {
        self.activities.tidy.done();
        match result {
            Ok(gone) => gone.iter().for_each(|run| {
                self.held.remove(run);
            }),
            Err(failure) => tracing::debug!(%failure, "snapshots are looked at later"),
        }
        self.activities.tidy.within(TIDY);
    }

    pub(super) fn on_ended(&mut self, ended: Result<(Id, Ending), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(Running { claim, .. }) = self.running.remove(&id) else {
            return;
        };
        match ended {
            Ok((_, ending)) => {
                if let Some(reason) = ending.doubt {
                    self.on_doubt(&reason);
                }
                if ending.again {
                    self.eager_until = Instant::now() + EAGER;
                }
            }
            Err(error) => {
                tracing::error!(run = claim.run_id, step = %claim.step_id, %error, "an attempt broke off");
                self.fail(claim);
                self.eager_until = Instant::now() + EAGER;
            }
        }
        self.activities.claim.soon();
        self.activities.tidy.within(TIDY / 60);
    }

    /// What was handed back would come back at once: nothing is taken for a while, and the server says why.
    fn on_doubt(&mut self, reason: &str) {
        if let Some(pause) = self.doubt.raise(reason) {
            tracing::warn!(
                seconds = pause.as_secs_f64(),
                reason,
                "no tasks are taken for a while"
            );
            self.said.remove("check");
            self.activities.register.soon();
            self.activities.check.within(pause);
        }
    }

    /// An attempt that a mistake of ours ended counts: it might end so each time.
    fn fail(&mut self, claim: Claim) {
        self.settling += 1;
        let context = self.context.clone();
        self.calls.spawn(async move {
            let told = runner::fail(&context.db, &claim, BROKE_OFF).await;
            tracing::info!(run = claim.run_id, step = %claim.step_id, told, "failed");
            Answer::Settled
        });
    }

    fn give_back(&mut self, claim: Claim) {
        self.settling += 1;
        let context = self.context.clone();
        self.calls.spawn(async move {
            let handed = runner::hand_back(&context.db, &claim).await;
            tracing::info!(run = claim.run_id, step = %claim.step_id, handed, "handed back");
            Answer::Settled
        });
    }

    /// The server does not know this worker, or not as it is: it may be another server by now.
    fn register_anew(&mut self, failure: &Failure) {
        if failure.sqlstate() == Some("P0002") {
            self.activities.register.soon();
        }
    }

    fn complain(&mut self, subject: &'static str, what: &str, failure: &Failure) {
        let message = failure.to_string();
        // That the server is away is said once, by whoever listens to the doorbell.
        if matches!(failure, Failure::Gone(_)) || !self.is_news(subject, &message) {
            tracing::debug!("{what}: {message}");
            return;
        }
        match failure {
            Failure::Refused(refusal) => {
                let hint = refusal.hint.as_deref().unwrap_or_default();
                tracing::error!(
                    "{what}: {refusal}{}{hint}",
                    if hint.is_empty() { "" } else { "; " }
                );
            }
            _ => tracing::warn!("{what}: {message}"),
        }
    }

    pub(super) fn beat_period(&self) -> Duration {
        let lease = self
            .worker
            .as_ref()
            .map_or(60.0, |worker| worker.lease_seconds);
        Duration::try_from_secs_f64(lease / 3.0)
            .unwrap_or(Duration::from_secs(20))
            .max(Duration::from_millis(200))
    }
}
