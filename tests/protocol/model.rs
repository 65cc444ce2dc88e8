//! The transitions: who may call what, and what a call does first.

use stateright::{Model, Property};

use crate::calls::rescue;
use crate::engine::Engine;
use crate::flaws::Flaw;
use crate::plan::Plan;
use crate::properties;
use crate::state::{Bounds, Breach, Call, Child, Kind, Outcome, State, Status};
use crate::steps::renewed;

pub const MAX_ATTEMPTS: u8 = 2;
pub const MAX_DEATHS: u8 = 2;

#[derive(Clone)]
pub struct Protocol {
    pub plan: Plan,
    pub flaw: Option<Flaw>,
    pub bounds: Bounds,
    /// How many transactions may be open at once.
    pub sessions: usize,
    /// Finishers run above READ COMMITTED: they see what was committed when they began.
    pub snapshots: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Begin(Kind),
    /// The call goes on: to its next lock, or to its commit.
    Step(usize),
    /// The call commits, and the connection breaks before the answer.
    Unheard(usize),
    /// The session of a dead worker is rolled back.
    Abort(usize),
    Expire(u8),
    Crash(u8),
}

impl Protocol {
    pub fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    fn begins(&self, state: &State, out: &mut Vec<Action>) {
        let mut begin = |kind: Kind| {
            if state.calls.iter().all(|it| it.kind != kind) {
                out.push(Action::Begin(kind));
            }
        };
        let tasks = 0..state.tables.tasks.len() as u8;
        let running = state.tables.run == Status::Running;
        let busy = |child: &Child| state.calls.iter().any(|it| it.kind.child() == Some(*child));
        for worker in (0..2_u8).filter(|it| !state.up[*it as usize]) {
            begin(Kind::Register { worker });
        }
        for worker in (0..2_u8).filter(|it| state.up[*it as usize]) {
            let claims =
                |it: &Call| matches!(it.kind, Kind::Claim { worker: by, .. } if by == worker);
            let claiming = state.calls.iter().any(claims);
            let pending = |it: &u8| state.tables.tasks[*it as usize].state == Status::Pending;
            for task in tasks
                .clone()
                .filter(|it| running && !claiming && pending(it))
            {
                begin(Kind::Claim { worker, task });
            }
            if state.left.heartbeats > 0 && state.children.iter().any(|it| it.worker == worker) {
                begin(Kind::Heartbeat { worker });
            }
        }
        for child in state.children.iter().filter(|it| !busy(it)) {
            begin(Kind::Finish(*child, Outcome::Completed));
            if state.left.failures > 0 {
                begin(Kind::Finish(*child, Outcome::Failed));
                begin(Kind::Finish(*child, Outcome::Retryable));
            }
            if state.left.streams > 0 {
                begin(Kind::Stream(*child));
            }
            if state.left.releases > 0 {
                begin(Kind::Release(*child));
            }
        }
        if state.tables.tasks_where(|it| it.expired) != 0 {
            begin(Kind::Rescue);
        }
        if state.left.cancels > 0 {
            begin(Kind::Cancel);
            for task in tasks.filter(|it| state.tables.is_live(*it)) {
                begin(Kind::CancelTask { task });
            }
        }
        if state.left.retries > 0 && matches!(state.tables.run, Status::Failed | Status::Cancelled)
        {
            begin(Kind::Retry);
        }
    }

    /// The first statements of a call, which lock nothing.
    fn begin(&self, state: &State, kind: Kind) -> State {
        let mut next = state.clone();
        let left = &mut next.left;
        match kind {
            Kind::Finish(_, Outcome::Failed | Outcome::Retryable) => left.failures -= 1,
            Kind::Stream(_) => left.streams -= 1,
            Kind::Release(_) => left.releases -= 1,
            Kind::Heartbeat { .. } => left.heartbeats -= 1,
            Kind::Cancel | Kind::CancelTask { .. } => left.cancels -= 1,
            Kind::Retry => left.retries -= 1,
            _ => {}
        }
        let tables = &state.tables;
        if let Some(child) = kind.child() {
            let row = &tables.tasks[child.task as usize];
            let current = row.lease == Some(child.lease);
            let runs = row.state == Status::Running;
            let let_in = match kind {
                // A finish that is repeated is let in: it is told what became of the first.
                Kind::Finish(..) => current || runs && self.has(Flaw::LateFinish),
                Kind::Stream(_) => runs && (current || self.has(Flaw::LateStream)),
                _ => current && runs,
            };
            if !let_in {
                // QC001: the worker ends the child.
                next.children.retain(|it| *it != child);
                return next;
            }
        }
        let mut call = Call {
            kind,
            locked: false,
            tasks: 0,
            seen: None,
        };
        match kind {
            Kind::Finish(..) if self.snapshots => call.seen = Some(Box::new(tables.clone())),
            Kind::Stream(child) => call.tasks = tables.tasks[child.task as usize].attempt,
            Kind::Rescue => call.tasks = tables.tasks_where(|it| it.expired),
            Kind::Register { worker } => {
                let held = |it: &crate::state::Task| it.state == Status::Running;
                call.tasks = tables.tasks_where(|it| held(it) && it.worker == Some(worker));
            }
            Kind::Heartbeat { worker } => {
                if self.has(Flaw::RescueBeforeRenewal) {
                    self.rescue_first(&mut next, worker);
                }
                call.tasks = renewed(&next, worker);
            }
            _ => {}
        }
        next.calls.push(call);
        next
    }

    /// What a heartbeat did that took back what had expired before it renewed its own.
    fn rescue_first(&self, state: &mut State, worker: u8) {
        if state.calls.iter().any(|it| it.locked) {
            return;
        }
        let asked = renewed(state, worker);
        let expired = state.tables.tasks_where(|it| it.expired);
        let mut engine = Engine::new(&self.plan, self.flaw, state.tables.clone());
        rescue(&mut engine, state, expired, None);
        state.tables = engine.tables;
        if renewed(state, worker) != asked {
            state.breaches.insert(Breach::TookOwn);
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            tables: Engine::launch(&self.plan, self.flaw),
            calls: Vec::new(),
            children: Vec::new(),
            up: [true; 2],
            left: self.bounds,
            completed: 0,
            breaches: Default::default(),
        }]
    }

    fn actions(&self, state: &State, out: &mut Vec<Action>) {
        for (at, call) in state.calls.iter().enumerate() {
            out.push(Action::Step(at));
            if state.left.lost_answers > 0 && call.locked && matches!(call.kind, Kind::Finish(..)) {
                out.push(Action::Unheard(at));
            }
            if call.kind.worker().is_some_and(|it| !state.up[it as usize])
                && !matches!(call.kind, Kind::Register { .. })
            {
                out.push(Action::Abort(at));
            }
        }
        if state.calls.len() < self.sessions {
            self.begins(state, out);
        }
        if state.left.expiries > 0 {
            let tasks = state.tables.tasks.iter().enumerate();
            let due = tasks.filter(|(_, it)| it.state == Status::Running && !it.expired);
            out.extend(due.map(|(at, _)| Action::Expire(at as u8)));
        }
        if state.left.crashes > 0 {
            let up = (0..2_u8).filter(|it| state.up[*it as usize]);
            out.extend(up.map(Action::Crash));
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Begin(kind) => next = self.begin(state, kind),
            Action::Step(at) => next = self.step(state, at, true)?,
            Action::Unheard(at) => {
                next = self.step(state, at, false)?;
                next.left.lost_answers -= 1;
            }
            Action::Abort(at) => drop(next.calls.remove(at)),
            Action::Expire(task) => {
                next.tables.tasks[task as usize].expired = true;
                next.left.expiries -= 1;
            }
            Action::Crash(worker) => {
                next.up[worker as usize] = false;
                next.children.retain(|it| it.worker != worker);
                next.left.crashes -= 1;
            }
        }
        Some(next.canonical())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self.flaw)
    }
}
