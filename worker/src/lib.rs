//! The worker: it listens, claims, runs read-only children and writes their output back. Everything it does to the
//! database is a call of the SQL surface.

pub mod attack;
pub mod backoff;
pub mod checks;
pub mod child;
pub mod citations;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod db;
pub mod dispatcher;
pub mod events;
pub mod home;
pub mod relay;
pub mod runner;
pub mod sandbox;
pub mod sealed;
pub mod shortage;
pub mod signals;
pub mod snapshot;
pub mod streams;
pub mod systemd;
pub mod text;
