//! What is stored, who works, and which transactions are open.

use std::collections::BTreeSet;

/// The status of a step, the state of a task, or the status of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    Pending,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// A row of `flow_steps`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Step {
    pub status: Status,
    pub waiting: u8,
    pub task: Option<u8>,
}

/// A row of `tasks`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Task {
    pub step: u8,
    pub state: Status,
    pub attempt: u8,
    pub deaths: u8,
    /// How often it was claimed: what makes each lease another token.
    pub claims: u8,
    pub lease: Option<u8>,
    pub worker: Option<u8>,
    /// `lease_expires_at` has passed.
    pub expired: bool,
    /// The attempts of which deltas stand in `frames`, one bit each.
    pub deltas: u8,
    /// The leases whose tokens the run has counted, one bit each.
    pub counted: u8,
}

/// All committed rows of the run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tables {
    pub run: Status,
    pub steps: Vec<Step>,
    pub tasks: Vec<Task>,
}

/// What no row says afterwards: each is remembered, and a property forbids it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Breach {
    /// A write with a lease that is not the task's any more changed something.
    StaleWrite,
    /// A task was taken back from a live worker whose lease holds.
    TookHeld,
    /// A heartbeat took back what it was asked to renew.
    TookOwn,
    /// A task was claimed that was not pending.
    ClaimedTwice,
    /// A step was dispatched that was not pending.
    StartedAgain,
    /// A step was started before what it needs had settled.
    StartedEarly,
    /// A run that had ended ended again.
    EndedTwice,
    /// The tokens of an attempt were counted again.
    CountedTwice,
    /// A call met an error of its own (a violated CHECK) and was rolled back for good.
    Error,
}

/// An agent's process, with the lease that its worker believes it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Child {
    pub task: u8,
    pub lease: u8,
    pub worker: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    Completed,
    Failed,
    Retryable,
}

/// A call of the SQL surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `task_claim`; the task is the one whose `available_at` has come first.
    Claim { worker: u8, task: u8 },
    /// `task_finish`.
    Finish(Child, Outcome),
    /// `task_stream`.
    Stream(Child),
    /// `task_release`.
    Release(Child),
    /// `task_heartbeat`.
    Heartbeat { worker: u8 },
    /// `_rescue` of expired leases, by whoever calls it.
    Rescue,
    /// `worker_register` of a new process, which takes back what the former one held.
    Register { worker: u8 },
    /// `flow_cancel`.
    Cancel,
    /// `task_cancel`.
    CancelTask { task: u8 },
    /// `flow_retry`.
    Retry,
}

/// An open transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    pub kind: Kind,
    /// It holds the run's row; a stream the counter; a heartbeat the rows of `tasks`.
    pub locked: bool,
    /// Tasks that it has seen to be lost, or holds: one bit each. Of a stream, the attempt.
    pub tasks: u8,
    /// Above READ COMMITTED: what it sees.
    pub seen: Option<Box<Tables>>,
}

/// What may still go wrong, so that the states are finitely many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bounds {
    pub failures: u8,
    pub expiries: u8,
    pub crashes: u8,
    pub cancels: u8,
    pub retries: u8,
    pub releases: u8,
    pub lost_answers: u8,
    pub heartbeats: u8,
    pub streams: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    pub tables: Tables,
    pub calls: Vec<Call>,
    pub children: Vec<Child>,
    pub up: [bool; 2],
    pub left: Bounds,
    /// Steps that have completed once, one bit each.
    pub completed: u8,
    pub breaches: BTreeSet<Breach>,
}

impl Tables {
    pub fn is_live(&self, task: u8) -> bool {
        !self.tasks[task as usize].state.is_settled()
    }

    /// Whether nothing was written since that the run, its counter or a step would tell of: a lease that runs out or is
    /// renewed touches none of them.
    pub fn same_but_clocks(&self, other: &Self) -> bool {
        let tasks = || self.tasks.iter().zip(&other.tasks);
        let same = |(a, b): (&Task, &Task)| {
            Task {
                expired: b.expired,
                ..a.clone()
            } == *b
        };
        self.run == other.run
            && self.steps == other.steps
            && self.tasks.len() == other.tasks.len()
            && tasks().all(same)
    }

    /// Whether the lease is that of the attempt which runs.
    pub fn holds(&self, child: Child) -> bool {
        let task = &self.tasks[child.task as usize];
        task.lease == Some(child.lease) && task.state == Status::Running
    }

    pub fn tasks_where(&self, wanted: impl Fn(&Task) -> bool) -> u8 {
        let tasks = self.tasks.iter().enumerate();
        tasks.fold(0, |mask, (at, task)| mask | (u8::from(wanted(task)) << at))
    }
}

impl State {
    /// The worker's processes are alike, and so are the sessions: one state stands for all of a kind.
    pub fn canonical(mut self) -> Self {
        self.sort();
        let other = self.swapped();
        if other < self { other } else { self }
    }

    fn sort(&mut self) {
        self.calls.sort();
        self.children.sort();
    }

    fn swapped(&self) -> Self {
        let mut state = self.clone();
        state.up.swap(0, 1);
        let child = |it: Child| Child {
            worker: 1 - it.worker,
            ..it
        };
        state.children.iter_mut().for_each(|it| *it = child(*it));
        let swap = |tables: &mut Tables| {
            for worker in tables.tasks.iter_mut().filter_map(|it| it.worker.as_mut()) {
                *worker = 1 - *worker;
            }
        };
        swap(&mut state.tables);
        for call in &mut state.calls {
            call.seen.iter_mut().for_each(|seen| swap(seen));
            call.kind = match call.kind {
                Kind::Claim { worker, task } => Kind::Claim {
                    worker: 1 - worker,
                    task,
                },
                Kind::Finish(it, outcome) => Kind::Finish(child(it), outcome),
                Kind::Stream(it) => Kind::Stream(child(it)),
                Kind::Release(it) => Kind::Release(child(it)),
                Kind::Heartbeat { worker } => Kind::Heartbeat { worker: 1 - worker },
                Kind::Register { worker } => Kind::Register { worker: 1 - worker },
                other => other,
            };
        }
        state.sort();
        state
    }
}
