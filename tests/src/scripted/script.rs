//! The form of a script, as TOML or JSON.
//!
//! ```toml
//! [[rules]]
//! persona = "structural-analyst"   # all conditions are optional and must hold together
//! contains = "lease"               # a substring of the step's prompt
//! turn = 1                         # only this turn of a conversation
//! call = 2                         # only the second request that fits
//! times = 1                        # at most so many requests, then the next rule has its turn
//! [[rules.replies]]                # one a turn; the last one repeats
//! chunk_chars = 40
//! parts = [{ text = "half of it" }, { stall = { name = "gate" } }, "default"]
//! ```

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clocked::Clocked;
use super::conversation::Conversation;
use super::flood::Flood;
use super::huge::Huge;
use super::roles;

/// Why a script could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    #[error("script {0} cannot be read: {1}")]
    Unreadable(String, std::io::Error),
    #[error("script is not valid TOML: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("script is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Rules, tried in order; a request that fits none gets the default behaviour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    pub rules: Vec<Rule>,
}

/// When to play, and what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    pub persona: Option<String>,
    pub contains: Option<String>,
    pub turn: Option<usize>,
    pub call: Option<usize>,
    pub times: Option<usize>,
    pub replies: Vec<Reply>,
}

/// The answer to one request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reply {
    /// An HTTP error instead of an answer.
    pub status: Option<u16>,
    /// Wait here before even the headers are sent.
    pub hold: Option<Stall>,
    /// Characters in one chunk of text.
    pub chunk_chars: Option<usize>,
    /// Wait between two chunks.
    pub chunk_delay_ms: Option<u64>,
    /// What is said, in order; none at all is an empty reply.
    pub parts: Vec<Part>,
}

/// One piece of a reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Text(String),
    Reasoning(String),
    ToolCalls(Vec<ToolCall>),
    Huge(Huge),
    Flood(Flood),
    Clocked(Clocked),
    DelayMs(u64),
    Stall(Stall),
    /// Cut the connection without an end.
    Drop,
    /// Whatever the default behaviour would say at this turn.
    Default,
}

/// A tool call in the OpenAI form; `{snapshot}` in a string argument becomes the snapshot's path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    pub name: String,
    #[serde(default)]
    pub arguments: Value,
}

/// A wait that ends when it is released, when the client goes away, or after `max_ms`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stall {
    pub name: String,
    pub max_ms: u64,
}

impl Default for Stall {
    fn default() -> Self {
        Self {
            name: "hold".into(),
            max_ms: 300_000,
        }
    }
}

impl Script {
    /// Reads a script; a text that begins with `{` is JSON, any other TOML.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        if text.trim_start().starts_with('{') {
            Ok(serde_json::from_str(text)?)
        } else {
            Ok(toml::from_str(text)?)
        }
    }

    /// Reads a script from a file.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ScriptError::Unreadable(path.display().to_string(), error))?;
        Self::parse(&text)
    }

    /// A script of one rule after the other.
    pub fn of(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self {
            rules: rules.into_iter().collect(),
        }
    }
}

impl Rule {
    /// A rule for one persona that plays these replies, one a turn.
    pub fn persona(name: &str, replies: impl IntoIterator<Item = Reply>) -> Self {
        Self {
            persona: Some(name.into()),
            replies: replies.into_iter().collect(),
            ..Self::default()
        }
    }

    /// A rule for every request.
    pub fn any(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self {
            replies: replies.into_iter().collect(),
            ..Self::default()
        }
    }

    /// The same rule, for at most so many requests.
    pub fn times(self, times: usize) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// The same rule, for one turn of a conversation only; the first is 1.
    pub fn turn(self, turn: usize) -> Self {
        Self {
            turn: Some(turn),
            ..self
        }
    }

    /// The same rule, only where the step's prompt holds this text.
    pub fn contains(self, text: &str) -> Self {
        Self {
            contains: Some(text.into()),
            ..self
        }
    }

    /// Whether the conditions on the request itself hold; `call` and `times` are counted elsewhere.
    pub fn fits(&self, talk: &Conversation) -> bool {
        self.persona
            .as_deref()
            .is_none_or(|name| roles::speaks_as(&talk.system, name))
            && self
                .contains
                .as_deref()
                .is_none_or(|text| talk.prompt.contains(text))
            && self.turn.is_none_or(|turn| turn == talk.turn())
    }

    /// The reply for a turn; the last one repeats. A rule pinned to one turn starts with its first.
    pub fn reply(&self, turn: usize) -> Reply {
        let index = match self.turn {
            Some(_) => 0,
            None => turn.saturating_sub(1),
        };
        let last = self.replies.len().saturating_sub(1);
        self.replies
            .get(index.min(last))
            .cloned()
            .unwrap_or_default()
    }
}

impl Reply {
    /// A reply of these parts.
    pub fn parts(parts: impl IntoIterator<Item = Part>) -> Self {
        Self {
            parts: parts.into_iter().collect(),
            ..Self::default()
        }
    }

    /// A reply of one text.
    pub fn text(text: &str) -> Self {
        Self::parts([Part::Text(text.into())])
    }

    /// A reply that is an HTTP error.
    pub fn status(status: u16) -> Self {
        Self {
            status: Some(status),
            ..Self::default()
        }
    }

    /// A reply that keeps even its headers back until `name` is released.
    pub fn held(name: &str) -> Self {
        Self {
            hold: Some(Stall {
                name: name.into(),
                ..Stall::default()
            }),
            ..Self::default_behaviour()
        }
    }

    /// What the default behaviour would say.
    pub fn default_behaviour() -> Self {
        Self::parts([Part::Default])
    }
}

impl Part {
    /// A wait that ends when `name` is released.
    pub fn stall(name: &str) -> Self {
        Self::Stall(Stall {
            name: name.into(),
            ..Stall::default()
        })
    }

    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = r#"
        [[rules]]
        persona = "structural-analyst"
        times = 1
        [[rules.replies]]
        chunk_chars = 40
        parts = [{ text = "half" }, { stall = { name = "gate" } }, "drop"]
        [[rules.replies]]
        status = 503
    "#;

    #[test]
    fn reads_the_same_script_from_toml_and_json() {
        let script = Script::parse(TOML).unwrap();
        let again = Script::parse(&serde_json::to_string(&script).unwrap()).unwrap();
        assert_eq!(script, again);
        assert_eq!(script.rules[0].replies[0].parts[2], Part::Drop);
    }

    #[test]
    fn refuses_a_misspelt_key() {
        let error = Script::parse("[[rules]]\npersonna = \"x\"").unwrap_err();
        assert!(error.to_string().contains("personna"), "{error}");
    }

    #[test]
    fn repeats_the_last_reply_and_survives_a_rule_without_any() {
        let rule = Rule::any([Reply::text("one"), Reply::text("two")]);
        assert_eq!(rule.reply(1), Reply::text("one"));
        assert_eq!(rule.reply(9), Reply::text("two"));
        assert_eq!(Rule::default().reply(1), Reply::default());
    }
}
