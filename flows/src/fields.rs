//! Fields of outputs, which `when` and `foreach` read.

use serde_json::Value;

use crate::markup::{Fences, Line};

/// A top-level field of the JSON object that an output is, or else of its last fenced `json` block.
///
/// `None` when there is no such object or no such field.
pub fn field(output: &str, name: &str) -> Option<Value> {
    let text = output.trim();
    if text.starts_with('{')
        && let Ok(Value::Object(mut map)) = serde_json::from_str(text)
    {
        return map.remove(name);
    }
    match serde_json::from_str(last_json_block(output)?) {
        Ok(Value::Object(mut map)) => map.remove(name),
        _ => None,
    }
}

/// Whether a step runs whose `when` reads this field: not when it is missing, null, false, zero or
/// empty.
pub fn holds(output: &str, name: &str) -> bool {
    match field(output, name) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => value,
        Some(Value::Number(value)) => value.as_f64() != Some(0.0),
        Some(Value::String(value)) => !value.is_empty(),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
    }
}

/// The elements for which a `foreach` runs; `None` when the field is missing or not a list, which
/// fails the fan-out: an answer that cannot be read must not look like an empty one.
pub fn elements(output: &str, name: &str) -> Option<Vec<Value>> {
    match field(output, name)? {
        Value::Array(list) => Some(list),
        _ => None,
    }
}

fn last_json_block(output: &str) -> Option<&str> {
    let mut fences = Fences::default();
    let mut at = 0;
    let mut open = None;
    let mut last = None;
    for line in output.split_inclusive('\n') {
        let start = at;
        at += line.len();
        match fences.line(line) {
            Line::Opens(info) => {
                let language = info.split([' ', ',', '{']).next().unwrap_or("");
                open = language.eq_ignore_ascii_case("json").then_some(at);
            }
            Line::Closes => {
                if let Some(from) = open.take() {
                    last = Some(&output[from..start]);
                }
            }
            Line::Inside | Line::Outside => {}
        }
    }
    // A reply that was cut off has no closing fence; what is there may still be whole.
    open.map(|from| &output[from..]).or(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_comes_from_the_whole_text_or_the_last_block() {
        assert_eq!(field(" {\"a\": [1, 2]}\n", "a"), Some(json!([1, 2])));
        let text = "Text.\n```json\n{\"a\": 1}\n```\nMore.\n~~~JSON\n{\"a\": 2}\n~~~\nEnd.";
        assert_eq!(field(text, "a"), Some(json!(2)));
        assert_eq!(field("```json\n{\"a\": 3}", "a"), Some(json!(3)));
    }

    #[test]
    fn what_is_not_there_is_none() {
        for text in [
            "",
            "text",
            "[1]",
            "{\"b\": 1}",
            "```json\nnot json\n```",
            "```\n{\"a\":1}\n```",
        ] {
            assert_eq!(field(text, "a"), None, "{text}");
        }
    }

    #[test]
    fn empty_and_false_values_do_not_hold() {
        for value in ["null", "false", "0", "0.0", "\"\"", "[]", "{}"] {
            assert!(!holds(&format!("{{\"a\": {value}}}"), "a"), "{value}");
        }
        for value in ["true", "1", "-0.5", "\"no\"", "[0]", "{\"x\": 0}"] {
            assert!(holds(&format!("{{\"a\": {value}}}"), "a"), "{value}");
        }
        assert!(!holds("{}", "a"));
    }

    #[test]
    fn an_unreadable_list_is_not_an_empty_one() {
        assert_eq!(elements("{\"a\": []}", "a"), Some(vec![]));
        assert_eq!(elements("{\"a\": [1]}", "a"), Some(vec![json!(1)]));
        assert_eq!(elements("{\"a\": \"none\"}", "a"), None);
        assert_eq!(elements("NO FINDINGS", "a"), None);
    }
}
