//! Several clients at once, each of which takes whatever is ready, and launches when too little is under way.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_postgres::Client;

use super::workload::Workload;

/// One client: it launches runs, takes tasks and completes them.
// Everything runs on one thread, so nobody asks whether the futures may travel.
#[allow(async_fn_in_trait)]
pub trait Player {
    type Task;
    /// Launches a run.
    async fn begin(&self, workload: &Workload);
    /// Takes a task, if one is ready.
    async fn take(&self) -> Option<Self::Task>;
    /// Completes it with the reply that its agent gives; the seed makes it differ from others.
    async fn complete(&self, workload: &Workload, task: Self::Task, seed: u64);
    fn session(&self) -> &Client;
}

/// What a crowd did.
#[derive(Debug, Clone, Copy)]
pub struct Played {
    pub time: Duration,
    /// Calls of the server, those that found nothing to take among them.
    pub calls: usize,
}

/// Nobody tells a client that a run is free which another held for a moment.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Plays so many runs of `tasks` tasks each; returns when the last has ended.
pub async fn play<P: Player>(
    players: &[P],
    workload: &Workload,
    runs: usize,
    tasks: usize,
) -> Played {
    let (launched, done, calls) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let news = Notify::new();
    let started = Instant::now();
    let client = async |player: &P| {
        while done.get() < runs * tasks {
            if launched.get() < runs && launched.get() - done.get() / tasks < players.len() {
                launched.set(launched.get() + 1);
                player.begin(workload).await;
                calls.set(calls.get() + 1);
                news.notify_waiters();
                continue;
            }
            let heard = news.notified();
            calls.set(calls.get() + 1);
            if let Some(task) = player.take().await {
                calls.set(calls.get() + 1);
                player.complete(workload, task, done.get() as u64).await;
                done.set(done.get() + 1);
                news.notify_waiters();
            } else if done.get() < runs * tasks {
                let _ = timeout(LOOK_AGAIN, heard).await;
            }
        }
    };
    join_all(players.iter().map(client)).await;
    Played {
        time: started.elapsed(),
        calls: calls.get(),
    }
}
