//! How fast runs are worked through, and what they write, beside the floor.

use tokio_postgres::Client;

use super::Options;
use super::crowd::{self, Played, Player};
use super::engine::Engine;
use super::figure::{Figure, Section, Target};
use super::floor::{Board, Floor};
use super::stage::{Stage, Written};
use super::trace;
use super::workload::{self, Workload};

/// How many clients play at once.
const CLIENTS: &[usize] = &[1, 4, 8];
/// Agent steps that each client plays in a repeat, about.
const STEPS_PER_REPEAT: usize = 1200;

/// One repeat on one side.
struct Repeat {
    played: Played,
    written: Written,
    /// Processor time of the server's processes, in seconds.
    processor: f64,
}

/// Plays all workloads with all numbers of clients.
pub async fn run(options: &Options) -> Section {
    let mut section = Section::new("Throughput");
    section.note("Agents that do nothing reply with 4 KiB. A step is claimed in one transaction and completed in another, on both sides.");
    section.note("The floor writes each row once in each transaction and sends all statements of a transaction at once.");
    for workload in [
        workload::diamond(),
        workload::chain(20),
        workload::fan_out(100),
        workload::spine(),
    ] {
        if !options.workload.is_empty()
            && !options.workload.iter().any(|name| name == workload.name)
        {
            continue;
        }
        let ours = Stage::new().await;
        let theirs = Stage::without_engine().await;
        let trace = trace::record(&ours, &workload).await;
        let (tasks, steps) = (trace.tasks, trace.order.len());
        let board = Board::new(&theirs, trace).await;
        let numbers = if options.clients.is_empty() {
            CLIENTS
        } else {
            &options.clients
        };
        for &clients in numbers {
            let engines =
                futures_util::future::join_all((0..clients).map(|_| Engine::new(&ours))).await;
            let floors =
                futures_util::future::join_all((0..clients).map(|_| Floor::new(&theirs, &board)))
                    .await;
            let runs = options
                .scaled(STEPS_PER_REPEAT.div_ceil(tasks))
                .max(clients);
            // Sessions plan, and caches fill, before anything is measured.
            repeat(&ours, &engines, &workload, runs.div_ceil(4), tasks).await;
            repeat(&theirs, &floors, &workload, runs.div_ceil(4), tasks).await;
            let mut repeats = Vec::new();
            for number in 0..options.repeats {
                // Who goes first alternates, so that what the machine does meanwhile favours nobody.
                let ours_first = number % 2 == 0;
                let first = if ours_first {
                    Some(repeat(&ours, &engines, &workload, runs, tasks).await)
                } else {
                    None
                };
                let floor = repeat(&theirs, &floors, &workload, runs, tasks).await;
                let engine = match first {
                    Some(first) => first,
                    None => repeat(&ours, &engines, &workload, runs, tasks).await,
                };
                repeats.push((engine, floor));
            }
            figures(
                &mut section,
                &workload,
                clients,
                runs,
                (tasks, steps),
                &repeats,
            );
        }
        ours.check().await;
        drop((ours, theirs));
    }
    section
}

async fn repeat<P: Player>(
    stage: &Stage,
    players: &[P],
    workload: &Workload,
    runs: usize,
    tasks: usize,
) -> Repeat {
    let sessions: Vec<&Client> = players.iter().map(Player::session).collect();
    let before = stage.written(&sessions).await;
    let busy = stage.processor_time();
    let played = crowd::play(players, workload, runs, tasks).await;
    let processor = stage.processor_time() - busy;
    let written = stage.written(&sessions).await - before;
    // What a repeat left behind is not the next one's to step over.
    stage.vacuum().await;
    Repeat {
        played,
        written,
        processor,
    }
}

fn figures(
    section: &mut Section,
    workload: &Workload,
    clients: usize,
    runs: usize,
    (tasks, steps): (usize, usize),
    repeats: &[(Repeat, Repeat)],
) {
    let plural = if clients == 1 { "client" } else { "clients" };
    let name = |what: &str| format!("{}, {clients} {plural}: {what}", workload.name);
    let each = |value: &dyn Fn(&Repeat) -> f64| -> Vec<(f64, f64)> {
        repeats
            .iter()
            .map(|(ours, floor)| (value(ours), value(floor)))
            .collect()
    };
    let per_second =
        |count: usize| move |repeat: &Repeat| count as f64 / repeat.played.time.as_secs_f64();
    let rate = Figure::beside(name("steps/s"), "1/s", &each(&per_second(runs * steps)));
    section.figures.push(if clients <= 4 {
        rate.target(Target::AtLeast(0.6))
    } else {
        rate
    });
    section.figures.push(Figure::beside(
        name("runs/s"),
        "1/s",
        &each(&per_second(runs)),
    ));
    section.figures.push(Figure::beside(
        name("server's processor time per step"),
        "ms",
        &each(&|r| r.processor * 1000.0 / (runs * steps) as f64),
    ));
    let per_run = runs as f64;
    section.figures.push(
        Figure::beside(
            name("WAL per run"),
            "KiB",
            &each(&|r| r.written.wal_bytes / per_run / 1024.0),
        )
        .target(Target::AtMost(1.5)),
    );
    section.figures.push(Figure::beside(
        name("dead rows per run"),
        "rows",
        &each(&|r| r.written.dead_rows / per_run),
    ));
    section.figures.push(Figure::beside(
        name("of them in no index (HOT)"),
        "rows",
        &each(&|r| r.written.hot_rows / per_run),
    ));
    section.figures.push(Figure::beside(
        name("round trips per agent step"),
        "",
        &each(&|r| r.played.calls as f64 / (runs * tasks) as f64),
    ));
}
