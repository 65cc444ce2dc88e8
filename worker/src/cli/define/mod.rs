//! `conductor flow` and `conductor persona`: flows and personas of one's own, from files.

mod add;
mod check;
mod files;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::people::{self, Client, Problem};
use super::{DatabaseArgs, output};
use check::{Checked, Elsewhere, Wrong};
use files::{File, Form};

/// Check or add flows of your own
#[derive(Args, Debug)]
pub struct FlowArgs {
    #[command(subcommand)]
    action: FlowAction,
}

#[derive(Subcommand, Debug)]
enum FlowAction {
    /// Check flow files and show what would run
    ///
    /// Needs no server. The personas of a flow are looked for among the built-in ones, the persona files on the same
    /// command line and, if a database is named and answers, those defined there.
    Check(FilesArgs),
    /// Check flow files and define what they hold, or replace it
    ///
    /// All files or none. Runs under way keep the plan that they were launched with.
    Add(FilesArgs),
}

/// Check or add personas of your own
#[derive(Args, Debug)]
pub struct PersonaArgs {
    #[command(subcommand)]
    action: PersonaAction,
}

#[derive(Subcommand, Debug)]
enum PersonaAction {
    /// Check persona files; needs no server
    Check(FilesArgs),
    /// Check persona files and define what they hold, or replace it
    ///
    /// All files or none. Runs under way keep the personas that they were launched with.
    Add(FilesArgs),
}

#[derive(Args, Debug)]
struct FilesArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Files: NAME.toml is a flow, NAME.md a persona
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Checks or adds flows; 0 when all is well, 2 when anything is wrong.
pub fn flow(args: FlowArgs) -> ExitCode {
    match args.action {
        FlowAction::Check(args) => run_check(args, &[Form::Flow, Form::Persona]),
        FlowAction::Add(args) => run_add(args, &[Form::Flow, Form::Persona]),
    }
}

/// The same for personas.
pub fn persona(args: PersonaArgs) -> ExitCode {
    match args.action {
        PersonaAction::Check(args) => run_check(args, &[Form::Persona]),
        PersonaAction::Add(args) => run_add(args, &[Form::Persona]),
    }
}

fn run_check(args: FilesArgs, forms: &[Form]) -> ExitCode {
    let (files, mut wrong) = files::read(&args.files, forms);
    let (mut checked, mut elsewhere) = (
        check::check(&files, &Elsewhere::NotNamed),
        Elsewhere::NotNamed,
    );
    if checked.wants_personas() && people::is_database_named(args.database.url.as_deref()) {
        elsewhere = ask(args.database.url);
        checked = check::check(&files, &elsewhere);
    }
    wrong.extend(
        checked
            .wrong
            .iter()
            .map(|wrong| show::wrong(wrong, &files, &elsewhere)),
    );
    for text in show::right(&checked, &files) {
        output::print(&text);
    }
    tell(&wrong)
}

fn run_add(args: FilesArgs, forms: &[Form]) -> ExitCode {
    let (files, mut wrong) = files::read(&args.files, forms);
    let checked = check::check(&files, &Elsewhere::NotNamed);
    // What no persona of the server can mend is told without asking it.
    if !wrong.is_empty() || !checked.wrong.iter().all(Wrong::wants_persona) {
        wrong.extend(
            checked
                .wrong
                .iter()
                .map(|wrong| show::wrong(wrong, &files, &Elsewhere::NotAsked)),
        );
        return tell(&wrong);
    }
    people::run(args.database.url, async |mut client| {
        let checked = if checked.wrong.is_empty() {
            checked
        } else {
            let elsewhere = check::defined(&mut client).await?;
            let checked = check::check(&files, &elsewhere);
            if !checked.wrong.is_empty() {
                let wrong: Vec<String> = checked
                    .wrong
                    .iter()
                    .map(|wrong| show::wrong(wrong, &files, &elsewhere))
                    .collect();
                tell(&wrong);
                return Ok(2);
            }
            checked
        };
        add_all(&mut client, &checked, &files).await
    })
}

async fn add_all(client: &mut Client, checked: &Checked, files: &[File]) -> Result<u8, Problem> {
    for line in add::add(client, checked, files).await? {
        output::print(&line);
    }
    Ok(0)
}

/// Asks the server for the personas defined there; that it does not answer is no error.
fn ask(url: Option<String>) -> Elsewhere {
    let (mut client, server) = match people::client(url.as_deref()) {
        Ok(client) => client,
        Err(error) => return Elsewhere::Silent(error),
    };
    let runtime = super::runtime();
    let found = runtime.block_on(check::defined(&mut client));
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    found.unwrap_or_else(|failure| Elsewhere::Silent(format!("{server}: {failure}")))
}

/// Shows what is wrong; the exit code.
fn tell(wrong: &[String]) -> ExitCode {
    for text in wrong {
        eprint!("{text}");
    }
    if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    }
}
