//! The dispatch protocol as a model that is explored exhaustively.
//!
//! Modelled: one run of a small plan, two workers, and what they and people do with it at once:
//! `task_claim`, `task_heartbeat`, `task_stream`, `task_finish` (completed, failed, retryable; its
//! answer lost and the call repeated), `task_release`, `_rescue` (of expired leases, and by
//! `worker_register` of a new process), `flow_cancel`, `task_cancel`, `flow_retry`; workers that
//! die with calls under way and come back; children that write with a lease they have lost; and
//! the advance with its triggers. A call is split where another can come between: after its
//! unlocked reads, and while it holds the run, the counter (a stream) or rows of `tasks` (a
//! heartbeat). A call that passes over a locked run gives up. Sessions, and workers, are alike, so
//! states that differ by their names alone are one. How often each thing goes wrong is bounded,
//! and only that makes the states finitely many.
//!
//! `worker_stream` is, for one run, as many `task_stream`s as it has batches of it, one after the other; where it passes
//! over a counter, none.
//!
//! Not modelled: several runs, the row of `dispatch` and the limits it keeps, budgets, conditions
//! and fan-outs (see `flows/src/advance.rs` and the test `advance_model`), `available_at` (any
//! pending task may come first), a raw `UPDATE tasks` and what cleans up after one
//! (`_settle_lagging`, `_end_tasks` of a run that has ended, `flow_resume`), deleted rows, copies
//! of a database, pruning and forks, snapshots and versions of workers, a finish with the state
//! cancelled, and the leases that a rescue spares because their worker is just asking. Waiting for a
//! lock has no limit here. Defects that were found in what is not modelled are kept in
//! `tests/mutants.toml`.
//!
//! *Settles* means: from every state that is reached, workers who keep working bring the run to
//! its end; and of open calls one can always go on, so none of them waits for another in a circle.
//!
//! Every other defect that was found is kept as a [`Flaw`]: the model with that protection taken out,
//! which must break the rule that is named for it.

mod calls;
mod engine;
mod flaws;
mod model;
mod plan;
mod properties;
mod scopes;
mod state;
mod steps;

use std::collections::BTreeSet;
use std::time::Instant;

use flaws::Flaw;
use scopes::Scope;
use stateright::{Checker, HasDiscoveries, Model};

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn every_state_of_the_protocol_keeps_every_rule() {
    let begun = Instant::now();
    let (mut states, mut reached) = (0, BTreeSet::new());
    for (scope, at_least) in Scope::ALL {
        let checker = scope.model(None).checker();
        let checker = checker.threads(threads()).spawn_bfs().join();
        let found = checker.unique_state_count();
        println!(
            "{scope:?}: {found} states, {} transitions, at most {} steps deep, after {:.1} s",
            checker.state_count(),
            checker.max_depth(),
            begun.elapsed().as_secs_f64()
        );
        for (rule, _) in properties::RULES {
            checker.assert_no_discovery(rule);
        }
        assert!(found >= at_least, "{scope:?} explores too little");
        reached.extend(checker.discoveries().into_keys());
        states += found;
    }
    println!("{states} states in {:.1} s", begun.elapsed().as_secs_f64());
    for (event, _) in properties::REACHED {
        assert!(reached.contains(event), "never: {event}");
    }
}

#[test]
fn every_invariant_of_the_database_is_a_rule_here_or_named_as_not_modelled() {
    let check = include_str!("../../sql/730_flow_check.sql");
    let after = |rest: &str| rest.split_once('\'').map(|(name, _)| name.to_owned());
    let invariants: BTreeSet<String> = check.split("select '").skip(1).filter_map(after).collect();
    assert!(invariants.len() > 10, "{invariants:?}");
    // Rules of the model's own are sentences.
    let rules = properties::RULES.iter().map(|(name, _)| *name);
    let shared = rules.filter(|name| !name.contains(' '));
    let named: BTreeSet<String> = shared
        .chain(properties::NOT_MODELLED)
        .map(str::to_owned)
        .collect();
    assert_eq!(named, invariants);
}

#[test]
fn every_defect_that_was_found_breaks_its_rule() {
    for flaw in Flaw::ALL {
        let checker = flaw.scope().model(Some(flaw)).checker();
        let checker = checker.finish_when(HasDiscoveries::Any).spawn_bfs().join();
        let states = checker.unique_state_count();
        let Some(path) = checker.discovery(flaw.caught_by()) else {
            panic!("{flaw:?} breaks nothing in {states} states");
        };
        let steps = path.into_actions().len();
        println!(
            "{flaw:?}: {} after {steps} steps, {states} states",
            flaw.caught_by()
        );
    }
}
