//! The child's lines as it writes them, read as loosely as they may change.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// One line of `stream-json`. What is not named here is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    #[serde(rename = "type")]
    pub kind: String,
    pub subtype: String,
    pub parent_tool_use_id: Option<String>,
    // system/init
    pub tools: Vec<String>,
    pub permission_mode: String,
    pub slash_commands: Vec<String>,
    // system/retry
    pub data: Retry,
    // stream_event
    pub event: StreamEvent,
    // assistant, user
    pub message: Message,
    // result
    pub is_error: bool,
    pub result: Option<String>,
    pub error: ErrorText,
    pub usage: Tokens,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Retry {
    #[serde(rename = "preserveText")]
    pub preserve_text: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StreamEvent {
    #[serde(rename = "type")]
    pub kind: String,
    pub delta: Delta,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta {
    #[serde(rename = "type")]
    pub kind: String,
    pub text: String,
    pub thinking: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub content: Content,
    pub usage: Tokens,
}

/// Blocks, or bare text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Blocks(Vec<Block>),
    Other(IgnoredAny),
}

impl Default for Content {
    fn default() -> Self {
        Self::Blocks(Vec::new())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block {
    #[serde(rename = "type")]
    pub kind: String,
    pub text: String,
    pub thinking: String,
    pub id: String,
    pub name: String,
    pub input: Value,
    pub tool_use_id: String,
    pub is_error: bool,
    pub content: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorText {
    pub message: String,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_input_tokens: u64,
    pub total_tokens: u64,
}

impl Tokens {
    /// The total, counted where the child does not.
    pub fn total(&self) -> u64 {
        self.total_tokens
            .max(self.input_tokens + self.output_tokens)
    }

    pub fn is_zero(&self) -> bool {
        self.total() == 0
    }
}

/// Reads a line; None when it is not the JSON of an event.
pub(super) fn read(line: &[u8]) -> Option<Line> {
    let text = String::from_utf8_lossy(line);
    let line =
        serde_json::from_str::<Line>(&text).or_else(|_| serde_json::from_str(&repair(&text)));
    line.ok().filter(|line| !line.kind.is_empty())
}

/// JavaScript writes half a surrogate pair as an escape, which is no text: it becomes U+FFFD.
fn repair(text: &str) -> Cow<'_, str> {
    let mut repaired = String::new();
    let mut kept = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(found) = text[at..].find('\\').map(|i| i + at) {
        let Some(unit) = escape_at(bytes, found) else {
            // Another escape: its second character is passed over, it may be a backslash.
            at = found + 1 + text[found + 1..].chars().next().map_or(0, char::len_utf8);
            continue;
        };
        let pair = (0xD800..0xDC00).contains(&unit)
            && escape_at(bytes, found + 6).is_some_and(|low| (0xDC00..0xE000).contains(&low));
        at = found + if pair { 12 } else { 6 };
        if !pair && (0xD800..0xE000).contains(&unit) {
            repaired.push_str(&text[kept..found]);
            repaired.push_str("\\ufffd");
            kept = at;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(&text[kept..]);
    Cow::Owned(repaired)
}

/// The code unit of a `\uXXXX` that begins at `at`.
fn escape_at(bytes: &[u8], at: usize) -> Option<u32> {
    let escape = bytes.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(json: &str) -> Option<String> {
        let line = format!(r#"{{"type":"result","result":"{json}"}}"#);
        read(line.as_bytes())?.result
    }

    #[test]
    fn half_a_surrogate_pair_is_replaced_and_a_whole_one_kept() {
        assert_eq!(text_of(r"a\ud83db").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(
            text_of(r"\ude00\ud83d\ude00\ud83d").as_deref(),
            Some("\u{fffd}😀\u{fffd}")
        );
        assert_eq!(
            text_of(r"\ud83d\ud83d\ude00").as_deref(),
            Some("\u{fffd}😀")
        );
        assert_eq!(
            text_of(r"\\ud83d \ud83d").as_deref(),
            Some("\\ud83d \u{fffd}")
        );
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        let line = read(b"{\"type\":\"result\",\"result\":\"a\xffb\"}").unwrap();
        assert_eq!(line.result.as_deref(), Some("a\u{fffd}b"));
    }

    #[test]
    fn what_is_no_event_is_none() {
        for garbage in [
            &b"hello"[..],
            b"",
            b"[1]",
            b"{}",
            b"{\"type\":3}",
            b"{\"type\":\"result\",\"result\":\"\\ud83",
            b"\xff",
        ] {
            assert!(read(garbage).is_none(), "{garbage:?}");
        }
    }
}
