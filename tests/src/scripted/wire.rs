//! Chunks of an answer in the OpenAI form. Text arrives already escaped, so that damage can pass.

use bytes::Bytes;
use serde_json::{Value, json};

/// What every chunk of one answer repeats.
#[derive(Debug, Clone)]
pub struct Wire {
    id: String,
    model: String,
}

/// Tokens of one answer, estimated at four bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub prompt: usize,
    pub completion: usize,
}

/// A text as the inside of a JSON string, without its quotes.
pub fn escape(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

impl Usage {
    /// The usage of so many bytes in and out.
    pub fn of_bytes(prompt: usize, completion: usize) -> Self {
        Self {
            prompt: prompt.div_ceil(4),
            completion: completion.div_ceil(4),
        }
    }

    fn json(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        })
    }
}

impl Wire {
    /// Chunks of an answer with this id, from a model of this name.
    pub fn new(id: &str, model: &str) -> Self {
        Self {
            id: id.into(),
            model: model.into(),
        }
    }

    /// A delta whose only field is a string, given escaped: `content` or `reasoning_content`.
    pub fn text(&self, field: &str, escaped: &[u8]) -> Bytes {
        let mut line = format!(
            "data: {{{},\"choices\":[{{\"index\":0,\"delta\":{{\"{field}\":\"",
            self.head("chat.completion.chunk")
        )
        .into_bytes();
        line.extend_from_slice(escaped);
        line.extend_from_slice(b"\"},\"finish_reason\":null}]}\n\n");
        line.into()
    }

    /// The opening delta of an answer.
    pub fn role(&self) -> Bytes {
        self.delta(json!({"role": "assistant", "content": ""}), Value::Null)
    }

    /// The opening delta of a tool call: its id and name, no arguments yet.
    pub fn tool_call(&self, index: usize, id: &str, name: &str) -> Bytes {
        let call = json!({"index": index, "id": id, "type": "function",
            "function": {"name": name, "arguments": ""}});
        self.delta(json!({ "tool_calls": [call] }), Value::Null)
    }

    /// A piece of a tool call's arguments.
    pub fn arguments(&self, index: usize, piece: &str) -> Bytes {
        let call = json!({"index": index, "function": {"arguments": piece}});
        self.delta(json!({ "tool_calls": [call] }), Value::Null)
    }

    /// The delta that ends an answer: `stop` or `tool_calls`.
    pub fn finish(&self, reason: &str) -> Bytes {
        self.delta(json!({}), Value::from(reason))
    }

    /// The last chunk: usage, and no choice.
    pub fn usage(&self, usage: Usage) -> Bytes {
        let head = self.head("chat.completion.chunk");
        format!(
            "data: {{{head},\"choices\":[],\"usage\":{}}}\n\n",
            usage.json()
        )
        .into()
    }

    /// The line that ends a stream.
    pub fn done() -> Bytes {
        Bytes::from_static(b"data: [DONE]\n\n")
    }

    /// A whole answer in one body. Texts are escaped already.
    pub fn whole(
        &self,
        content: &[u8],
        reasoning: &[u8],
        tool_calls: &[Value],
        usage: Usage,
    ) -> Bytes {
        let reason = if tool_calls.is_empty() {
            "stop"
        } else {
            "tool_calls"
        };
        let mut body = format!(
            "{{{},\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"",
            self.head("chat.completion")
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.push(b'"');
        if !reasoning.is_empty() {
            body.extend_from_slice(b",\"reasoning_content\":\"");
            body.extend_from_slice(reasoning);
            body.push(b'"');
        }
        if !tool_calls.is_empty() {
            body.extend_from_slice(b",\"tool_calls\":");
            body.extend_from_slice(Value::from(tool_calls).to_string().as_bytes());
        }
        body.extend_from_slice(
            format!(
                "}},\"finish_reason\":\"{reason}\"}}],\"usage\":{}}}",
                usage.json()
            )
            .as_bytes(),
        );
        body.into()
    }

    fn delta(&self, delta: Value, finish_reason: Value) -> Bytes {
        let head = self.head("chat.completion.chunk");
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
        format!("data: {{{head},\"choices\":[{choice}]}}\n\n").into()
    }

    /// The same for the same request: no clock in it.
    fn head(&self, object: &str) -> String {
        format!(
            "\"id\":\"{}\",\"object\":\"{object}\",\"created\":0,\"model\":\"{}\"",
            escape(&self.id),
            escape(&self.model)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &Bytes) -> Value {
        let text = std::str::from_utf8(line).unwrap();
        serde_json::from_str(text.strip_prefix("data: ").unwrap()).unwrap()
    }

    #[test]
    fn chunks_are_json_whatever_the_text() {
        let wire = Wire::new("a\"b", "scripted");
        let text = "quote \" slash \\ newline \n astral 😀";
        let chunk = parse(&wire.text("content", escape(text).as_bytes()));
        assert_eq!(chunk["choices"][0]["delta"]["content"], text);
        assert_eq!(chunk["id"], "a\"b");
        assert_eq!(
            parse(&wire.usage(Usage::of_bytes(9, 4)))["usage"]["total_tokens"],
            4
        );
        assert_eq!(
            parse(&wire.finish("stop"))["choices"][0]["finish_reason"],
            "stop"
        );
    }

    #[test]
    fn a_whole_answer_carries_text_and_tool_calls() {
        let wire = Wire::new("x", "scripted");
        let call = json!({"id": "c"});
        let body = wire.whole(b"hi", b"hm", &[call], Usage::of_bytes(4, 4));
        let value: Value = serde_json::from_slice(&body).unwrap();
        let message = &value["choices"][0]["message"];
        assert_eq!(message["content"], "hi");
        assert_eq!(message["reasoning_content"], "hm");
        assert_eq!(message["tool_calls"][0]["id"], "c");
        assert_eq!(value["choices"][0]["finish_reason"], "tool_calls");
    }
}
