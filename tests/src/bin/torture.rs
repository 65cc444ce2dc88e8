//! `torture`: the crash test. Many runs on real parts, random faults from a seed, and then a verdict.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use conductor_tests::harness::{Cluster, processes};
use conductor_tests::torture::{self, Options, Outcome};
use tokio::signal::unix::{SignalKind, signal};

/// Runs many flows on a private server with real workers and real qwen children, and kills workers, children,
/// sessions and the server at random. Then everything must settle, and nothing may be lost. The model is the
/// scripted one.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How long faults are made; a part of a minute is allowed.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Faults and launches are drawn from it [default: a random one, which is printed].
    #[arg(long)]
    seed: Option<u64>,
    /// Workers, each with two children at a time.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Launchers, each of which follows one run at a time.
    #[arg(long, default_value_t = 4)]
    runs_at_once: usize,
    /// Mean time between two faults.
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    pause_ms: u64,
    /// By when everything must have settled after the last fault.
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    settle: u64,
    /// Folder in which logs are kept when something was violated.
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

/// Longer than this is a typing error.
const MOST_MINUTES: f64 = 24.0 * 60.0;
/// What is under way when it is interrupted gets so much time.
const INTERRUPTED: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let valid = (0.0..=MOST_MINUTES).contains(&arguments.minutes)
        && (1..=9).contains(&arguments.workers)
        && (1..=64).contains(&arguments.runs_at_once)
        && arguments.pause_ms > 0;
    if !valid {
        eprintln!(
            "error: 0 to {MOST_MINUTES} minutes, 1 to 9 workers, 1 to 64 runs at once, a pause above 0"
        );
        return ExitCode::from(2);
    }
    let options = Options {
        time: Duration::from_secs_f64(arguments.minutes * 60.0),
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000)),
        workers: arguments.workers,
        runs_at_once: arguments.runs_at_once,
        pause: Duration::from_millis(arguments.pause_ms),
        settle: Duration::from_secs(arguments.settle),
        logs: arguments.logs,
    };
    println!("torture: seed {}", options.seed);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let closed = Arc::new(AtomicBool::new(false));
    let outcome = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).expect("signals can be taken");
        let mut terminate = signal(SignalKind::terminate()).expect("signals can be taken");
        tokio::select! {
            outcome = torture::run(&options, closed.clone()) => Some(outcome),
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
        }
    });
    // Whatever came of it, nothing of ours stays; the server ends with this program.
    closed.store(true, Ordering::Relaxed);
    let folder = Cluster::shared().folder().join("torture");
    processes::kill_all(&folder);
    runtime.shutdown_timeout(INTERRUPTED);
    processes::kill_all(&folder);
    match outcome {
        Some(outcome) => tell(&options, &outcome),
        None => {
            eprintln!("torture: interrupted; seed {}", options.seed);
            ExitCode::from(130)
        }
    }
}

fn tell(options: &Options, outcome: &Outcome) -> ExitCode {
    println!("{}", outcome.table);
    if outcome.violations.is_empty() {
        println!("clean: every run settled, flow_check() returns nothing, nothing is left behind");
        return ExitCode::SUCCESS;
    }
    println!(
        "{} violations with seed {}:",
        outcome.violations.len(),
        options.seed
    );
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    ExitCode::FAILURE
}
