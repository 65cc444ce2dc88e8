//! What tools were given and gave back, cleaned like the model's own text.

use serde_json::{Value, json};

use super::{MAX_INPUT_BYTES, MAX_RESULT_CHARS};
use crate::text::Relative;

/// A tool result is text or blocks of text.
pub(super) fn result_text(content: Value) -> String {
    match content {
        Value::String(text) => text,
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|b| b.get("text")?.as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A text with its paths made relative and NUL taken out.
pub(super) fn clean_text(relative: &Relative, text: &str) -> String {
    relative.apply(text).replace('\0', "")
}

/// The arguments of a call, cleaned; of absurdly large ones the beginning.
pub(super) fn clean_input(relative: &Relative, input: Value) -> Value {
    let input = clean_value(relative, input);
    let text = input.to_string();
    if text.len() <= MAX_INPUT_BYTES {
        return input;
    }
    let cut: String = text.chars().take(MAX_RESULT_CHARS).collect();
    json!({ "cut": cut, "bytes": text.len() })
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
