//! `mutants`: takes out one protection of the engine after the other and runs the tests that must notice.

use std::io::Write;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use conductor_tests::harness::cluster::AFTER_INSTALL;
use conductor_tests::mutants::{self, Mutant};

/// Takes out one protection of the engine after the other and runs the tests that must notice. Ends with 1 when one
/// was not noticed.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Only those whose words hold this.
    only: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let wanted = arguments.only.unwrap_or_default();
    let mutants = match mutants::listed() {
        Ok(mutants) => mutants,
        Err(wrong) => {
            eprintln!("error: mutants.toml: {wrong}");
            return ExitCode::from(2);
        }
    };
    let mut survivors = 0;
    let mut tried = 0;
    for mutant in mutants.iter().filter(|m| m.removes.contains(&wanted)) {
        let start = Instant::now();
        let (word, failed) = match noticed(mutant) {
            Ok(failed) if failed.is_empty() => ("SURVIVED", mutant.tests.join(", ")),
            Ok(failed) => ("noticed", failed.join(", ")),
            Err(wrong) => ("ERROR", wrong),
        };
        tried += 1;
        survivors += u32::from(word != "noticed");
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{word:8} {seconds:5.1} s  without {}: {failed}",
            mutant.removes
        );
    }
    println!("{tried} mutants, {} noticed", tried - survivors);
    if tried > 0 && survivors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The tests that failed with the protection taken out.
fn noticed(mutant: &Mutant) -> Result<Vec<String>, String> {
    let sql = mutant.sql()?;
    let mut file = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    file.write_all(sql.as_bytes()).map_err(|e| e.to_string())?;
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "test",
            "--quiet",
            "--package",
            "conductor-tests",
            "--test",
            "e2e",
            "--",
        ])
        .args(&mutant.tests)
        .env(AFTER_INSTALL, file.path())
        .output()
        .map_err(|e| format!("cargo: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
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
    let listed = said
        .rsplit("failures:")
        .next()
        .filter(|_| !output.status.success());
    let names = listed.unwrap_or_default().lines().map(str::trim);
    Ok(names
        .filter(|line| line.contains("::") && !line.contains(' '))
        .map(str::to_owned)
        .collect())
}
