use proptest::prelude::*;
use serde_json::json;

use super::*;

fn filter<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (String, Vec<WrittenCall>) {
    filter_near(Most::default(), pieces)
}

fn filter_near<'a>(
    most: Most,
    pieces: impl IntoIterator<Item = &'a str>,
) -> (String, Vec<WrittenCall>) {
    let mut filter = WrittenCalls {
        most,
        ..WrittenCalls::default()
    };
    let (mut out, mut calls) = (String::new(), Vec::new());
    for piece in pieces {
        calls.append(&mut filter.push(piece, &mut out));
    }
    filter.finish(&mut out);
    (out, calls)
}

fn taken(text: &str) -> (String, Vec<(String, Value)>) {
    let (out, calls) = filter([text]);
    (out, calls.into_iter().map(|c| (c.name, c.input)).collect())
}

#[track_caller]
fn stays(text: &str) {
    assert_eq!(taken(text), (text.to_owned(), vec![]));
}

#[test]
fn the_forms_that_models_write_are_taken_out() {
    let call = |text: &str, name: &str, input: Value| {
        let whole = format!("Let me look.\n{text}\nafter");
        assert_eq!(
            taken(&whole),
            (
                "Let me look.\n\nafter".to_owned(),
                vec![(name.to_owned(), input)]
            ),
            "{text}"
        );
    };
    let input = json!({"file_path": "/a b"});
    call(
        "<tool_call>\n{\"name\": \"read_file\", \"arguments\": {\"file_path\": \"/a b\"}}\n</tool_call>",
        "read_file",
        input.clone(),
    );
    call(
        "<tool_call>\n<function=read_file>\n<parameter=file_path>\n/a b\n</parameter>\n</function>\n</tool_call>",
        "read_file",
        input.clone(),
    );
    call(
        "<function=read_file><parameter=file_path>/a b</parameter></function>",
        "read_file",
        input.clone(),
    );
    call(
        "<function=read_file>{\"file_path\": \"/a b\"}</function>",
        "read_file",
        input.clone(),
    );
    call(
        "<invoke name=\"read_file\">\n<parameter name=\"file_path\">/a b</parameter>\n</invoke>",
        "read_file",
        input.clone(),
    );
    call(
        "<function_calls>\n<invoke name=\"read_file\">\n<parameter name=\"file_path\">/a b</parameter>\n</invoke>\n</function_calls>",
        "read_file",
        input,
    );
    call(
        "<tool_call>{\"name\": \"glob\", \"arguments\": {\"pattern\": \"*\"}</tool_call>",
        "glob",
        json!("{\"name\": \"glob\", \"arguments\": {\"pattern\": \"*\"}"),
    );
    call(
        "<function=exit_plan_mode>\n</function>",
        "exit_plan_mode",
        json!({}),
    );
}

#[test]
fn several_calls_are_taken_out_one_by_one() {
    let one = "<tool_call>{\"name\":\"a\",\"arguments\":{}}</tool_call>";
    let (out, calls) = taken(&format!("x{one}y{one}\n\n{one}z"));
    assert_eq!((out.as_str(), calls.len()), ("xy\n\nz", 3));
    let invokes =
        "<function_calls><invoke name=\"a\"></invoke><invoke name=\"b\"></invoke></function_calls>";
    let (out, calls) = taken(invokes);
    assert_eq!((out.as_str(), calls.len()), ("", 2));
}

#[test]
fn text_about_calls_stays() {
    stays("The parser knows <tool_call> and </tool_call>, <function=NAME> and <invoke> as well.");
    stays("A `<tool_call>{\"name\":\"a\"}</tool_call>` in back-ticks.");
    stays("```xml\n<tool_call>{\"name\":\"a\"}</tool_call>\n```\n");
    stays("    <tool_call>{\"name\":\"a\"}</tool_call>\n");
    stays("<tool_call>{\"no\": \"call\"}</tool_call>");
    stays("<tool_call>{\"name\":\"a\", cut off");
    stays("if a <tool_ && b < c { <function= }");
    stays("<invoke name=\"x\">not a parameter</invoke>");
    stays("Vec<invoke> <");
    stays("<function=a b><parameter=x>1</parameter></function>");
}

#[test]
fn a_call_after_a_mention_is_still_found() {
    let (out, calls) = taken("Tag <tool_call> is used:\n<tool_call>{\"name\":\"a\"}</tool_call>");
    assert_eq!(
        (out.as_str(), calls.len()),
        ("Tag <tool_call> is used:\n", 1)
    );
}

#[test]
fn many_openings_take_linear_time() {
    let hostile = "<tool_call>{".repeat(200_000);
    let begin = std::time::Instant::now();
    let mut pieces = Vec::new();
    let mut rest = hostile.as_str();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(1000));
        pieces.push(piece);
        rest = after;
    }
    let (out, calls) = filter(pieces);
    assert_eq!((out.len(), calls.len()), (hostile.len(), 0));
    // Quadratic work would take minutes.
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

/// Pieces of a text of so many characters each.
fn cut(text: &str, size: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(size).map(|c| c.iter().collect()).collect()
}

#[test]
fn a_name_with_blanks_around_it_is_one_whatever_the_pieces() {
    for blanks in [" ".repeat(200), "\n".to_owned()] {
        let text = format!("<function=f{blanks}><parameter=k>v</parameter></function>");
        let pieces = cut(&text, 1);
        let whole = filter([text.as_str()]);
        assert_eq!(filter(pieces.iter().map(String::as_str)), whole);
        assert_eq!(whole.0, text);
    }
}

#[test]
fn a_call_that_is_too_large_is_text_whatever_the_pieces() {
    let call = |bytes: usize| {
        let value = "v".repeat(bytes);
        format!("<tool_call>{{\"name\":\"a\",\"arguments\":{{\"x\":\"{value}\"}}}}</tool_call>")
    };
    for (bytes, calls) in [
        (MAX_CALL_BYTES - 100, 1),
        (MAX_CALL_BYTES, 0),
        (MAX_CALL_BYTES * 2, 0),
    ] {
        let text = format!("before {} after", call(bytes));
        let whole = filter([text.as_str()]);
        assert_eq!(whole.1.len(), calls, "{bytes}");
        let pieces = cut(&text, 997);
        assert!(
            filter(pieces.iter().map(String::as_str)) == whole,
            "{bytes}"
        );
    }
}

proptest! {
    #[test]
    fn limits_do_not_depend_on_pieces(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<tool_call>", "</tool_call>", "{\"name\":\"a\",\"arguments\":{}}", "<function=f>", "<parameter=k>", "v",
            "</parameter>", "</function>", "<invoke name=\"i\">", "</invoke>", "`", "\n", "é", "漢", "<", "          ",
            "<function_calls>", "</function_calls>", "</", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "{",
        ]), 0..40),
        size in 1usize..40,
        call in 30usize..90,
        opening in 20usize..40,
    ) {
        let text: String = parts.concat();
        let most = Most { call, opening };
        let whole = filter_near(most, [text.as_str()]);
        let pieces = cut(&text, size);
        prop_assert_eq!(filter_near(most, pieces.iter().map(String::as_str)), whole);
    }

    #[test]
    fn pieces_make_no_difference(
        parts in prop::collection::vec(prop::sample::select(vec![
            "<tool_call>", "</tool_call>", "{\"name\":\"a\",\"arguments\":{}}", "<function=f>", "<parameter=k>", "v",
            "</parameter>", "</function>", "<invoke name=\"i\">", "</invoke>", "`", "```\n", "\n", "é", "<", " ", "<function_calls>",
            "</function_calls>", "<parameter name=\"p\">", "</",
        ]), 0..24),
        size in 1usize..9,
    ) {
        let text: String = parts.concat();
        let whole = filter([text.as_str()]);
        let chars: Vec<char> = text.chars().collect();
        let pieces: Vec<String> = chars.chunks(size).map(|c| c.iter().collect()).collect();
        prop_assert_eq!(filter(pieces.iter().map(String::as_str)), whole);
    }
}
