//! Who may speak for the session, and where it is.

use crate::errors::refuse;
use pgrx::prelude::*;

/// Raises 42501 within an operation in which the server runs other people's code with the session's user in place
/// (maintenance of indexes, materialised views; what a foreign key's action fires); otherwise returns false.
#[pg_extern(name = "_restricted", stable)]
fn restricted() -> bool {
    // SAFETY: reads the backend's own security context, which always exists.
    if unsafe { pg_sys::InSecurityRestrictedOperation() } {
        refuse(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "conductor cannot be called within a security-restricted operation",
            "an index expression, a materialised view or the like calls it",
            "call it from an ordinary statement",
        );
    }
    // The server changes the rows of another owner's table for a foreign key, as that owner but in this session. Nothing
    // else runs with this flag.
    // SAFETY: as above.
    if unsafe { pg_sys::InNoForceRLSOperation() } {
        refuse(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "conductor cannot be called by what a foreign key does",
            "a BEFORE trigger of a table whose rows follow others (ON DELETE or ON UPDATE) calls it",
            "call it from an ordinary statement, or from an AFTER trigger",
        );
    }
    false
}

/// The identity of this very database: the cluster's system identifier and the database's oid.
#[pg_extern(name = "_home", stable)]
fn home() -> String {
    // SAFETY: reads what the server has had in memory since it started, and the session since it connected.
    let (system, database) = unsafe { (pg_sys::GetSystemIdentifier(), pg_sys::MyDatabaseId) };
    format!("{system}/{}", database.to_u32())
}
