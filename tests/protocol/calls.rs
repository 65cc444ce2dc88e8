//! What a transaction writes once it holds the run, and when it must wait (`sql/6xx`, `sql/7xx`).
//!
//! From its lock on the run to its commit a transaction writes rows that nobody else writes
//! meanwhile, except the two that are taken without the run: rows of `tasks` by a heartbeat, the
//! counter by a stream. So all of it is one step, which waits for those two.

use crate::engine::Engine;
use crate::flaws::Flaw;
use crate::model::{MAX_ATTEMPTS, MAX_DEATHS, Protocol};
use crate::state::{Breach, Call, Child, Kind, Outcome, State, Status, Tables};

/// What a transaction has come to.
pub enum Applied {
    /// A lock that it needs is held.
    Waits,
    /// 40001: rolled back, to be tried again.
    Conflict,
    Committed(Box<State>),
}

/// The write of call `at`, which holds the run (or does without it, in a flawed protocol).
pub fn apply(model: &Protocol, state: &State, at: usize) -> Applied {
    let call = &state.calls[at];
    let others = || state.calls.iter().enumerate().filter(|(it, _)| *it != at);
    let held = others()
        .filter(|(_, it)| matches!(it.kind, Kind::Heartbeat { .. }))
        .fold(0, |mask, (_, it)| mask | it.tasks);
    let streaming = others().any(|(_, it)| it.locked && matches!(it.kind, Kind::Stream(_)));
    // `_task_changed` and `_frame` take the counter.
    if streaming && !model.has(Flaw::DropsDeltasTooEarly) {
        return Applied::Waits;
    }
    // Above READ COMMITTED the rows are those of the snapshot. The run was updated by whoever advanced it since.
    let written = |seen: &Tables| !seen.same_but_clocks(&state.tables);
    if call.seen.as_deref().is_some_and(written) && !model.has(Flaw::LockOnly) {
        return Applied::Conflict;
    }
    let sees = call.seen.as_deref().unwrap_or(&state.tables).clone();
    let mut engine = Engine::new(&model.plan, model.flaw, sees.clone());
    let cancels = matches!(call.kind, Kind::Cancel);
    if cancels && model.has(Flaw::CancelOnlySkips) {
        engine.skipped = held;
    }
    write(&mut engine, state, call, held);

    let touched = changed_tasks(&sees, &engine.tables);
    if touched & held & !engine.skipped != 0 {
        return Applied::Waits;
    }
    let mut next = state.clone();
    next.breaches.append(&mut engine.breaches);
    if !next.breaches.contains(&Breach::Error) {
        let stale = |it: Child| !state.tables.holds(it);
        if let (Some(child), true) = (call.kind.child(), engine.tables != sees)
            && stale(child)
        {
            next.breaches.insert(Breach::StaleWrite);
        }
        merge(&mut next.tables, &sees, engine.tables);
    }
    for (step, row) in next.tables.steps.iter().enumerate() {
        next.completed |= u8::from(row.status == Status::Completed) << step;
    }
    Applied::Committed(Box::new(next))
}

fn changed_tasks(before: &Tables, after: &Tables) -> u8 {
    let changed = |at: &usize| before.tasks[*at] != after.tasks[*at];
    (0..before.tasks.len())
        .filter(changed)
        .fold(0, |mask, at| mask | 1 << at)
}

/// Writes the rows that the transaction has changed over what is committed by now.
fn merge(into: &mut Tables, seen: &Tables, written: Tables) {
    if seen == into {
        *into = written;
        return;
    }
    if written.run != seen.run {
        into.run = written.run;
    }
    for (at, step) in written.steps.into_iter().enumerate() {
        if step != seen.steps[at] {
            into.steps[at] = step;
        }
    }
    for (at, task) in written.tasks.into_iter().enumerate() {
        match seen.tasks.get(at) {
            Some(former) if *former == task => {}
            Some(_) => into.tasks[at] = task,
            None => into.tasks.push(task),
        }
    }
}

fn write(engine: &mut Engine, state: &State, call: &Call, held: u8) {
    match call.kind {
        Kind::Claim { worker, task } => claim(engine, worker, task),
        Kind::Finish(child, outcome) => finish(engine, child, outcome),
        Kind::Release(child) => release(engine, child),
        Kind::Rescue => rescue(engine, state, call.tasks & !held, None),
        Kind::Register { worker } => rescue(engine, state, call.tasks & !held, Some(worker)),
        Kind::Cancel if engine.tables.run == Status::Running => engine.run_end(Status::Cancelled),
        Kind::CancelTask { task } if engine.tables.is_live(task) => {
            engine.set_task(task, Status::Cancelled);
        }
        Kind::Retry if matches!(engine.tables.run, Status::Failed | Status::Cancelled) => {
            retry(engine);
        }
        Kind::Cancel | Kind::CancelTask { .. } | Kind::Retry => {}
        Kind::Heartbeat { .. } | Kind::Stream(_) => unreachable!("they do not take the run"),
    }
}

/// `_claim_one`, with the run held: looks at run and task again.
fn claim(engine: &mut Engine, worker: u8, task: u8) {
    if engine.tables.run != Status::Running {
        return;
    }
    let row = &mut engine.tables.tasks[task as usize];
    if row.state != Status::Pending {
        if engine.flaw != Some(Flaw::ClaimWithoutLock) || row.state.is_settled() {
            return;
        }
        engine.breaches.insert(Breach::ClaimedTwice);
    }
    row.attempt += 1;
    row.claims += 1;
    row.lease = Some(row.claims);
    row.worker = Some(worker);
    engine.set_task(task, Status::Running);
}

/// `task_finish`, with run and task held.
fn finish(engine: &mut Engine, child: Child, outcome: Outcome) {
    let run = engine.tables.run;
    let row = &mut engine.tables.tasks[child.task as usize];
    let checks = engine.flaw != Some(Flaw::LateFinish);
    let repeats = engine.flaw == Some(Flaw::FinishCountsAgain) && row.state.is_settled();
    if checks && row.lease != Some(child.lease) || row.state != Status::Running && !repeats {
        return;
    }
    let counted = 1 << child.lease;
    if row.counted & counted != 0 {
        engine.breaches.insert(Breach::CountedTwice);
    }
    row.counted |= counted;
    let again = row.attempt - row.deaths < MAX_ATTEMPTS;
    let state = match outcome {
        _ if repeats => row.state,
        _ if run != Status::Running => Status::Cancelled,
        Outcome::Retryable if again => Status::Pending,
        Outcome::Retryable | Outcome::Failed => Status::Failed,
        Outcome::Completed => Status::Completed,
    };
    if state == Status::Pending {
        row.lease = None;
        row.worker = None;
    }
    engine.set_task(child.task, state);
}

/// `task_release`, with the run held. The trigger deletes the deltas of the attempt as it was.
fn release(engine: &mut Engine, child: Child) {
    if !engine.tables.holds(child) {
        return;
    }
    let running = engine.tables.run == Status::Running;
    let to = if running {
        Status::Pending
    } else {
        Status::Cancelled
    };
    engine.set_task(child.task, to);
    let row = &mut engine.tables.tasks[child.task as usize];
    row.attempt -= 1;
    row.lease = None;
    row.worker = None;
}

/// `_rescue`, with the run held, of those tasks that it has seen to be lost and that nobody holds.
pub fn rescue(engine: &mut Engine, state: &State, lost: u8, of: Option<u8>) {
    for task in 0..engine.tables.tasks.len() as u8 {
        let row = &engine.tables.tasks[task as usize];
        let still = match of {
            Some(worker) => {
                row.worker == Some(worker) || engine.flaw == Some(Flaw::RegisterTakesAny)
            }
            None => row.expired || engine.flaw == Some(Flaw::RescueLooksOnce),
        };
        if lost & (1 << task) == 0 || row.state != Status::Running || !still {
            continue;
        }
        let holder = |it: &Child| it.task == task && row.lease == Some(it.lease);
        let works = state
            .children
            .iter()
            .any(|it| holder(it) && state.up[it.worker as usize]);
        if works && !row.expired {
            engine.breaches.insert(Breach::TookHeld);
        }
        let fails = row.deaths + 1 >= MAX_DEATHS;
        let to = if fails {
            Status::Failed
        } else {
            Status::Pending
        };
        let row = &mut engine.tables.tasks[task as usize];
        row.deaths += 1;
        row.lease = None;
        row.worker = None;
        engine.set_task(task, to);
    }
}

/// `flow_retry`, with the run held.
fn retry(engine: &mut Engine) {
    let before = engine.tables.clone();
    engine.tables.run = Status::Running;
    for (at, row) in before.steps.iter().enumerate() {
        let mut needing = engine.plan.needing(at).peekable();
        let end = needing.peek().is_none();
        let undone = |it: usize| before.steps[it].status != Status::Completed;
        let again = matches!(row.status, Status::Failed | Status::Cancelled);
        if again && (end || needing.any(undone)) {
            let row = &mut engine.tables.steps[at];
            row.status = Status::Pending;
            if engine.flaw != Some(Flaw::RetryKeepsTask) {
                row.task = None;
            }
        }
    }
    for at in 0..engine.plan.0.len() {
        if engine.tables.steps[at].status == Status::Pending {
            let needs = engine.plan.0[at].needs.iter();
            let open = needs.filter(|it| !engine.tables.steps[**it].status.is_settled());
            engine.tables.steps[at].waiting = open.count() as u8;
        }
    }
    engine.advance(None);
}

impl Kind {
    /// The attempt that writes.
    pub fn child(self) -> Option<Child> {
        match self {
            Self::Finish(child, _) | Self::Stream(child) | Self::Release(child) => Some(child),
            _ => None,
        }
    }

    /// The worker that calls.
    pub fn worker(self) -> Option<u8> {
        match self {
            Self::Claim { worker, .. } | Self::Heartbeat { worker } => Some(worker),
            Self::Register { worker } => Some(worker),
            other => other.child().map(|it| it.worker),
        }
    }
}
