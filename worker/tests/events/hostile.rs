//! Streams that no child of ours prints: broken, forged, without measure. What can be read of them is read once, and
//! nothing grows beyond what came in.

use conductor_worker::events::{Event, Exit, MAX_INPUT_BYTES, Outcome, Parser, ParserOptions};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fuzz::{is_linear, tried, worked};
use crate::pieces::FIXTURES;
use crate::reading::{
    delta, failure, hardened, init, options, parse, parse_pieces, result, streamed,
};

fn exit() -> Exit {
    Exit {
        code: Some(0),
        ..Exit::default()
    }
}

/// Bytes of text in events.
fn size(events: &[Event]) -> usize {
    events
        .iter()
        .map(|event| match event {
            Event::Delta { text, .. } | Event::ReasoningDelta { text } => text.len(),
            Event::ToolCall {
                id, name, input, ..
            } => id.len() + name.len() + input.to_string().len(),
            Event::ToolResult { id, content, .. } => id.len() + content.len(),
            Event::Error { message } => message.len(),
            Event::MessageStarted { .. } | Event::Usage(_) => 0,
        })
        .sum()
}

/// Bytes that have a meaning somewhere in a stream.
fn splinter() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<Vec<u8>> = [
        b"\n".as_slice(),
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"null",
        b"true",
        b"-1",
        b"1e999",
        b"\0",
        b"\xff",
        b"\xe6\xbc",
        b"\xf0\x9f\x98\x80",
        b"\\ud83d",
        b"\\ude00",
        b"\\u0000",
        b"\\u",
        b"\r",
        b"\x1b[31m",
        b"/work-area/repob",
        b"/work-area/repob/a",
        b"<tool_call>",
        b"</tool_call>",
        b"{\"name\":\"a\"}",
        b"```",
        b"18446744073709551615",
        b"99999999999999999999999",
        b"\"type\":\"result\",",
        b"\"type\":\"assistant\",",
        b"\"usage\":null,",
        b"\"parent_tool_use_id\":\"x\",",
        b"{\"type\":\"stream_event\",\"event\":{\"type\":\"message_stop\"}}\n",
        b"{\"type\":\"system\",\"subtype\":\"retry\",\"data\":{\"preserveText\":true}}\n",
        b"{\"type\":\"system\",\"subtype\":\"retry\",\"data\":{}}\n",
    ]
    .iter()
    .map(|it| it.to_vec())
    .collect();
    prop_oneof![
        4 => prop::sample::select(known),
        1 => prop::collection::vec(any::<u8>(), 1..9),
        1 => (prop::sample::select(vec![b'[', b'{', b'"', b'\\', b' ', b'<']), 1usize..400).prop_map(|(b, n)| vec![b; n]),
    ]
}

type Change = (u8, prop::sample::Index, prop::sample::Index, Vec<u8>);

/// A recording with bytes or lines of it taken out, put in, exchanged, repeated, and its end cut off.
fn changed(name: &str, changes: &[Change]) -> Vec<u8> {
    let mut bytes = hardened(name).into_bytes();
    for (kind, at, to, splinter) in changes {
        if bytes.is_empty() {
            break;
        }
        let from = at.index(bytes.len());
        let until = (from + 1 + to.index(200)).min(bytes.len());
        match kind {
            0 => drop(bytes.drain(from..until)),
            1 => drop(bytes.splice(from..from, splinter.iter().copied())),
            2 => drop(bytes.splice(from..until, splinter.iter().copied())),
            3 => bytes.truncate(from),
            4 => {
                let part = bytes[from..until].to_vec();
                let to = to.index(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => {
                let mut lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
                let (one, other) = (at.index(lines.len()), to.index(lines.len()));
                lines.swap(one, other);
                bytes = lines.concat();
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(tried(96))]

    #[test]
    fn a_recording_that_was_changed_anywhere_gives_the_same_in_any_pieces_and_no_more_than_came(
        name in prop::sample::select(FIXTURES),
        changes in prop::collection::vec((0..6_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), splinter()), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        small in any::<bool>(),
    ) {
        let bytes = changed(name, &changes);
        let whole = parse_pieces([bytes.as_slice()], &exit());
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces = at.windows(2).map(|w| &bytes[w[0]..w[1]]);
        prop_assert_eq!(&parse_pieces(pieces, &exit()), &whole);
        let bytewise = small && bytes.len() < 20_000;
        if bytewise {
            prop_assert_eq!(&parse_pieces(bytes.chunks(1), &exit()), &whole);
        }
        // A byte that is no UTF-8 becomes three, and an argument may be quoted once more.
        let (events, outcome) = whole;
        prop_assert!(size(&events) <= 4 * bytes.len() + 20_000, "{} of {}", size(&events), bytes.len());
        streamed(&events);
        match outcome {
            Outcome::Success { output, .. } => prop_assert!(output.len() <= 3 * bytes.len()),
            Outcome::Failure { message, .. } => prop_assert!(message.len() < 40_000),
        }
    }

    #[test]
    fn text_is_neither_lost_nor_doubled_however_it_comes(
        texts in prop::collection::vec("(<|`|\n|/|[a-zé漢😀 ]|/work-area/repob){0,12}", 0..12),
        size in 1usize..50,
    ) {
        let text = texts.concat();
        // What is neither a call nor a path of ours is kept as it is.
        let expected = conductor_worker::text::Relative::new("/work-area/repob").apply(&text);
        let deltas: String = texts.iter().map(|it| delta(it)).collect();
        let stop = "{\"type\":\"stream_event\",\"event\":{\"type\":\"message_stop\"}}\n".to_owned();
        let block = json!({"type": "assistant", "message": {"content": [{"type": "text", "text": text}]}}).to_string() + "\n";
        for stream in [
            [init(), deltas.clone(), block.clone(), result(&text)].concat(),
            [init(), block.clone(), result(&text)].concat(),
            [init(), deltas.clone(), stop, result(&text)].concat(),
            [init(), deltas, block].concat(),
        ] {
            let (events, outcome) = parse_pieces(stream.as_bytes().chunks(size), &exit());
            prop_assert_eq!(streamed(&events), expected.as_str(), "{}", stream);
            if let Outcome::Success { output, .. } = outcome {
                prop_assert_eq!(output, expected.as_str());
            }
        }
    }

    #[test]
    fn what_is_kept_stays_below_the_limits(
        name in prop::sample::select(FIXTURES),
        changes in prop::collection::vec((0..6_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), splinter()), 0..4),
        max_line_bytes in 200usize..4000,
        max_output_bytes in 1usize..400,
        size in 1usize..500,
    ) {
        let bytes = changed(name, &changes);
        let mut parser = Parser::new(ParserOptions { max_line_bytes, max_output_bytes, ..options() });
        for piece in bytes.chunks(size) {
            parser.push(piece);
            prop_assert!(parser.partial_output().len() <= max_output_bytes + max_line_bytes * 3);
            let over = parser.partial_output().len() > max_output_bytes;
            prop_assert!(!over || parser.violation().is_some());
        }
        if let (_, Outcome::Success { output, .. }) = parser.finish(&exit()) {
            prop_assert!(output.len() <= max_output_bytes);
        }
    }
}

/// The events of one line between others, and that these come through.
#[track_caller]
fn between(line: &str) -> Vec<Event> {
    let stream = [
        init(),
        delta("before "),
        format!("{line}\n"),
        delta("after"),
        result("the answer"),
    ]
    .concat();
    let (events, outcome) = parse(&stream, 0);
    let Outcome::Success { output, .. } = outcome else {
        panic!("{}: {outcome:?}", &line[..line.len().min(200)])
    };
    assert_eq!(output, "the answer");
    assert!(streamed(&events).ends_with("after"));
    events
}

#[test]
fn json_that_is_meant_to_hurt_hurts_nobody() {
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(20_000), close.repeat(20_000));
    let (lists, objects) = (
        deep("[", "]"),
        deep("{\"a\":", "}").replacen(":}", ":1}", 1),
    );
    for value in [
        lists.as_str(),
        objects.as_str(),
        "1e999999999",
        "-1e-999999999",
        "123456789012345678901234567890",
        "\"\\ud83d\"",
        "\"\\u0000\"",
        "[[[]]]",
        "{\"a\":1,\"a\":2}",
        "null",
    ] {
        // In a place that nobody reads, in arguments, in a result, in place of a text, of tokens and of a list.
        between(&format!("{{\"type\":\"system\",\"unknown\":{value}}}"));
        let call = between(&format!(
            "{{\"type\":\"assistant\",\"message\":{{\"content\":[{{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"glob\",\"input\":{value}}}],\
             \"usage\":{{\"input_tokens\":7}}}}}}"
        ));
        let called = call
            .iter()
            .any(|it| matches!(it, Event::ToolCall { name, .. } if name == "glob"));
        let counted = call
            .iter()
            .any(|it| matches!(it, Event::Usage(usage) if usage.input_tokens == 7));
        assert!(
            value == "1e999999999" || called,
            "{}",
            &value[..value.len().min(40)]
        );
        assert!(
            counted || value == "1e999999999",
            "{}",
            &value[..value.len().min(40)]
        );
        between(&format!(
            "{{\"type\":\"user\",\"message\":{{\"content\":[{{\"type\":\"tool_result\",\"tool_use_id\":\"c\",\"content\":{value}}}]}}}}"
        ));
        between(&format!(
            "{{\"type\":\"assistant\",\"message\":{{\"content\":[{{\"type\":\"text\",\"text\":{value}}}]}}}}"
        ));
        between(&format!(
            "{{\"type\":\"assistant\",\"message\":{{\"content\":[],\"usage\":{{\"input_tokens\":{value}}}}}}}"
        ));
        between(&format!("{{\"type\":{value}}}"));
        between(value);
    }
}

#[test]
fn a_block_that_is_none_takes_no_other_with_it() {
    let events = between(
        "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"glob\"},{\"type\":3},\
         {\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"glob\"}],\"usage\":{\"output_tokens\":5}}}",
    );
    let called: Vec<&str> = events
        .iter()
        .filter_map(|it| match it {
            Event::ToolCall { id, .. } => Some(id.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(called, ["a", "b"]);
    assert!(
        events
            .iter()
            .any(|it| matches!(it, Event::Usage(usage) if usage.output_tokens == 5))
    );
}

#[test]
fn tokens_beyond_counting_are_the_most_that_can_be_counted() {
    let most = u64::MAX;
    let line = json!({"type": "assistant", "message": {"content": [], "usage": {"input_tokens": most, "output_tokens": most}}});
    let stream = [init(), format!("{line}\n{line}\n"), result("x")].concat();
    let (events, _) = parse(&stream, 0);
    let last = events.iter().rev().find_map(|it| match it {
        Event::Usage(usage) => Some(*usage),
        _ => None,
    });
    let last = last.expect("it was counted");
    assert_eq!((last.input_tokens, last.total_tokens), (most, most));
    let ended = json!({"type": "result", "subtype": "success", "is_error": false, "result": "x",
        "usage": {"input_tokens": most, "output_tokens": 1}});
    parse(&[init(), format!("{ended}\n")].concat(), 0);
}

#[test]
fn what_is_quoted_of_a_bad_child_is_short_and_harmless() {
    let long = format!("\u{1b}[31m{}", "x".repeat(2 << 20));
    let mut surplus: Value = serde_json::from_str(init().trim()).unwrap();
    surplus["tools"] = json!([long]);
    let mut mode: Value = serde_json::from_str(init().trim()).unwrap();
    mode["permission_mode"] = json!(long);
    let error = json!({"type": "result", "subtype": "error_during_execution", "is_error": true, "error": {"message": long}});
    for (stream, most) in [
        (format!("{surplus}\n"), 1000),
        (format!("{mode}\n"), 1000),
        ([init(), format!("{error}\n")].concat(), 20_000),
    ] {
        let (_, outcome) = parse(&stream, 1);
        let (message, _) = failure(&outcome);
        assert!(message.len() < most, "{}", message.len());
        assert!(most > 1000 || !message.contains('\u{1b}'));
    }
}

#[test]
fn a_message_of_too_many_blocks_ends_the_child() {
    let blocks = vec![json!({"type": "tool_use", "id": "", "name": "glob"}); 10_001];
    let line = json!({"type": "assistant", "message": {"content": blocks}});
    let mut parser = Parser::new(options());
    parser.push(init().as_bytes());
    parser.push(format!("{line}\n").as_bytes());
    assert!(
        parser
            .violation()
            .expect("too many")
            .contains("10000 blocks")
    );
}

#[test]
fn lines_of_megabytes_take_linear_time_and_little_memory() {
    let line = |before: &str, unit: &str, after: &str, bytes: usize| {
        format!("{before}{}{after}\n", unit.repeat(bytes / unit.len()))
    };
    let text = (
        "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"",
        "\"}]}}",
    );
    let call = (
        "{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"x\",\"input\":[",
        "0]}]}}",
    );
    let got = (
        "{\"type\":\"user\",\"message\":{\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c\",\"content\":[",
        "{}]}]}}",
    );
    let other = ("{\"type\":\"x\",\"y\":[", "0]}");
    for ((before, after), unit) in [
        (text, "\\ud83d"),
        (text, "\\\\"),
        (text, "<tool_call>{"),
        (text, "<function=f>"),
        (text, "<function=f> "),
        (text, "`"),
        (text, "<"),
        (text, "/work-area/repo"),
        (text, "/work-area/repob/"),
        (text, "~~~\\n"),
        (text, "<invoke name="),
        (text, "<tool_call>{</tool_call>"),
        (text, "é"),
        (text, "<function=f><parameter=a>"),
        (call, "[],"),
        (call, "{\"a\":[]},"),
        (call, "\"/work-area/repob/a\","),
        (call, "0,"),
        (got, "{\"text\":\"\"},"),
        (got, "[],"),
        (got, "{\"text\":\"/work-area/repob\"},"),
        (other, "[],"),
        (other, "{\"a\":1},"),
        (("", ""), "["),
        (("", ""), "\""),
        (("", ""), "\n"),
        (("", ""), "{\"type\":"),
        (("", ""), "{}\n"),
        (("", ""), "\\"),
    ] {
        let time = |bytes: usize| {
            let stream = [
                init(),
                line(before, unit, after, bytes),
                delta("x"),
                result("x"),
            ]
            .concat();
            let began = worked();
            let (events, _) = parse_pieces(stream.as_bytes().chunks(65_536), &exit());
            let calls = events
                .iter()
                .filter(|it| matches!(it, Event::ToolCall { .. } | Event::ToolResult { .. }));
            let large = calls.filter(|it| size(std::slice::from_ref(it)) > MAX_INPUT_BYTES + 1000);
            assert_eq!(large.count(), 0, "{before} {unit}");
            worked() - began
        };
        is_linear(&format!("{before}{unit}"), time(30_000), time(120_000));
    }
}
