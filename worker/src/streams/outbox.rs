//! The stream of one attempt: the attempt puts events in at one end, the sender takes them out at the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::Desk;
use super::batch::{Batch, CALL_BYTES};
use crate::db::Parcel;
use crate::events::Event;

/// The lease of the stream is no longer valid; nothing of it is sent any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale;

/// The attempt's end. Dropping it gives up what was not sent.
pub struct Outbox {
    shelf: Arc<Shelf>,
    desk: Arc<Desk>,
}

/// Where the two ends meet.
pub(super) struct Shelf {
    task: i64,
    lease: Uuid,
    state: Mutex<State>,
    /// A batch was answered.
    news: Notify,
}

#[derive(Default)]
pub(super) struct State {
    batch: Batch,
    /// What was taken and is not known to be stored, and its size: it is sent again as it is.
    flight: Option<(Arc<Vec<Event>>, usize)>,
    /// How often in a row its run was busy.
    pub busy: u32,
    /// Somebody waits for all of it to be stored.
    pub urgent: bool,
    stale: bool,
    closed: bool,
    /// The call of its own that is under way.
    pub alone: Option<AbortHandle>,
}

/// How soon a stream wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Haste {
    None,
    Usual,
    AtOnce,
}

impl State {
    pub fn haste(&self) -> Haste {
        if self.closed || self.stale || self.alone.is_some() || self.is_empty() {
            Haste::None
        } else if self.urgent || self.batch.bytes() >= CALL_BYTES && self.flight.is_none() {
            Haste::AtOnce
        } else {
            Haste::Usual
        }
    }

    fn valid(&self) -> Result<(), Stale> {
        if self.stale { Err(Stale) } else { Ok(()) }
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn is_empty(&self) -> bool {
        self.flight.is_none() && self.batch.is_empty()
    }
}

impl Outbox {
    pub(super) fn new(desk: Arc<Desk>, task: i64, lease: Uuid) -> Self {
        let shelf = Arc::new(Shelf {
            task,
            lease,
            state: Mutex::default(),
            news: Notify::new(),
        });
        desk.open().push(shelf.clone());
        Outbox { shelf, desk }
    }

    /// Puts in an event; never waits. Ask [`Outbox::is_full`] before there is more.
    pub fn push(&self, event: Event) {
        let mut state = self.shelf.state();
        let before = state.haste();
        state.batch.push(event);
        let hastier = state.haste() > before;
        drop(state);
        if hastier {
            self.desk.wake.notify_one();
        }
    }

    /// True when the child must wait, until [`Outbox::news`].
    pub fn is_full(&self) -> bool {
        let share = self.desk.share();
        self.shelf.state().batch.is_full(share)
    }

    /// Resolves when a batch has been answered since. Cancel-safe.
    pub async fn news(&self) -> Result<(), Stale> {
        self.shelf.news.notified().await;
        self.shelf.state().valid()
    }

    /// Asks for everything to be sent at once; resolves when it is stored or left out. Cancel-safe.
    pub async fn flush(&self) -> Result<(), Stale> {
        loop {
            {
                let mut state = self.shelf.state();
                state.valid()?;
                state.urgent = !state.is_empty();
                if !state.urgent {
                    return Ok(());
                }
            }
            self.desk.wake.notify_one();
            self.shelf.news.notified().await;
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let mut state = self.shelf.state();
        state.closed = true;
        state.batch = Batch::default();
        if let Some(call) = state.alone.take() {
            call.abort();
        }
        drop(state);
        self.desk
            .open()
            .retain(|shelf| !Arc::ptr_eq(shelf, &self.shelf));
    }
}

impl Shelf {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn task(&self) -> i64 {
        self.task
    }

    /// What is to be sent next, and its size: what was not stored before, else the next events. None when there is
    /// nothing to send now.
    pub fn parcel(&self) -> Option<(Parcel, usize)> {
        let mut state = self.state();
        if state.haste() == Haste::None {
            return None;
        }
        let (events, bytes) = match &state.flight {
            Some((events, bytes)) => (events.clone(), *bytes),
            None => {
                let (events, bytes) = state.batch.take();
                let events = Arc::new(events);
                state.flight = Some((events.clone(), bytes));
                (events, bytes)
            }
        };
        let parcel = Parcel {
            task: self.task,
            lease: self.lease,
            events,
        };
        Some((parcel, bytes))
    }

    /// What was taken is stored, or left out; the rest may follow.
    pub fn answered(&self) {
        let mut state = self.state();
        state.flight = None;
        state.busy = 0;
        drop(state);
        self.news.notify_one();
    }

    /// Nothing of it will be stored any more.
    pub fn lost(&self) {
        let mut state = self.state();
        state.stale = true;
        state.flight = None;
        state.batch = Batch::default();
        drop(state);
        self.news.notify_one();
    }
}
