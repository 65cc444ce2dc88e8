//! What the outside world asks of the daemon.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc;

/// A signal, by what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: the first one drains, the second one stops at once.
    Stop,
    /// SIGHUP: settings and credentials are read again.
    Reload,
}

/// Takes the signals of this process from now on. They are received by a thread of its own, because a signal handler
/// may do next to nothing.
pub fn take() -> std::io::Result<mpsc::UnboundedReceiver<Signal>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let (tell, heard) = mpsc::unbounded_channel();
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                let meaning = if signal == SIGHUP {
                    Signal::Reload
                } else {
                    Signal::Stop
                };
                if tell.send(meaning).is_err() {
                    return;
                }
            }
        })?;
    Ok(heard)
}
