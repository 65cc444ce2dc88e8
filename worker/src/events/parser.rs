//! The child's output, piece by piece.

use std::path::PathBuf;

use super::lines::Lines;
use super::outcome::Outcome;
use super::session::Session;
use super::{Event, Exit};

/// What one attempt may print, and what to make relative in it.
#[derive(Debug, Clone)]
pub struct ParserOptions {
    /// Path of the snapshot as the child sees it; taken out of texts again.
    pub snapshot: Option<PathBuf>,
    /// Longest line of output that is accepted, in bytes.
    pub max_line_bytes: usize,
    /// Longest answer that is accepted, in bytes.
    pub max_output_bytes: usize,
}

impl Default for ParserOptions {
    fn default() -> Self {
        Self {
            snapshot: None,
            max_line_bytes: 64 << 20,
            max_output_bytes: 64 << 20,
        }
    }
}

/// Incremental and pure: bytes in, events out. Keeps the current turn's text only.
#[derive(Debug)]
pub struct Parser {
    lines: Lines,
    session: Session,
}

impl Parser {
    /// A parser for one attempt.
    pub fn new(options: ParserOptions) -> Self {
        Self {
            lines: Lines::new(options.max_line_bytes),
            session: Session::new(options),
        }
    }

    /// Takes the next bytes of standard output. After a violation everything is ignored.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let session = &mut self.session;
        if session.violation.is_none() && self.lines.push(bytes, |line| session.line(line)).is_err()
        {
            let max = session.options.max_line_bytes;
            session.violate(format!(
                "the child printed a line of more than {max} bytes (it follows from max_output_bytes)"
            ));
        }
        std::mem::take(&mut self.session.events)
    }

    /// Set once the child must be ended at once: it offers a tool or a mode that it must not, or prints more than is
    /// accepted. `finish` returns the same as the failure.
    pub fn violation(&self) -> Option<&str> {
        self.session.violation.as_deref()
    }

    /// True from the first chunk of a model turn to that turn's end: the stall clock runs. False while a turn's first
    /// chunk is awaited and while tools run.
    pub fn streaming(&self) -> bool {
        self.session.streaming
    }

    /// What the current turn has written so far: what a cancelled step keeps.
    pub fn partial_output(&self) -> &str {
        self.session.text()
    }

    /// Lets out what was held back and judges the attempt by its result, else by how it ended.
    pub fn finish(mut self, exit: &Exit) -> (Vec<Event>, Outcome) {
        let last = self.lines.finish();
        if self.session.violation.is_none() && !last.is_empty() {
            self.session.line(&last);
        }
        self.session.finish_message();
        let outcome = self.session.outcome(exit);
        if let Outcome::Failure { message, .. } = &outcome {
            self.session.events.push(Event::Error {
                message: message.clone(),
            });
        }
        (self.session.events, outcome)
    }
}
