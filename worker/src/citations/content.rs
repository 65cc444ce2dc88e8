//! One cited file: how many lines it has, and what stands near a line.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use conductor_flows::citation::{Citation, fold, pieces, stands_in};

use super::Verdict;

/// How far from the cited lines a quote may stand.
const NEAR: u64 = 5;
/// In more text than this, cited lines and those around them, no quote is looked for.
const MAX_WINDOW: usize = 128 << 10;

/// The bytes of a cited file.
#[derive(Debug)]
pub(super) struct Content(Vec<u8>);

impl Content {
    /// Reads a regular file of at most `max` bytes.
    ///
    /// # Errors
    /// When it is larger, is no regular file (any more), or cannot be read.
    pub fn read(path: &Path, max: u64) -> io::Result<Self> {
        // Without O_NONBLOCK a FIFO that took the file's place would block for ever.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let about = file.metadata()?;
        if !about.is_file() || about.len() > max {
            return Err(io::Error::other("not a regular file of that size"));
        }
        let mut bytes = Vec::new();
        file.take(max).read_to_end(&mut bytes)?;
        Ok(Self(bytes))
    }

    pub fn size(&self) -> u64 {
        self.0.len() as u64
    }

    /// One verdict for each citation of this file with its quotes, in this order.
    pub fn judge(&self, claims: &[(&Citation, &[&str])]) -> Vec<Verdict> {
        let mut starts = BTreeMap::new();
        for (citation, _) in claims {
            let (from, to) = window(citation);
            starts.insert(from, self.0.len());
            starts.insert(to, self.0.len());
        }
        let lines = self.locate(&mut starts);
        let verdict = |(citation, quotes): &(&Citation, &[&str])| match wrong_lines(citation, lines)
        {
            Some(why) => Verdict::Broken(why),
            None => {
                let (from, to) = window(citation);
                let near = &self.0[starts[&from]..starts[&to]];
                if all_stand_in(quotes, near) {
                    Verdict::Holds
                } else {
                    Verdict::Broken("the quoted words are not near that line".to_owned())
                }
            }
        };
        claims.iter().map(verdict).collect()
    }

    /// Sets where each of the lines begins, those past the end excepted, and counts all lines.
    fn locate(&self, starts: &mut BTreeMap<u64, usize>) -> u64 {
        let mut wanted = starts.iter_mut().peekable();
        let ends = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n');
        let begins = ends.map(|(at, _)| at + 1).filter(|at| *at < self.0.len());
        let first = (!self.0.is_empty()).then_some(0);
        let mut lines = 0;
        for start in first.into_iter().chain(begins) {
            lines += 1;
            if let Some((_, at)) = wanted.next_if(|(line, _)| **line == lines) {
                *at = start;
            }
        }
        lines
    }
}

/// The first line in which a quote may stand, and the first behind.
fn window(citation: &Citation) -> (u64, u64) {
    let from = citation.first.saturating_sub(NEAR).max(1);
    (from, citation.last.saturating_add(NEAR + 1).max(from))
}

/// What is wrong with the cited lines of a file that has so many.
fn wrong_lines(citation: &Citation, lines: u64) -> Option<String> {
    if citation.first == 0 {
        Some("lines are counted from 1".to_owned())
    } else if citation.last < citation.first {
        Some("the lines run backwards".to_owned())
    } else if citation.last > lines {
        let s = if lines == 1 { "" } else { "s" };
        Some(format!("the file has {lines} line{s}"))
    } else {
        None
    }
}

fn all_stand_in(quotes: &[&str], near: &[u8]) -> bool {
    if quotes.is_empty() || near.len() > MAX_WINDOW {
        return true;
    }
    let near = fold(&String::from_utf8_lossy(near));
    quotes.iter().all(|quote| stands_in(&pieces(quote), &near))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cite(first: u64, last: u64) -> Citation<'static> {
        Citation {
            cited: "a".into(),
            path: "a".into(),
            first,
            last,
            quote: None,
            span: 0..1,
        }
    }

    fn why(text: &str, first: u64, last: u64, quotes: &[&str]) -> Option<String> {
        let content = Content(text.as_bytes().to_vec());
        match content.judge(&[(&cite(first, last), quotes)]).remove(0) {
            Verdict::Holds => None,
            Verdict::Broken(why) => Some(why),
            Verdict::Unchecked => panic!("it was checked"),
        }
    }

    #[test]
    fn lines_past_the_end_are_wrong() {
        for (text, lines) in [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("a\n\n", 2)] {
            for line in 1..=lines {
                assert_eq!(why(text, line, line, &[]), None, "{text:?}");
            }
            let past = why(text, 1, lines + 1, &[]).unwrap();
            assert!(past.starts_with(&format!("the file has {lines} line")));
        }
        assert_eq!(why("a\n", 2, 2, &[]).unwrap(), "the file has 1 line");
        assert_eq!(why("a\nb", 2, 1, &[]).unwrap(), "the lines run backwards");
        assert_eq!(why("a", 0, 0, &[]).unwrap(), "lines are counted from 1");
        assert!(why("a", u64::MAX, u64::MAX, &["b c"]).is_some());
    }

    #[test]
    fn a_quote_may_stand_five_lines_away() {
        let text: String = (1..=40).map(|n| format!("line <{n}>\n")).collect();
        for line in [15, 20, 25] {
            assert_eq!(why(&text, 20, 20, &[&format!("line <{line}>")]), None);
        }
        for line in [14, 26] {
            let why = why(&text, 20, 20, &[&format!("line <{line}>")]).unwrap();
            assert_eq!(why, "the quoted words are not near that line");
        }
        assert_eq!(why(&text, 1, 40, &["<1> … <40>"]), None);
        assert_eq!(why(&text, 38, 40, &["<33> line <34>"]), None);
        assert!(why(&text, 20, 20, &["line <20>", "line <1>"]).is_some());
    }

    #[test]
    fn several_citations_of_a_file_share_its_lines() {
        let text: String = (1..=40).map(|n| format!("line <{n}>\n")).collect();
        let content = Content(text.into_bytes());
        let (near, far, past) = (cite(6, 6), cite(40, 40), cite(41, 41));
        let claims: [(&Citation, &[&str]); 3] =
            [(&far, &["line <40>"]), (&near, &["line <1>"]), (&past, &[])];
        let verdicts = content.judge(&claims);
        assert_eq!(verdicts[..2], [Verdict::Holds, Verdict::Holds]);
        assert_eq!(verdicts[2], Verdict::Broken("the file has 40 lines".into()));
    }

    #[test]
    fn bytes_that_are_no_text_have_lines_too() {
        let content = Content(b"\xff\xfe\n\0 x y\n".to_vec());
        let claims: [(&Citation, &[&str]); 1] = [(&cite(2, 2), &["x y"])];
        assert_eq!(content.judge(&claims), [Verdict::Holds]);
    }
}
