//! `conductor doctor`: is this machine fit to be a worker, and what to mend if not.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_postgres::types::Type;

use super::worker::MachineArgs;
use super::{model_probe, output};
use crate::checks::{Line, SelfCheck, self_check};
use crate::config::Config;
use crate::credentials;
use crate::db::{Db, Failure, Protection, Ring, listen};
use crate::snapshot::remove_tree;

/// Check whether this machine is fit to be a worker
///
/// One line for each check, and how to mend what fails. Give it the settings that the worker has. Exit code 1 if
/// anything fails.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    machine: MachineArgs,
    /// Attack this machine's sandbox instead: the real child is asked to write, read and run what it must not, with all
    /// layers and with one layer alone, and a table says who refused what. Needs neither server nor model
    #[arg(long)]
    attack: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

const LIMIT: Duration = Duration::from_secs(20);
/// Every function that a worker calls.
const WORKER_FUNCTIONS: [&str; 9] = [
    "worker_register",
    "worker_runs_over",
    "task_claim",
    "run_snapshot",
    "task_heartbeat",
    "task_stream",
    "worker_stream",
    "task_finish",
    "task_release",
];

/// Checks and prints; 0 when all is well, 1 when not, 2 for bad settings.
pub fn run(args: DoctorArgs) -> ExitCode {
    let config = match args.machine.resolve(1, None, Vec::new()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    if args.attack {
        return super::attack::run(&config, args.json);
    }
    let runtime = super::runtime();
    let mut lines = Vec::new();
    let colors = !args.json && output::supports_color();
    let mut tell = |line: Line| {
        if !args.json {
            output::print(&shown(&line, colors));
        }
        lines.push(line);
    };
    runtime.block_on(examine(&config, &mut tell));
    runtime.shutdown_timeout(Duration::from_millis(100));
    let ok = lines.iter().all(|line| line.ok);
    if args.json {
        output::print(&format!("{:#}\n", json!({"ok": ok, "checks": lines})));
    } else {
        let failed = lines.iter().filter(|line| !line.ok).count();
        let summary = if ok {
            "all is well".to_owned()
        } else {
            format!("{failed} of {} checks failed", lines.len())
        };
        output::print(&format!("{summary}\n"));
    }
    if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn examine(config: &Config, tell: &mut impl FnMut(Line)) {
    look_at_server(config, tell).await;
    let scratch = config
        .state_dir
        .join(format!("doctor-{}", std::process::id()));
    let SelfCheck { lines, .. } = self_check(config, &scratch, &super::env).await;
    lines.into_iter().for_each(&mut *tell);
    if let Err(error) = remove_tree(&scratch) {
        tracing::warn!(%error, folder = %scratch.display(), "a folder could not be removed");
    }
    // A missing address has been told by the self-check.
    if let Ok(credentials) = credentials::load(config.credentials.as_deref(), &super::env) {
        tell(model_probe::probe(&credentials).await);
    }
    look_at_roots(config, tell);
}

fn look_at_roots(config: &Config, tell: &mut impl FnMut(Line)) {
    if config.allow_roots.is_empty() {
        tell(Line::good(
            "allowed roots",
            "none: only runs without a project are taken (--allow-root)",
        ));
    }
    for root in &config.allow_roots {
        tell(look_at_root(root));
    }
}

fn look_at_root(root: &Path) -> Line {
    let name = "allowed root";
    match std::fs::read_dir(root) {
        Ok(_) => Line::good(name, root.display().to_string()),
        Err(error) => {
            let cure = "correct --allow-root, or let the worker's user read it";
            Line::bad(name, format!("{}: {error}", root.display()), cure)
        }
    }
}

async fn look_at_server(config: &Config, tell: &mut impl FnMut(Line)) {
    let db = Db::new(config.database.clone(), 2);
    let server = db.shown();
    match text(
        &db,
        "select pg_catalog.current_setting('server_version') || ' as ' || current_user",
    )
    .await
    {
        Ok(found) => tell(Line::good(
            "server",
            format!("{server}: PostgreSQL {}", found.unwrap_or_default()),
        )),
        Err(failure) => {
            let (reason, cure) = match failure {
                Failure::Unprotected { reason, cure } => (reason, cure),
                failure => {
                    let cure = "start it, or correct --database or the PG* variables";
                    (failure.to_string(), cure.to_owned())
                }
            };
            return tell(Line::bad("server", format!("{server}: {reason}"), cure));
        }
    }
    match db.session().await {
        Ok(session) => tell(protection(session.protection())),
        Err(failure) => return tell(Line::bad("connection", failure.to_string(), "")),
    }
    let installed = text(
        &db,
        "select extversion from pg_catalog.pg_extension where extname = 'conductor'",
    )
    .await;
    match installed {
        Ok(Some(version)) => tell(agreement(&version, env!("CARGO_PKG_VERSION"))),
        Ok(None) => {
            let cure = "CREATE EXTENSION conductor in this database";
            return tell(Line::bad(
                "extension",
                "not installed in this database",
                cure,
            ));
        }
        Err(failure) => return tell(Line::bad("extension", failure.to_string(), "")),
    }
    tell(look_at_rights(&db).await);
    tell(look_at_doorbell(db).await);
}

/// A line that somebody may listen to is no failure: it may be all there is, and the tunnel is not seen from here.
fn protection(protection: Protection) -> Line {
    let line = Line::good("connection", protection.to_string());
    let cure = if protection.is_open() {
        "warning: switch TLS on in the server and say sslmode=verify-full with sslrootcert="
    } else if protection.is_unproved() {
        "warning: somebody on the way could be taken for the server; say sslmode=verify-full with sslrootcert="
    } else {
        return line;
    };
    let cure = Some(cure.to_owned());
    Line { cure, ..line }
}

/// Major and minor version must be the same.
fn agreement(extension: &str, worker: &str) -> Line {
    let series = |version: &str| version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    if series(extension) == series(worker) {
        return Line::good(
            "extension",
            format!("{extension}, agrees with this worker ({worker})"),
        );
    }
    Line::bad(
        "extension",
        format!("{extension} does not agree with this worker ({worker})"),
        "install the same version of both, then ALTER EXTENSION conductor UPDATE",
    )
}

async fn look_at_rights(db: &Db) -> Line {
    let functions: Vec<String> = WORKER_FUNCTIONS
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    let sql = "select string_agg(f.name, ', ' order by f.name) from unnest($1) f (name) \
               where not pg_catalog.has_schema_privilege('conductor', 'usage') or not exists ( \
                 select from pg_catalog.pg_proc p \
                 where p.pronamespace = 'conductor'::regnamespace and p.proname = f.name \
                   and pg_catalog.has_function_privilege(p.oid, 'execute'))";
    let missing = async {
        let row = db
            .session()
            .await?
            .row(LIMIT, sql, &[(&functions, Type::TEXT_ARRAY)])
            .await?;
        Ok::<_, Failure>(row.try_get::<_, Option<String>>(0)?)
    };
    match missing.await {
        Ok(None) => Line::good("worker's rights", "may call every worker function"),
        Ok(Some(missing)) => {
            let role = db.servers().hosts().first();
            let role = role
                .and_then(tokio_postgres::Config::get_user)
                .unwrap_or("the worker's role")
                .replace('\'', "''");
            Line::bad(
                "worker's rights",
                format!("may not call {missing}"),
                format!("as the extension's owner: SELECT conductor.grant_worker('{role}')"),
            )
        }
        Err(failure) => Line::bad("worker's rights", failure.to_string(), ""),
    }
}

/// Not ringing is no failure: the worker goes on by polling.
async fn look_at_doorbell(db: Db) -> Line {
    let (ring, mut rings) = mpsc::channel(4);
    let listener = listen(db, Vec::new(), ring);
    let heard = timeout(LIMIT, rings.recv()).await;
    listener.abort();
    match heard {
        Ok(Some(Ring::Listening { proved: true })) => {
            Line::good("doorbell", "a notification arrives")
        }
        Ok(Some(Ring::Listening { proved: false })) => Line::good(
            "doorbell",
            "no notification arrives (a pooler in transaction mode?): the worker looks for tasks by itself, more slowly",
        ),
        Ok(Some(Ring::Lost(reason))) => Line::bad("doorbell", reason, ""),
        _ => Line::bad("doorbell", "no answer", ""),
    }
}

async fn text(db: &Db, sql: &str) -> Result<Option<String>, Failure> {
    let rows = db.session().await?.rows(LIMIT, sql, &[]).await?;
    match rows.first() {
        Some(row) => Ok(row.try_get(0)?),
        None => Ok(None),
    }
}

fn shown(line: &Line, colors: bool) -> String {
    let (mark, color) = if line.ok { ("✓", 32) } else { ("✗", 31) };
    let mark = if colors {
        format!("\u{1b}[{color}m{mark}\u{1b}[0m")
    } else {
        mark.to_owned()
    };
    let mut text = format!(
        "{mark} {}: {}\n",
        output::one_line(&line.name),
        output::one_line(&line.detail)
    );
    if let Some(cure) = &line.cure {
        text.push_str(&format!("  → {}\n", output::one_line(cure)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_shown_with_its_cure() {
        assert_eq!(
            shown(&Line::good("qwen", "0.24.4"), false),
            "✓ qwen: 0.24.4\n"
        );
        assert_eq!(
            shown(
                &Line::bad("qwen", "not\u{1b}[2J found", "install it"),
                false
            ),
            "✗ qwen: not found\n  → install it\n"
        );
    }

    #[test]
    fn a_warning_is_shown_with_what_to_do_and_is_no_failure() {
        let line = Line::good("connection", "without TLS");
        let line = Line {
            cure: Some("warning: switch it on".into()),
            ..line
        };
        assert_eq!(
            shown(&line, false),
            "✓ connection: without TLS\n  → warning: switch it on\n"
        );
    }

    #[test]
    fn versions_agree_by_major_and_minor() {
        assert!(agreement("0.1.7", "0.1.0").ok);
        assert!(agreement("0.1", "0.1.0").ok);
        for other in ["0.2.0", "1.1.0"] {
            let line = agreement(other, "0.1.0");
            assert!(!line.ok && line.cure.unwrap().contains("ALTER EXTENSION"));
        }
    }

    #[test]
    fn a_root_that_cannot_be_read_is_named() {
        assert!(look_at_root(Path::new("/")).ok);
        let line = look_at_root(Path::new("/nonexistent"));
        assert!(!line.ok && line.detail.contains("/nonexistent"));
    }
}
