//! The child's lines as it writes them, read as loosely as they may change.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::json::{Text, element, member, repair};

/// One line of `stream-json`. What is not named here is ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line<'a> {
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
    /// None for a message that is bare text.
    #[serde(skip)]
    pub blocks: Option<Vec<Block<'a>>>,
    // result
    pub is_error: bool,
    #[serde(skip)]
    pub result: Option<Text<'a>>,
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
    pub usage: Tokens,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip)]
    pub text: Text<'a>,
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

/// Reads a line; None when it is not the JSON of an event. The texts that may be huge stay in the line as they are.
pub(super) fn read(line: &str) -> Option<Line<'_>> {
    let mut read: Line = parse(line)?;
    match read.kind.as_str() {
        "" => return None,
        "assistant" | "user" => {
            let content = member(line, "message").and_then(|message| member(message, "content"));
            read.blocks = content.map_or_else(|| Some(Vec::new()), blocks);
        }
        "result" => {
            let result = member(line, "result").filter(|result| *result != "null");
            read.result = match result {
                Some(result) => Some(Text::read(result)?),
                None => None,
            };
        }
        _ => {}
    }
    Some(read)
}

/// The blocks of a message's content; None when it is anything else.
fn blocks(content: &str) -> Option<Vec<Block<'_>>> {
    let mut rest = content.strip_prefix('[')?;
    let mut blocks = Vec::new();
    while let Some((raw, after)) = element(rest) {
        let mut block: Block = parse(raw)?;
        if let Some(text) = member(raw, "text") {
            block.text = Text::read(text)?;
        }
        blocks.push(block);
        rest = after;
    }
    Some(blocks)
}

fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&repair(text)))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(json: &str) -> Option<String> {
        let line = format!(r#"{{"type":"result","result":"{json}"}}"#);
        Some(read(&line)?.result?.pieces().collect())
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
        let line = String::from_utf8_lossy(b"{\"type\":\"result\",\"result\":\"a\xffb\"}");
        let result: String = read(&line).unwrap().result.unwrap().pieces().collect();
        assert_eq!(result, "a\u{fffd}b");
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
            let line = String::from_utf8_lossy(garbage);
            assert!(read(&line).is_none(), "{garbage:?}");
        }
    }
    #[test]
    fn a_result_that_is_no_text_is_no_event_and_none_is_one() {
        assert!(read(r#"{"type":"result","result":3}"#).is_none());
        for absent in [r#"{"type":"result","result":null}"#, r#"{"type":"result"}"#] {
            assert!(read(absent).unwrap().result.is_none());
        }
    }

    #[test]
    fn blocks_are_read_with_their_texts_and_bare_text_is_none() {
        let line = r#" { "type" : "assistant" , "message" : { "usage" : {"input_tokens" : 7} , "content" :
            [ {"type":"text","text":"a\ud83d]\"}"} , {"text":"","type":"tool_use","name":"x\ud83d","input":{"a":[1]}} ] } } "#;
        let read_line = read(line).unwrap();
        assert_eq!(read_line.message.usage.input_tokens, 7);
        let blocks = read_line.blocks.unwrap();
        assert_eq!(blocks[0].text.pieces().collect::<String>(), "a\u{fffd}]\"}");
        assert_eq!(
            (blocks[1].name.as_str(), &blocks[1].input["a"][0]),
            ("x\u{fffd}", &1.into())
        );
        assert_eq!(blocks.len(), 2);
        for (content, count) in [
            ("[]", Some(0)),
            ("\"bare\"", None),
            ("[{\"text\":3}]", None),
        ] {
            let line = format!(r#"{{"type":"user","message":{{"content":{content}}}}}"#);
            assert_eq!(
                read(&line).unwrap().blocks.map(|b| b.len()),
                count,
                "{content}"
            );
        }
        assert!(
            read(r#"{"type":"user"}"#)
                .unwrap()
                .blocks
                .unwrap()
                .is_empty()
        );
    }
}
