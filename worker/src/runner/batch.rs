//! Stream events on their way to the server: gathered for a moment, neighbours joined, bounded.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::events::Event;

/// How long an event waits for company.
const LINGER: Duration = Duration::from_millis(100);
/// One call carries about so many bytes; a single larger event goes alone.
const CALL_BYTES: usize = 64 << 10;
/// Texts are joined up to this size, and cut into pieces of it.
const PIECE_BYTES: usize = 32 << 10;
/// What one child may have waiting. At the pace of a model this is an hour without a server; a child that floods is
/// slowed down by it.
const BUFFER_BYTES: usize = 4 << 20;
/// What an event costs beside its text.
const ENVELOPE: usize = 48;

/// A queue of events with a clock.
#[derive(Debug, Default)]
pub struct Batch {
    events: VecDeque<(Event, usize)>,
    bytes: usize,
    since: Option<Instant>,
    /// Where the text of the last event ends, if that is a delta.
    end: Option<u64>,
}

impl Batch {
    /// Appends an event, joining it to its neighbour where both are text of one kind.
    pub fn push(&mut self, event: Event) {
        self.since.get_or_insert_with(Instant::now);
        match event {
            Event::Delta { offset, text } => self.push_delta(offset, &text),
            Event::ReasoningDelta { text } => self.push_reasoning(&text),
            other => {
                self.end = None;
                let size = size_of_event(&other);
                self.append(other, size);
            }
        }
    }

    fn append(&mut self, event: Event, size: usize) {
        self.bytes += size;
        self.events.push_back((event, size));
    }

    fn push_delta(&mut self, mut offset: u64, mut text: &str) {
        if self.end == Some(offset)
            && let Some((Event::Delta { text: joined, .. }, size)) = self.events.back_mut()
        {
            let piece = piece_of(text, PIECE_BYTES.saturating_sub(joined.len()));
            joined.push_str(piece);
            *size += piece.len();
            self.bytes += piece.len();
            offset += piece.chars().count() as u64;
            text = &text[piece.len()..];
        }
        while !text.is_empty() {
            let piece = piece_of(text, PIECE_BYTES);
            self.append(
                Event::Delta {
                    offset,
                    text: piece.to_owned(),
                },
                ENVELOPE + piece.len(),
            );
            offset += piece.chars().count() as u64;
            text = &text[piece.len()..];
        }
        self.end = Some(offset);
    }

    fn push_reasoning(&mut self, mut text: &str) {
        self.end = None;
        if let Some((Event::ReasoningDelta { text: joined }, size)) = self.events.back_mut() {
            let piece = piece_of(text, PIECE_BYTES.saturating_sub(joined.len()));
            joined.push_str(piece);
            *size += piece.len();
            self.bytes += piece.len();
            text = &text[piece.len()..];
        }
        while !text.is_empty() {
            let piece = piece_of(text, PIECE_BYTES);
            self.append(
                Event::ReasoningDelta {
                    text: piece.to_owned(),
                },
                ENVELOPE + piece.len(),
            );
            text = &text[piece.len()..];
        }
    }

    /// When the next call should be made; None when there is nothing to send.
    pub fn due(&self) -> Option<Instant> {
        let since = self.since?;
        Some(if self.bytes >= CALL_BYTES {
            since
        } else {
            since + LINGER
        })
    }

    /// True when the child must wait.
    pub fn is_full(&self) -> bool {
        self.bytes >= BUFFER_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes the events of one call, oldest first; at least one if there is any.
    pub fn take(&mut self) -> Vec<Event> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while let Some((_, size)) = self.events.front() {
            if !taken.is_empty() && bytes + size > CALL_BYTES {
                break;
            }
            bytes += size;
            taken.extend(self.events.pop_front().map(|(event, _)| event));
        }
        self.bytes -= bytes;
        self.since = (!self.events.is_empty()).then(Instant::now);
        taken
    }
}

/// The longest head of `text` that is at most `limit` bytes long and ends between characters; never empty for a
/// limit of four or more.
fn piece_of(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// What an event takes; a delta, which is joined to its neighbours, its text alone.
pub fn size_of_event(event: &Event) -> usize {
    match event {
        Event::Delta { text, .. } | Event::ReasoningDelta { text } => text.len(),
        Event::ToolCall {
            id, name, input, ..
        } => ENVELOPE + id.len() + name.len() + input.to_string().len(),
        Event::ToolResult { id, content, .. } => ENVELOPE + id.len() + content.len(),
        Event::Error { message } => ENVELOPE + message.len(),
        Event::MessageStarted { .. } | Event::Usage(_) => ENVELOPE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn delta(offset: u64, text: &str) -> Event {
        Event::Delta {
            offset,
            text: text.into(),
        }
    }

    fn reasoning(text: &str) -> Event {
        Event::ReasoningDelta { text: text.into() }
    }

    #[tokio::test(start_paused = true)]
    async fn neighbouring_texts_are_joined_and_others_keep_their_place() {
        let mut batch = Batch::default();
        let started = || Event::MessageStarted {
            turn: 2,
            reason: None,
        };
        for event in [
            delta(0, "ä"),
            delta(1, "b"),
            reasoning("x"),
            reasoning("y"),
            delta(2, "c"),
            started(),
            delta(0, "d"),
            delta(1, "e"),
        ] {
            batch.push(event);
        }
        let expected = [
            delta(0, "äb"),
            reasoning("xy"),
            delta(2, "c"),
            started(),
            delta(0, "de"),
        ];
        assert_eq!(batch.take(), expected);
        assert!(batch.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn texts_that_do_not_follow_each_other_are_not_joined() {
        let mut batch = Batch::default();
        batch.push(delta(0, "ab"));
        batch.push(delta(7, "c"));
        assert_eq!(batch.take(), [delta(0, "ab"), delta(7, "c")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_due_a_moment_after_the_first_event_however_many_follow() {
        let mut batch = Batch::default();
        assert_eq!(batch.due(), None);
        let start = Instant::now();
        batch.push(delta(0, "a"));
        tokio::time::advance(Duration::from_millis(60)).await;
        batch.push(delta(1, "b"));
        assert_eq!(batch.due(), Some(start + LINGER));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_call_is_due_at_once_and_the_rest_goes_with_the_next() {
        let mut batch = Batch::default();
        let start = Instant::now();
        batch.push(delta(0, &"x".repeat(100_000)));
        assert_eq!(batch.due(), Some(start));
        let sizes = |events: &[Event]| -> usize {
            events
                .iter()
                .map(|e| {
                    if let Event::Delta { text, .. } = e {
                        text.len()
                    } else {
                        0
                    }
                })
                .sum()
        };
        let first = batch.take();
        assert!(sizes(&first) <= CALL_BYTES && !batch.is_empty());
        let mut rest = 0;
        while !batch.is_empty() {
            rest += sizes(&batch.take());
        }
        assert_eq!(sizes(&first) + rest, 100_000);
        assert_eq!(batch.due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_fills_the_batch_and_taking_makes_room() {
        let mut batch = Batch::default();
        let mut offset = 0;
        while !batch.is_full() {
            batch.push(delta(offset, &"y".repeat(10_000)));
            offset += 10_000;
        }
        assert!(offset as usize <= BUFFER_BYTES + 10_000);
        batch.take();
        assert!(!batch.is_full());
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_larger_than_a_call_goes_alone() {
        let mut batch = Batch::default();
        let big = Event::Error {
            message: "z".repeat(CALL_BYTES * 2),
        };
        batch.push(delta(0, "a"));
        batch.push(big.clone());
        batch.push(delta(1, "b"));
        assert_eq!(batch.take(), [delta(0, "a")]);
        assert_eq!(batch.take(), [big]);
        assert_eq!(batch.take(), [delta(1, "b")]);
    }

    proptest! {
        /// Whatever is pushed comes out whole, in order, at its offsets.
        #[test]
        fn nothing_is_lost_or_moved(parts in proptest::collection::vec(("[aä漢🦀]{0,9}", 0_usize..3000), 0..20)) {
            let texts: Vec<String> = parts.iter().map(|(text, times)| text.repeat(*times)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _guard = runtime.enter();
            let mut batch = Batch::default();
            let mut offset = 0;
            for text in &texts {
                batch.push(delta(offset, text));
                offset += text.chars().count() as u64;
            }
            let mut joined = String::new();
            while !batch.is_empty() {
                for event in batch.take() {
                    let Event::Delta { offset, text } = event else { panic!("only deltas went in") };
                    prop_assert_eq!(offset, joined.chars().count() as u64);
                    prop_assert!(text.len() <= PIECE_BYTES);
                    joined.push_str(&text);
                }
            }
            prop_assert_eq!(joined, texts.concat());
            prop_assert_eq!(batch.bytes, 0);
        }
    }
}
