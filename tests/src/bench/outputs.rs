//! Large outputs cost their bytes.

use std::time::Instant;

use super::Options;
use super::engine::Engine;
use super::figure::{Figure, Section, Target, percentile};
use super::stage::Stage;
use super::workload;

/// Sizes, and how many completions of each are in a repeat.
const SIZES: [(&str, usize, usize); 3] = [
    ("4 KiB", 4 << 10, 60),
    ("64 KiB", 64 << 10, 40),
    ("8 MiB", 8 << 20, 4),
];

/// Completes one of two steps that nothing but the report waits for, beside an UPDATE of the same bytes in the same table.
pub async fn run(options: &Options) -> Section {
    let mut section = Section::new("Large outputs");
    section.note(
        "A completion with an output, beside a bare UPDATE of flow_steps.output with the same bytes, each with its commit. \
         What a completion costs without an output is in both lines of a size; “more than 4 KiB” leaves it out.",
    );
    let workload = workload::pair();
    let (ours, theirs) = (Stage::new().await, Stage::without_engine().await);
    ours.define(&workload).await;
    theirs.define(&workload).await;
    let (engine, bare) = (Engine::new(&ours).await, Engine::new(&theirs).await);
    let update = bare
        .session
        .prepare("update conductor.flow_steps set output = $3 where run_id = $1 and step_id = $2")
        .await
        .expect("the statement is valid");
    let mut pairs: Vec<Vec<(f64, f64)>> = vec![Vec::new(); SIZES.len()];
    for number in 0..=options.repeats {
        for (size, (_, bytes, count)) in SIZES.iter().enumerate() {
            let (mut with, mut without) = (Vec::new(), Vec::new());
            for seed in 0..options.scaled(*count) {
                let output = workload::prose(*bytes, seed as u64);
                engine.launch(&workload).await;
                let (first, second) = (
                    engine.claim().await.expect("a task"),
                    engine.claim().await.expect("a task"),
                );
                let began = Instant::now();
                engine.finish(&first, &output).await;
                with.push(began.elapsed().as_secs_f64() * 1000.0);
                engine.finish(&second, "Nothing.").await;

                let run = bare.launch(&workload).await;
                let began = Instant::now();
                let updated = bare.session.execute(&update, &[&run, &"a", &output]).await;
                assert_eq!(updated.expect("the update succeeds"), 1);
                without.push(began.elapsed().as_secs_f64() * 1000.0);
            }
            if number > 0 {
                pairs[size].push((percentile(&with, 50.0), percentile(&without, 50.0)));
            }
        }
        ours.vacuum().await;
        theirs.vacuum().await;
    }
    let small = pairs[0].clone();
    section
        .figures
        .push(Figure::beside(SIZES[0].0, "ms", &small));
    for ((name, _, _), pairs) in SIZES.iter().zip(&pairs).skip(1) {
        section
            .figures
            .push(Figure::beside(*name, "ms", pairs).target(Target::AtMost(1.3)));
        let more: Vec<(f64, f64)> = pairs
            .iter()
            .zip(&small)
            .map(|(large, small)| (large.0 - small.0, large.1 - small.1))
            .collect();
        section.figures.push(
            Figure::beside(format!("{name}, more than 4 KiB"), "ms", &more)
                .target(Target::AtMost(1.3)),
        );
    }
    section
}
