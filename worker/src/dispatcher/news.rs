//! What reaches the dispatcher from outside: the doorbell and signals.

use tokio::time::Instant;

use super::{BEAT_GAP, DEAF_POLL, Dispatcher, Mode, STOP_LIMIT};
use crate::db::Ring;
use crate::runner::Order;
use crate::signals::Signal;

impl Dispatcher {
    pub(super) fn on_ring(&mut self, ring: Ring) {
        match ring {
            Ring::Listening { proved } => {
                self.away = false;
                self.said.remove("away");
                self.rings = proved;
                let message = if proved {
                    "listening, the doorbell rings".to_owned()
                } else {
                    format!(
                        "the doorbell does not ring here (a pooler in transaction mode?): looking for tasks every {} s",
                        DEAF_POLL.as_secs()
                    )
                };
                if self.is_news("doorbell", &message) {
                    if proved {
                        tracing::info!("{message}")
                    } else {
                        tracing::warn!("{message}")
                    }
                }
                // What rang while nobody listened is made up for by one look.
                self.activities.register.soon();
                self.activities.beat.soon();
                self.activities.claim.soon();
            }
            Ring::Frame(doorbell) => {
                self.activities.claim.soon();
                if self
                    .running
                    .values()
                    .any(|running| running.claim.run_id == doorbell.run_id)
                {
                    let since = self.last_beat.elapsed();
                    self.activities.beat.within(BEAT_GAP.saturating_sub(since));
                } else if self.held.contains(&doorbell.run_id) {
                    self.activities.tidy.soon();
                }
            }
            Ring::Lost(reason) => {
                let running = self.running.len();
                if !self.is_news("away", &reason) {
                    tracing::debug!(reason, "the server is still away");
                } else if self.away {
                    tracing::warn!(reason, "the server is still away");
                } else {
                    tracing::warn!(reason, running, "the server is away; what runs goes on");
                }
                self.away = true;
                self.said.remove("doorbell");
            }
        }
    }

    pub(super) fn on_signal(&mut self, signal: Signal) {
        match (signal, self.mode) {
            (Signal::Reload, Mode::Working) => {
                tracing::info!("reading settings and credentials again");
                self.activities.check.soon();
            }
            (Signal::Reload, _) => {}
            (Signal::Stop, Mode::Working) => {
                let running = self.running.len();
                tracing::info!(
                    running,
                    "draining: no new tasks; a second signal stops at once"
                );
                self.mode = Mode::Draining;
                self.systemd.stopping();
            }
            (Signal::Stop, Mode::Draining) => {
                let running = self.running.len();
                tracing::warn!(running, "stopping at once, tasks are handed back");
                self.mode = Mode::Stopping(Instant::now() + STOP_LIMIT);
                for running in self.running.values() {
                    running.orders.send_replace(Order::HandBack);
                }
            }
            (Signal::Stop, Mode::Stopping(_)) => self.mode = Mode::Stopping(Instant::now()),
        }
    }
}
