//! What a call to the server can come back with, sorted by what the worker does about it.

use std::error::Error as _;
use std::fmt;

/// What the server said when it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.sqlstate)?;
        if let Some(detail) = &self.detail {
            write!(f, "; {detail}")?;
        }
        Ok(())
    }
}

pub(super) const TAKES_NO_WRITES: &str =
    "it takes no writes (a standby, or default_transaction_read_only)";

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// QC001: the lease belongs to nobody or to another; nothing was written.
    #[error("the lease is no longer ours")]
    StaleLease,
    /// A conflict with another transaction or a passing shortage: the same call may succeed later.
    #[error("the server asks to try again: {0}")]
    Again(Refusal),
    /// No connection, or it broke: whether the call took effect is unknown.
    #[error("no connection to the server: {0}")]
    Gone(String),
    /// The connection cannot be protected as the settings ask. It may be mended on the server while we wait.
    #[error("{reason} ({cure})")]
    Unprotected { reason: String, cure: String },
    /// The server will not do it, however often it is asked.
    #[error("{0}")]
    Refused(Refusal),
}

impl Failure {
    /// Whether the same call may succeed later without anything being mended.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Failure::Again(_) | Failure::Gone(_) | Failure::Unprotected { .. }
        )
    }

    /// Whether the server lacks something: space, memory, a free connection, a working disk.
    pub fn is_shortage(&self) -> bool {
        matches!(self, Failure::Again(refusal) if is_shortage(&refusal.sqlstate))
    }

    /// Whether the server is there, but takes no writes.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Failure::Gone(reason) if reason.contains(TAKES_NO_WRITES))
    }

    /// The SQLSTATE, when the server gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Failure::StaleLease => Some("QC001"),
            Failure::Again(refusal) | Failure::Refused(refusal) => Some(&refusal.sqlstate),
            Failure::Gone(_) | Failure::Unprotected { .. } => None,
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            // Decoding a value is the only client-side error that a new connection does not cure.
            return match error.to_string() {
                text if text.starts_with("error deserializing column")
                    || text.starts_with("error serializing parameter") =>
                {
                    Failure::Refused(Refusal {
                        sqlstate: "XX000".into(),
                        message: chain(&error),
                        detail: None,
                        hint: Some("check that worker and extension are of one version".into()),
                    })
                }
                text if text.starts_with("invalid configuration") => unfit(chain(&error)),
                _ => Failure::Gone(chain(&error)),
            };
        };
        by_sqlstate(Refusal::from(db))
    }
}

impl From<&tokio_postgres::error::DbError> for Refusal {
    fn from(db: &tokio_postgres::error::DbError) -> Self {
        Refusal {
            sqlstate: db.code().code().to_owned(),
            message: db.message().to_owned(),
            detail: db.detail().map(str::to_owned),
            hint: db.hint().map(str::to_owned),
        }
    }
}

/// The server asks for what the settings do not have.
fn unfit(message: String) -> Failure {
    let password = message.contains("password missing");
    Failure::Refused(Refusal {
        sqlstate: if password { "28P01" } else { "22023" }.into(),
        message,
        detail: None,
        hint: Some(if password {
            "the server asks for a password: give it in PGPASSWORD or in the password file (PGPASSFILE, ~/.pgpass)"
                .into()
        } else {
            "look at --database and the PG* variables".into()
        }),
    })
}

fn by_sqlstate(refusal: Refusal) -> Failure {
    match refusal.sqlstate.as_str() {
        "QC001" => Failure::StaleLease,
        // Serialization failure, deadlock, lock not available, cancelled by a time limit.
        "40001" | "40P01" | "55P03" | "57014" => Failure::Again(refusal),
        // Shutting down, crashed, starting up, idle too long.
        "57P01" | "57P02" | "57P03" | "57P05" => Failure::Gone(refusal.to_string()),
        // A primary that became a standby.
        "25006" => Failure::Gone(format!("{TAKES_NO_WRITES}: {refusal}")),
        code if is_shortage(code) => Failure::Again(refusal),
        code if code.starts_with("08") => Failure::Gone(refusal.to_string()),
        _ => Failure::Refused(refusal),
    }
}

/// Class 53 is a full disk, no memory, no free connection; class 58 an I/O error.
fn is_shortage(code: &str) -> bool {
    code.starts_with("53") || code.starts_with("58")
}

/// An error with its causes: `error connecting to server: Connection refused (os error 111)`.
fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sqlstate: &str) -> Failure {
        by_sqlstate(Refusal {
            sqlstate: sqlstate.into(),
            message: "m".into(),
            detail: Some("d".into()),
            hint: None,
        })
    }

    #[test]
    fn a_stale_lease_has_its_own_failure() {
        assert_eq!(of("QC001"), Failure::StaleLease);
        assert!(!of("QC001").is_passing());
    }

    #[test]
    fn conflicts_and_shortages_are_tried_again() {
        for code in [
            "40001", "40P01", "55P03", "57014", "53100", "53300", "58030",
        ] {
            assert!(matches!(of(code), Failure::Again(_)), "{code}");
            assert!(of(code).is_passing(), "{code}");
        }
        assert!(of("53100").is_shortage() && !of("40001").is_shortage());
    }

    #[test]
    fn a_server_going_down_counts_as_no_connection() {
        for code in [
            "57P01", "57P02", "57P03", "57P05", "08006", "08P01", "25006",
        ] {
            assert!(matches!(of(code), Failure::Gone(_)), "{code}");
        }
    }

    #[test]
    fn a_server_that_takes_no_writes_is_told_from_one_that_is_away() {
        assert!(of("25006").is_read_only() && !of("57P01").is_read_only());
    }

    #[test]
    fn everything_else_is_refused_with_its_sqlstate() {
        for code in ["22023", "42501", "42883", "55000", "P0001", "XX000"] {
            let failure = of(code);
            assert!(matches!(failure, Failure::Refused(_)), "{code}");
            assert_eq!(failure.sqlstate(), Some(code));
            assert_eq!(failure.to_string(), format!("m (SQLSTATE {code}); d"));
        }
    }
}
