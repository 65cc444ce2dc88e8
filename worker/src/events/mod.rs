//! From the bytes that a child prints to stream events, and at the end to an outcome.

mod cleaned;
mod code;
mod json;
mod lines;
mod message;
mod outcome;
mod parser;
mod session;
mod wire;
mod written_calls;

use serde::Serialize;
use serde_json::Value;

pub use outcome::{Outcome, is_passing};
pub use parser::{Parser, ParserOptions};

/// Longest tool result that is kept, in characters.
pub const MAX_RESULT_CHARS: usize = 2000;

/// Longest arguments of a tool call that are kept, in bytes of their JSON.
pub const MAX_INPUT_BYTES: usize = 32 << 10;

/// More blocks than any message has.
const MAX_BLOCKS: usize = 10_000;
/// What is quoted of a child that is not as it should be, in characters.
const MAX_QUOTED: usize = 400;
/// The longest error that is kept, in bytes.
const MAX_ERROR_BYTES: usize = 16 << 10;

/// One stream event, in the very form that `task_stream` takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Text streamed before it is void; `reason` is `retry` when the child asks the model again.
    MessageStarted {
        turn: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
    /// `offset` counts code points since the message started.
    Delta {
        offset: u64,
        text: String,
    },
    ReasoningDelta {
        text: String,
    },
    /// `executed` is false for a call that the model only wrote down. `input` is whole up to `MAX_INPUT_BYTES`; of larger
    /// arguments it is `{"cut": the first MAX_RESULT_CHARS characters, "bytes": their size}`.
    ToolCall {
        id: String,
        name: String,
        input: Value,
        executed: bool,
    },
    /// `content` holds at most `MAX_RESULT_CHARS` characters of `bytes` bytes.
    ToolResult {
        id: String,
        is_error: bool,
        content: String,
        bytes: u64,
    },
    /// What the attempt used so far.
    Usage(Usage),
    Error {
        message: String,
    },
}

/// Tokens and model turns of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_input_tokens: u64,
    pub total_tokens: u64,
    pub turns: u64,
}

/// How a child ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// The last bytes of its standard error, made text.
    pub stderr: String,
}

/// `1 tool call`, `2 tool calls`.
pub fn counted_calls(calls: u64) -> String {
    format!("{calls} tool call{}", if calls == 1 { "" } else { "s" })
}
