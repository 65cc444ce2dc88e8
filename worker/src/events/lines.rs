//! Bytes in, whole lines out, whatever the pieces.

/// A line grew beyond what is accepted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Splits at line feeds and carries the incomplete end.
#[derive(Debug)]
pub(super) struct Lines {
    carried: Vec<u8>,
    max: usize,
}

impl Lines {
    pub fn new(max: usize) -> Self {
        Self {
            carried: Vec::new(),
            max,
        }
    }

    /// Calls `each` with every line that `bytes` completes.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), TooLong> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&b| b == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            self.check(line.len())?;
            if self.carried.is_empty() {
                each(line);
            } else {
                self.carried.extend_from_slice(line);
                each(&self.carried);
                // A huge line's memory is given back.
                self.carried = Vec::new();
            }
            rest = after;
        }
        self.check(rest.len())?;
        self.carried.extend_from_slice(rest);
        Ok(())
    }

    /// The last line, when it lacked its line feed.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.carried)
    }

    fn check(&mut self, more: usize) -> Result<(), TooLong> {
        if self.carried.len() + more > self.max {
            self.carried = Vec::new();
            return Err(TooLong);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_is_refused_and_forgotten() {
        let mut lines = Lines::new(4);
        assert_eq!(lines.push(b"abcd\nab", |_| ()), Ok(()));
        assert_eq!(lines.push(b"cde", |_| ()), Err(TooLong));
        assert!(lines.finish().is_empty());
    }

    #[test]
    fn an_unfinished_last_line_is_kept() {
        let mut lines = Lines::new(100);
        let mut seen = Vec::new();
        lines.push(b"one\ntw", |l| seen.push(l.to_vec())).unwrap();
        lines
            .push(b"o\n\nthree", |l| seen.push(l.to_vec()))
            .unwrap();
        assert_eq!(seen, [&b"one"[..], b"two", b""]);
        assert_eq!(lines.finish(), b"three");
    }
}
