//! A chat request as the scripted model understands it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

static CONTEXT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(/[^\s`"'<>]+?)/_context\b"#).expect("the pattern is a constant")
});

/// Why a request cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("the request is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the request has no messages")]
    NoMessages,
}

/// A tool call of an earlier turn, and what came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub name: String,
    pub arguments: Value,
    pub result: Option<String>,
}

/// System prompt, prompt and the turns so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    pub model: String,
    pub stream: bool,
    pub system: String,
    /// The step's prompt, without what the child puts before it.
    pub prompt: String,
    /// Names of the tools on offer.
    pub tools: Vec<String>,
    /// Folders that the child says it works in.
    pub folders: Vec<String>,
    pub calls: Vec<Call>,
    /// Answers so far that called tools.
    pub rounds: usize,
    /// What was said before a break, where the child asks to go on after it.
    pub broken_off: Option<String>,
}

impl Conversation {
    /// Reads the body of a request.
    pub fn parse(body: &str) -> Result<Self, RequestError> {
        let body: Value = serde_json::from_str(body)?;
        let messages = body["messages"]
            .as_array()
            .ok_or(RequestError::NoMessages)?;
        let mut talk = Self {
            model: body["model"].as_str().unwrap_or_default().into(),
            stream: body["stream"].as_bool().unwrap_or(false),
            tools: strings(&body["tools"], |tool| tool["function"]["name"].as_str()),
            ..Self::default()
        };
        let mut asked: Vec<String> = Vec::new();
        let mut ids: Vec<String> = Vec::new();
        let mut answered = false;
        for message in messages {
            match message["role"].as_str() {
                Some("system" | "developer") => talk.system.push_str(&texts(message).join("\n")),
                Some("user") if !answered => asked.extend(texts(message)),
                Some("assistant") => {
                    answered = true;
                    let calls = message["tool_calls"].as_array().map_or(0, Vec::len);
                    talk.rounds += usize::from(calls > 0);
                    talk.broken_off = (calls == 0).then(|| texts(message).concat());
                    for call in message["tool_calls"].as_array().into_iter().flatten() {
                        ids.push(call["id"].as_str().unwrap_or_default().into());
                        talk.calls.push(Call::parse(call));
                    }
                }
                Some("tool") => {
                    let id = message["tool_call_id"].as_str().unwrap_or_default();
                    if let Some(at) = ids.iter().position(|known| known == id) {
                        talk.calls[at].result = Some(texts(message).join("\n"));
                    }
                }
                _ => {}
            }
        }
        let (reminders, prompts): (Vec<String>, Vec<String>) = asked
            .into_iter()
            .partition(|text| text.starts_with("<system-reminder>"));
        talk.folders = reminders.iter().flat_map(|text| folders(text)).collect();
        talk.prompt = prompts.join("\n");
        Ok(talk)
    }

    /// The turn that this request asks for; the first is 1. Going on after a break is the same turn.
    pub fn turn(&self) -> usize {
        self.rounds + 1
    }

    /// Whether a tool is on offer.
    pub fn offers(&self, tool: &str) -> bool {
        self.tools.iter().any(|name| name == tool)
    }

    /// The snapshot's absolute path: what the prompt says that `_context` stands in, else a folder of the
    /// child that the prompt names.
    pub fn snapshot(&self) -> Option<&str> {
        let mut named: BTreeMap<&str, usize> = BTreeMap::new();
        for found in CONTEXT.captures_iter(&self.prompt) {
            let path = found.get(1).map_or("", |path| path.as_str());
            *named.entry(path).or_default() += 1;
        }
        let most = named.into_iter().max_by_key(|(_, times)| *times);
        let listed = self.folders.iter().map(String::as_str);
        most.map(|(path, _)| path).or_else(|| {
            listed
                .filter(|folder| self.prompt.contains(folder))
                .max_by_key(|folder| folder.len())
        })
    }
}

impl Call {
    fn parse(call: &Value) -> Self {
        let function = &call["function"];
        let arguments = function["arguments"].as_str().unwrap_or_default();
        Self {
            name: function["name"].as_str().unwrap_or_default().into(),
            arguments: serde_json::from_str(arguments).unwrap_or(Value::Null),
            result: None,
        }
    }
}

/// The content of a message: one string, or parts of which the texts count.
fn texts(message: &Value) -> Vec<String> {
    match &message["content"] {
        Value::String(text) => vec![text.clone()],
        parts => strings(parts, |part| part["text"].as_str()),
    }
}

fn strings(list: &Value, pick: impl Fn(&Value) -> Option<&str>) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(|item| pick(item).map(Into::into))
        .collect()
}

/// The folders in the child's note on where it works, one `  - /path` a line or one in a sentence.
fn folders(reminder: &str) -> Vec<String> {
    let mut lines = reminder
        .lines()
        .skip_while(|line| !line.contains("currently working in the"));
    let Some(first) = lines.next() else {
        return Vec::new();
    };
    let listed = lines.map_while(|line| line.trim().strip_prefix("- "));
    let inline = first.split_once("directory: ").map(|(_, path)| path.trim());
    inline
        .into_iter()
        .chain(listed)
        .filter(|path| path.starts_with('/'))
        .map(Into::into)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body() -> Value {
        json!({"model": "m", "stream": true,
            "tools": [{"type": "function", "function": {"name": "glob"}}],
            "messages": [
                {"role": "system", "content": "You are"},
                {"role": "user", "content": [
                    {"type": "text", "text": "<system-reminder>\nI'm currently working in the following directories:\n  - /job/cwd\n  - /snap/1\nHere is\n</system-reminder>"},
                    {"type": "text", "text": "Look below /snap/1."}]},
                {"role": "assistant", "tool_calls": [
                    {"id": "a", "function": {"name": "glob", "arguments": "{\"pattern\":\"*\"}"}},
                    {"id": "b", "function": {"name": "read_file", "arguments": "broken"}}]},
                {"role": "tool", "tool_call_id": "b", "content": "two"},
                {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "one"}]}]})
    }

    #[test]
    fn tells_prompt_from_reminders_and_results_from_calls() {
        let talk = Conversation::parse(&body().to_string()).unwrap();
        assert_eq!(talk.prompt, "Look below /snap/1.");
        assert_eq!(talk.snapshot(), Some("/snap/1"));
        assert_eq!(talk.turn(), 2);
        assert_eq!(talk.calls[0].result.as_deref(), Some("one"));
        assert_eq!(talk.calls[1].result.as_deref(), Some("two"));
        assert_eq!(talk.calls[1].arguments, Value::Null);
        assert!(talk.offers("glob") && !talk.offers("edit"));
    }

    #[test]
    fn the_snapshot_is_where_the_prompt_says_that_the_context_stands() {
        let talk = Conversation {
            prompt: "Is `/a/_context` so?\nstand in /s/7\nThe folder /s/7/_context holds; see `/s/7/_context/`".into(),
            ..Conversation::default()
        };
        assert_eq!(talk.snapshot(), Some("/s/7"));
    }

    #[test]
    fn a_prompt_that_names_no_folder_has_no_snapshot() {
        let mut body = body();
        body["messages"][1]["content"][1]["text"] = "Look at nothing.".into();
        assert_eq!(
            Conversation::parse(&body.to_string()).unwrap().snapshot(),
            None
        );
    }

    #[test]
    fn going_on_after_a_break_is_the_same_turn() {
        let mut body = body();
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({"role": "assistant", "content": "half of"}));
        messages.push(json!({"role": "user", "content": "go on"}));
        let talk = Conversation::parse(&body.to_string()).unwrap();
        assert_eq!(talk.turn(), 2);
        assert_eq!(talk.broken_off.as_deref(), Some("half of"));
        assert_eq!(talk.prompt, "Look below /snap/1.");
    }

    #[test]
    fn refuses_what_is_no_chat_request() {
        assert!(Conversation::parse("{").is_err());
        assert!(Conversation::parse("{}").is_err());
    }
}
