//! The sender: gathers what is ready on all shelves, sends it in one call, and sees to what was not stored.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Desk;
use super::outbox::{Haste, Shelf};
use crate::backoff::Backoff;
use crate::db::{Db, Failure, Parcel, Receipt};

/// Calls are made so far apart, unless somebody waits for the answer or much has gathered.
const PACE: Duration = Duration::from_millis(100);
/// One call carries about so many bytes.
const FLUSH_BYTES: usize = 512 << 10;
/// A batch whose run was busy so often in a row goes in a call of its own, which waits for its turn.
const BUSY_LIMIT: u32 = 3;

/// Where streams are stored.
pub trait Store: Send + Sync + 'static {
    /// Many batches in one transaction, waiting for nobody.
    fn together(
        &self,
        parcels: &[Parcel],
    ) -> impl Future<Output = Result<Vec<Receipt>, Failure>> + Send;
    /// One batch, waiting for whoever writes to its run.
    fn alone(&self, parcel: Parcel) -> impl Future<Output = Result<(), Failure>> + Send;
}

impl Store for Db {
    async fn together(&self, parcels: &[Parcel]) -> Result<Vec<Receipt>, Failure> {
        self.stream_together(parcels).await
    }

    async fn alone(&self, parcel: Parcel) -> Result<(), Failure> {
        self.stream(&parcel).await
    }
}

pub(super) struct Sender<S> {
    desk: Arc<Desk>,
    store: Arc<S>,
    /// Calls of single batches under way.
    alone: JoinSet<(Arc<Shelf>, Result<(), Failure>)>,
    /// When the next call may be made that nobody waits for.
    next: Instant,
    /// After a failure that passes no call is made before this.
    again: Instant,
    backoff: Backoff,
    /// Whose turn it is first when not all fit into one call.
    turn: usize,
    /// What was last said of failures, so that it is said once.
    said: Option<String>,
}

impl<S: Store> Sender<S> {
    pub fn new(desk: Arc<Desk>, store: Arc<S>) -> Self {
        // Calls of a former sender ended with it.
        for shelf in desk.open().iter() {
            shelf.state().alone = None;
        }
        Sender {
            desk,
            store,
            alone: JoinSet::new(),
            next: Instant::now(),
            again: Instant::now(),
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(5)),
            turn: 0,
            said: None,
        }
    }

    /// Sends for ever.
    pub async fn run(mut self) {
        loop {
            let due = self.due();
            tokio::select! {
                () = self.desk.wake.notified() => {}
                Some(done) = self.alone.join_next() => {
                    // A call is given up with its attempt.
                    if let Ok((shelf, result)) = done {
                        self.back(&shelf, result);
                    }
                }
                () = sleep_until(due.unwrap_or(self.next)), if due.is_some() => self.send().await,
            }
        }
    }

    /// When the next call is to be made; None while there is nothing to send.
    fn due(&self) -> Option<Instant> {
        let open = self.desk.open();
        match open.iter().map(|shelf| shelf.state().haste()).max() {
            None | Some(Haste::None) => None,
            Some(Haste::Usual) => Some(self.next.max(self.again)),
            Some(Haste::AtOnce) => Some(self.again),
        }
    }

    async fn send(&mut self) {
        let began = Instant::now();
        let (shelves, parcels, rest) = self.gather();
        self.next = if rest { began } else { began + PACE };
        if parcels.is_empty() {
            return;
        }
        match self.store.together(&parcels).await {
            Ok(receipts) => {
                self.succeeded();
                for ((shelf, parcel), receipt) in shelves.iter().zip(parcels).zip(receipts) {
                    self.received(shelf, parcel, receipt);
                }
            }
            Err(failure) if failure.is_passing() => self.failed(&failure),
            Err(failure) => {
                let count = parcels.len();
                self.say(&failure, |failure| {
                    tracing::warn!(count, %failure, "the server refused stream events, they are sent one by one");
                });
                for (shelf, parcel) in shelves.iter().zip(parcels) {
                    self.send_alone(shelf, parcel);
                }
            }
        }
    }

    /// What is ready, as far as it fits into one call, and whether anything is left.
    fn gather(&mut self) -> (Vec<Arc<Shelf>>, Vec<Parcel>, bool) {
        let open = self.desk.open();
        let (mut shelves, mut parcels, mut bytes) = (Vec::new(), Vec::new(), 0);
        for step in 0..open.len() {
            let at = (self.turn + step) % open.len();
            let Some((parcel, size)) = open[at].parcel() else {
                continue;
            };
            shelves.push(open[at].clone());
            parcels.push(parcel);
            bytes += size;
            if bytes >= FLUSH_BYTES {
                self.turn = at + 1;
                return (shelves, parcels, step + 1 < open.len());
            }
        }
        (shelves, parcels, false)
    }

    fn received(&mut self, shelf: &Arc<Shelf>, parcel: Parcel, receipt: Receipt) {
        match receipt {
            Receipt::Stored => shelf.answered(),
            Receipt::Stale => shelf.lost(),
            Receipt::Refused(message) => leave_out(shelf, &message),
            Receipt::Busy => {
                let patient = {
                    let mut state = shelf.state();
                    state.busy += 1;
                    state.busy < BUSY_LIMIT && !state.urgent
                };
                if !patient {
                    self.send_alone(shelf, parcel);
                }
            }
        }
    }

    /// Sends one batch in a call of its own. Until it is back nothing else of its attempt is sent.
    fn send_alone(&mut self, shelf: &Arc<Shelf>, parcel: Parcel) {
        let (store, back) = (self.store.clone(), shelf.clone());
        let mut state = shelf.state();
        if state.is_closed() {
            return;
        }
        // The lock is held until it is known how to give the call up.
        let call = self.alone.spawn(async move {
            let result = store.alone(parcel).await;
            (back, result)
        });
        state.alone = Some(call);
    }

    /// A call of its own is back.
    fn back(&mut self, shelf: &Arc<Shelf>, result: Result<(), Failure>) {
        shelf.state().alone = None;
        match result {
            Ok(()) => {
                self.backoff.reset();
                shelf.answered();
            }
            Err(Failure::StaleLease) => shelf.lost(),
            Err(Failure::Again(conflict)) if !Failure::Again(conflict.clone()).is_shortage() => {
                // Its own affair, which need not hold up the others. It goes with them again.
                shelf.state().urgent = false;
                tracing::debug!(task = shelf.task(), %conflict, "stream events are sent again");
            }
            Err(failure) if failure.is_passing() => self.failed(&failure),
            Err(failure) => leave_out(shelf, &failure.to_string()),
        }
    }

    fn succeeded(&mut self) {
        self.backoff.reset();
        self.said = None;
    }

    /// Everything stays where it is and is sent again after a while.
    fn failed(&mut self, failure: &Failure) {
        self.again = Instant::now() + self.backoff.next_delay();
        if failure.is_shortage() {
            // That the server is away is said by whoever listens to it; that it is full, by nobody else.
            self.say(failure, |failure| {
                tracing::warn!(%failure, "what children stream waits for the server");
            });
        } else {
            tracing::debug!(%failure, "stream events are sent again");
        }
    }

    /// Says it unless it was what was last said.
    fn say(&mut self, failure: &Failure, tell: impl FnOnce(&Failure)) {
        let text = failure.to_string();
        if self.said.as_ref() != Some(&text) {
            tell(failure);
            self.said = Some(text);
        }
    }
}

/// Events that the server refuses only show what goes on: the output itself travels with the end of the attempt.
fn leave_out(shelf: &Shelf, reason: &str) {
    tracing::warn!(
        task = shelf.task(),
        reason,
        "the server refused stream events, they are left out"
    );
    shelf.answered();
}
