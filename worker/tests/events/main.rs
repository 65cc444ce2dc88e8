//! The parser against recorded streams of the real qwen, and against lines that a child could write.

mod failures;
mod pieces;
mod reading;
mod streams;
mod texts;
