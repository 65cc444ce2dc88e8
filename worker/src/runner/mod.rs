//! One attempt of one task: snapshot, child, stream, end.

mod assessed;
mod attend;
mod cited;
mod clocks;
mod deliver;
mod flood;
mod prepare;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

pub use deliver::Order;

use crate::checks::Tools;
use crate::child::{Child, Job};
use crate::config::Config;
use crate::db::{Claim, Db, Ended, Finish};
use crate::events::{Event, Usage};
use crate::home::Home;
use crate::relay::Relay;
use crate::snapshot::Snapshots;
use crate::streams::{Outbox, Streams};
use deliver::{Halt, insist, ordered_back};

/// How long a child may take to end when it is asked to, before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// The same when the whole worker is told to stop at once.
const SHORT_GRACE: Duration = Duration::from_millis(500);
/// How long a task that cannot be kept is tried to be handed back.
const HAND_BACK_LIMIT: Duration = Duration::from_secs(5);

/// What all attempts of a worker share.
pub struct Context {
    pub db: Db,
    pub streams: Streams,
    pub config: Config,
    pub snapshots: Snapshots,
    pub home: Home,
}

/// One attempt, as it is given to a runner.
pub struct Attempt {
    pub context: Arc<Context>,
    pub tools: Arc<Tools>,
    pub claim: Claim,
    pub orders: watch::Receiver<Order>,
}

/// A child and everything that belongs to it, started.
struct Started {
    child: Child,
    job: Job,
    relay: Relay,
    snapshot: std::path::PathBuf,
}

/// What the dispatcher learns when an attempt is over.
pub struct Ending {
    /// Why the machine itself may be out of order: nothing else should be taken before the self-check was repeated.
    pub doubt: Option<String>,
    /// The task is pending again, and due before long.
    pub again: bool,
}

/// What an attempt came to.
enum Verdict {
    Finish(Box<Finish>),
    HandBack,
    /// Handed back because of this machine, not of the task.
    Unfit(String),
    /// Not ours any more: nothing is written.
    Drop(&'static str),
}

impl Verdict {
    fn failed(error: impl Into<String>, retryable: bool) -> Self {
        Verdict::Finish(Box::new(failure(error, retryable)))
    }

    fn is_completed(&self) -> bool {
        matches!(self, Verdict::Finish(finish) if finish.state == Ended::Completed)
    }

    fn of(halt: Halt) -> Self {
        match halt {
            Halt::Ordered(Order::Cancel) => Verdict::Finish(Box::new(Finish {
                state: Ended::Cancelled,
                output: None,
                error: None,
                usage: usage_json(&Usage::default()),
                citations: None,
                retryable: false,
                note: None,
            })),
            Halt::Ordered(Order::HandBack | Order::Run) => Verdict::HandBack,
            Halt::Ordered(Order::Drop) | Halt::StaleLease => {
                Verdict::Drop("the lease is no longer ours")
            }
            Halt::Refused(refusal) => {
                Verdict::failed(format!("the server refused: {refusal}"), false)
            }
        }
    }
}

fn failure(error: impl Into<String>, retryable: bool) -> Finish {
    Finish {
        state: Ended::Failed,
        output: None,
        error: Some(error.into()),
        usage: usage_json(&Usage::default()),
        citations: None,
        retryable,
        note: None,
    }
}

fn usage_json(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "total_tokens": usage.total_tokens,
        "turns": usage.turns,
    })
}

impl Attempt {
    /// Runs the attempt to its end. Whatever happens, the child is gone and the server was told, or need not be.
    pub async fn run(mut self) -> Ending {
        let began = Instant::now();
        let claim = &self.claim;
        tracing::info!(
            run = claim.run_id, step = %claim.step_id, task = claim.task_id, attempt = claim.attempt, "started"
        );
        let mut removal = None;
        let verdict = match self.start().await {
            Err(verdict) => {
                let verdict = self.blamed(verdict).await;
                self.told(verdict).await
            }
            Ok(started) => {
                let Started {
                    mut child,
                    job,
                    relay,
                    snapshot,
                } = started;
                let verdict = self.attend(&mut child, relay, snapshot.clone()).await;
                drop(child);
                let verdict = self.in_want_of_room(verdict).await;
                let removing = tokio::spawn(remove(job));
                if verdict.is_completed() {
                    // Nobody waits for a result because of what is thrown away.
                    removal = Some(removing);
                    self.with_citations(verdict, snapshot).await
                } else {
                    let _ = removing.await;
                    self.blamed(verdict).await
                }
            }
        };
        let doubt = match &verdict {
            Verdict::Unfit(reason) => Some(reason.clone()),
            _ => None,
        };
        let again = self.settle(verdict, began).await;
        if let Some(removal) = removal {
            let _ = removal.await;
        }
        Ending { doubt, again }
    }

    /// A failure where nothing can be written says nothing of the task.
    async fn blamed(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Finish(finish) if finish.state == Ended::Failed => match self.room().await {
                Ok(()) => Verdict::Finish(finish),
                Err(reason) => {
                    let error = finish.error.unwrap_or_default();
                    Verdict::Unfit(format!("{reason}; what failed: {error}"))
                }
            },
            verdict => verdict,
        }
    }

    /// While the job is still there. If removing it makes room, it was the child itself that took it all: then the
    /// failure stands, with that reason, and counts.
    async fn in_want_of_room(&self, mut verdict: Verdict) -> Verdict {
        if let Verdict::Finish(finish) = &mut verdict
            && finish.state == Ended::Failed
            && let Err(reason) = self.room().await
        {
            let error = finish.error.take().unwrap_or_default();
            finish.error = Some(format!("{error}; {reason}"));
            finish.retryable = true;
        }
        verdict
    }

    async fn room(&self) -> Result<(), String> {
        let context = self.context.clone();
        let looked = tokio::task::spawn_blocking(move || context.home.has_room()).await;
        looked.expect("looking for room does not panic")
    }

    /// Shows those who watch why there was no child, as a child's own failures are shown.
    async fn told(&self, verdict: Verdict) -> Verdict {
        let Verdict::Finish(finish) = &verdict else {
            return verdict;
        };
        let Some(message) = finish.error.clone() else {
            return verdict;
        };
        let outbox = self.outbox();
        outbox.push(Event::Error { message });
        match deliver::flush(&outbox, &mut self.orders.clone()).await {
            Ok(()) => verdict,
            Err(halt) => Verdict::of(halt),
        }
    }

    fn outbox(&self) -> Outbox {
        let (task, lease) = (self.claim.task_id, self.claim.lease);
        self.context.streams.open(task, lease)
    }

    /// Tells the server what the attempt came to; true when the task will be dispatched again.
    async fn settle(&mut self, verdict: Verdict, began: Instant) -> bool {
        let (run, step, task) = (
            self.claim.run_id,
            self.claim.step_id.clone(),
            self.claim.task_id,
        );
        let seconds = format!("{:.1}", began.elapsed().as_secs_f64());
        match verdict {
            Verdict::Drop(reason) => tracing::info!(run, %step, task, seconds, reason, "dropped"),
            Verdict::HandBack => {
                let handed = self.hand_back().await;
                tracing::info!(run, %step, task, seconds, handed, "handed back");
            }
            Verdict::Unfit(reason) => {
                let handed = self.hand_back().await;
                tracing::error!(run, %step, task, handed, reason, "this machine cannot run it, handed back");
            }
            Verdict::Finish(finish) if finish.state == Ended::Cancelled => {
                // The server knows already: this only adds what the child had used.
                let told = self.context.db.finish(task, self.claim.lease, &finish);
                let _ = timeout(HAND_BACK_LIMIT, told).await;
                tracing::info!(run, %step, task, seconds, "cancelled");
            }
            Verdict::Finish(finish) => match self.finish(*finish).await {
                Ok((state, error)) => {
                    let again = state == "pending";
                    match error {
                        None => tracing::info!(run, %step, task, seconds, state, "ended"),
                        Some(error) => {
                            tracing::warn!(run, %step, task, seconds, state, error, "ended")
                        }
                    }
                    return again;
                }
                Err(Halt::Ordered(Order::HandBack)) => {
                    // The result could not be delivered in time; another attempt has to make it again.
                    let handed = self.hand_back().await;
                    tracing::warn!(run, %step, task, handed, "the result could not be delivered, handed back");
                }
                Err(halt) => tracing::warn!(run, %step, task, ?halt, "the result was not taken"),
            },
        }
        false
    }

    /// Delivers the result, however long the server is away. A result that the server refuses becomes a failure with
    /// that reason: otherwise the task would be renewed for ever. Returns the task's state and the error, if any.
    async fn finish(&mut self, finish: Finish) -> Result<(String, Option<String>), Halt> {
        match self.finish_once(&finish).await {
            Err(Halt::Refused(refusal)) => {
                let error = format!("the server refused the result: {refusal}");
                let failure = Finish {
                    state: Ended::Failed,
                    output: None,
                    error: Some(error),
                    citations: None,
                    note: None,
                    ..finish
                };
                let state = self.finish_once(&failure).await?;
                Ok((state, failure.error))
            }
            Ok(state) => Ok((state, finish.error)),
            Err(halt) => Err(halt),
        }
    }

    async fn finish_once(&mut self, finish: &Finish) -> Result<String, Halt> {
        let (db, task, lease) = (&self.context.db, self.claim.task_id, self.claim.lease);
        insist("task_finish", ordered_back(&mut self.orders), || {
            db.finish(task, lease, finish)
        })
        .await
    }

    async fn hand_back(&self) -> bool {
        hand_back(&self.context.db, &self.claim).await
    }
}

/// Hands a task back within a bounded time; false when it could not be done or was no longer ours.
pub async fn hand_back(db: &Db, claim: &Claim) -> bool {
    let released = timeout(HAND_BACK_LIMIT, db.release(claim.task_id, claim.lease)).await;
    matches!(released, Ok(Ok(true)))
}

/// Tells within a bounded time that an attempt failed that nobody runs any more, and may be made again; false when that
/// could not be told: then its lease runs out.
pub async fn fail(db: &Db, claim: &Claim, error: &str) -> bool {
    let finish = failure(error, true);
    let told = timeout(
        HAND_BACK_LIMIT,
        db.finish(claim.task_id, claim.lease, &finish),
    )
    .await;
    matches!(told, Ok(Ok(_)))
}

async fn remove(job: Job) {
    let removed = tokio::task::spawn_blocking(move || job.remove()).await;
    if let Ok(Err(error)) = removed {
        tracing::warn!(%error, "a job folder could not be removed");
    }
}
