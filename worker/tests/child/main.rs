//! The real qwen, sandboxed, against a model that records what it is asked.

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod ends;
mod looking;
mod prompts;
mod trials;

use common::model::Answer;

fn text(text: &str) -> Answer {
    Answer::Text(text.to_owned())
}

fn calls(calls: Vec<(&'static str, serde_json::Value)>) -> Answer {
    Answer::Calls(calls)
}
