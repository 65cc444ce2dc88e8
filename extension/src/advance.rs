//! Advancing a run, once at a time in a session.

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::{self, OwnedPreparedStatement};
use std::cell::RefCell;

thread_local! {
    /// The plan of the call of the loop.
    static PLAN: RefCell<Option<OwnedPreparedStatement>> = const { RefCell::new(None) };

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

/// Whether this session is advancing the run: then it holds the run's lock, has updated it, and goes on by itself with
/// what it settles.
#[pg_extern(name = "_advancing", volatile)]
fn advancing(run: i64) -> bool {
    ADVANCING.with_borrow(|runs| runs.contains(&run))
}

/// Starts whatever is due in `run`. Schema 0.1.0 also names a `step` that has settled.
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

/// Advances `run` after `step` has settled with `status`. The caller has updated the run already, and says whether its
/// budget is `spent`.
///
/// The steps that an advance settles itself fire the same triggers and come here again. They return at once, and the
/// loop that settled them goes on with them: chained triggers would meet the stack limit at a few hundred levels. The
/// flag is in the library and not in a setting, because a setting would obey whichever client made it.
#[pg_extern(name = "_run_settled")]
fn run_settled(run: i64, step: &str, status: &str, spent: bool) {
    let Some(_advancing) = Advancing::enter(run) else {
        return;
    };
    let arguments = [run.into(), step.into(), status.into(), spent.into()];
    if let Err(error) = advance(&arguments) {
        error!("advancing run {run}: {error}");
    }
}

const LOOP: &str = "select conductor._run_advance_loop($1, $2, $3, $4)";

/// Calls the loop with a plan that the session keeps.
fn advance(arguments: &[DatumWithOid<'_>]) -> Result<(), spi::SpiError> {
    Spi::connect_mut(|client| {
        if PLAN.with_borrow(Option::is_none) {
            let types = [
                PgBuiltInOids::INT8OID.into(),
                PgBuiltInOids::TEXTOID.into(),
                PgBuiltInOids::TEXTOID.into(),
                PgBuiltInOids::BOOLOID.into(),
            ];
            let plan = client.prepare_mut(LOOP, &types)?.keep();
            PLAN.replace(Some(plan));
        }
        // Somebody's trigger may launch another run on the way, which comes here while the plan is in use.
        PLAN.with_borrow(|plan| match plan {
            Some(plan) => client.update(plan, None, arguments).map(drop),
            None => Ok(()),
        })
    })
}
