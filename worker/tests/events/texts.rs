//! What becomes of the texts: calls that are only written, paths, lengths, characters.

use conductor_worker::events::{Event, Exit, Outcome};
use serde_json::json;

use crate::reading::{delta, failure, init, parse, parse_pieces, result, streamed};

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
fn a_name_with_a_nul_is_sent_without_it() {
    let call = json!({ "type": "assistant", "message": { "content": [
        { "type": "tool_use", "id": "a\0", "name": "read_file\0write_file", "input": { "k\0": "v\0" } }] } });
    let back = json!({ "type": "user", "message": { "content": [
        { "type": "tool_result", "tool_use_id": "a\0", "is_error": true, "content": "no\0" }] } });
    let (events, _) = parse(&format!("{}{call}\n{back}\n", init()), 0);
    let sent = serde_json::to_string(&events).unwrap();
    assert!(
        sent.contains("read_filewrite_file") && !sent.contains("\\u0000"),
        "{sent}"
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
