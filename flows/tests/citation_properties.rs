//! Citations in whatever text: nothing panics, places are right, time stays linear.

#[path = "common/fuzz.rs"]
mod fuzz;

use std::time::{Duration, Instant};

use conductor_flows::citation::{find, fold, pieces, stands_in};
use conductor_flows::text::cut_at_char;
use fuzz::tried;
use proptest::prelude::*;

/// Text with everything in it that has a meaning somewhere.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "src/a.rs",
        "a.rs:1",
        ":10",
        "#L1",
        "-20",
        ":5",
        "..",
        "/",
        ".",
        "line 1",
        "lines 2",
        " of ",
        ", ",
        "`",
        "``",
        "```",
        "~~~",
        "\n",
        "\n\n",
        "- ",
        "1. ",
        "> ",
        "|",
        "\"",
        "“",
        "”",
        "„",
        "«",
        "»",
        "[",
        "](",
        ")",
        "(",
        "\\",
        "\\\"",
        "…",
        "...",
        "()",
        "*",
        "**",
        "_",
        "@",
        "~",
        "://",
        "é",
        "在",
        "👩‍👩‍👧",
        "\u{0}",
        "\u{1}",
        "\r",
        "\t",
        "\u{2028}",
        "\u{301}",
        "#",
        "x",
        "L",
        "99999999999999999999",
        "codebase",
        "->",
        "：",
        "md",
        "markdown",
    ]);
    let any = prop_oneof![6 => pieces.prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec(any, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(tried(4000))]

    #[test]
    fn places_are_right_whatever_the_text_is(text in hostile(), all in any::<bool>()) {
        let mut end = 0;
        for citation in find(&text, &mut |_: &str| all) {
            prop_assert!(citation.span.start >= end, "{:?} overlaps", citation);
            end = citation.span.end;
            let stands = &text[citation.span.clone()];
            if citation.cited != stands {
                prop_assert!(stands.to_lowercase().contains('l'), "{:?}", citation);
            }
            prop_assert!(!citation.path.is_empty() && !citation.cited.contains('\n'));
            if let Some(quote) = citation.quote {
                prop_assert!(text[end..].contains(quote));
                prop_assert!(stands_in(&pieces(quote), &fold(&quote.replace('\\', ""))));
            }
        }
    }

    #[test]
    fn each_form_is_found_once_with_its_lines_and_words(
        path in "(src/|a-b/|\\./|_context/|app/\\[id\\]/){0,2}[a-z][a-zA-Z0-9_]{0,8}\\.(rs|py|d\\.ts|TSX|md)",
        first in 1u64..5000,
        more in 0u64..50,
        form in 0usize..8,
        around in prop::sample::select(vec![
            ("", ""), ("`", "`"), ("**", "**"), ("(", ")"), ("**`", "`**"), ("[", "]"), ("| ", " |"), ("- ", ""),
            ("see ", ", then"), ("“", "”"), ("'", "'"), ("> ", "."),
        ]),
    ) {
        let last = first + more;
        let (cited, range) = match form {
            0 => (format!("{path}:{first}"), false),
            1 => (format!("{path}:{first}-{last}"), true),
            2 => (format!("{path}:{first}–{last}"), true),
            3 => (format!("{path}:{first}:7"), false),
            4 => (format!("{path}#L{first}"), false),
            5 => (format!("{path}#L{first}-L{last}"), true),
            6 => (format!("{path}, line {first}"), false),
            _ => (format!("lines {first}-{last} of {path}"), true),
        };
        let text = format!("Before 1:2.\n\n{}{cited}{} after\n", around.0, around.1);
        let found: Vec<_> = find(&text, &mut |_: &str| false).collect();
        prop_assert_eq!(found.len(), 1, "{}", text);
        prop_assert_eq!(found[0].path.as_str(), path.trim_start_matches("./"));
        prop_assert_eq!((found[0].first, found[0].last), (first, if range { last } else { first }));
        prop_assert_eq!(&text[found[0].span.clone()], cited.as_str());
        prop_assert_eq!(found[0].quote, None);

        let quoted = format!("- {}{cited}{} \"let x = y;\"", around.0, around.1);
        let quote = find(&quoted, &mut |_: &str| false).next().and_then(|it| it.quote);
        let is_sentence = around.1 == "." || around.1.contains("then") || around.1 == "'" || around.1 == "”";
        prop_assert_eq!(quote, if is_sentence { None } else { Some("let x = y;") }, "{}", quoted);

        let fenced = format!("Before\n```\n{text}\n```\nafter\n");
        prop_assert_eq!(find(&fenced, &mut |_: &str| true).count(), 0);
    }
}

/// Counts what is found in a text of this many bytes, and how long that takes.
fn measure(piece: &str, bytes: usize) -> (usize, Duration) {
    let text = piece.repeat(bytes / piece.len() + 1);
    let text = cut_at_char(&text, bytes);
    let began = Instant::now();
    (find(text, &mut |_: &str| false).count(), began.elapsed())
}

#[test]
fn time_grows_with_the_length_of_the_text() {
    let pieces = [
        "a",
        "a.rs:1",
        "a.rs:1 ",
        "a.rs:1\n",
        "`",
        "`` ` ",
        "`a.rs:1",
        "a.rs:1 \"",
        "a.rs:1 “",
        "a.rs:1 `` x ",
        "a.rs:1 „«",
        "a.rs:1 \"\\\"",
        "[a.rs:1](",
        "[",
        "](",
        "([",
        "a.rs, line 1 of ",
        "line 1 of ",
        "line 1 ",
        "\\_",
        "\n",
        "- ",
        "> ",
        "```\n",
        "a.rs:1:1",
        "://",
        "在a.rs:1",
        "@a.rs:1",
        "a.rs#L1",
        "/",
        "..",
        "a.rs:1\n\"b ",
        "…",
        "9",
    ];
    for piece in pieces {
        let elapsed = measure(piece, 1 << 20).1;
        assert!(
            elapsed < Duration::from_secs(30),
            "{piece:?} took {elapsed:?}"
        );
    }
    let (found, elapsed) = measure("see `src/a.rs:12` \"let x = y;\" and\n", 20 << 20);
    assert!(
        found > 500_000 && elapsed < Duration::from_secs(120),
        "{found} in {elapsed:?}"
    );
}
