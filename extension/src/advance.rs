//! Advancing a run, once at a time in a session.

use pgrx::prelude::*;
use std::cell::RefCell;

thread_local! {
    /// The runs that this session is advancing: more than one when somebody's trigger launches another on the way.
    static ADVANCING: RefCell<Vec<i64>> = const { RefCell::new(Vec::new()) };
}

/// Forgets the run however the call ends: a PostgreSQL ERROR unwinds through here as a panic.
struct Advancing;

impl Advancing {
    /// `None` when this session is advancing the run already.
    fn enter(run: i64) -> Option<Self> {
        ADVANCING.with_borrow_mut(|runs| {
            if runs.contains(&run) {
                return None;
            }
            runs.push(run);
            Some(Advancing)
        })
    }
}

impl Drop for Advancing {
    fn drop(&mut self) {
        ADVANCING.with_borrow_mut(|runs| runs.pop());
    }
}

/// Advances `run` after `step` has settled; with no step, starts whatever is due.
///
/// The steps that an advance settles itself fire the same triggers and come here again. They return at once, and the
/// loop that settled them goes on with them: chained triggers would meet the stack limit at a few hundred levels. The
/// flag is in the library and not in a setting, because a setting would obey whichever client made it.
#[pg_extern(name = "_run_advance")]
fn run_advance(run: i64, step: Option<&str>) {
    let Some(_advancing) = Advancing::enter(run) else {
        return;
    };
    if let Err(error) = Spi::run_with_args(
        "select conductor._run_advance_loop($1, $2)",
        &[run.into(), step.into()],
    ) {
        error!("advancing run {run}: {error}");
    }
}
