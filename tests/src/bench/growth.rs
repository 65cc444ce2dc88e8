//! How cost grows: with the width of a fan-out, with stored history, with what is pending.

use std::time::Instant;

use super::Options;
use super::engine::Engine;
use super::figure::{Figure, Section, Target, percentile};
use super::stage::Stage;
use super::workload::{self, Workload};

/// Widths of the fan-outs, and how many runs of each are in a repeat.
const NARROW: (usize, usize) = (10, 20);
const WIDE: (usize, usize) = (1000, 1);
const FINISHED: &str = "finished steps";
const FINISHED_STEPS: usize = 1_000_000;
const PENDING_TASKS: usize = 100_000;
/// Completions in each repeat of history and queue.
const COMPLETIONS: usize = 300;

/// How far the numbers of copies lie apart: further than a run has tasks.
const APART: usize = 1_000_000;

/// Claims and completions, in milliseconds.
#[derive(Default)]
struct Costs {
    claims: Vec<f64>,
    completions: Vec<f64>,
}

impl Costs {
    fn medians(&self) -> (f64, f64) {
        (
            percentile(&self.claims, 50.0),
            percentile(&self.completions, 50.0),
        )
    }
}

/// Measures all three.
pub async fn run(options: &Options) -> Section {
    let mut section = Section::new("Growth");
    section.note("One client; medians of single calls, each with its commit. Beside the large case stands the small one.");
    fan_outs(options, &mut section).await;
    let few = Stage::new().await;
    let workload = workload::chain(5);
    few.define(&workload).await;
    for (case, amount) in [
        (FINISHED, options.scaled(FINISHED_STEPS)),
        ("pending tasks", options.scaled(PENDING_TASKS)),
    ] {
        let many = Stage::new().await;
        many.define(&workload).await;
        let began = Instant::now();
        let model = Engine::new(&many).await;
        let run = model.launch(&workload).await;
        if case == FINISHED {
            while let Some(claimed) = model.claim().await {
                model
                    .finish(&claimed, &workload.reply(&claimed.step_id, 1))
                    .await;
            }
        }
        fill(&many, run, amount).await;
        section.note(format!(
            "{amount} {case} were put there in {:.0} s.",
            began.elapsed().as_secs_f64()
        ));
        let (quiet, busy) = (Engine::new(&few).await, model);
        let (mut claims, mut completions) = (Vec::new(), Vec::new());
        for number in 0..=options.repeats {
            let large = chains(&busy, &workload, options).await.medians();
            let small = chains(&quiet, &workload, options).await.medians();
            if number > 0 {
                claims.push((large.0, small.0));
                completions.push((large.1, small.1));
            }
            few.vacuum().await;
            many.admin
                .batch_execute("vacuum tasks, flow_steps, flow_runs, run_counters")
                .await
                .expect("a vacuum succeeds");
        }
        let target = Target::AtMost(1.2);
        section
            .figures
            .push(Figure::beside(format!("{amount} {case}: claim"), "ms", &claims).target(target));
        section.figures.push(
            Figure::beside(format!("{amount} {case}: completion"), "ms", &completions)
                .target(target),
        );
    }
    section
}

async fn fan_outs(options: &Options, section: &mut Section) {
    let stage = Stage::new().await;
    let engine = Engine::new(&stage).await;
    let (mut claims, mut completions) = (Vec::new(), Vec::new());
    for number in 0..=options.repeats {
        let mut medians = Vec::new();
        for (width, runs) in [WIDE, NARROW] {
            let workload = workload::fan_out(width);
            stage.define(&workload).await;
            let mut costs = Costs::default();
            for _ in 0..runs {
                engine.launch(&workload).await;
                play(&engine, &workload, usize::MAX, Some("each/"), &mut costs).await;
            }
            medians.push(costs.medians());
            stage.vacuum().await;
        }
        if number > 0 {
            claims.push((medians[0].0, medians[1].0));
            completions.push((medians[0].1, medians[1].1));
        }
    }
    let target = Target::AtMost(1.3);
    section.figures.push(
        Figure::beside("fan-out of 1000 beside 10: completion", "ms", &completions).target(target),
    );
    section.figures.push(Figure::beside(
        "fan-out of 1000 beside 10: claim",
        "ms",
        &claims,
    ));
}

/// Runs of a chain, launched and played to their end or until enough was measured.
async fn chains(engine: &Engine, workload: &Workload, options: &Options) -> Costs {
    let mut costs = Costs::default();
    let completions = options.scaled(COMPLETIONS);
    while costs.completions.len() < completions {
        engine.launch(workload).await;
        play(
            engine,
            workload,
            completions - costs.completions.len(),
            None,
            &mut costs,
        )
        .await;
    }
    costs
}

/// Claims and completes at most so many tasks, until nothing is pending; what counts are steps of this name.
async fn play(
    engine: &Engine,
    workload: &Workload,
    most: usize,
    counted: Option<&str>,
    costs: &mut Costs,
) {
    for _ in 0..most {
        let began = Instant::now();
        let Some(claimed) = engine.claim().await else {
            return;
        };
        let claim = began.elapsed();
        let output = workload.reply(&claimed.step_id, 1);
        let began = Instant::now();
        engine.finish(&claimed, &output).await;
        if counted.is_none_or(|name| claimed.step_id.starts_with(name)) {
            costs.claims.push(claim.as_secs_f64() * 1000.0);
            costs
                .completions
                .push(began.elapsed().as_secs_f64() * 1000.0);
        }
    }
}

/// Copies the rows of a run as often as needed, without triggers: as a restore does.
async fn fill(stage: &Stage, run: i64, amount: usize) {
    let columns = "select c.relname::text, string_agg(quote_ident(a.attname), ', ' order by a.attnum)
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'conductor'::regnamespace
          and c.relname in ('flow_runs', 'chats', 'tasks', 'flow_steps', 'flow_edges', 'run_counters', 'frames')
        group by c.relname";
    let rows = stage
        .admin
        .query(columns, &[])
        .await
        .expect("columns can be listed");
    let steps = stage
        .admin
        .query_one("select count(*) from tasks where run_id = $1", &[&run])
        .await
        .expect("tasks can be counted")
        .get::<_, i64>(0) as usize;
    let copies = amount.div_ceil(steps);
    let mut script =
        String::from("set session_replication_role = replica; set work_mem = '256MB';");
    for (table, key) in [
        ("flow_runs", "id"),
        ("run_counters", "run_id"),
        ("chats", "run_id"),
        ("tasks", "run_id"),
        ("flow_steps", "run_id"),
        ("flow_edges", "run_id"),
        ("frames", "run_id"),
    ] {
        let row = rows
            .iter()
            .find(|row| row.get::<_, &str>(0) == table)
            .expect("the table is there");
        let names: &str = row.get(1);
        let values = names.split(", ").map(|name| match (table, name) {
            ("flow_runs" | "chats" | "tasks", "id") | (_, "run_id" | "task_id" | "chat_id") => {
                format!("r.{name} + k * {APART}")
            }
            _ => format!("r.{name}"),
        });
        let values: Vec<String> = values.collect();
        script += &format!(
            "insert into {table} ({names}) select {} from generate_series(1::bigint, {copies}) k, (select * from {table} where {key} = {run}) r;",
            values.join(", ")
        );
    }
    script += "set session_replication_role = origin; vacuum (analyze);";
    for statement in script
        .split(';')
        .filter(|statement| !statement.trim().is_empty())
    {
        let done = stage.admin.batch_execute(statement).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}
