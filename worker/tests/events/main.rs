//! The parser against recorded streams of the real qwen, and against lines that a child could write.

#[path = "../common/fuzz.rs"]
mod fuzz;

mod failures;
mod hostile;
mod pieces;
mod reading;
mod streams;
mod texts;
