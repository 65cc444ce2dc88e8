//! The command line: one file a subcommand. People's commands are thin calls of the SQL surface.

mod attack;
#[cfg(feature = "cli")]
mod cancel;
#[cfg(feature = "cli")]
mod define;
mod doctor;
#[cfg(feature = "cli")]
mod history;
#[cfg(feature = "cli")]
mod launch;
mod model_probe;
mod output;
#[cfg(feature = "cli")]
mod people;
#[cfg(feature = "cli")]
mod report;
#[cfg(feature = "cli")]
mod watch;
mod worker;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::{db, shortage};

/// Fixed multi-agent analysis flows inside PostgreSQL: the worker, and commands for people.
#[derive(Parser)]
#[command(
    name = "conductor",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(
    after_help = "Exit codes: 0 all is well, 1 a run or a check failed, 2 bad usage or refused by the server, \
                        130 the run was cancelled.\nLogs go to standard error, at the level that CONDUCTOR_LOG or \
                        RUST_LOG names (info, debug, …)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Worker(worker::WorkerArgs),
    Doctor(doctor::DoctorArgs),
    #[cfg(feature = "cli")]
    Launch(launch::LaunchArgs),
    #[cfg(feature = "cli")]
    Watch(watch::WatchArgs),
    #[cfg(feature = "cli")]
    Report(report::ReportArgs),
    #[cfg(feature = "cli")]
    Cancel(cancel::CancelArgs),
    #[cfg(feature = "cli")]
    History(history::HistoryArgs),
    #[cfg(feature = "cli")]
    Flow(define::FlowArgs),
    #[cfg(feature = "cli")]
    Persona(define::PersonaArgs),
}

/// Which server.
#[derive(Args, Debug, Clone)]
pub struct DatabaseArgs {
    /// Connection string, for instance postgres://user@host/database?sslmode=verify-full; else the PG* variables and
    /// the password file, as psql reads them. A password here would be seen by everybody on this machine: it is refused
    #[arg(
        long = "database",
        value_name = "URL",
        env = "CONDUCTOR_DATABASE_URL",
        hide_env_values = true
    )]
    url: Option<String>,
}

/// Enough for a command to begin and to say what is wrong.
const LEAST_OPEN_FILES: u64 = 24;

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    if shows_password(&matches) {
        eprintln!(
            "error: a password on the command line can be read by everybody on this machine, and is refused; it should \
             be changed now\n\
             hint: put it into the password file (~/.pgpass or PGPASSFILE), PGPASSWORD or CONDUCTOR_DATABASE_URL"
        );
        return ExitCode::from(2);
    }
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    start_logging(matches!(cli.command, Command::Worker(_)));
    // With fewer not even the libraries below us begin without a panic.
    if let Err((have, need)) = shortage::raise_open_files(LEAST_OPEN_FILES) {
        eprintln!(
            "error: too few open files: this process may have {have}, and takes {need} to begin (raise LimitNOFILE= in \
             its unit, or ulimit -n)"
        );
        return ExitCode::from(2);
    }
    match cli.command {
        Command::Worker(args) => worker::run(args),
        Command::Doctor(args) => doctor::run(args),
        #[cfg(feature = "cli")]
        Command::Launch(args) => people::run(args.database.url.clone(), async |client| {
            launch::run(client, args).await
        }),
        #[cfg(feature = "cli")]
        Command::Watch(args) => people::run(args.database.url.clone(), async |client| {
            watch::run(client, args).await
        }),
        #[cfg(feature = "cli")]
        Command::Report(args) => people::run(args.database.url.clone(), async |client| {
            report::run(client, args).await
        }),
        #[cfg(feature = "cli")]
        Command::Cancel(args) => people::run(args.database.url.clone(), async |client| {
            cancel::run(client, args).await
        }),
        #[cfg(feature = "cli")]
        Command::History(args) => people::run(args.database.url.clone(), async |client| {
            history::run(client, args).await
        }),
        #[cfg(feature = "cli")]
        Command::Flow(args) => define::flow(args),
        #[cfg(feature = "cli")]
        Command::Persona(args) => define::persona(args),
    }
}

/// Whether a password stands in the arguments, and not in the environment.
fn shows_password(matches: &ArgMatches) -> bool {
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.subcommand() {
        innermost = inner;
    }
    innermost.ids().any(|id| id == "url")
        && innermost.value_source("url") == Some(ValueSource::CommandLine)
        && innermost
            .get_one::<String>("url")
            .is_some_and(|url| db::holds_password(url))
}

/// One readable line an event on standard error. The daemon talks by default, people's commands only of trouble.
fn start_logging(daemon: bool) {
    let wanted = ["CONDUCTOR_LOG", "RUST_LOG"]
        .iter()
        .find_map(|name| env(name).filter(|value| !value.is_empty()));
    let default = if daemon { "info" } else { "error" };
    let filter = EnvFilter::builder().parse_lossy(wanted.unwrap_or_else(|| default.into()));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // The journal has a clock of its own.
    if env("JOURNAL_STREAM").is_some() {
        lines.without_time().init();
    } else {
        lines.init();
    }
}

/// An environment variable, if it is set and Unicode.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A thread for what waits is kept, once made, for as long as a command may run.
const KEEP_THREADS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// A runtime for one command.
fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(KEEP_THREADS)
        .build()
        .expect("the system gives threads to a new process");
    // Where no more can be made later, what waits for one is taken up by this one.
    runtime.spawn_blocking(|| ());
    runtime
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_among_the_arguments_is_seen_with_every_command() {
        let secret = "postgres://u:secret@h/d";
        for (arguments, shown) in [
            (vec!["conductor", "worker", "--database", secret], true),
            (
                vec!["conductor", "doctor", "--database=host=h password=x"],
                true,
            ),
            #[cfg(feature = "cli")]
            (
                vec!["conductor", "flow", "add", "--database", secret, "f.toml"],
                true,
            ),
            (
                vec!["conductor", "worker", "--database", "postgres://u@h/d"],
                false,
            ),
            (vec!["conductor", "worker"], false),
        ] {
            let matches = Cli::command().try_get_matches_from(&arguments).unwrap();
            assert_eq!(shows_password(&matches), shown, "{arguments:?}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{} {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
        }
    }
}
