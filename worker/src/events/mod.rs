//! From the bytes that a child prints to stream events, and at the end to an outcome.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

/// What one attempt may print, and what to make relative in it.
#[derive(Debug, Clone)]
pub struct ParserOptions {
    /// Path of the snapshot as the child sees it; taken out of texts again.
    pub snapshot: Option<PathBuf>,
    /// Longest line of output that is accepted, in bytes.
    pub max_line_bytes: usize,
    /// Largest final output that is accepted, in bytes.
    pub max_output_bytes: usize,
}

/// One stream event, in the very form that `task_stream` takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    MessageStarted { turn: u32, #[serde(skip_serializing_if = "Option::is_none")] reason: Option<&'static str> },
    Delta { offset: u64, text: String },
    ReasoningDelta { text: String },
    ToolCall { id: String, name: String, input: Value, executed: bool },
    ToolResult { id: String, is_error: bool, content: String, bytes: u64 },
    Usage(Usage),
    Error { message: String },
}

/// Tokens and turns of an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_input_tokens: u64,
    pub total_tokens: u64,
    pub turns: u64,
}

/// How a child ended, as `child::process` saw it.
#[derive(Debug, Clone, Default)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// Last bytes of its standard error, made text.
    pub stderr: String,
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Success { output: String, usage: Usage },
    Failure { message: String, retryable: bool, usage: Usage },
}

/// Incremental and pure: bytes in, events out.
pub struct Parser {
    _options: ParserOptions,
}

impl Parser {
    pub fn new(options: ParserOptions) -> Self {
        Self { _options: options }
    }
    /// Takes the next bytes of standard output.
    pub fn push(&mut self, _bytes: &[u8]) -> Vec<Event> {
        unimplemented!()
    }
    /// Set once the child must be ended at once (a surplus tool, another mode than plan, a line or an
    /// output too long); `finish` then returns it as the failure.
    pub fn violation(&self) -> Option<&str> {
        unimplemented!()
    }
    /// True from the first chunk of a model turn to that turn's end: the stall clock runs. False while a
    /// turn's first chunk is awaited (loading, queueing, reading the prompt) and while tools run.
    pub fn streaming(&self) -> bool {
        unimplemented!()
    }
    /// What the current turn has streamed so far (what a cancelled step keeps).
    pub fn partial_output(&self) -> &str {
        unimplemented!()
    }
    /// Flushes what is held back and judges the attempt.
    pub fn finish(self, _exit: &Exit) -> (Vec<Event>, Outcome) {
        unimplemented!()
    }
}
