//! What the children of this worker do, on its way to the server: all of it in one call every tenth of a second, however
//! many children there are. A transaction is what a server counts, and each of them takes locks that others wait for.

mod batch;
mod outbox;
mod sender;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

pub use batch::size_of_event;
pub use outbox::{Outbox, Stale};

use outbox::Shelf;
use sender::{Sender, Store};

/// What all children together may have waiting; a child whose share is full waits.
const TOTAL_BYTES: usize = 16 << 20;
/// How long nothing is sent after a mistake in the sender.
const AFTER_A_MISTAKE: Duration = Duration::from_secs(1);

/// The streams of one worker, and the one sender that serves them until this is dropped.
pub struct Streams {
    desk: Arc<Desk>,
    sender: JoinHandle<()>,
}

/// What attempts and the sender share.
#[derive(Default)]
struct Desk {
    open: Mutex<Vec<Arc<Shelf>>>,
    /// Something became ready to be sent, or urgent.
    wake: Notify,
}

impl Desk {
    fn open(&self) -> MutexGuard<'_, Vec<Arc<Shelf>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes each child may have waiting.
    fn share(&self) -> usize {
        TOTAL_BYTES / self.open().len().max(1)
    }
}

impl Streams {
    /// Starts the sender. Nothing is connected yet.
    pub fn start(store: impl Store) -> Self {
        let desk = Arc::new(Desk::default());
        let sender = tokio::spawn(keep_sending(desk.clone(), Arc::new(store)));
        Streams { desk, sender }
    }

    /// Opens the stream of one attempt.
    pub fn open(&self, task: i64, lease: Uuid) -> Outbox {
        Outbox::new(self.desk.clone(), task, lease)
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

/// Everything that is not stored is on the shelves: a sender that a mistake has ended is followed by another, so that no
/// attempt waits for nobody.
async fn keep_sending<S: Store>(desk: Arc<Desk>, store: Arc<S>) {
    loop {
        let mut running = JoinSet::new();
        running.spawn(Sender::new(desk.clone(), store.clone()).run());
        if let Some(Err(error)) = running.join_next().await {
            tracing::error!(%error, "sending stream events ended by a mistake, it begins again");
        }
        tokio::time::sleep(AFTER_A_MISTAKE).await;
    }
}
