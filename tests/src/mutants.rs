//! Mutants: the engine with one protection taken out. A test that still passes then protects nothing.
//!
//! They are listed in `mutants.toml`, each with the tests that must fail. `make mutants` runs them.

use std::path::Path;

use serde::Deserialize;

use crate::harness::tools;

/// The engine with one protection taken out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// The protection, in words.
    pub removes: String,
    /// A file of `sql/`.
    pub file: String,
    /// What stands in it, exactly once.
    pub from: String,
    /// What is put in its place.
    pub to: String,
    /// Names of tests, or parts of them, of which one at least must fail.
    pub tests: Vec<String>,
}

#[derive(Deserialize)]
struct List {
    mutant: Vec<Mutant>,
}

/// Those of `mutants.toml`.
///
/// # Errors
/// When the list cannot be read.
pub fn listed() -> Result<Vec<Mutant>, String> {
    let list: List = toml::from_str(include_str!("../mutants.toml")).map_err(|e| e.to_string())?;
    Ok(list.mutant)
}

impl Mutant {
    /// What makes the mutant of a fresh installation: the functions of its file, changed.
    ///
    /// # Errors
    /// When the file cannot be read or does not hold `from` exactly once within its functions.
    pub fn sql(&self) -> Result<String, String> {
        let path = tools::repository_root()
            .join("sql")
            .join(Path::new(&self.file));
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", self.file))?;
        let functions = functions(&text);
        match functions.matches(&self.from).count() {
            1 => Ok(functions.replace(&self.from, &self.to)),
            times => Err(format!(
                "{} holds {:?} {times} times, not once",
                self.file, self.from
            )),
        }
    }
}

/// The functions of a file, to be made in the place of those that are there.
fn functions(text: &str) -> String {
    let mut functions = String::new();
    let mut within = false;
    for line in text.lines() {
        within |= line.starts_with("create function ");
        if within {
            functions += &line.replacen("create function ", "create or replace function ", 1);
            functions.push('\n');
        }
        within &= line != "$$;";
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_still_changes_what_it_is_about() {
        let mutants = listed().unwrap();
        assert!(!mutants.is_empty());
        for mutant in mutants {
            let sql = mutant
                .sql()
                .unwrap_or_else(|wrong| panic!("{}: {wrong}", mutant.removes));
            assert!(
                sql.starts_with("create or replace function"),
                "{}",
                mutant.removes
            );
            assert!(!mutant.tests.is_empty(), "{}", mutant.removes);
        }
    }
}
