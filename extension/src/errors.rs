//! Errors of the pure crate as PostgreSQL errors.

use conductor_flows::{ErrorKind, FlowError};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// Raises `error` with the SQLSTATE of its kind, its place and value as DETAIL and its cure as HINT.
pub fn raise(error: &FlowError) -> ! {
    let code = match error.error_kind() {
        ErrorKind::UnknownPersona => PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        _ => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
    };
    refuse(code, &error.to_string(), &error.place(), error.cure())
}

/// Raises an error with message, DETAIL and HINT.
pub fn refuse(code: PgSqlErrorCode, message: &str, detail: &str, hint: &str) -> ! {
    ErrorReport::new(code, message.to_owned(), function_name!())
        .set_detail(detail.to_owned())
        .set_hint(hint.to_owned())
        .report(PgLogLevel::ERROR);
    unreachable!("an ERROR does not return")
}

/// Reads a JSON argument that SQL of this extension made; a mismatch is a defect of ours.
pub fn internal<T: serde::de::DeserializeOwned>(what: &str, value: serde_json::Value) -> T {
    serde_json::from_value(value).unwrap_or_else(|error| {
        refuse(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            &format!("unexpected {what}"),
            &error.to_string(),
            "library and schema may be of different versions: ALTER EXTENSION conductor UPDATE",
        )
    })
}
