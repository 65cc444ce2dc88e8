//! What the commands for people share: a session, and errors shown with everything the server says.

use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::Row;

use super::output::{escaped, one_line};
use crate::db::{self, Db, Failure, Param, Refusal, Session};

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
    /// The server refused what a file holds, of which this is the name.
    OfFile(Box<(String, Failure)>),
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

    /// Runs statements in one transaction, which is undone as a whole when `work` fails.
    pub async fn in_transaction(
        &mut self,
        work: impl AsyncFnOnce(&mut Transaction) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let session = self.db.session().await?;
        let mut transaction = Transaction { session };
        let done = async {
            transaction.session.rows(LIMIT, "begin", &[]).await?;
            work(&mut transaction).await?;
            transaction.session.rows(LIMIT, "commit", &[]).await?;
            Ok(())
        }
        .await;
        if done.is_err() {
            transaction.session.close();
        }
        self.show_notices();
        done
    }

    fn show_notices(&mut self) {
        while let Ok(notice) = self.notices.try_recv() {
            eprint!("{}", shown("warning", &notice));
        }
    }
}

/// Statements that take effect together.
pub struct Transaction {
    session: Session,
}

impl Transaction {
    /// Runs one statement that returns exactly one row.
    pub async fn row(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Row, Failure> {
        self.session.row(LIMIT, sql, params).await
    }
}

/// Whether the command line or the environment says which database is meant, instead of leaving it to defaults.
pub fn is_database_named(url: Option<&str>) -> bool {
    let named = |name: &&str| super::env(name).is_some_and(|value| !value.is_empty());
    url.is_some() || ["PGHOST", "PGPORT", "PGDATABASE"].iter().any(named)
}

/// A client of the database that is meant, and that database as people name it. Nothing is connected yet; an error is
/// about the settings.
pub fn client(database: Option<&str>) -> Result<(Client, String), String> {
    let config = db::resolve(database, &super::env, "conductor")?;
    let (tell, notices) = mpsc::unbounded_channel();
    let db = Db::with_notices(config, 2, Some(tell));
    let server = db.shown();
    Ok((Client { db, notices }, server))
}

/// Connects, runs a command to its exit code, and shows what went wrong.
pub fn run(
    database: Option<String>,
    command: impl AsyncFnOnce(Client) -> Result<u8, Problem>,
) -> ExitCode {
    let (client, server) = match client(database.as_deref()) {
        Ok(client) => client,
        Err(error) => {
            eprintln!("error: {}", one_line(&error));
            return ExitCode::from(2);
        }
    };
    let runtime = super::runtime();
    let code = runtime.block_on(command(client));
    runtime.shutdown_timeout(Duration::from_millis(100));
    ExitCode::from(code.unwrap_or_else(|problem| {
        eprint!("{}", explain(&problem, &server));
        2
    }))
}

fn explain(problem: &Problem, server: &str) -> String {
    match problem {
        Problem::Usage(message) => format!("error: {}\n", escaped(message)),
        Problem::OfFile(of_file) => {
            let (file, failure) = of_file.as_ref();
            let said = explain(&Problem::Server(failure.clone()), server);
            format!("{said}file: {}; nothing was added\n", escaped(file))
        }
        Problem::Server(failure @ Failure::Gone(reason)) if failure.is_read_only() => format!(
            "error: the server at {server}: {}\n\
             hint: name one that takes writes with --database or the PG* variables; of several hosts, \
             target_session_attrs=read-write finds it\n",
            one_line(reason)
        ),
        Problem::Server(Failure::Unprotected { reason, cure }) => format!(
            "error: the server at {server}: {}\nhint: {}\n",
            one_line(reason),
            one_line(cure)
        ),
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
    fn a_server_that_takes_no_writes_is_not_to_be_started() {
        let reason = "it takes no writes (a standby, or default_transaction_read_only)";
        let text = explain(&Problem::Server(Failure::Gone(reason.into())), "h:5432/d");
        assert!(
            text.contains("target_session_attrs=read-write") && !text.contains("start it"),
            "{text}"
        );
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
