//! Mutants: Conductor with one protection taken out. A test that still passes then protects nothing.
//!
//! They are listed in `mutants.toml`, each with the tests that must fail. `make mutants` runs them. A mutant of the
//! engine is SQL that is run in each database of the tests. Those of the worker are built once, all of them into one
//! program, which leaves out the protection whose number the name of its folder ends with.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::harness::tools;

/// Names the number of the protection to leave out, for programs whose folder says nothing: unit tests.
pub const WITHOUT: &str = "CONDUCTOR_WITHOUT";
/// What the folder of a program is called that leaves out a protection; its number follows.
const FOLDER: &str = "without-";

/// One protection taken out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// The protection, in words.
    pub removes: String,
    /// A file of `sql/`, or one of the worker's from the top folder.
    pub file: String,
    /// What stands in it, exactly once.
    pub from: String,
    /// What is put in its place.
    pub to: String,
    /// What else is replaced in the file, where one thing protects twice.
    #[serde(default)]
    pub also: Vec<(String, String)>,
    /// The program that holds the tests.
    #[serde(default)]
    pub program: Program,
    /// Names of tests, or parts of them, of which one at least must fail.
    pub tests: Vec<String>,
}

/// A program of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    #[default]
    E2e,
    Standby,
    DatabaseAway,
    DatabaseShort,
    /// The worker's unit tests.
    Worker,
}

impl Program {
    /// What `cargo test` calls it.
    pub fn arguments(self) -> [&'static str; 4] {
        let end_to_end = |name| ["--package", "conductor-tests", "--test", name];
        match self {
            Self::E2e => end_to_end("e2e"),
            Self::Standby => end_to_end("standby"),
            Self::DatabaseAway => end_to_end("database_away"),
            Self::DatabaseShort => end_to_end("database_short"),
            Self::Worker => ["--package", "conductor-worker", "--lib", "--no-fail-fast"],
        }
    }
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
    /// Whether it is one of the worker, not of the engine.
    pub fn is_of_worker(&self) -> bool {
        !self.file.ends_with(".sql")
    }

    /// What makes the mutant of a fresh installation: the functions of its file, changed.
    ///
    /// # Errors
    /// When the file cannot be read or does not hold `from` exactly once within its functions.
    pub fn sql(&self) -> Result<String, String> {
        let text = read(&Path::new("sql").join(&self.file))?;
        self.changed(functions(&text), |_, to| to.to_owned())
    }

    /// The text with each replacement made.
    fn changed(
        &self,
        mut text: String,
        replacement: impl Fn(&str, &str) -> String,
    ) -> Result<String, String> {
        let first = (self.from.clone(), self.to.clone());
        for (from, to) in std::iter::once(&first).chain(&self.also) {
            match text.matches(from.as_str()).count() {
                1 => text = text.replace(from.as_str(), &replacement(from, to)),
                times => {
                    return Err(format!(
                        "{} holds {from:?} {times} times, not once",
                        self.file
                    ));
                }
            }
        }
        Ok(text)
    }
}

/// The worker's files that mutants change, each with all its changes, of which a program makes those of one number.
///
/// # Errors
/// When a file cannot be read or does not hold what a mutant is about.
pub fn of_worker(mutants: &[Mutant]) -> Result<BTreeMap<String, String>, String> {
    let library = "worker/src/lib.rs";
    let mut files = BTreeMap::from([(library.to_owned(), read(Path::new(library))? + CHOICE)]);
    for (number, mutant) in mutants.iter().enumerate().filter(|(_, m)| m.is_of_worker()) {
        let text = match files.remove(&mutant.file) {
            Some(text) => text,
            None => read(Path::new(&mutant.file))?,
        };
        let chosen = |from: &str, to: &str| {
            format!("{{ if crate::without({number}) {{ {to} }} else {{ {from} }} }}")
        };
        files.insert(mutant.file.clone(), mutant.changed(text, chosen)?);
    }
    Ok(files)
}

/// What is added to the worker's library.
const CHOICE: &str = r#"
/// Whether this program leaves out the protection of this number.
pub fn without(number: usize) -> bool {
    let folder = std::env::current_exe().ok().and_then(|program| {
        let folder = program.parent()?.file_name()?.to_str()?;
        folder.strip_prefix("without-")?.parse().ok()
    });
    let named = || std::env::var("CONDUCTOR_WITHOUT").ok()?.parse().ok();
    folder.or_else(named) == Some(number)
}
"#;

/// The worker with mutants in it: its sources and its programs, in a folder that outlives this one, so that only what has
/// changed is built anew.
#[derive(Debug)]
pub struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    /// Copies the repository as it is now, with the worker's mutants in it, and builds the worker.
    ///
    /// # Errors
    /// When that does not work, with what the compiler says.
    pub fn built(mutants: &[Mutant]) -> Result<Self, String> {
        let root = tools::repository_root();
        let workshop = Self {
            folder: root.join("target/mutants"),
        };
        let changed = of_worker(mutants)?;
        let listed = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(&root)
            .output()
            .map_err(|e| format!("git: {e}"))?;
        for file in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
            let text = match changed.get(file) {
                Some(text) => text.clone().into_bytes(),
                // Deleted, and not yet so in the index.
                None => match std::fs::read(root.join(file)) {
                    Ok(text) => text,
                    Err(_) => continue,
                },
            };
            write(&workshop.tree().join(file), &text).map_err(|e| format!("{file}: {e}"))?;
        }
        let built = workshop
            .cargo()
            .args([
                "build",
                "--quiet",
                "--package",
                "conductor-worker",
                "--bins",
            ])
            .output()
            .map_err(|e| format!("cargo: {e}"))?;
        if built.status.success() {
            return Ok(workshop);
        }
        Err(String::from_utf8_lossy(&built.stderr).into_owned())
    }

    fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// Cargo in the copy.
    pub fn cargo(&self) -> Command {
        let mut cargo = cargo();
        cargo
            .current_dir(self.tree())
            .env("CARGO_TARGET_DIR", self.folder.join("build"));
        cargo
    }

    /// The worker without the protection of this number.
    ///
    /// # Errors
    /// When it cannot be put into a folder of its own.
    pub fn without(&self, number: usize) -> io::Result<PathBuf> {
        let folder = self.folder.join(format!("{FOLDER}{number}"));
        std::fs::create_dir_all(&folder)?;
        let program = folder.join("conductor");
        let _ = std::fs::remove_file(&program);
        std::fs::hard_link(self.folder.join("build/debug/conductor"), &program)?;
        Ok(program)
    }
}

/// The cargo that this program was started by, or the one that is found.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn read(path: &Path) -> Result<String, String> {
    let read = std::fs::read_to_string(tools::repository_root().join(path));
    read.map_err(|e| format!("{}: {e}", path.display()))
}

/// Writes a file unless it says that already: what is older than its program is not built again.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text)
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
        assert!(mutants.iter().any(Mutant::is_of_worker));
        for mutant in mutants.iter().filter(|mutant| !mutant.is_of_worker()) {
            let sql = mutant
                .sql()
                .unwrap_or_else(|wrong| panic!("{}: {wrong}", mutant.removes));
            assert!(
                sql.starts_with("create or replace function"),
                "{}",
                mutant.removes
            );
        }
        for mutant in &mutants {
            assert!(!mutant.tests.is_empty(), "{}", mutant.removes);
            // A mutant of the engine lives in databases, of which unit tests have none.
            let reaches = mutant.is_of_worker() || mutant.program != Program::Worker;
            assert!(reaches, "{}", mutant.removes);
        }
        let files = of_worker(&mutants).unwrap();
        let choices: usize = files
            .values()
            .map(|text| text.matches("if crate::without(").count())
            .sum();
        let replaced = |mutant: &Mutant| 1 + mutant.also.len();
        let of_worker = mutants.iter().filter(|mutant| mutant.is_of_worker());
        assert_eq!(choices, of_worker.map(replaced).sum::<usize>());
    }

    #[test]
    fn a_program_is_told_apart_by_its_folder() {
        assert!(
            CHOICE.contains(&format!("{FOLDER:?}")) && CHOICE.contains(&format!("{WITHOUT:?}"))
        );
    }
}
