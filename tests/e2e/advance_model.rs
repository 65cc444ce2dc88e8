//! The SQL that advances a run and its reference model in `conductor_flows::advance`, side by side: random flows, random
//! outcomes in a random order, compared after every act.

#[path = "../../flows/tests/common/random.rs"]
mod random;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use conductor_flows::advance::{Run, RunState, StepState};
use conductor_flows::{Band, Plan, PlanStep};
use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Conductor, Launch, Setup, told};
use fastrand::Rng;
use random::{Seed, definition};
use serde_json::{Value, json};

const FLOWS: u64 = 60;
const PROJECT: &str = "shop";

#[test]
fn the_database_and_the_model_agree_after_every_act() {
    let setup = Setup::new().without_worker();
    setup.settings("retry_backoff = '0'").run(async |c| {
        let first = seed();
        println!("CONDUCTOR_SEED={first}");
        c.register(PROJECT, c.folder()).await;
        let personas = "select persona_define('reader', 'Reads.', 'You read what there is.')";
        c.sql.execute(personas, &[]).await.unwrap();
        let worker = sql_worker::register(&c.sql, "by-hand", &["/"]).await;
        let worker = worker.unwrap();
        let (mut ends, mut seed) = (BTreeMap::new(), first);
        while ends.values().sum::<u64>() < FLOWS {
            if let Some(end) = one_flow(c, worker, seed).await {
                *ends.entry(end).or_default() += 1;
            }
            seed = seed.wrapping_add(1);
        }
        println!("{ends:?}");
        for end in RunState::ALL.iter().filter(|it| **it != RunState::Running) {
            assert!(ends.contains_key(end), "no run ended {end}: {ends:?}");
        }
    });
}

/// The seed of the first flow. Each flow after it has the next number, so that one which went wrong can be the first.
fn seed() -> u64 {
    let Ok(text) = std::env::var("CONDUCTOR_SEED") else {
        return 15_000;
    };
    let number = |text: &str| text.parse::<f64>().ok().map(f64::to_bits);
    let seed = text.parse().ok().or_else(|| number(&text));
    seed.expect("CONDUCTOR_SEED is a number")
}

fn random_flow(rng: &mut Rng) -> Value {
    // How much of the flow joins any of its needs, in eighths: all of it lets most runs go on after a failure.
    let (sparse, any) = (rng.bool(), rng.u8(2..=9));
    let mut seed = || Seed {
        needs: rng.u16(..) & if sparse { rng.u16(..) } else { u16::MAX },
        any: rng.u8(0..8) < any,
        band: rng.u8(0..6).saturating_sub(3),
        kind: [0, 0, 1, 1, 1, 2, 9, 9, 9][rng.usize(..9)],
        source: rng.usize(..),
        when: rng.u8(0..8),
    };
    let mut seeds: Vec<Seed> = (0..9).map(|_| seed()).collect();
    seeds.truncate(rng.usize(3..=9));
    if let Some(last) = seeds.last_mut().filter(|_| rng.bool()) {
        last.kind = 3;
    }
    definition(&seeds, rng.bool())
}

/// What a step puts out: mostly JSON that others can read, on its own or at the end of a text.
fn random_output(rng: &mut Rng) -> String {
    let list: Vec<u8> = (0..rng.u8(0..=3)).collect();
    let mut output = json!({"flag": rng.bool(), "list": list});
    match rng.u8(0..12) {
        0 => return "no JSON at all".to_owned(),
        1 => output["list"] = json!("none"),
        2 => output["flag"] = json!([0]),
        _ => {}
    }
    if rng.bool() {
        format!("What I found.\n\n```json\n{output}\n```\n")
    } else {
        output.to_string()
    }
}

fn random_state(rng: &mut Rng) -> StepState {
    match rng.u8(0..20) {
        0..3 => StepState::Failed,
        3 => StepState::Cancelled,
        _ => StepState::Completed,
    }
}

/// Takes one random flow to its end; how it ended. `None` when the launch left nothing to run.
async fn one_flow(c: &Conductor, worker: i64, seed: u64) -> Option<RunState> {
    let mut rng = Rng::with_seed(seed);
    let flow = random_flow(&mut rng);
    let defined = c.sql.execute("select flow_define($1)", &[&flow]).await;
    defined.unwrap_or_else(|error| panic!("seed {seed}: {error:?}\n{flow:#}"));
    let mut launch = Launch::new("x", "Is it so?").band(rng.choice(Band::ALL)?.as_str());
    if rng.bool() {
        launch = launch.on(PROJECT);
    }
    if rng.bool() {
        launch = launch.input(json!({"documents": [{"name": "notes.md", "text": "Some."}]}));
    }
    let run = match launch.with(&c.sql).await {
        Ok(run) => run,
        Err(error) => {
            let (code, message, ..) = told(&error);
            assert_eq!(code, "22023", "seed {seed}: {message}\n{flow:#}");
            return None;
        }
    };
    let plan = "select plan from flow_runs where id = $1";
    let plan: Value = c.sql.query_one(plan, &[&run]).await.unwrap().get(0);
    let plan: Plan = serde_json::from_value(plan).unwrap();
    let outputs = RefCell::new(BTreeMap::new());
    let rows = read(c, run, &outputs).await;
    let output = |step: &PlanStep| outputs.borrow().get(&step.id).cloned().unwrap_or_default();
    let said = format!("CONDUCTOR_SEED={seed}\n{flow}\nlaunched {launch:?}\n");
    let mut pair = Pair {
        c,
        worker,
        run,
        rng,
        claimed: Vec::new(),
        stale: Vec::new(),
        model: Run::launch(&plan, output),
        said,
    };
    pair.compare(&rows).await;
    for act in 0.. {
        assert!(act < 500, "the run does not end\n{}", pair.said);
        let over = pair.model.state() != RunState::Running;
        let outcome = if over {
            pair.late_act().await
        } else {
            pair.act().await
        };
        let rows = read(c, run, &outputs).await;
        pair.tell(outcome);
        pair.compare(&rows).await;
        if over {
            break;
        }
    }
    let report = c.report(run).await;
    let unsettled = |line: &str| line.contains("| pending |") || line.contains("| running |");
    assert!(
        !report.lines().any(unsettled),
        "the report is older than the end of its run\n{}{report}",
        pair.said
    );
    Some(pair.model.state())
}

/// The run's status, and the status of each step by id. A step whose task waits for a worker counts as running: when it
/// is claimed is not the model's business. Keeps the outputs of code steps for the model, which has no code of its own.
async fn read(
    c: &Conductor,
    run: i64,
    outputs: &RefCell<BTreeMap<String, String>>,
) -> (String, BTreeMap<String, String>) {
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

/// One run on both sides.
struct Pair<'a> {
    c: &'a Conductor,
    worker: i64,
    run: i64,
    rng: Rng,
    /// Attempts that were claimed, whether or not they have ended since.
    claimed: Vec<Claimed>,
    /// Attempts whose lease does not count any more.
    stale: Vec<Claimed>,
    model: Run<'a>,
    /// What is printed when the sides differ: seed, flow and acts.
    said: String,
}

impl Pair<'_> {
    /// Anything that may happen to a run under way.
    async fn act(&mut self) -> Outcome {
        match self.rng.u8(0..60) {
            0 => self.cancel_run().await,
            1..3 => self.cancel_task().await,
            3..15 => self.update(1).await,
            15..20 => self.update(3).await,
            20..23 => self.release().await,
            23 => self.finish_stale().await,
            24..36 => self.claim().await,
            _ if self.claimed.is_empty() => self.claim().await,
            _ => self.finish().await,
        }
    }

    /// What must not change a run that has ended.
    async fn late_act(&mut self) -> Outcome {
        match self.rng.u8(0..4) {
            0 => self.cancel_run().await,
            1 => self.finish_stale().await,
            2 if !self.claimed.is_empty() => self.finish().await,
            _ => self.cancel_task().await,
        }
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
        let output = if self.rng.bool() {
            random_output(&mut self.rng)
        } else {
            String::new()
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

    /// Lets the model do what was done to the database.
    fn tell(&mut self, outcome: Outcome) {
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
