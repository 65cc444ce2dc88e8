//! Small text helpers: the end of a stream, and paths made relative.

/// The last bytes of a stream.
#[derive(Debug)]
pub struct Tail {
    bytes: Vec<u8>,
    keep: usize,
}

impl Tail {
    /// Keeps the last `keep` bytes.
    pub fn new(keep: usize) -> Self {
        Self {
            bytes: Vec::new(),
            keep,
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes
            .extend_from_slice(&bytes[bytes.len().saturating_sub(self.keep)..]);
        let surplus = self.bytes.len().saturating_sub(self.keep);
        self.bytes.drain(..surplus);
    }

    /// What was kept, as text: invalid UTF-8 replaced, NUL removed, a cut first character left out.
    pub fn text(&self) -> String {
        let cut = self
            .bytes
            .iter()
            .take(3)
            .take_while(|b| self.bytes.len() == self.keep && (**b & 0xC0) == 0x80)
            .count();
        String::from_utf8_lossy(&self.bytes[cut..]).replace('\0', "")
    }
}

/// Makes the paths of one folder relative in a text that comes in pieces: `DIR/a.rs` becomes `a.rs`, `DIR` alone `.`.
#[derive(Debug, Clone)]
pub struct Relative {
    dir: String,
    held: String,
}

impl Relative {
    /// `dir` without a closing slash; empty means that nothing is changed.
    pub fn new(dir: &str) -> Self {
        Self {
            dir: dir.trim_end_matches('/').to_owned(),
            held: String::new(),
        }
    }

    /// Takes the next piece and appends to `out` what is certain by now.
    pub fn push(&mut self, piece: &str, out: &mut String) {
        if self.dir.is_empty() {
            out.push_str(piece);
        } else if self.held.is_empty() {
            self.scan(piece, out);
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.push_str(piece);
            self.scan(&text, out);
        }
    }

    /// Appends what was held back.
    pub fn finish(&mut self, out: &mut String) {
        let held = std::mem::take(&mut self.held);
        if held == self.dir && !held.is_empty() {
            out.push('.');
        } else {
            out.push_str(&held);
        }
    }

    /// A whole text at once.
    pub fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut fresh = Self::new(&self.dir);
        fresh.push(text, &mut out);
        fresh.finish(&mut out);
        out
    }

    fn scan(&mut self, mut text: &str, out: &mut String) {
        while let Some(at) = text.find(&self.dir) {
            let after = &text[at + self.dir.len()..];
            let Some(next) = after.chars().next() else {
                // What follows decides.
                out.push_str(&text[..at]);
                self.held.push_str(&text[at..]);
                return;
            };
            out.push_str(&text[..at]);
            match next {
                '/' => text = &after[1..],
                _ if is_name(next) => {
                    out.push_str(&self.dir);
                    text = after;
                }
                _ => {
                    out.push('.');
                    text = after;
                }
            }
        }
        let held = self.prefix_at_end(text);
        out.push_str(&text[..text.len() - held]);
        self.held.push_str(&text[text.len() - held..]);
    }

    /// How many of the last bytes may be the beginning of the folder's path.
    fn prefix_at_end(&self, text: &str) -> usize {
        let (text, dir) = (text.as_bytes(), self.dir.as_bytes());
        let longest = text.len().min(dir.len() - 1);
        (1..=longest)
            .rev()
            .find(|&n| text[text.len() - n] == dir[0] && dir.starts_with(&text[text.len() - n..]))
            .unwrap_or(0)
    }
}

/// Whether a character goes on with a file name, so that the name is another one.
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tail_keeps_the_end_and_whole_characters() {
        let mut tail = Tail::new(4);
        tail.push("aé".as_bytes());
        assert_eq!(tail.text(), "aé");
        tail.push("bcd".as_bytes());
        assert_eq!(tail.text(), "bcd");
        tail.push(b"long enough to fill it\xff");
        assert_eq!(tail.text(), " it\u{fffd}");
    }

    #[test]
    fn paths_become_relative() {
        let relative = Relative::new("/s/7");
        assert_eq!(
            relative.apply("see /s/7/src/a.rs:3, in /s/7 and /s/7."),
            "see src/a.rs:3, in . and .."
        );
        assert_eq!(
            relative.apply("/s/70/a /s/7-b /s/7_ /s/7"),
            "/s/70/a /s/7-b /s/7_ ."
        );
        assert_eq!(Relative::new("").apply("/s/7"), "/s/7");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "(/s/7/?|[a/s7é ]){0,40}", cut in 0usize..200) {
            let whole = Relative::new("/s/7").apply(&text);
            let at = text.char_indices().map(|(i, _)| i).nth(cut % 40).unwrap_or(text.len());
            let mut pieces = Relative::new("/s/7");
            let mut out = String::new();
            pieces.push(&text[..at], &mut out);
            pieces.push(&text[at..], &mut out);
            pieces.finish(&mut out);
            prop_assert_eq!(out, whole);
        }
    }
}
