//! How cost grows: with the width of a fan-out, with stored history, with what is pending.

use std::time::Instant;

use super::Options;
use super::engine::Engine;
use super::figure::{Figure, Section, Target, percentile};
use super::stage::Stage;
use super::workload::{self, Workload};
use crate::harness::history::fill;

/// Widths of the fan-outs, and how many runs of each are in a repeat.
const NARROW: (usize, usize) = (10, 20);
const WIDE: (usize, usize) = (1000, 1);
const FINISHED: &str = "finished steps";
const FINISHED_STEPS: usize = 1_000_000;
const PENDING_TASKS: usize = 100_000;
/// Completions in each repeat of history and queue.
const COMPLETIONS: usize = 300;

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
        fill(&many.admin, run, amount).await;
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
