//! Conductor inside PostgreSQL: the thin layer between rows and `conductor_flows`.
//!
//! SQL-shaped work (rows, locks, triggers) lives in `sql/`, one function a file; graph, prompt and report work lives
//! in the crate `conductor_flows`. Here is only what joins the two:
//!
//! * [`advance`]: the guard that keeps an advancing run from entering itself;
//! * [`launch`]: a flow expanded into a plan, a command line parsed, nearest names;
//! * [`caller`]: where the session's user cannot be trusted;
//! * [`catalogue`]: the built-in flows and personas as rows;
//! * [`prompt`]: prompts resolved, outputs folded, fields read;
//! * [`report`]: reports rendered;
//! * [`version`]: whether library and schema belong together;
//! * [`errors`]: what the pure crate refuses, as PostgreSQL errors with a real SQLSTATE;
//! * [`schema`]: the order in which the files of `sql/` are installed.

mod advance;
mod caller;
mod catalogue;
mod errors;
mod launch;
mod prompt;
mod report;
mod schema;
mod version;

pgrx::pg_module_magic!();

#[cfg(any(test, feature = "pg_test"))]
mod pg_tests;

/// Required by `cargo pgrx test`.
#[cfg(test)]
pub mod pg_test {
    pub fn setup(_options: Vec<&str>) {}

    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec![]
    }
}
