//! The child's lines as it writes them, read as loosely as they may change.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Usage;
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
    /// The list of its blocks without its opening bracket; None for a message that is bare text. See [`blocks`].
    #[serde(skip)]
    pub blocks: Option<&'a str>,
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
    /// As it was written: it may be as large as the line, and nested as deep.
    #[serde(skip)]
    pub input: Option<&'a str>,
    pub tool_use_id: String,
    pub is_error: bool,
    /// As it was written.
    #[serde(skip)]
    pub content: Option<&'a str>,
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
        let sum = self.input_tokens.saturating_add(self.output_tokens);
        self.total_tokens.max(sum)
    }

    /// What was used before and these, as far as can be counted.
    pub fn after(&self, used: Usage, turns: u64) -> Usage {
        Usage {
            input_tokens: used.input_tokens.saturating_add(self.input_tokens),
            output_tokens: used.output_tokens.saturating_add(self.output_tokens),
            cache_read_input_tokens: used
                .cache_read_input_tokens
                .saturating_add(self.cache_read_input_tokens),
            total_tokens: used.total_tokens.saturating_add(self.total()),
            turns,
        }
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
            read.blocks = content.map_or(Some(""), |content| content.strip_prefix('['));
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

/// The blocks of a message, one at a time; None for one that is no block.
pub(super) fn blocks(mut list: &str) -> impl Iterator<Item = Option<Block<'_>>> {
    std::iter::from_fn(move || {
        let (raw, after) = element(list)?;
        list = after;
        Some(block(raw))
    })
}

fn block(raw: &str) -> Option<Block<'_>> {
    let mut block: Block = parse(raw)?;
    if let Some(text) = member(raw, "text") {
        block.text = Text::read(text)?;
    }
    block.input = member(raw, "input");
    block.content = member(raw, "content");
    Some(block)
}

pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
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
        let blocks: Vec<Block> = blocks(read_line.blocks.unwrap()).flatten().collect();
        assert_eq!(blocks[0].text.pieces().collect::<String>(), "a\u{fffd}]\"}");
        assert_eq!(
            (blocks[1].name.as_str(), blocks[1].input),
            ("x\u{fffd}", Some(r#"{"a":[1]}"#))
        );
        assert_eq!(blocks.len(), 2);
        for (content, count) in [
            ("[]", Some(0)),
            ("\"bare\"", None),
            ("[{\"text\":3},3,{}]", Some(1)),
        ] {
            let line = format!(r#"{{"type":"user","message":{{"content":{content}}}}}"#);
            let list = read(&line).unwrap().blocks;
            let found = list.map(|list| super::blocks(list).flatten().count());
            assert_eq!(found, count, "{content}");
        }
        let none = read(r#"{"type":"user"}"#).unwrap().blocks.unwrap();
        assert_eq!(super::blocks(none).count(), 0);
    }
}
