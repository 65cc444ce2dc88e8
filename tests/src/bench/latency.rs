//! From a completion's commit to the claim of what follows, through LISTEN.

use std::time::Instant;

use super::Options;
use super::engine::Engine;
use super::figure::{Figure, Section, Target, percentile};
use super::floor::{Board, Floor};
use super::stage::{Bell, Stage};
use super::{trace, workload};

/// Completions in each repeat.
const COMPLETIONS: usize = 400;
const LENGTH: usize = 20;

/// Measures with a chain: every completion makes exactly one task ready.
pub async fn run(options: &Options) -> Section {
    let mut section = Section::new("From completion to claim");
    section.note(
        "One session completes the steps of a chain, another one listens on conductor_frames and claims. Measured from the \
         answer to the completion to the answer to the claim.",
    );
    let workload = workload::chain(LENGTH);
    let (ours, theirs) = (Stage::new().await, Stage::without_engine().await);
    let trace = trace::record(&ours, &workload).await;
    let board = Board::new(&theirs, trace).await;
    let mut engine = (
        Engine::new(&ours).await,
        Engine::new(&ours).await,
        ours.bell("conductor_frames").await,
    );
    let mut floor = (
        Floor::new(&theirs, &board).await,
        Floor::new(&theirs, &board).await,
        theirs.bell("conductor_frames").await,
    );
    let runs = options.scaled(COMPLETIONS / LENGTH);
    let mut repeats = Vec::new();
    for number in 0..=options.repeats {
        let mut ours_taken = Vec::new();
        let mut floor_taken = Vec::new();
        for _ in 0..runs {
            ours_taken.extend(chain_of_engine(&mut engine, &workload).await);
            floor_taken.extend(chain_of_floor(&mut floor).await);
        }
        // The first is the warm-up.
        if number > 0 {
            repeats.push((ours_taken, floor_taken));
        }
        ours.vacuum().await;
        theirs.vacuum().await;
    }
    for (percent, target) in [
        (50.0, Some(Target::AtMost(1.5))),
        (95.0, None),
        (99.0, None),
    ] {
        let pairs: Vec<(f64, f64)> = repeats
            .iter()
            .map(|(ours, floor)| (percentile(ours, percent), percentile(floor, percent)))
            .collect();
        let figure = Figure::beside(format!("p{percent:.0}"), "ms", &pairs);
        section.figures.push(match target {
            Some(target) => figure.target(target),
            None => figure,
        });
    }
    section
}

/// One run of the engine; milliseconds from each completion to the next claim.
async fn chain_of_engine(
    (finisher, claimer, bell): &mut (Engine, Engine, Bell),
    workload: &workload::Workload,
) -> Vec<f64> {
    let mut taken = Vec::new();
    finisher.launch(workload).await;
    bell.heard().await;
    let mut held = claimer.claim().await.expect("the first step is ready");
    for _ in 1..LENGTH {
        bell.drain().await;
        let completed = async {
            finisher
                .finish(&held, &workload.reply(&held.step_id, 1))
                .await;
            Instant::now()
        };
        let claimed = async {
            loop {
                bell.heard().await;
                if let Some(next) = claimer.claim().await {
                    break (next, Instant::now());
                }
            }
        };
        let (answered, (next, got)) = tokio::join!(completed, claimed);
        taken.push(milliseconds(answered, got));
        held = next;
    }
    finisher
        .finish(&held, &workload.reply(&held.step_id, 1))
        .await;
    bell.drain().await;
    taken
}

/// The same by hand. Which task is ready is known to the driver as soon as the completion is answered.
async fn chain_of_floor((finisher, claimer, bell): &mut (Floor, Floor, Bell)) -> Vec<f64> {
    let reply = workload::chain(LENGTH).reply("", 1);
    let mut taken = Vec::new();
    finisher.launch().await;
    bell.heard().await;
    let mut held = finisher.next().expect("the first step is ready");
    claimer.claim(&held).await;
    for _ in 1..LENGTH {
        bell.drain().await;
        let completed = async {
            finisher.finish(&held, &reply).await;
            Instant::now()
        };
        let claimed = async {
            bell.heard().await;
            let next = loop {
                match claimer.next() {
                    Some(next) => break next,
                    None => tokio::task::yield_now().await,
                }
            };
            claimer.claim(&next).await;
            (next, Instant::now())
        };
        let (answered, (next, got)) = tokio::join!(completed, claimed);
        taken.push(milliseconds(answered, got));
        held = next;
    }
    finisher.finish(&held, &reply).await;
    bell.drain().await;
    taken
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1000.0
}
