//! What the end-to-end tests stand on.
//!
//! | module | holds |
//! |---|---|
//! | [`cluster`] | a private PostgreSQL server for each test program, and databases in it |
//! | [`clock`] | a clock that stands still, in place of the engine's |
//! | [`fixture`] | one test's database, scripted model, worker and projects; checks at the end |
//! | [`history`] | copies of a run, for a long history |
//! | [`runs`] | launching and watching runs, in SQL |
//! | [`worker`] | the program `conductor`: the daemon under test, and its commands |
//! | [`ports`] | ports of servers that are stopped and started again |
//! | [`processes`] | processes that belong to a folder, their memory, their end |
//! | [`proxy`] | a line to a server that can fall silent or break |
//! | [`repository`] | git repositories, friendly and hostile |
//! | [`listeners`] | ports and a socket that nobody may call
//! | [`tree`] | a folder down to content, mode and time, and what changed in it |
//! | [`reader`] | a conversation with the scripted model in this process |
//! | [`sql_worker`] | a worker that is nothing but SQL |
//! | [`meeting`] | two sessions in each other's way |
//! | `standby` | servers that follow another and can take its place |
//! | [`shortage`] | small disks and few open files |
//! | [`tls`] | certificates, servers with TLS, a line that sees how connections begin |
//! | [`tools`] | where the programs are that the tests need |

pub mod clock;
pub mod cluster;
pub mod fixture;
pub mod history;
pub mod listeners;
pub mod meeting;
pub mod ports;
pub mod processes;
pub mod proxy;
pub mod reader;
pub mod repository;
pub mod runs;
pub mod shortage;
pub mod sql_worker;
mod standby;
pub mod tls;
pub mod tools;
pub mod tree;
pub mod worker;

pub use cluster::Cluster;
pub use fixture::{Conductor, Setup};
pub use meeting::{Meeting, Second};
pub use repository::Repository;
pub use runs::Launch;

/// The SQLSTATE, detail and hint of an error that came from the server.
pub fn told(error: &tokio_postgres::Error) -> (String, String, String, String) {
    let error = error
        .as_db_error()
        .unwrap_or_else(|| panic!("not an error of the server: {error}"));
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    (
        error.code().code().to_owned(),
        error.message().to_owned(),
        text(error.detail()),
        text(error.hint()),
    )
}
