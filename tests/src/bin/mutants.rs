//! `mutants`: takes out one protection after the other and runs the tests that must notice.

use std::io::Write;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use conductor_tests::harness::cluster::{AFTER_INSTALL, NOT_MADE};
use conductor_tests::mutants::{self, Mutant, Program, WITHOUT, Workshop};

/// Takes out one protection of the engine or of the worker after the other and runs the tests that must notice. Ends
/// with 1 when one was not noticed.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Only those whose words hold this; `worker/` and `sql/` are those of files below.
    only: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let only = arguments.only.unwrap_or_default();
    let mutants = match mutants::listed() {
        Ok(mutants) => mutants,
        Err(wrong) => {
            eprintln!("error: mutants.toml: {wrong}");
            return ExitCode::from(2);
        }
    };
    let is_wanted = |mutant: &Mutant| match only.as_str() {
        "sql/" => !mutant.is_of_worker(),
        "worker/" => mutant.is_of_worker(),
        words => mutant.removes.contains(words),
    };
    let wanted: Vec<(usize, &Mutant)> = mutants
        .iter()
        .enumerate()
        .filter(|(_, mutant)| is_wanted(mutant))
        .collect();
    let mut workshop = None;
    if wanted.iter().any(|(_, mutant)| mutant.is_of_worker()) {
        println!("building the worker with its mutants");
        workshop = Some(Workshop::built(&mutants));
    }
    let mut survivors = 0;
    for (number, mutant) in &wanted {
        let start = Instant::now();
        let tried = tried(*number, mutant, workshop.as_ref());
        let (word, failed) = match tried {
            Ok(failed) if failed.is_empty() => ("SURVIVED", mutant.tests.join(", ")),
            Ok(failed) => ("noticed", failed.join(", ")),
            Err(wrong) => ("ERROR", wrong),
        };
        survivors += usize::from(word != "noticed");
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{word:8} {seconds:5.1} s  without {}: {failed}",
            mutant.removes
        );
    }
    let tried = wanted.len();
    println!("{tried} mutants, {} noticed", tried - survivors);
    if tried > 0 && survivors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The tests that failed with the protection taken out, and pass with it.
fn tried(
    number: usize,
    mutant: &Mutant,
    workshop: Option<&Result<Workshop, String>>,
) -> Result<Vec<String>, String> {
    let noticed = without(number, mutant, workshop)?;
    if noticed.is_empty() {
        return Ok(noticed);
    }
    // On a machine that is too busy, or where something is missing, everything fails.
    let always = failed(mutant.program, &noticed, mutants::cargo())?;
    if always.is_empty() {
        return Ok(noticed);
    }
    let always = always.join(", ");
    Err(format!("fails with the protection as well: {always}"))
}

/// The tests that failed with the protection taken out.
fn without(
    number: usize,
    mutant: &Mutant,
    workshop: Option<&Result<Workshop, String>>,
) -> Result<Vec<String>, String> {
    if !mutant.is_of_worker() {
        let mut file = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
        file.write_all(mutant.sql()?.as_bytes())
            .map_err(|e| e.to_string())?;
        let mut cargo = mutants::cargo();
        cargo.env(AFTER_INSTALL, file.path());
        return failed(mutant.program, &mutant.tests, cargo);
    }
    let workshop = match workshop {
        Some(Ok(workshop)) => workshop,
        Some(Err(wrong)) => return Err(format!("the worker cannot be built: {wrong}")),
        None => return Err("the worker was not built".into()),
    };
    let mut cargo = match mutant.program {
        Program::Worker => workshop.cargo(),
        _ => mutants::cargo(),
    };
    let program = workshop.without(number).map_err(|e| e.to_string())?;
    cargo
        .env("CONDUCTOR_BIN", program)
        .env(WITHOUT, number.to_string());
    failed(mutant.program, &mutant.tests, cargo)
}

/// Runs these tests of a program, and returns the names of those that failed.
fn failed(program: Program, tests: &[String], mut cargo: Command) -> Result<Vec<String>, String> {
    let output = cargo
        .args(["test", "--quiet"])
        .args(program.arguments())
        .arg("--")
        .args(tests)
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if let Some(line) = said.lines().find(|line| line.contains(NOT_MADE)) {
        return Err(line.trim().to_owned());
    }
    let results: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("test result:"))
        .collect();
    match results.as_slice() {
        [result] if !result.contains(" 0 passed; 0 failed") => {}
        _ => {
            return Err(format!(
                "no test ran: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    if output.status.success() {
        return Ok(Vec::new());
    }
    // The names stand after the last of these words, up to an empty line.
    let listed = said.rsplit("failures:").next().unwrap_or_default();
    let names = listed.lines().skip(1).take_while(|line| !line.is_empty());
    Ok(names.map(|line| line.trim().to_owned()).collect())
}
