//! Advancing a run, once at a time in a session.

use pgrx::prelude::*;
use std::cell::Cell;

thread_local! {
    static ADVANCING: Cell<bool> = const { Cell::new(false) };
}

/// Clears the flag however the call ends: a PostgreSQL ERROR unwinds through here as a panic.
struct Advancing;

impl Advancing {
    /// `None` when this session is advancing already.
    fn enter() -> Option<Self> {
        // Lazily: a value made and dropped here would clear the flag of the advance that is under way.
        (!ADVANCING.replace(true)).then(|| Advancing)
    }
}

impl Drop for Advancing {
    fn drop(&mut self) {
        ADVANCING.set(false);
    }
}

/// Advances `run` after `step` has settled; with no step, starts whatever is due.
///
/// The steps that an advance settles itself fire the same triggers and come here again. They return at once, and the
/// loop that settled them goes on with them: chained triggers would meet the stack limit at a few hundred levels. The
/// flag is in the library and not in a setting, because a setting would obey whichever client made it.
#[pg_extern(name = "_run_advance")]
fn run_advance(run: i64, step: Option<&str>) {
    let Some(_advancing) = Advancing::enter() else {
        return;
    };
    if let Err(error) = Spi::run_with_args(
        "select conductor._run_advance_loop($1, $2)",
        &[run.into(), step.into()],
    ) {
        error!("advancing run {run}: {error}");
    }
}
