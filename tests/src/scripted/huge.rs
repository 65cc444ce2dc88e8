//! A very large text, the same for the same seed, with damage in it on purpose.

use serde::{Deserialize, Serialize};

/// How much to generate, and what to break in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Huge {
    /// Least number of valid bytes.
    pub bytes: usize,
    pub seed: u64,
    /// Put `\u0000` escapes in.
    pub nul: bool,
    /// Put bytes in that are not UTF-8.
    pub invalid: bool,
    /// Put halves of surrogate pairs in, as escapes.
    pub surrogates: bool,
}

impl Default for Huge {
    fn default() -> Self {
        Self {
            bytes: 1_000_000,
            seed: 1,
            nul: true,
            invalid: true,
            surrogates: true,
        }
    }
}

/// Pieces of many scripts and widths, astral ones among them. None is damaged by joining it to another.
const PIECES: [&str; 15] = [
    "plain ascii words",
    "Grüße aus Köln",
    "Ελληνικά κείμενα",
    "русский текст",
    "日本語の文章",
    "한국어 문장",
    "نص عربي",
    "עברית",
    "😀🚀🧵",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "𐍈𐌰𐌹",
    "👩\u{200d}👩\u{200d}👧",
    "e\u{301} a\u{308}",
    "\u{2028}",
    "\ttab \\ \"quoted\" / slash",
];

/// One line of the text: valid characters, and the same as it goes over the wire.
pub struct Line {
    /// What must survive.
    pub valid: String,
    /// A fragment of a JSON string, damage included.
    pub wire: Vec<u8>,
}

/// The lines of a huge text, one after the other.
pub struct Lines {
    huge: Huge,
    number: usize,
    made: usize,
    state: u64,
}

impl Huge {
    /// The lines, generated as they are asked for.
    pub fn lines(&self) -> Lines {
        Lines {
            huge: self.clone(),
            number: 0,
            made: 0,
            state: self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// Every valid character, in order: what a reader must end up with.
    pub fn expected(&self) -> String {
        self.lines().map(|line| line.valid).collect()
    }
}

impl Lines {
    /// xorshift64: small, and the same everywhere.
    fn next_number(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn damage(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.huge.nul && self.next_number().is_multiple_of(5) {
            bytes.extend_from_slice(b"\\u0000");
        }
        if self.huge.invalid && self.next_number().is_multiple_of(5) {
            // A lone continuation byte, a cut sequence of three, an overlong slash, a byte never used.
            let broken: [&[u8]; 4] = [b"\x80", b"\xe2\x82", b"\xc0\xaf", b"\xff"];
            bytes.extend_from_slice(broken[(self.next_number() % 4) as usize]);
        }
        if self.huge.surrogates && self.next_number().is_multiple_of(5) {
            let half: &[u8] = if self.next_number().is_multiple_of(2) {
                b"\\ud83d"
            } else {
                b"\\ude00"
            };
            bytes.extend_from_slice(half);
        }
        bytes
    }
}

impl Iterator for Lines {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        if self.made >= self.huge.bytes {
            return None;
        }
        self.number += 1;
        let mut valid = format!("{:07}", self.number);
        let mut wire = valid.clone().into_bytes();
        for _ in 0..6 {
            let piece = PIECES[(self.next_number() % (PIECES.len() as u64)) as usize];
            let piece = format!(" {piece} {:x}", self.next_number() & 0xffff);
            wire.extend(self.damage());
            wire.extend(super::wire::escape(&piece).into_bytes());
            valid.push_str(&piece);
        }
        valid.push_str(" .\n");
        wire.extend_from_slice(b" .\\n");
        self.made += valid.len();
        Some(Line { valid, wire })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_for_the_same_seed_and_reaches_its_size() {
        let huge = Huge {
            bytes: 50_000,
            ..Huge::default()
        };
        assert_eq!(huge.expected(), huge.expected());
        assert!(huge.expected().len() >= 50_000);
        let other = Huge {
            seed: 2,
            ..huge.clone()
        };
        assert_ne!(huge.expected(), other.expected());
    }

    #[test]
    fn damage_taken_out_leaves_exactly_the_valid_text() {
        let huge = Huge {
            bytes: 20_000,
            ..Huge::default()
        };
        let mut wire = Vec::new();
        for line in huge.lines() {
            wire.extend(line.wire);
        }
        let lossy = String::from_utf8_lossy(&wire)
            .replace('\u{fffd}', "")
            .replace("\\u0000", "")
            .replace("\\ud83d", "")
            .replace("\\ude00", "");
        let text: String = serde_json::from_str(&format!("\"{lossy}\"")).unwrap();
        assert_eq!(text, huge.expected());
        assert!(text.chars().any(|c| c as u32 > 0xffff));
        assert!(wire.windows(6).any(|w| w == b"\\u0000"));
        assert!(String::from_utf8(wire).is_err());
    }
}
