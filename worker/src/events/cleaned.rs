//! What tools were given and gave back, cleaned like the model's own text.

use conductor_flows::text::cut_at_char;
use serde_json::{Value, json};

use super::json::{Text, element, member};
use super::wire::parse;
use super::{MAX_INPUT_BYTES, MAX_RESULT_CHARS};
use crate::text::Relative;

/// Arguments larger than this are not even taken apart: as values they need many times their size.
const MAX_READ_BYTES: usize = 8 * MAX_INPUT_BYTES;

/// A tool result, which is text or blocks of text as it was written: its beginning, cleaned, and its size in bytes.
pub(super) fn result_text(relative: &Relative, content: Option<&str>) -> (String, u64) {
    let mut text = Beginning::new(relative);
    let content = content.unwrap_or("null");
    match content.as_bytes().first() {
        Some(b'"') => text.add(content),
        Some(b'[') => {
            let mut rest = &content[1..];
            let mut first = true;
            while let Some((block, after)) = element(rest) {
                rest = after;
                if let Some(said) = member(block, "text").filter(|said| said.starts_with('"')) {
                    if !std::mem::take(&mut first) {
                        text.push("\n");
                    }
                    text.add(said);
                }
            }
        }
        _ if content == "null" => {}
        _ => text.push(content),
    }
    text.finish()
}

/// The beginning of a text that may be huge.
struct Beginning {
    relative: Relative,
    kept: String,
    bytes: u64,
}

impl Beginning {
    fn new(relative: &Relative) -> Self {
        Self {
            relative: relative.clone(),
            kept: String::new(),
            bytes: 0,
        }
    }

    /// A string as it was written.
    fn add(&mut self, quoted: &str) {
        if let Some(text) = Text::read(quoted) {
            text.pieces().for_each(|piece| self.push(&piece));
        }
    }

    fn push(&mut self, text: &str) {
        self.bytes += text.len() as u64;
        // No character is longer than four bytes.
        if self.kept.len() < 4 * MAX_RESULT_CHARS {
            self.relative.push(&text.replace('\0', ""), &mut self.kept);
        }
    }

    fn finish(mut self) -> (String, u64) {
        self.relative.finish(&mut self.kept);
        (
            self.kept.chars().take(MAX_RESULT_CHARS).collect(),
            self.bytes,
        )
    }
}

/// A text with its paths made relative and NUL taken out.
pub(super) fn clean_text(relative: &Relative, text: &str) -> String {
    relative.apply(text).replace('\0', "")
}

/// A name that a model has made up; the server refuses a whole batch for one NUL.
pub(super) fn without_nul(name: String) -> String {
    match name.contains('\0') {
        true => name.replace('\0', ""),
        false => name,
    }
}

/// The arguments of a call as they were written, cleaned; of absurdly large or deep ones the beginning.
pub(super) fn clean_raw_input(relative: &Relative, raw: Option<&str>) -> Value {
    let raw = raw.unwrap_or("null");
    if raw.len() <= MAX_READ_BYTES
        && let Some(input) = parse(raw)
    {
        return clean_input(relative, input);
    }
    let begin = cut_at_char(raw, 8 * MAX_RESULT_CHARS);
    beginning(&clean_text(relative, begin), raw.len())
}

/// The same for arguments that were read already.
pub(super) fn clean_input(relative: &Relative, input: Value) -> Value {
    let input = clean_value(relative, input);
    let text = input.to_string();
    if text.len() <= MAX_INPUT_BYTES {
        return input;
    }
    beginning(&text, text.len())
}

fn beginning(text: &str, bytes: usize) -> Value {
    let cut: String = text.chars().take(MAX_RESULT_CHARS).collect();
    json!({ "cut": cut, "bytes": bytes })
}

/// The same for every text in a value.
fn clean_value(relative: &Relative, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean_text(relative, &text)),
        Value::Array(values) => values
            .into_iter()
            .map(|v| clean_value(relative, v))
            .collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(k, v)| (k.replace('\0', ""), clean_value(relative, v)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_text_or_blocks_of_text() {
        let relative = Relative::new("/s");
        let read = |content| result_text(&relative, content);
        for (content, text, bytes) in [
            (None, "", 0),
            (Some("null"), "", 0),
            (Some(r#""a\u0000/s/b""#), "ab", 6),
            (
                Some(r#"[{"text":"a"},{"type":"image"},{"text":3},{"text":"/s/b"}]"#),
                "a\nb",
                6,
            ),
            (Some(r#"{"a":1}"#), r#"{"a":1}"#, 7),
            (Some("[]"), "", 0),
        ] {
            assert_eq!(read(content), (text.to_owned(), bytes), "{content:?}");
        }
        let huge = format!("\"{}\"", "é".repeat(1 << 20));
        let (kept, bytes) = read(Some(&huge));
        assert_eq!((kept.chars().count(), bytes), (MAX_RESULT_CHARS, 2 << 20));
    }

    #[test]
    fn arguments_are_whole_or_begun() {
        let relative = Relative::new("/s");
        let read = |raw: &str| clean_raw_input(&relative, Some(raw));
        assert_eq!(read(r#"{"a":"/s/b\ud83d"}"#), json!({"a": "b\u{fffd}"}));
        assert_eq!(clean_raw_input(&relative, None), Value::Null);
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(
            read(&deep),
            json!({"cut": "[".repeat(2000), "bytes": 10_000})
        );
        let many = format!("[{}0]", "0,".repeat(2 << 20));
        assert_eq!(read(&many)["bytes"], many.len());
    }
}
