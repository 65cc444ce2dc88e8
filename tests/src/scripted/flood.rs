//! More than anybody may take in, of any kind. Cheap to make, so that only the reader is measured.

use serde::{Deserialize, Serialize};

/// What is said without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Text,
    Reasoning,
    /// The arguments of one tool call.
    Arguments,
}

/// So many bytes, in pieces of so many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flood {
    pub kind: Kind,
    pub bytes: u64,
    /// At least 16.
    pub piece: usize,
}

impl Flood {
    /// The pieces, numbered: a client takes a piece that repeats what came before for a server that sends everything
    /// each time.
    pub fn pieces(&self) -> impl Iterator<Item = String> + use<> {
        let piece = self.piece.max(16);
        let count = self.bytes.div_ceil(piece as u64);
        (0..count).map(move |number| {
            let mut text = format!("{number:015} ");
            text.extend(std::iter::repeat_n('x', piece - text.len()));
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_reach_the_size_and_none_is_the_same() {
        let flood = Flood {
            kind: Kind::Text,
            bytes: 1000,
            piece: 64,
        };
        let pieces: Vec<String> = flood.pieces().collect();
        assert_eq!(pieces.len(), 16);
        assert!(pieces.iter().all(|piece| piece.len() == 64));
        assert_ne!(pieces[0], pieces[1]);
    }
}
