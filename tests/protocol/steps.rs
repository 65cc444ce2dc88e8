//! The atomic steps of an open call, from lock to lock and to its commit.

use crate::calls::{Applied, apply};
use crate::flaws::Flaw;
use crate::model::Protocol;
use crate::state::{Breach, Call, Child, Kind, State, Status};

impl Protocol {
    /// The next atomic step of call `at`; `None` while it waits.
    pub fn step(&self, state: &State, at: usize, heard: bool) -> Option<State> {
        let call = &state.calls[at];
        let run_held = || {
            let of_run = |it: &Call| it.locked && !matches!(it.kind, Kind::Stream(_));
            state.calls.iter().any(of_run)
        };
        let mut next = state.clone();
        match call.kind {
            Kind::Heartbeat { worker } => {
                self.heartbeat(&mut next, worker, call.tasks);
                next.calls.remove(at);
            }
            Kind::Stream(child) => return self.stream(state, at, child),
            Kind::Claim { .. } if self.has(Flaw::ClaimWithoutLock) => {
                return self.commit(state, at, heard);
            }
            _ if call.locked => return self.commit(state, at, heard),
            // Those that pass over a locked run give up.
            Kind::Claim { .. } | Kind::Rescue | Kind::Register { .. } if run_held() => {
                end(&mut next, at, heard);
            }
            _ if run_held() => return None,
            _ => next.calls[at].locked = true,
        }
        Some(next)
    }

    fn commit(&self, state: &State, at: usize, heard: bool) -> Option<State> {
        match apply(self, state, at) {
            Applied::Waits => None,
            Applied::Conflict => {
                let mut next = state.clone();
                next.calls.remove(at);
                Some(next)
            }
            Applied::Committed(mut next) => {
                end(&mut next, at, heard);
                Some(*next)
            }
        }
    }

    /// `task_heartbeat` renews what it holds, commits, and its worker ends the children that it is told of.
    fn heartbeat(&self, state: &mut State, worker: u8, renewed: u8) {
        let tables = &mut state.tables;
        for task in (0..tables.tasks.len()).filter(|it| renewed & (1 << it) != 0) {
            tables.tasks[task].expired = false;
        }
        let over = |it: &Child| {
            it.worker == worker && (!state.tables.holds(*it) || state.tables.run != Status::Running)
        };
        let busy: Vec<Child> = state
            .calls
            .iter()
            .filter_map(|it| it.kind.child())
            .collect();
        state.children.retain(|it| !over(it) || busy.contains(it));
    }

    /// `task_stream`: looks at the lease, takes the counter, looks again, commits.
    fn stream(&self, state: &State, at: usize, child: Child) -> Option<State> {
        let mut next = state.clone();
        let row = &mut next.tables.tasks[child.task as usize];
        if state.calls[at].locked {
            row.deltas |= 1 << state.calls[at].tasks;
            next.calls.remove(at);
            return Some(next);
        }
        let taken = |it: &Call| it.locked && matches!(it.kind, Kind::Stream(_));
        if state.calls.iter().any(taken) {
            return None;
        }
        let unchecked = self.has(Flaw::StreamLooksOnce) || self.has(Flaw::LateStream);
        if state.tables.holds(child) || unchecked {
            if !state.tables.holds(child) {
                next.breaches.insert(Breach::StaleWrite);
            }
            next.calls[at].locked = true;
        } else {
            next.calls.remove(at);
            next.children.retain(|it| *it != child);
        }
        Some(next)
    }
}

/// The tasks that a heartbeat locks: those whose leases its worker names.
pub fn renewed(state: &State, worker: u8) -> u8 {
    let own = state.children.iter().filter(|it| it.worker == worker);
    own.filter(|it| state.tables.holds(**it))
        .fold(0, |mask, it| mask | 1 << it.task)
}

/// The call is over, and its client hears of it or not.
fn end(state: &mut State, at: usize, heard: bool) {
    match state.calls.remove(at).kind {
        Kind::Claim { worker, task } => {
            let row = &state.tables.tasks[task as usize];
            let known = |it: &Child| it.task == task && Some(it.lease) == row.lease;
            let taken = row.state == Status::Running && row.worker == Some(worker);
            if let (Some(lease), true, true) =
                (row.lease, taken, heard && state.up[worker as usize])
                && !state.children.iter().any(known)
            {
                state.children.push(Child {
                    task,
                    lease,
                    worker,
                });
            }
        }
        Kind::Finish(child, _) | Kind::Release(child) if heard => {
            state.children.retain(|it| *it != child);
        }
        Kind::Register { worker } => state.up[worker as usize] = true,
        _ => {}
    }
}
