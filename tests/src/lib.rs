//! Tests of Conductor end to end: a real server, the real child, and a model that plays scripts.
//!
//! - [`scripted`]: the scripted model, also built as the program `scripted-model`.
//! - [`harness`]: a private server, a database for each test, the worker under test, repositories.
//! - [`bench`]: what the engine costs beside the same work without it, also built as the program `bench`.
//! - [`torture`]: the crash test, also built as the program `torture`.
//! - [`mutants`]: the engine with one protection taken out, also built as the program `mutants`.
//!
//! The tests themselves stand in `e2e/`, one file a theme.

pub mod bench;
pub mod harness;
pub mod mutants;
pub mod scripted;
pub mod torture;
