//! What is said about a snapshot: what was left out and why, names made safe to show.

/// Names shown for one reason; the rest is counted.
const MAX_SHOWN: usize = 10;
const MAX_NAME_CHARS: usize = 200;

#[derive(Debug, Default)]
pub(super) struct Notes {
    said: Vec<String>,
    left: Vec<Reason>,
}

#[derive(Debug)]
struct Reason {
    why: String,
    shown: Vec<String>,
    more: u64,
}

impl Notes {
    pub fn say(&mut self, note: impl Into<String>) {
        self.said.push(note.into());
    }

    /// Something was left out. `why` completes "left out, …".
    pub fn leave(&mut self, why: &str, path: &[u8]) {
        let index = match self.left.iter().position(|reason| reason.why == why) {
            Some(index) => index,
            None => {
                self.left.push(Reason {
                    why: why.to_owned(),
                    shown: Vec::new(),
                    more: 0,
                });
                self.left.len() - 1
            }
        };
        let reason = &mut self.left[index];
        if reason.shown.len() < MAX_SHOWN {
            reason.shown.push(shown(path));
        } else {
            reason.more += 1;
        }
    }

    /// One line a note and a reason.
    pub fn lines(&self) -> Vec<String> {
        let left = self.left.iter().map(|reason| {
            let names = reason.shown.join(", ");
            let more = match reason.more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("left out, {}: {names}{more}", reason.why)
        });
        self.said.iter().cloned().chain(left).collect()
    }
}

/// A name or message of unknown origin on one line: control, format and bidirectional characters, backslashes and
/// what is not UTF-8 escaped, long ones cut.
pub(super) fn shown(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' || c.is_control() || is_invisible(c) {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    match out.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out,
    }
}

/// Characters that change how a line looks without being seen.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A size for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) if bytes.is_multiple_of(*unit) => format!("{} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_forge_lines_or_colours() {
        assert_eq!(shown(b"a\nb\x1b[31m\xff\\"), "a\\nb\\u{1b}[31m\\xff\\\\");
        assert_eq!(shown("Größe\u{202e}".as_bytes()), "Größe\\u{202e}");
        assert_eq!(shown(&[b'x'; 500]).chars().count(), MAX_NAME_CHARS + 1);
    }

    #[test]
    fn many_names_of_one_reason_make_one_line() {
        let mut notes = Notes::default();
        notes.say("first");
        for i in 0..15 {
            notes.leave("too large", format!("f{i}").as_bytes());
        }
        notes.leave("unreadable", b"g");
        let lines = notes.lines();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("left out, too large: f0, f1,"));
        assert!(lines[1].ends_with("f9 and 5 more"));
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size(16 << 20), "16 MiB");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(12), "12 bytes");
    }
}
