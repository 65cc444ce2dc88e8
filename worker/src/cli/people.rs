//! What the commands for people share: a session, and errors shown with everything the server says.

use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::Row;

use super::output::one_line;
use crate::db::{self, Db, Failure, Param, Refusal};

/// Longer than any of these calls takes; a launch may wait for a lock.
const LIMIT: Duration = Duration::from_secs(120);

/// A connection to the SQL surface. Warnings of the server go to standard error.
pub struct Client {
    pub db: Db,
    notices: mpsc::UnboundedReceiver<Refusal>,
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub enum Problem {
    /// The command makes no sense as it stands.
    Usage(String),
    Server(Failure),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Problem::Server(failure)
    }
}

impl Client {
    /// Runs one statement and returns its rows.
    pub async fn rows(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Failure> {
        let rows = self.db.session().await?.rows(LIMIT, sql, params).await;
        self.show_notices();
        rows
    }

    /// Runs one statement that returns exactly one row.
    pub async fn row(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Row, Failure> {
        let row = self.db.session().await?.row(LIMIT, sql, params).await;
        self.show_notices();
        row
    }

    fn show_notices(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            eprint!("{}", shown("warning", &notice));
        }
    }
}

/// Connects, runs a command to its exit code, and shows what went wrong.
pub fn run(
    database: Option<String>,
    command: impl AsyncFnOnce(Client) -> Result<u8, Problem>,
) -> ExitCode {
    let config = match db::resolve(database.as_deref(), &super::env, "conductor") {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let (tell, notices) = mpsc::unbounded_channel();
    let db = Db::with_notices(config, 2, Some(tell));
    let server = db.shown();
    let runtime = super::runtime();
    let code = runtime.block_on(command(Client { db, notices }));
    runtime.shutdown_timeout(Duration::from_millis(100));
    ExitCode::from(code.unwrap_or_else(|problem| {
        eprint!("{}", explain(&problem, &server));
        2
    }))
}

fn explain(problem: &Problem, server: &str) -> String {
    match problem {
        Problem::Usage(message) => format!("error: {message}\n"),
        Problem::Server(Failure::Gone(reason)) => format!(
            "error: cannot reach the server at {server}: {}\n\
             hint: start it, or name another with --database or the PG* variables\n",
            one_line(reason)
        ),
        Problem::Server(Failure::Refused(refusal) | Failure::Again(refusal)) => {
            shown("error", &surely_hinted(refusal))
        }
        Problem::Server(failure @ Failure::StaleLease) => format!("error: {failure}\n"),
    }
}

/// Adds a hint where the server itself cannot know one.
fn surely_hinted(refusal: &Refusal) -> Refusal {
    let hint = match refusal.sqlstate.as_str() {
        "42883" | "3F000" | "42P01" => {
            "is the extension installed in this database? CREATE EXTENSION conductor"
        }
        "42501" => {
            "an owner of the extension grants it with SELECT conductor.grant_launcher('role')"
        }
        _ => "",
    };
    Refusal {
        hint: refusal
            .hint
            .clone()
            .or_else(|| Some(hint.to_owned()).filter(|hint| !hint.is_empty())),
        ..refusal.clone()
    }
}

fn shown(kind: &str, refusal: &Refusal) -> String {
    let mut text = format!("{kind}: {}\n", one_line(&refusal.message));
    for (name, value) in [("detail", &refusal.detail), ("hint", &refusal.hint)] {
        if let Some(value) = value {
            text.push_str(&format!("{name}: {}\n", one_line(value)));
        }
    }
    text.push_str(&format!("sqlstate: {}\n", refusal.sqlstate));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(sqlstate: &str, hint: Option<&str>) -> Problem {
        Problem::Server(Failure::Refused(Refusal {
            sqlstate: sqlstate.into(),
            message: "no flow named \"reserch\"".into(),
            detail: Some("known: a,\nb".into()),
            hint: hint.map(str::to_owned),
        }))
    }

    #[test]
    fn an_error_is_shown_with_everything_the_server_says() {
        assert_eq!(
            explain(
                &refusal("42704", Some("did you mean research?")),
                "h:5432/d"
            ),
            "error: no flow named \"reserch\"\ndetail: known: a, b\nhint: did you mean research?\nsqlstate: 42704\n"
        );
    }

    #[test]
    fn a_missing_extension_and_missing_rights_get_a_hint() {
        assert!(explain(&refusal("42883", None), "s").contains("CREATE EXTENSION conductor"));
        assert!(explain(&refusal("42501", None), "s").contains("grant_launcher"));
        assert!(explain(&refusal("42501", Some("theirs")), "s").contains("theirs"));
    }

    #[test]
    fn an_unreachable_server_is_named() {
        let text = explain(
            &Problem::Server(Failure::Gone("connection refused".into())),
            "h:5432/d",
        );
        assert!(
            text.contains("h:5432/d") && text.contains("--database"),
            "{text}"
        );
    }
}
