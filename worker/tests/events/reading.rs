//! How the tests read streams, and the lines that they make themselves.

use std::path::{Path, PathBuf};

use conductor_worker::child::PROMPT_COMMAND;
use conductor_worker::events::{Event, Exit, Outcome, Parser, ParserOptions};
use serde_json::{Value, json};

/// A recorded stream as it was.
pub fn recorded(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.jsonl"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A recorded stream as today's command line would begin it: three tools, and the command that passes a prompt on.
pub fn hardened(name: &str) -> String {
    let stream = recorded(name);
    let (first, rest) = stream.split_once('\n').unwrap();
    let mut init: Value = serde_json::from_str(first).unwrap();
    init["tools"] = json!(["read_file", "grep_search", "glob"]);
    init["permission_mode"] = json!("plan");
    init["slash_commands"] = json!([PROMPT_COMMAND]);
    format!("{init}\n{rest}")
}

pub fn options() -> ParserOptions {
    ParserOptions {
        snapshot: Some(PathBuf::from("/work-area/repob")),
        ..ParserOptions::default()
    }
}

pub fn parse_pieces<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    exit: &Exit,
) -> (Vec<Event>, Outcome) {
    let mut parser = Parser::new(options());
    let mut events: Vec<Event> = pieces.into_iter().flat_map(|p| parser.push(p)).collect();
    let (mut last, outcome) = parser.finish(exit);
    events.append(&mut last);
    (events, outcome)
}

pub fn parse(stream: &str, code: i32) -> (Vec<Event>, Outcome) {
    let exit = Exit {
        code: Some(code),
        ..Exit::default()
    };
    parse_pieces([stream.as_bytes()], &exit)
}

#[track_caller]
pub fn failure(outcome: &Outcome) -> (&str, bool) {
    match outcome {
        Outcome::Failure {
            message, retryable, ..
        } => (message, *retryable),
        Outcome::Success { output, .. } => panic!("succeeded: {output}"),
    }
}

/// The text that a reader has, who applies events as they come.
pub fn streamed(events: &[Event]) -> String {
    let (mut text, mut chars) = (String::new(), 0);
    for event in events {
        match event {
            Event::MessageStarted { .. } => (text, chars) = (String::new(), 0),
            Event::Delta { offset, text: more } => {
                assert_eq!(*offset, chars);
                chars += more.chars().count() as u64;
                text.push_str(more);
            }
            _ => {}
        }
    }
    text
}

pub fn init() -> String {
    json!({
        "type": "system", "subtype": "init", "tools": ["read_file"], "permission_mode": "plan",
        "slash_commands": [PROMPT_COMMAND],
    })
    .to_string()
        + "\n"
}

pub fn delta(text: &str) -> String {
    let delta = json!({ "type": "text_delta", "text": text });
    json!({ "type": "stream_event", "event": { "type": "content_block_delta", "delta": delta } })
        .to_string()
        + "\n"
}

pub fn result(text: &str) -> String {
    json!({ "type": "result", "subtype": "success", "is_error": false, "result": text }).to_string()
        + "\n"
}
