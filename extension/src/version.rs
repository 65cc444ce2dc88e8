//! Whether library and schema are of one version: a package replaces the library at once, ALTER EXTENSION the schema
//! later.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

const LIBRARY: &str = env!("CARGO_PKG_VERSION");

/// Warns (01000) when the schema is of another version than this library, with what to do about it.
pub fn warn_of_another_schema() {
    let schema = Spi::get_one::<String>(
        "select e.extversion from pg_catalog.pg_extension e where e.extname = 'conductor'",
    );
    let Ok(Some(schema)) = schema else { return };
    if let Some(cure) = cure(&schema) {
        let message = "library and schema of conductor are of different versions";
        ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, message, function_name!())
            .set_detail(format!("library: {LIBRARY}, schema: {schema}"))
            .set_hint(cure)
            .report(PgLogLevel::WARNING);
    }
}

/// What to do when the schema is of this version; none when there is nothing to do.
fn cure(schema: &str) -> Option<String> {
    if schema == LIBRARY {
        None
    } else if numbers(schema) < numbers(LIBRARY) {
        Some(format!("ALTER EXTENSION conductor UPDATE TO '{LIBRARY}'"))
    } else {
        Some(format!(
            "install the library of conductor {schema} on this server again"
        ))
    }
}

/// A version as numbers; what is none counts as 0.
fn numbers(version: &str) -> Vec<u64> {
    version
        .split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}
