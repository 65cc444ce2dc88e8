//! Ready, alive and what is going on, told to systemd. Without it nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

/// The notification socket, and the watchdog if the unit has one.
#[derive(Debug)]
pub struct Systemd {
    period: Option<Duration>,
    next: Option<Instant>,
    status: String,
}

impl Systemd {
    /// Reads what systemd left in the environment.
    pub fn connect() -> Self {
        let period = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Systemd {
            period,
            next: period.map(|_| Instant::now()),
            status: String::new(),
        }
    }

    /// The worker has begun its work; that the server is away does not count against it.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// The worker takes no more tasks.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`; told when it changes.
    pub fn status(&mut self, status: &str) {
        if self.status != status {
            status.clone_into(&mut self.status);
            tell(&[NotifyState::Status(status)]);
        }
    }

    /// When [`Systemd::alive`] should be called next.
    pub fn due(&self) -> Option<Instant> {
        self.next
    }

    /// Feeds the watchdog if it is time.
    pub fn alive(&mut self) {
        if let (Some(period), Some(next)) = (self.period, self.next)
            && next <= Instant::now()
        {
            tell(&[NotifyState::Watchdog]);
            self.next = Some(Instant::now() + period);
        }
    }
}

fn tell(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}
