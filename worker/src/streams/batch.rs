//! Stream events that wait to be sent: neighbours joined, bounded.

use std::collections::VecDeque;

use crate::events::Event;

/// So many bytes are taken at once, about; a single larger event goes alone.
pub const CALL_BYTES: usize = 64 << 10;
/// Texts are joined up to this size, and cut into pieces of it.
const PIECE_BYTES: usize = 32 << 10;
/// The most that one child may have waiting. At the pace of a model this is an hour without a server; a child that floods
/// is slowed down by it.
const BUFFER_BYTES: usize = 4 << 20;
/// What an event costs beside its text.
const ENVELOPE: usize = 48;

/// A queue of events.
#[derive(Debug, Default)]
pub struct Batch {
    events: VecDeque<(Event, usize)>,
    bytes: usize,
    /// Where the text of the last event ends, if that is a delta.
    end: Option<u64>,
}

impl Batch {
    /// Appends an event, joining it to its neighbour where both are text of one kind.
    pub fn push(&mut self, event: Event) {
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

    /// What waits, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when the child must wait; `share` is how much of what all may have waiting is its own.
    pub fn is_full(&self, share: usize) -> bool {
        self.bytes >= share.clamp(CALL_BYTES, BUFFER_BYTES)
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes what is sent at once, oldest first, and its size; at least one event if there is any.
    pub fn take(&mut self) -> (Vec<Event>, usize) {
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
        (taken, bytes)
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

    fn taken(batch: &mut Batch) -> Vec<Event> {
        batch.take().0
    }

    fn reasoning(text: &str) -> Event {
        Event::ReasoningDelta { text: text.into() }
    }

    #[test]
    fn neighbouring_texts_are_joined_and_others_keep_their_place() {
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
        assert_eq!(taken(&mut batch), expected);
        assert!(batch.is_empty());
    }

    #[test]
    fn texts_that_do_not_follow_each_other_are_not_joined() {
        let mut batch = Batch::default();
        batch.push(delta(0, "ab"));
        batch.push(delta(7, "c"));
        assert_eq!(taken(&mut batch), [delta(0, "ab"), delta(7, "c")]);
    }

    #[test]
    fn much_text_is_taken_in_parts() {
        let mut batch = Batch::default();
        batch.push(delta(0, &"x".repeat(100_000)));
        let (_, first) = batch.take();
        assert!(first <= CALL_BYTES && !batch.is_empty());
        let mut rest = 0;
        while !batch.is_empty() {
            rest += batch.take().1;
        }
        // Four pieces of 32 KiB and less.
        assert_eq!(first + rest, 100_000 + 4 * ENVELOPE);
    }

    #[test]
    fn a_flood_fills_a_share_and_taking_makes_room() {
        for (share, room) in [
            (0, CALL_BYTES),
            (100_000, 100_000),
            (usize::MAX, BUFFER_BYTES),
        ] {
            let mut batch = Batch::default();
            let mut offset = 0;
            while !batch.is_full(share) {
                batch.push(delta(offset, &"y".repeat(10_000)));
                offset += 10_000;
            }
            assert!(offset as usize <= room + 10_000, "{share}: {offset}");
            batch.take();
            assert!(!batch.is_full(share));
        }
    }

    #[test]
    fn an_event_larger_than_a_call_goes_alone() {
        let mut batch = Batch::default();
        let big = Event::Error {
            message: "z".repeat(CALL_BYTES * 2),
        };
        batch.push(delta(0, "a"));
        batch.push(big.clone());
        batch.push(delta(1, "b"));
        assert_eq!(taken(&mut batch), [delta(0, "a")]);
        assert_eq!(taken(&mut batch), [big]);
        assert_eq!(taken(&mut batch), [delta(1, "b")]);
    }

    proptest! {
        /// Whatever is pushed comes out whole, in order, at its offsets.
        #[test]
        fn nothing_is_lost_or_moved(parts in proptest::collection::vec(("[aä漢🦀]{0,9}", 0_usize..3000), 0..20)) {
            let texts: Vec<String> = parts.iter().map(|(text, times)| text.repeat(*times)).collect();
            let mut batch = Batch::default();
            let mut offset = 0;
            for text in &texts {
                batch.push(delta(offset, text));
                offset += text.chars().count() as u64;
            }
            let mut joined = String::new();
            while !batch.is_empty() {
                for event in taken(&mut batch) {
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
