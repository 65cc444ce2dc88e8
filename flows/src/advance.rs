//! The rules by which a run goes on. The database implements them in SQL; this is the reference
//! that both are tested against.
//!
//! 1. **Settled** is completed, failed, skipped or cancelled. A settled step never changes.
//! 2. A pending step looks at its needs ([`readiness`]). A need on a fan-out is a need on the
//!    fan-out and on each of its children.
//!    - join `all` (also without needs): it starts when all needs are completed or skipped.
//!    - join `any`: when all needs have settled and at least one is completed. When none is
//!      completed it fails, or is cancelled if none failed and one was cancelled.
//! 3. A step that could start and whose `when` does not hold ([`crate::fields::holds`] of the
//!    source's output; a source that is not completed holds nothing) is skipped.
//! 4. Otherwise an agent step runs until it is settled from outside, and a code step runs at once.
//!    A fan-out reads its list ([`crate::fields::elements`]) and completes, with one child per
//!    element, `ID/1`, `ID/2` …, which run at once. No readable list: it fails. Its source was
//!    skipped: it is skipped. All steps that are due move before rule 5 is looked at.
//! 5. A failed step fails the run if a step with join `all` needs it, or if it is a synthesizer, a
//!    validator or the render step: nothing unvalidated is presented as done. A cancelled step
//!    cancels the run in the same cases ([`is_fatal`]); failed goes before cancelled. Another step
//!    that only `any` steps need, or nothing, does not fail the run.
//! 6. A run that has failed or was cancelled cancels all its steps that have not settled.
//! 7. When the last step settles, the run completes; without a report, because its render step was
//!    skipped, it fails.

use std::collections::BTreeMap;

use crate::fields;
use crate::name::{field_reference, names, parent_of_child};
use crate::plan::{Join, Kind, Plan, PlanStep, Role};

names! {
    /// The status of a step.
    StepState, "step status",
    /// Waits.
    Pending = "pending",
    /// An agent works on it.
    Running = "running",
    /// Has its output.
    Completed = "completed",
    /// Has an error.
    Failed = "failed",
    /// The run decided against it.
    Skipped = "skipped",
    /// Was ended.
    Cancelled = "cancelled",
}

names! {
    /// The status of a run.
    RunState, "run status",
    /// Goes on.
    Running = "running",
    /// All steps have settled and none of them was fatal.
    Completed = "completed",
    /// A step failed that the rest needs.
    Failed = "failed",
    /// It was cancelled, or a step that the rest needs was.
    Cancelled = "cancelled",
}

impl StepState {
    /// Whether the status is final.
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// What a pending step does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Goes on waiting.
    Waits,
    /// Starts, or is skipped by its `when`.
    Starts,
    /// Fails: none of its needs completed, and at least one failed or all were skipped.
    Fails,
    /// Is cancelled: none of its needs completed, none failed, at least one was cancelled.
    Cancels,
}

/// Rule 2, for the states of everything that a step needs, children of fan-outs included.
pub fn readiness(join: Join, needs: &[StepState]) -> Readiness {
    use StepState::{Cancelled, Completed, Failed, Skipped};
    match join {
        Join::All if needs.iter().all(|need| matches!(need, Completed | Skipped)) => {
            Readiness::Starts
        }
        Join::All => Readiness::Waits,
        Join::Any if needs.is_empty() => Readiness::Starts,
        Join::Any if !needs.iter().all(|need| need.is_settled()) => Readiness::Waits,
        Join::Any if needs.contains(&Completed) => Readiness::Starts,
        Join::Any if !needs.contains(&Failed) && needs.contains(&Cancelled) => Readiness::Cancels,
        Join::Any => Readiness::Fails,
    }
}

/// Rule 5: whether the failure or the cancelling of step `id` (a child of a fan-out included) ends
/// the run.
pub fn is_fatal(plan: &Plan, id: &str) -> bool {
    let id = parent_of_child(id).unwrap_or(id);
    let needed =
        |step: &PlanStep| step.join == Join::All && step.needs.iter().any(|need| need == id);
    let vital = |step: &PlanStep| {
        step.id == id
            && matches!(
                step.role,
                Role::Synthesizer | Role::Validator | Role::Render
            )
    };
    plan.steps.iter().any(|step| needed(step) || vital(step))
}

/// A run in memory. `code_output` says what a code step puts out; a fold and a report may put out
/// anything, joined findings must be JSON.
pub struct Run<'p> {
    plan: &'p Plan,
    code_output: Box<dyn Fn(&PlanStep) -> String + 'p>,
    /// Status and output of every step that has a row.
    rows: BTreeMap<String, (StepState, String)>,
    state: RunState,
    started: Vec<String>,
}

impl<'p> Run<'p> {
    /// Launches the plan: the first wave runs when this returns.
    pub fn launch(plan: &'p Plan, code_output: impl Fn(&PlanStep) -> String + 'p) -> Self {
        let pending = |step: &PlanStep| (step.id.clone(), (StepState::Pending, String::new()));
        let mut run = Self {
            plan,
            code_output: Box::new(code_output),
            rows: plan.steps.iter().map(pending).collect(),
            state: RunState::Running,
            started: Vec::new(),
        };
        run.advance();
        run
    }

    /// The run's status.
    pub fn state(&self) -> RunState {
        self.state
    }

    /// The status of a step, `None` when it has no row.
    pub fn step(&self, id: &str) -> Option<StepState> {
        self.rows.get(id).map(|(state, _)| *state)
    }

    /// All rows, by id.
    pub fn steps(&self) -> impl Iterator<Item = (&str, StepState)> {
        self.rows
            .iter()
            .map(|(id, (state, _))| (id.as_str(), *state))
    }

    /// The agent steps that run, by id.
    pub fn running(&self) -> Vec<&str> {
        self.steps()
            .filter(|(_, state)| *state == StepState::Running)
            .map(|(id, _)| id)
            .collect()
    }

    /// Every step that was started, in order, agents and code alike.
    pub fn started(&self) -> &[String] {
        &self.started
    }

    /// Settles a running step and advances. A step that does not run stays as it is (rule 1).
    pub fn settle(&mut self, id: &str, state: StepState, output: &str) {
        if self.step(id) == Some(StepState::Running) && state.is_settled() {
            self.rows.insert(id.to_owned(), (state, output.to_owned()));
            self.advance();
        }
    }

    /// Settles running steps in one act, in this order. Each keeps its own outcome, also when one
    /// before it has ended the run.
    pub fn settle_all(&mut self, outcomes: &[(&str, StepState, &str)]) {
        let runs = |id: &str| self.step(id) == Some(StepState::Running);
        let due: Vec<_> = outcomes.iter().filter(|(id, ..)| runs(id)).collect();
        for (id, state, output) in due {
            if self.state != RunState::Running && state.is_settled() {
                self.set(id, *state, (*output).to_owned());
            }
            self.settle(id, *state, output);
        }
    }

    /// Cancels the run; one that has ended stays as it is.
    pub fn cancel(&mut self) {
        if self.state == RunState::Running {
            self.end(RunState::Cancelled);
        }
    }

    fn advance(&mut self) {
        while self.state == RunState::Running {
            if let Some(state) = self.fatal() {
                self.end(state);
            } else if !self.move_due() {
                if self.rows.values().all(|(state, _)| state.is_settled()) {
                    self.state = self.conclusion();
                }
                return;
            }
        }
    }

    /// Rule 7.
    fn conclusion(&self) -> RunState {
        let mut renders = self.plan.steps.iter().filter(|it| it.role == Role::Render);
        if renders.any(|it| self.step(&it.id) == Some(StepState::Skipped)) {
            RunState::Failed
        } else {
            RunState::Completed
        }
    }

    fn fatal(&self) -> Option<RunState> {
        let any = |wanted: StepState| {
            self.steps()
                .any(|(id, state)| state == wanted && is_fatal(self.plan, id))
        };
        if any(StepState::Failed) {
            Some(RunState::Failed)
        } else {
            any(StepState::Cancelled).then_some(RunState::Cancelled)
        }
    }

    fn end(&mut self, state: RunState) {
        self.state = state;
        for (state, _) in self
            .rows
            .values_mut()
            .filter(|(state, _)| !state.is_settled())
        {
            *state = StepState::Cancelled;
        }
    }

    /// Moves every pending step that can move now; false when none can.
    fn move_due(&mut self) -> bool {
        let plan = self.plan;
        let pending = |step: &&PlanStep| self.step(&step.id) == Some(StepState::Pending);
        let due: Vec<(&PlanStep, Readiness)> = plan
            .steps
            .iter()
            .filter(pending)
            .map(|step| (step, readiness(step.join, &self.needs(step))))
            .filter(|(_, readiness)| *readiness != Readiness::Waits)
            .collect();
        for (step, readiness) in &due {
            match readiness {
                Readiness::Waits => {}
                Readiness::Starts => self.start(step),
                Readiness::Fails => self.set(&step.id, StepState::Failed, String::new()),
                Readiness::Cancels => self.set(&step.id, StepState::Cancelled, String::new()),
            }
        }
        !due.is_empty()
    }

    /// The states of all that a step needs.
    fn needs(&self, step: &PlanStep) -> Vec<StepState> {
        let needs = step.needs.iter();
        needs.flat_map(|need| self.with_children(need)).collect()
    }

    fn with_children(&self, id: &str) -> Vec<StepState> {
        let own = |row: &str| row == id || parent_of_child(row) == Some(id);
        self.steps()
            .filter(|(row, _)| own(row))
            .map(|(_, state)| state)
            .collect()
    }

    fn set(&mut self, id: &str, state: StepState, output: String) {
        self.rows.insert(id.to_owned(), (state, output));
    }

    fn start(&mut self, step: &PlanStep) {
        if let Some((source, field)) = step.when.as_deref().and_then(field_reference) {
            let (state, output) = &self.rows[source];
            if *state != StepState::Completed || !fields::holds(output, field) {
                return self.set(&step.id, StepState::Skipped, String::new());
            }
        }
        self.started.push(step.id.clone());
        match (step.kind, step.foreach.as_deref().and_then(field_reference)) {
            (Kind::Agent, _) => self.set(&step.id, StepState::Running, String::new()),
            (Kind::Code, Some((source, field))) => self.fan_out(step, source, field),
            (Kind::Code, None) => {
                let output = (self.code_output)(step);
                self.set(&step.id, StepState::Completed, output);
            }
        }
    }

    fn fan_out(&mut self, step: &PlanStep, source: &str, field: &str) {
        let (state, output) = &self.rows[source];
        let state = match (*state, fields::elements(output, field)) {
            (StepState::Skipped, _) => StepState::Skipped,
            (StepState::Completed, Some(list)) => {
                for child in 1..=list.len() {
                    let id = format!("{}/{child}", step.id);
                    self.set(&id, StepState::Running, String::new());
                    self.started.push(id);
                }
                StepState::Completed
            }
            _ => StepState::Failed,
        };
        self.set(&step.id, state, String::new());
    }
}
