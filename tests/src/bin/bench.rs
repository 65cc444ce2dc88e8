//! `bench`: what the engine costs, as ratios within one run.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use conductor_tests::bench::{self, Options};

/// Measures the engine and the worker on a private server that keeps what it has promised, beside what the same work
/// costs without them. Prints a table, and writes bench.json and bench.svg.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How often each figure is measured, after a warm-up.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Scales the work of each repeat.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Sections to run, by name [default: all].
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Workloads of the throughput section, or kinds of agents of the streams section, by name [default: all].
    #[arg(long, value_delimiter = ',')]
    workload: Vec<String>,
    /// Clients at once in the throughput section [default: 1,4,8].
    #[arg(long, value_delimiter = ',')]
    clients: Vec<usize>,
    /// Folder for the results.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !(1..=99).contains(&arguments.repeats) || !(0.001..=100.0).contains(&arguments.scale) {
        eprintln!("error: 1 to 99 repeats, a scale of 0.001 to 100");
        return ExitCode::from(2);
    }
    if let Some(unknown) = arguments
        .only
        .iter()
        .find(|name| !bench::SECTIONS.contains(&name.as_str()))
    {
        eprintln!(
            "error: no section is named {unknown}: {}",
            bench::SECTIONS.join(", ")
        );
        return ExitCode::from(2);
    }
    let options = Options {
        repeats: arguments.repeats,
        scale: arguments.scale,
        only: arguments.only,
        workload: arguments.workload,
        clients: arguments.clients,
    };
    // One thread, so that both cores are left to the server as far as possible.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let started = Instant::now();
    let results = runtime.block_on(bench::run(&options));
    println!("{}", results.table());
    println!("measured in {:.0} s", started.elapsed().as_secs_f64());
    match results.write(&arguments.out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", arguments.out.display());
            ExitCode::FAILURE
        }
    }
}
