//! The engine (`sql/3xx`): what follows, in one transaction, from a task's new state. The caller holds the run.

use std::collections::BTreeSet;

use crate::flaws::Flaw;
use crate::plan::{Join, Plan};
use crate::state::{Breach, Status, Step, Tables, Task};

/// The rows as one transaction sees and writes them.
pub struct Engine<'a> {
    pub plan: &'a Plan,
    pub flaw: Option<Flaw>,
    pub tables: Tables,
    /// Rows of `tasks` that others hold and that are passed over for good.
    pub skipped: u8,
    pub breaches: BTreeSet<Breach>,
    /// Thread-local `ADVANCING` of `extension/src/advance.rs`.
    advancing: bool,
}

impl<'a> Engine<'a> {
    pub fn new(plan: &'a Plan, flaw: Option<Flaw>, tables: Tables) -> Self {
        Self {
            plan,
            flaw,
            tables,
            skipped: 0,
            breaches: BTreeSet::new(),
            advancing: false,
        }
    }

    /// `_run_insert` and the first advance.
    pub fn launch(plan: &'a Plan, flaw: Option<Flaw>) -> Tables {
        let step = |it: &crate::plan::PlanStep| Step {
            status: Status::Pending,
            waiting: it.needs.len() as u8,
            task: None,
        };
        let tables = Tables {
            run: Status::Running,
            steps: plan.0.iter().map(step).collect(),
            tasks: Vec::new(),
        };
        let mut engine = Self::new(plan, flaw, tables);
        engine.advance(None);
        engine.tables
    }

    /// An update of `tasks.state` with its triggers `_task_guard` and `_task_changed`.
    pub fn set_task(&mut self, task: u8, state: Status) {
        let row = &mut self.tables.tasks[task as usize];
        if row.state == state {
            return;
        }
        if row.state.is_settled() {
            self.breaches.insert(Breach::Error);
            return;
        }
        if row.state == Status::Running {
            // Under the counter: whatever this attempt has streamed is committed by now.
            row.deltas &= !(1 << row.attempt);
        }
        row.state = state;
        row.expired = false;
        let follows = |it: &Step| it.task == Some(task) && !it.status.is_settled();
        if let Some(step) = self.tables.steps.iter().position(follows) {
            self.set_step(step, state);
        }
    }

    /// An update of `flow_steps.status` with its trigger `_step_changed`.
    fn set_step(&mut self, step: usize, status: Status) {
        if std::mem::replace(&mut self.tables.steps[step].status, status) == status {
            return;
        }
        if status == Status::Running && !self.needs_settled(step) {
            self.breaches.insert(Breach::StartedEarly);
        }
        if status.is_settled() {
            self.advance(Some(step));
        }
    }

    /// `_run_advance`: an advance that is under way goes on with what it settles itself.
    pub fn advance(&mut self, step: Option<usize>) {
        if self.advancing {
            // A guard that was made and dropped here cleared the flag of the advance under way.
            self.advancing = self.flaw != Some(Flaw::GuardClearsItself);
            return;
        }
        self.advancing = true;
        self.advance_loop(step);
        self.advancing = false;
    }

    /// `_run_advance_loop`.
    fn advance_loop(&mut self, step: Option<usize>) {
        if self.tables.run != Status::Running {
            return;
        }
        let mut settled: Vec<usize> = step.into_iter().collect();
        let mut ready: Vec<usize> = Vec::new();
        if step.is_none() {
            let due = |at: &usize| self.is_due(*at);
            ready = (0..self.plan.0.len()).filter(due).collect();
        }
        let mut bad = None;
        loop {
            if !settled.is_empty() {
                bad = self.fatal(&settled);
                if bad.is_some() {
                    break;
                }
                ready = self.count_down(&settled);
            }
            settled.clear();
            if ready.is_empty() {
                break;
            }
            for step in std::mem::take(&mut ready) {
                if let Some(status) = self.joins_nothing(step) {
                    self.set_step(step, status);
                    settled.push(step);
                } else if self.plan.0[step].agent {
                    self.dispatch(step);
                } else {
                    if !self.needs_settled(step) {
                        self.breaches.insert(Breach::StartedEarly);
                    }
                    self.set_step(step, Status::Completed);
                    settled.push(step);
                }
            }
            if settled.is_empty() {
                break;
            }
        }
        if let Some(step) = bad {
            self.run_end(self.tables.steps[step].status);
        } else if self.tables.steps.iter().all(|it| it.status.is_settled()) {
            self.set_run(Status::Completed);
        }
    }

    fn is_due(&self, step: usize) -> bool {
        let row = &self.tables.steps[step];
        let dispatched = row.task.is_some_and(|task| self.tables.is_live(task));
        row.status == Status::Pending && row.waiting == 0 && !dispatched
    }

    fn fatal(&self, settled: &[usize]) -> Option<usize> {
        let status = |at: usize| self.tables.steps[at].status;
        let needed = |at: usize| {
            let mut needing = self.plan.needing(at);
            needing.any(|it| self.plan.0[it].join == Join::All && status(it) == Status::Pending)
        };
        let with = |wanted: Status| {
            let mut steps = settled.iter().copied();
            steps.find(|at| status(*at) == wanted && (self.plan.0[*at].vital || needed(*at)))
        };
        with(Status::Failed).or_else(|| with(Status::Cancelled))
    }

    /// Counts down what waits for the settled steps; what waits for nothing any more is ready.
    fn count_down(&mut self, settled: &[usize]) -> Vec<usize> {
        let mut ready = BTreeSet::new();
        for step in settled.iter().flat_map(|need| self.plan.needing(*need)) {
            let pending = self.tables.steps[step].status == Status::Pending;
            if self.flaw == Some(Flaw::LockOnly) {
                // The first design read statuses, and wrote nothing that another finisher writes too.
                if pending && self.needs_settled(step) {
                    ready.insert(step);
                }
                continue;
            }
            if !pending && self.flaw != Some(Flaw::CountsDownWhatIsOver) {
                continue;
            }
            let waiting = &mut self.tables.steps[step].waiting;
            match waiting.checked_sub(1) {
                Some(left) => *waiting = left,
                // The CHECK flow_steps_waiting_not_negative.
                None => drop(self.breaches.insert(Breach::Error)),
            }
            if *waiting == 0 && pending {
                ready.insert(step);
            }
        }
        ready.into_iter().collect()
    }

    /// How a step settles that joins any of its needs when none has completed.
    fn joins_nothing(&self, step: usize) -> Option<Status> {
        let it = &self.plan.0[step];
        let any = |wanted: Status| {
            let mut needs = it.needs.iter();
            needs.any(|need| self.tables.steps[*need].status == wanted)
        };
        if it.join == Join::All || any(Status::Completed) {
            None
        } else if any(Status::Failed) {
            Some(Status::Failed)
        } else {
            Some(Status::Cancelled)
        }
    }

    pub fn needs_settled(&self, step: usize) -> bool {
        let mut needs = self.plan.0[step].needs.iter();
        needs.all(|need| self.tables.steps[*need].status.is_settled())
    }

    /// `_dispatch`.
    fn dispatch(&mut self, step: usize) {
        let row = &self.tables.steps[step];
        if row.status != Status::Pending {
            self.breaches.insert(Breach::StartedAgain);
        }
        if !self.needs_settled(step) {
            self.breaches.insert(Breach::StartedEarly);
        }
        self.tables.steps[step].task = Some(self.tables.tasks.len() as u8);
        self.tables.tasks.push(Task {
            step: step as u8,
            state: Status::Pending,
            attempt: 0,
            deaths: 0,
            claims: 0,
            lease: None,
            worker: None,
            expired: false,
            deltas: 0,
            counted: 0,
        });
    }

    fn set_run(&mut self, status: Status) {
        if self.tables.run.is_settled() {
            self.breaches.insert(Breach::EndedTwice);
        }
        self.tables.run = status;
    }

    /// `_run_end` with `_end_tasks`.
    pub fn run_end(&mut self, status: Status) {
        self.set_run(status);
        for task in 0..self.tables.tasks.len() as u8 {
            if self.tables.is_live(task) && self.skipped & (1 << task) == 0 {
                self.set_task(task, Status::Cancelled);
            }
        }
        for step in 0..self.tables.steps.len() {
            let row = &self.tables.steps[step];
            let live = row.task.is_some_and(|task| self.tables.is_live(task));
            if !row.status.is_settled() && !live {
                self.set_step(step, Status::Cancelled);
            }
        }
    }
}
