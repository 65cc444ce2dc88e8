//! What is no answer, and whether another attempt may give one.

use conductor_worker::events::{Event, Exit, Outcome, Parser, ParserOptions};
use serde_json::{Value, json};

use crate::reading::{
    delta, failure, hardened, init, options, parse, parse_pieces, recorded, result, streamed,
};

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
        ("tools", json!([]), "did not say which tools"),
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
fn a_child_that_does_not_say_what_it_may_do_is_not_heard() {
    let call = json!({ "type": "assistant", "message": { "content": [
        { "type": "tool_use", "id": "a", "name": "glob", "input": {} }] } });
    for stream in [
        result("All is well."),
        delta("All is well.") + &result("All is well."),
        format!("{call}\n{}", result("All is well.")),
        // Too late.
        result("All is well.") + &init(),
    ] {
        let (events, outcome) = parse(&stream, 0);
        let (message, retryable) = failure(&outcome);
        assert_eq!(message, "the child did not say which tools it offers");
        assert!(
            !retryable && events.len() == 1,
            "only the error: {events:?}"
        );
    }
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
    assert!(retryable);
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
