//! Recorded streams, event by event.

use conductor_worker::events::{Event, Outcome, Parser, Usage};
use serde_json::json;

use crate::reading::{delta, hardened, init, options, parse, result, streamed};

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
