//! How much one attempt may say, all in all: a child that floods is ended before anybody has to keep it.

use crate::events::Event;
use crate::streams::size_of_event;

/// All turns, retries, thinking and tool calls together may be so many times as large as the output of one turn.
const KEPT_FACTOR: u64 = 4;
/// Room for what many small turns send besides, where the output is limited to little.
const KEPT_ROOM: u64 = 4 << 20;
/// What is printed is larger than what is kept: each delta comes in an envelope, and whole texts come once more.
const PRINTED_FACTOR: u64 = 16;
/// Room for the envelopes in which that is printed.
const PRINTED_ROOM: u64 = 64 << 20;

/// What an attempt has said so far, and how much that may become.
#[derive(Debug)]
pub struct Flood {
    kept: u64,
    most_kept: u64,
    printed: u64,
    most_printed: u64,
}

impl Flood {
    /// Nothing yet; the limits follow from how large one output may be.
    pub fn none(max_output_bytes: u64) -> Self {
        Flood {
            kept: 0,
            most_kept: max_output_bytes
                .saturating_mul(KEPT_FACTOR)
                .saturating_add(KEPT_ROOM),
            printed: 0,
            most_printed: max_output_bytes
                .saturating_mul(PRINTED_FACTOR)
                .saturating_add(PRINTED_ROOM),
        }
    }

    /// The child printed this, and it meant these events, which are sent on.
    pub fn took(&mut self, printed: &[u8], meant: &[Event]) {
        self.printed = self.printed.saturating_add(printed.len() as u64);
        let kept: usize = meant.iter().map(size_of_event).sum();
        self.kept = self.kept.saturating_add(kept as u64);
    }

    /// What to tell once it is too much.
    pub fn message(&self) -> Option<String> {
        if self.kept > self.most_kept {
            return Some(format!(
                "the child streamed more than {} bytes ({KEPT_FACTOR} times max_output_bytes and {KEPT_ROOM})",
                self.most_kept
            ));
        }
        (self.printed > self.most_printed).then(|| {
            format!(
                "the child printed more than {} bytes ({PRINTED_FACTOR} times max_output_bytes and {PRINTED_ROOM})",
                self.most_printed
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use serde_json::json;

    fn call(text: &str) -> Event {
        Event::ToolCall {
            id: String::new(),
            name: "glob".into(),
            input: json!({ "pattern": text }),
            executed: true,
        }
    }

    #[test]
    fn whatever_is_sent_on_counts() {
        let text = "x".repeat(100_000);
        for event in [
            Event::Delta {
                offset: 0,
                text: text.clone(),
            },
            Event::ReasoningDelta { text: text.clone() },
            call(&text),
            Event::ToolResult {
                id: String::new(),
                is_error: false,
                content: text.clone(),
                bytes: 100,
            },
            Event::Error {
                message: text.clone(),
            },
        ] {
            let mut flood = Flood::none(100);
            let mut count = 0;
            while flood.message().is_none() {
                flood.took(b"", slice::from_ref(&event));
                count += 1;
                assert!(count < 100, "{event:?} never becomes too much");
            }
            assert!(flood.message().unwrap().contains("4194704 bytes"));
        }
    }

    #[test]
    fn events_without_a_text_count_as_well() {
        let mut flood = Flood::none(1000);
        for turn in 0..100_000 {
            flood.took(b"", &[Event::MessageStarted { turn, reason: None }]);
        }
        assert!(flood.message().is_some());
    }

    #[test]
    fn what_means_nothing_counts_as_printed() {
        let mut flood = Flood::none(1 << 20);
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..80 {
            flood.took(&chunk, &[]);
        }
        assert_eq!(flood.message(), None);
        flood.took(b"x", &[]);
        let message = flood.message().unwrap();
        assert!(message.contains(&(80_u64 << 20).to_string()), "{message}");
    }
}
