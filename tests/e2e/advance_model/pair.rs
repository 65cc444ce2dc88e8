//! One run on both sides, and all that may be done to it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use conductor_flows::advance::{Run, RunState, StepState};
use conductor_flows::{Plan, PlanStep};
use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Conductor, told};
use fastrand::Rng;

use super::{random_output, random_state};

/// The outputs of code steps, by step.
pub type Outputs = RefCell<BTreeMap<String, String>>;

/// The run's status, and the status of each step by id. A step whose task waits for a worker counts as running: when it
/// is claimed is not the model's business. Keeps the outputs of code steps for the model, which has no code of its own.
async fn read(c: &Conductor, run: i64, outputs: &Outputs) -> (String, BTreeMap<String, String>) {
    let query = "select s.step_id, case when s.status = 'pending' and t.state = 'pending' then 'running' else s.status end,
            case when s.kind = 'code' then s.output end
        from flow_steps s left join tasks t on t.id = s.task_id where s.run_id = $1";
    let mut steps = BTreeMap::new();
    for row in c.sql.query(query, &[&run]).await.unwrap() {
        let id: String = row.get(0);
        if let Some(output) = row.get(2) {
            outputs.borrow_mut().insert(id.clone(), output);
        }
        steps.insert(id, row.get(1));
    }
    (c.status(run).await.0, steps)
}

/// What an act was for the model.
enum Outcome {
    Nothing,
    Settled(Vec<(String, StepState, String)>),
    RunCancelled,
}

/// A run in the database and in the model.
pub struct Pair<'a> {
    c: &'a Conductor,
    worker: i64,
    run: i64,
    rng: Rng,
    /// Attempts that were claimed, whether or not they have ended since.
    claimed: Vec<Claimed>,
    /// Attempts whose lease does not count any more.
    stale: Vec<Claimed>,
    model: Run<'a>,
    outputs: &'a Outputs,
    /// What is printed when the sides differ: seed, flow and acts.
    pub said: String,
}

impl<'a> Pair<'a> {
    /// Launches the plan of a run in the model and compares the first wave.
    pub async fn new(
        c: &'a Conductor,
        worker: i64,
        run: i64,
        plan: &'a Plan,
        outputs: &'a Outputs,
        rng: Rng,
        said: String,
    ) -> Self {
        let rows = read(c, run, outputs).await;
        let output = |step: &PlanStep| outputs.borrow().get(&step.id).cloned().unwrap_or_default();
        let pair = Self {
            c,
            worker,
            run,
            rng,
            claimed: Vec::new(),
            stale: Vec::new(),
            model: Run::launch(plan, output),
            outputs,
            said,
        };
        pair.compare(&rows).await;
        pair
    }

    /// The run's status.
    pub fn state(&self) -> RunState {
        self.model.state()
    }

    /// Does anything that may happen to a run under way, to both.
    pub async fn act(&mut self) {
        assert!(
            self.said.lines().count() < 500,
            "it does not end\n{}",
            self.said
        );
        let outcome = match self.rng.u8(0..60) {
            0 => self.cancel_run().await,
            1..3 => self.cancel_task().await,
            3..15 => self.update(1).await,
            15..20 => self.update(3).await,
            20..23 => self.release().await,
            23 => self.finish_stale().await,
            24..36 => self.claim().await,
            _ if self.claimed.is_empty() => self.claim().await,
            _ => self.finish().await,
        };
        self.tell(outcome).await;
    }

    /// Does what must not change a run that has ended.
    pub async fn late_act(&mut self) {
        let outcome = match self.rng.u8(0..4) {
            0 => self.cancel_run().await,
            1 => self.finish_stale().await,
            2 if !self.claimed.is_empty() => self.finish().await,
            _ => self.cancel_task().await,
        };
        self.tell(outcome).await;
    }

    async fn claim(&mut self) -> Outcome {
        let slots = self.rng.i32(1..=3);
        let claimed = sql_worker::claim(&self.c.sql, self.worker, slots).await;
        for task in claimed.unwrap() {
            self.note(format_args!("claimed {}", task.step_id));
            assert_eq!(task.run, self.run, "{}", self.said);
            self.claimed.push(task);
        }
        Outcome::Nothing
    }

    /// Ends an attempt by `task_finish`, now and then once more than needed.
    async fn finish(&mut self) -> Outcome {
        let at = self.rng.usize(..self.claimed.len());
        let task = self.claimed[at].clone();
        let (state, retryable) = (random_state(&mut self.rng), self.rng.bool());
        let empty = self.rng.u8(0..16) == 0;
        let output = if empty {
            "\n".to_owned()
        } else {
            random_output(&mut self.rng)
        };
        let live = self.live().await.iter().any(|(id, _)| *id == task.task);
        let told = Some("it went wrong").filter(|_| state == StepState::Failed);
        let sql = &self.c.sql;
        let became = sql_worker::end(sql, &task, state.as_str(), Some(&output), told, retryable);
        let became = became
            .await
            .unwrap_or_else(|error| panic!("{error:?}\n{}", self.said));
        self.note(format_args!(
            "finished {} as {state} (retryable: {retryable}), became {became}: {output:?}",
            task.step_id
        ));
        if became == "pending" {
            self.stale.push(self.claimed.swap_remove(at));
        } else if self.rng.u8(0..8) > 0 {
            self.claimed.swap_remove(at);
        }
        let failed = state == StepState::Failed || state == StepState::Completed && empty;
        let expected = if failed { "failed" } else { state.as_str() };
        let again = became == "pending" && failed && (retryable || empty);
        assert!(
            !live || again || became == expected,
            "expected {expected}\n{}",
            self.said
        );
        match became.parse() {
            Ok(state) if live && state != StepState::Pending => {
                Outcome::Settled(vec![(task.step_id, state, output)])
            }
            _ => Outcome::Nothing,
        }
    }

    /// An attempt that was retried or handed back comes too late.
    async fn finish_stale(&mut self) -> Outcome {
        if let Some(task) = self.rng.choice(&self.stale).cloned() {
            self.note(format_args!("finished {} with a stale lease", task.step_id));
            let error = sql_worker::finish(&self.c.sql, &task, "too late").await;
            assert_eq!(told(&error.unwrap_err()).0, "QC001", "{}", self.said);
        }
        Outcome::Nothing
    }

    async fn release(&mut self) -> Outcome {
        if !self.claimed.is_empty() {
            let task = self
                .claimed
                .swap_remove(self.rng.usize(..self.claimed.len()));
            self.note(format_args!("handed {} back", task.step_id));
            let release = "select task_release($1, $2::text::uuid)";
            let released = self
                .c
                .sql
                .query_one(release, &[&task.task, &task.lease])
                .await;
            if released.unwrap().get(0) {
                self.stale.push(task);
            }
        }
        Outcome::Nothing
    }

    /// Updates up to so many tasks by hand, in one statement, their steps' outputs before them.
    async fn update(&mut self, most: usize) -> Outcome {
        let mut live = self.live().await;
        self.rng.shuffle(&mut live);
        live.truncate(most);
        let state = random_state(&mut self.rng);
        let output = match self.rng.u8(0..4) {
            0 => String::new(),
            _ => random_output(&mut self.rng),
        };
        let tasks: Vec<i64> = live.iter().map(|(task, _)| *task).collect();
        self.note(format_args!("updated {live:?} to {state}: {output:?}"));
        if !output.is_empty() {
            let say = "update flow_steps set output = $2 where task_id = any ($1)";
            self.c.sql.execute(say, &[&tasks, &output]).await.unwrap();
        }
        let update = "update tasks set state = $2 where id = any ($1) returning id";
        let updated = self.c.sql.query(update, &[&tasks, &state.as_str()]).await;
        let updated = updated.unwrap_or_else(|error| panic!("{error:?}\n{}", self.said));
        // Row triggers fire in the order in which the rows are returned.
        let order: Vec<i64> = updated.iter().map(|row| row.get(0)).collect();
        live.sort_by_key(|(task, _)| order.iter().position(|id| id == task));
        let settled = live
            .into_iter()
            .map(|(_, step)| (step, state, output.clone()));
        Outcome::Settled(settled.collect())
    }

    /// Cancels a task of the run, which may have ended.
    async fn cancel_task(&mut self) -> Outcome {
        let tasks = "select t.id, s.step_id from tasks t join flow_steps s on s.task_id = t.id
            where t.run_id = $1 order by t.id";
        let tasks = self.c.sql.query(tasks, &[&self.run]).await.unwrap();
        let Some(row) = self.rng.choice(&tasks) else {
            return Outcome::Nothing;
        };
        let (task, step): (i64, String) = (row.get(0), row.get(1));
        self.note(format_args!("cancelled {step}"));
        let cancelled = self
            .c
            .sql
            .query_one("select task_cancel($1)", &[&task])
            .await;
        cancelled.unwrap_or_else(|error| panic!("{error:?}\n{}", self.said));
        Outcome::Settled(vec![(step, StepState::Cancelled, String::new())])
    }

    async fn cancel_run(&mut self) -> Outcome {
        self.note(format_args!("cancelled the run"));
        let cancelled = self
            .c
            .sql
            .query_one("select flow_cancel($1)", &[&self.run])
            .await;
        cancelled.unwrap_or_else(|error| panic!("{error:?}\n{}", self.said));
        Outcome::RunCancelled
    }

    /// The tasks that have not ended, with their steps.
    async fn live(&self) -> Vec<(i64, String)> {
        let live = "select t.id, s.step_id from tasks t join flow_steps s on s.task_id = t.id
            where t.run_id = $1 and t.state in ('pending', 'running') order by t.id";
        let live = self.c.sql.query(live, &[&self.run]).await.unwrap();
        live.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    fn note(&mut self, act: std::fmt::Arguments<'_>) {
        writeln!(self.said, "{act}").expect("a string takes everything");
    }

    /// Lets the model do what was done to the database, and compares.
    async fn tell(&mut self, outcome: Outcome) {
        let rows = read(self.c, self.run, self.outputs).await;
        match outcome {
            Outcome::Nothing => {}
            Outcome::RunCancelled => self.model.cancel(),
            Outcome::Settled(settled) => {
                let settled: Vec<_> = settled
                    .iter()
                    .map(|(step, state, output)| (step.as_str(), *state, output.as_str()))
                    .collect();
                self.model.settle_all(&settled);
            }
        }
        self.compare(&rows).await;
    }

    async fn compare(&self, (status, steps): &(String, BTreeMap<String, String>)) {
        let model: BTreeMap<&str, &str> = self
            .model
            .steps()
            .map(|(id, state)| (id, state.as_str()))
            .collect();
        let ids: BTreeSet<&str> = steps
            .keys()
            .map(String::as_str)
            .chain(model.keys().copied())
            .collect();
        let mut sides = vec![("the run", status.as_str(), self.model.state().as_str())];
        sides.extend(ids.into_iter().map(|id| {
            let (sql, model) = (steps.get(id), model.get(id));
            (
                id,
                sql.map_or("-", String::as_str),
                model.copied().unwrap_or("-"),
            )
        }));
        let table = sides.iter().fold(String::new(), |table, (id, sql, model)| {
            let mark = if sql == model { "" } else { "  <-- differs" };
            format!("{table}{id:<8} database {sql:<10} model {model:<10}{mark}\n")
        });
        let agree = sides.iter().all(|(_, sql, model)| sql == model);
        assert!(
            agree,
            "the database and the model differ\n{}{table}",
            self.said
        );
        let check = self
            .c
            .sql
            .query("select c::text from flow_check() c", &[])
            .await;
        let wrong: Vec<String> = check.unwrap().iter().map(|row| row.get(0)).collect();
        assert!(
            wrong.is_empty(),
            "flow_check() finds {wrong:?}\n{}{table}",
            self.said
        );
    }
}
