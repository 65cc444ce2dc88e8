//! Each of the five layers holds alone: the real qwen, started with one layer and none of the others, against a model
//! that asks for everything that writes or runs. Every test sees the same attack succeed where its layer is missing.
//!
//! The layers cannot be turned off: the tests take a job's command apart and build one of their own.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "shared with the tests of the snapshot")]
#[path = "../snapshot/fixture.rs"]
mod fixture;

mod attack;
mod bare;
mod configuration;
mod denied;
mod kernel;
mod plan;
mod snapshot;
mod start;
