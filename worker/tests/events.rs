//! The parser against recorded streams of the real qwen, in whatever pieces they come.

use std::path::{Path, PathBuf};

use conductor_worker::child::PROMPT_COMMAND;
use conductor_worker::events::{Event, Exit, Outcome, Parser, ParserOptions, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A recorded stream as it was.
fn recorded(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.jsonl"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A recorded stream as today's command line would begin it: three tools, and the command that passes a prompt on.
fn hardened(name: &str) -> String {
    let stream = recorded(name);
    let (first, rest) = stream.split_once('\n').unwrap();
    let mut init: Value = serde_json::from_str(first).unwrap();
    init["tools"] = json!(["read_file", "grep_search", "glob"]);
    init["permission_mode"] = json!("plan");
    init["slash_commands"] = json!([PROMPT_COMMAND]);
    format!("{init}\n{rest}")
}

fn options() -> ParserOptions {
    ParserOptions {
        snapshot: Some(PathBuf::from("/work-area/repob")),
        ..ParserOptions::default()
    }
}

fn parse_pieces<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    exit: &Exit,
) -> (Vec<Event>, Outcome) {
    let mut parser = Parser::new(options());
    let mut events: Vec<Event> = pieces.into_iter().flat_map(|p| parser.push(p)).collect();
    let (mut last, outcome) = parser.finish(exit);
    events.append(&mut last);
    (events, outcome)
}

fn parse(stream: &str, code: i32) -> (Vec<Event>, Outcome) {
    let exit = Exit {
        code: Some(code),
        ..Exit::default()
    };
    parse_pieces([stream.as_bytes()], &exit)
}

#[track_caller]
fn failure(outcome: &Outcome) -> (&str, bool) {
    match outcome {
        Outcome::Failure {
            message, retryable, ..
        } => (message, *retryable),
        Outcome::Success { output, .. } => panic!("succeeded: {output}"),
    }
}

/// The text that a reader has, who applies events as they come.
fn streamed(events: &[Event]) -> String {
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

fn init() -> String {
    json!({
        "type": "system", "subtype": "init", "tools": ["read_file"], "permission_mode": "plan",
        "slash_commands": [PROMPT_COMMAND],
    })
    .to_string()
        + "\n"
}

fn delta(text: &str) -> String {
    let delta = json!({ "type": "text_delta", "text": text });
    json!({ "type": "stream_event", "event": { "type": "content_block_delta", "delta": delta } })
        .to_string()
        + "\n"
}

fn result(text: &str) -> String {
    json!({ "type": "result", "subtype": "success", "is_error": false, "result": text }).to_string()
        + "\n"
}

#[test]
fn a_turn_with_a_tool_call_and_a_turn_with_the_answer() {
    let (events, outcome) = parse(&hardened("success-partial-messages"), 0);
    let turn = |turn| Event::MessageStarted { turn, reason: None };
    let piece = |offset, text: &str| Event::Delta {
        offset,
        text: text.to_owned(),
    };
    let usage = |input_tokens, turns| Usage {
        input_tokens,
        output_tokens: 20 * turns,
        cache_read_input_tokens: 600 * turns,
        total_tokens: input_tokens + 20 * turns,
        turns,
    };
    let expected = vec![
        turn(1),
        Event::ReasoningDelta {
            text: "I should look".to_owned(),
        },
        piece(0, "Let "),
        piece(4, "me "),
        piece(7, "read "),
        piece(12, "it. "),
        Event::ToolCall {
            id: "call_1_0".to_owned(),
            name: "read_file".to_owned(),
            input: json!({ "file_path": "README.md" }),
            executed: true,
        },
        Event::Usage(usage(1000, 1)),
        Event::ToolResult {
            id: "call_1_0".to_owned(),
            is_error: false,
            content: "line one\nline two\nline three\n".to_owned(),
            bytes: 29,
        },
        turn(2),
        piece(0, "The "),
        piece(4, "file "),
        piece(9, "has "),
        piece(13, "three "),
        piece(19, "lines. "),
        piece(26, "DONE "),
        Event::Usage(usage(2001, 2)),
        Event::Usage(usage(2001, 2)),
    ];
    assert_eq!(events, expected);
    let Outcome::Success {
        output,
        usage: used,
        ..
    } = outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (output.as_str(), used),
        ("The file has three lines. DONE ", usage(2001, 2))
    );
}

#[test]
fn a_stream_without_partial_messages_gives_the_same_text() {
    let (events, outcome) = parse(&hardened("success-tool-call"), 0);
    let Outcome::Success { output, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(output, "The file has three lines. DONE ");
    assert_eq!(streamed(&events), output);
}

#[test]
fn events_serialise_to_the_form_that_the_database_takes() {
    let (events, _) = parse(&hardened("success-partial-messages"), 0);
    let json = |event: &Event| serde_json::to_value(event).unwrap();
    assert_eq!(
        json(&events[0]),
        json!({ "type": "message_started", "turn": 1 })
    );
    assert_eq!(
        json(&events[2]),
        json!({ "type": "delta", "offset": 0, "text": "Let " })
    );
    assert_eq!(json(&events[7])["type"], "usage");
    assert_eq!(json(&events[7])["total_tokens"], 1020);
    let retried = Event::MessageStarted {
        turn: 1,
        reason: Some("retry"),
    };
    assert_eq!(
        json(&retried),
        json!({ "type": "message_started", "turn": 1, "reason": "retry" })
    );
}

#[test]
fn refused_tools_are_results_with_an_error() {
    let (events, outcome) = parse(&hardened("blocked-writes-hardened"), 0);
    let results: Vec<bool> = events
        .iter()
        .filter_map(|e| match e {
            Event::ToolResult { is_error, .. } => Some(*is_error),
            _ => None,
        })
        .collect();
    assert!(results.len() > 20 && results.iter().filter(|e| **e).count() > 18);
    let Outcome::Success { output, usage, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((output.as_str(), usage.turns), ("FIN ", 5));
}

#[test]
fn a_child_with_other_tools_or_another_mode_is_a_violation() {
    let mut parser = Parser::new(options());
    parser.push(recorded("blocked-writes-plain-plan").as_bytes());
    let violation = parser.violation().expect("surplus tools").to_owned();
    assert!(violation.contains("enter_worktree"), "{violation}");
    let (events, outcome) = parser.finish(&Exit::default());
    assert_eq!(failure(&outcome), (violation.as_str(), false));
    assert_eq!(events.len(), 1, "only the error: {events:?}");

    for (field, value, word) in [
        ("permission_mode", json!("yolo"), "plan mode"),
        ("slash_commands", json!(["init"]), "command"),
    ] {
        let mut line: Value = serde_json::from_str(init().trim()).unwrap();
        line[field] = value;
        let (_, outcome) = parse(&format!("{line}\n"), 0);
        let (message, retryable) = failure(&outcome);
        assert!(message.contains(word) && !retryable, "{message}");
    }
    let (_, outcome) = parse(&recorded("ESCAPE-hostile-settings"), 0);
    assert!(!failure(&outcome).1);
}

#[test]
fn api_errors_are_failures_of_the_right_kind() {
    for (name, word, retryable) in [
        ("error-http401", "401 Incorrect API key", false),
        ("error-http500", "500 internal boom", true),
        ("error-stream-cut-with-retries", "finish reason", true),
        ("error-stream-stalled", "No stream activity", true),
    ] {
        let (events, outcome) = parse(&hardened(name), 1);
        let (message, found) = failure(&outcome);
        assert!(message.contains(word), "{name}: {message}");
        assert_eq!(found, retryable, "{name}: {message}");
        let last = events.last().unwrap();
        assert_eq!(
            *last,
            Event::Error {
                message: message.to_owned()
            },
            "{name}"
        );
    }
}

#[test]
fn a_retry_voids_the_text_before_it_unless_it_is_preserved() {
    let retry = |preserve: bool| {
        json!({ "type": "system", "subtype": "retry", "data": { "preserveText": preserve } })
            .to_string()
            + "\n"
    };
    let start =
        json!({ "type": "stream_event", "event": { "type": "message_start" } }).to_string() + "\n";
    let voided = [
        init(),
        start.clone(),
        delta("old"),
        retry(false),
        retry(false),
        start.clone(),
        delta("new"),
        result("new"),
    ]
    .concat();
    let (events, _) = parse(&voided, 0);
    assert_eq!(streamed(&events), "new");
    let started: Vec<_> = events
        .iter()
        .filter(|e| matches!(e, Event::MessageStarted { .. }))
        .collect();
    assert_eq!(
        started,
        [
            &Event::MessageStarted {
                turn: 1,
                reason: None
            },
            &Event::MessageStarted {
                turn: 1,
                reason: Some("retry")
            }
        ]
    );

    let preserved = [
        init(),
        start,
        delta("one "),
        retry(true),
        delta("two"),
        result("one two"),
    ]
    .concat();
    let (events, outcome) = parse(&preserved, 0);
    assert_eq!(streamed(&events), "one two");
    assert!(matches!(outcome, Outcome::Success { output, .. } if output == "one two"));
}

#[test]
fn the_stall_clock_runs_while_a_turn_streams() {
    let mut parser = Parser::new(options());
    let mut after = |line: &str| {
        parser.push(line.as_bytes());
        parser.streaming()
    };
    assert!(!after(&init()));
    assert!(after(&delta("a")));
    assert!(!after(
        "{\"type\":\"system\",\"subtype\":\"retry\",\"data\":{}}\n"
    ));
    assert!(after(&delta("b")));
    assert!(!after(
        "{\"type\":\"stream_event\",\"event\":{\"type\":\"message_stop\"}}\n"
    ));
    assert!(after(&delta("c")));
    assert!(!after(&result("c")));
}

#[test]
fn without_a_result_the_exit_decides() {
    let (_, outcome) = parse(&(init() + &delta("half")), 53);
    assert_eq!(
        failure(&outcome),
        (
            "the step needed more model turns than a child may take",
            false
        )
    );
    let exit = Exit {
        signal: Some(9),
        ..Exit::default()
    };
    let (events, outcome) = parse_pieces([(init() + &delta("half")).as_bytes()], &exit);
    let (message, retryable) = failure(&outcome);
    assert!(
        message.starts_with("the child was ended by signal 9 (SIGKILL"),
        "{message}"
    );
    assert!(retryable);
    assert_eq!(streamed(&events), "half");
    let (_, outcome) = parse("not json\n{\"half\": \n", 1);
    let (message, retryable) = failure(&outcome);
    assert!(
        message.contains("did not start") && message.contains("2 lines were no events: not json"),
        "{message}"
    );
    assert!(!retryable);
}

#[test]
fn garbage_and_unknown_events_between_events_are_passed_over() {
    let stream = [
        init(),
        "\n\nnode: warning\n{\"type\":\"weather\",\"x\":1}\n[]\n".to_owned(),
        delta("a"),
        "{\"type\":\"stream_event\",\"event\":{\"type\":\"goal_state\"}}\n".to_owned(),
        json!({ "type": "assistant", "parent_tool_use_id": "x", "message": { "content": [{ "type": "text", "text": "sub" }] } })
            .to_string(),
        "\n".to_owned(),
        delta("b"),
        result("ab"),
    ]
    .concat();
    let (events, outcome) = parse(&stream, 0);
    assert_eq!(streamed(&events), "ab");
    assert!(matches!(outcome, Outcome::Success { output, .. } if output == "ab"));
}

#[test]
fn an_empty_answer_is_a_failure_that_may_be_tried_again() {
    let (_, outcome) = parse(&(init() + &result(" \n")), 0);
    assert_eq!(failure(&outcome), ("the model's answer was empty", true));
}

#[test]
fn a_call_that_is_only_written_is_kept_out_and_reported_once() {
    let text = "Now:\n<tool_call>\n{\"name\": \"read_file\", \"arguments\": {\"file_path\": \"/work-area/repob/a\"}}\n</tool_call>\nDone.";
    let pieces: String = text
        .chars()
        .collect::<Vec<_>>()
        .chunks(3)
        .map(|c| delta(&c.iter().collect::<String>()))
        .collect();
    let (events, outcome) = parse(&[init(), pieces, result(text)].concat(), 0);
    assert_eq!(streamed(&events), "Now:\n\nDone.");
    assert!(matches!(
        outcome,
        Outcome::Success { output, written_calls: 1, .. } if output == "Now:\n\nDone."
    ));
    let calls: Vec<_> = events
        .iter()
        .filter(|e| matches!(e, Event::ToolCall { .. }))
        .collect();
    let expected = Event::ToolCall {
        id: "written-1".to_owned(),
        name: "read_file".to_owned(),
        input: json!({ "file_path": "a" }),
        executed: false,
    };
    assert_eq!(calls, [&expected]);

    let only = "<tool_call>{\"name\":\"glob\",\"arguments\":{}}</tool_call>";
    let (_, outcome) = parse(&[init(), delta(only), result(only)].concat(), 0);
    let said = "the reply held only 1 tool call written as text, which nothing executes";
    assert_eq!(failure(&outcome), (said, true));
}

#[test]
fn calls_written_in_an_earlier_turn_are_not_the_answers() {
    let call = "<tool_call>{\"name\":\"glob\",\"arguments\":{}}</tool_call>";
    let used = json!({ "type": "user", "message": { "content": [] } });
    let stream = |last: &str| {
        format!(
            "{}{}{used}\n{}{}",
            init(),
            delta(call),
            delta(last),
            result(last)
        )
    };
    let (_, outcome) = parse(&stream("Done."), 0);
    assert!(
        matches!(outcome, Outcome::Success { output, written_calls: 0, .. } if output == "Done.")
    );
    let (_, outcome) = parse(&stream(" "), 0);
    assert_eq!(failure(&outcome), ("the model's answer was empty", true));
    let (_, outcome) = parse(&stream(&format!("{call}\n{call}")), 0);
    let said = "the reply held only 2 tool calls written as text, which nothing executes";
    assert_eq!(failure(&outcome), (said, true));
}

#[test]
fn paths_of_the_snapshot_become_relative_everywhere() {
    let stream = [
        init(),
        delta("see /work-are"),
        delta("a/repob/src/a.rs:1 and /work-area/repob"),
        delta("-old/x"),
        result("see /work-area/repob/src/a.rs:1 and /work-area/repob-old/x"),
    ]
    .concat();
    let (events, outcome) = parse(&stream, 0);
    let expected = "see src/a.rs:1 and /work-area/repob-old/x";
    assert_eq!(streamed(&events), expected);
    assert!(matches!(outcome, Outcome::Success { output, .. } if output == expected));
}

#[test]
fn a_long_tool_result_is_cut() {
    let block = json!({ "type": "tool_result", "tool_use_id": "x", "content": "é".repeat(5000) });
    let line = json!({ "type": "user", "message": { "content": [block] } });
    let (events, _) = parse(&format!("{}{line}\n", init()), 0);
    let Some(Event::ToolResult { content, bytes, .. }) = events
        .iter()
        .find(|e| matches!(e, Event::ToolResult { .. }))
    else {
        panic!("{events:?}")
    };
    assert_eq!((content.chars().count(), *bytes), (2000, 10_000));
}

#[test]
fn absurdly_large_arguments_of_a_call_are_cut() {
    let call = |pattern: &str| {
        let call = json!({"type": "assistant", "message": {"content": [
            {"type": "tool_use", "id": "c1", "name": "glob", "input": {"pattern": pattern}}]}});
        let (events, _) = parse(&format!("{}{call}\n", init()), 0);
        let input = events.iter().find_map(|event| match event {
            Event::ToolCall { input, .. } => Some(input.clone()),
            _ => None,
        });
        input.expect("a call was made")
    };
    let small = "x".repeat(30_000);
    assert_eq!(call(&small), json!({ "pattern": small }));
    let large = call(&"x".repeat(300_000));
    assert_eq!(large["bytes"], 300_014);
    assert_eq!(large["cut"].as_str().unwrap().len(), 2000);
}

#[test]
fn too_long_lines_and_answers_are_violations() {
    let limits = ParserOptions {
        max_line_bytes: 1000,
        max_output_bytes: 100,
        snapshot: None,
    };
    let mut parser = Parser::new(limits.clone());
    parser.push(&[b'x'; 600]);
    assert_eq!(parser.violation(), None);
    parser.push(&[b'x'; 600]);
    assert!(
        parser
            .violation()
            .unwrap()
            .contains("line of more than 1000 bytes")
    );
    let mut parser = Parser::new(limits);
    parser.push(init().as_bytes());
    parser.push(delta(&"x".repeat(60)).as_bytes());
    parser.push(delta(&"x".repeat(60)).as_bytes());
    assert!(
        parser
            .violation()
            .unwrap()
            .contains("longer than 100 bytes")
    );
}

#[test]
fn twenty_megabytes_of_mixed_unicode_keep_every_valid_character_in_order() {
    // What a child prints: mostly text, some escapes, NUL, half surrogates, and bytes that are no UTF-8.
    let mut stream = init().into_bytes();
    let mut expected = String::new();
    let words = [
        "plain ",
        "é",
        "漢字",
        "😀",
        "\u{10FFFF}",
        "\n",
        "\"q\" \\ ",
        "\u{7f}\t",
        "а́",
    ];
    let mut count = 0_usize;
    let mut whole = Vec::new();
    while expected.len() < 20 << 20 {
        let mut line = b"{\"type\":\"stream_event\",\"event\":{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"".to_vec();
        let mut text = Vec::new();
        for _ in 0..200 {
            count += 1;
            let word = words[count * 7 % words.len()];
            expected.push_str(word);
            text.extend_from_slice(
                serde_json::to_string(word)
                    .unwrap()
                    .trim_matches('"')
                    .as_bytes(),
            );
            // The quotation marks at a word's own ends were trimmed too.
            match count % 50 {
                1 => text.extend_from_slice(b"\\u0000"),
                2 => {
                    text.extend_from_slice(b"\\ud83d");
                    expected.push('\u{fffd}');
                }
                3 => {
                    text.push(0xff);
                    expected.push('\u{fffd}');
                }
                _ => {}
            }
        }
        whole.extend_from_slice(&text);
        line.extend_from_slice(&text);
        line.extend_from_slice(b"\"}}}\n");
        stream.extend_from_slice(&line);
    }
    stream.extend_from_slice(
        b"{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"",
    );
    stream.extend_from_slice(&whole);
    stream.extend_from_slice(b"\"}\n");
    let exit = Exit {
        code: Some(0),
        ..Exit::default()
    };
    let (events, outcome) = parse_pieces(stream.chunks(65_537), &exit);
    assert!(streamed(&events) == expected, "what was streamed differs");
    let Outcome::Success { output, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(output == expected, "the output differs");
}

const FIXTURES: &[&str] = &[
    "success-partial-messages",
    "success-tool-call",
    "blocked-writes-hardened",
    "blocked-writes-plain-plan",
    "error-http401",
    "error-http500",
    "error-stream-cut-with-retries",
    "error-stream-stalled",
    "ESCAPE-hostile-settings",
    "ESCAPE-shell-backtick-in-param-expansion",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_pieces_give_the_same_events(
        name in prop::sample::select(FIXTURES),
        cuts in prop::collection::vec(0.0f64..1.0, 0..40),
    ) {
        let stream = hardened(name);
        let bytes = stream.as_bytes();
        let exit = Exit { code: Some(0), ..Exit::default() };
        let whole = parse_pieces([bytes], &exit);
        let mut at: Vec<usize> = cuts.iter().map(|c| (c * bytes.len() as f64) as usize).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces = at.windows(2).map(|w| &bytes[w[0]..w[1]]);
        prop_assert_eq!(parse_pieces(pieces, &exit), whole);
    }

    #[test]
    fn nothing_that_comes_in_makes_it_panic(
        lines in prop::collection::vec("\\PC{0,40}|\\{\"type\":\"(assistant|user|result|stream_event|system)\".{0,60}\\}", 0..10),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut stream = init().into_bytes();
        for line in lines {
            stream.extend_from_slice(line.as_bytes());
            stream.push(b'\n');
        }
        stream.extend_from_slice(&bytes);
        parse_pieces(stream.chunks(7), &Exit::default());
    }

    #[test]
    fn what_is_streamed_is_what_is_put_out(text in "(<tool_call>|</tool_call>|\\{\"name\":\"a\"\\}|`|\n|/work-area/repob/?|[a-zé <]){0,60}", size in 1usize..7) {
        let chars: Vec<char> = text.chars().collect();
        let pieces: String = chars.chunks(size).map(|c| delta(&c.iter().collect::<String>())).collect();
        let (events, outcome) = parse(&[init(), pieces, result(&text)].concat(), 0);
        if let Outcome::Success { output, .. } = outcome {
            prop_assert_eq!(streamed(&events), output);
        }
    }
}
