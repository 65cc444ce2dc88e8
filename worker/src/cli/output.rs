//! What is shown on a terminal, made harmless first: a model may have written it.

use std::io::{ErrorKind, IsTerminal, Write};

/// Prints to standard output. A reader that went away is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        eprintln!("error: cannot write to standard output: {error}");
    }
}

/// Whether standard output is a terminal, and nobody asked for no colours.
pub fn supports_color() -> bool {
    std::io::stdout().is_terminal() && super::env("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text of several lines without terminal escapes and control characters; line ends and tabs stay.
pub fn harmless(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if c == '\u{1b}' {
            escape_length(rest)
        } else {
            c.len_utf8()
        };
        if c == '\n' || c == '\t' || !is_dangerous(c) {
            clean.push(c);
        }
        rest = &rest[length..];
    }
    clean
}

/// The same in one line: what breaks a line becomes a space.
pub fn one_line(text: &str) -> String {
    let broken = text.replace(['\n', '\r', '\t', '\u{2028}', '\u{2029}'], " ");
    harmless(&broken).trim().to_owned()
}

/// A name in one line as it is, with what a terminal would obey made visible: `\u{1b}`.
#[cfg(any(feature = "cli", test))]
pub fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            _ if is_dangerous(c) || matches!(c, '\u{2028}' | '\u{2029}') => {
                shown.extend(c.escape_unicode())
            }
            _ => shown.push(c),
        }
    }
    shown
}

/// Control characters, and those that turn the direction of text around.
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Longest sequence that is taken for one, in bytes. What claims to be longer is text.
const LONGEST: usize = 256;

/// How long the escape sequence is that `text` begins with. One that does not end takes only its first character, so
/// that it cannot hide what follows. Looks no further than a sequence may reach.
fn escape_length(text: &str) -> usize {
    let near = conductor_flows::text::cut_at_char(text, LONGEST);
    let body = &near[1..];
    let end = match body.chars().next() {
        Some('[') => body[1..]
            .find(|c: char| ('\u{40}'..='\u{7e}').contains(&c))
            .map(|at| at + 3),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let bell = body.find('\u{7}').map(|at| at + 2);
            let terminator = body.find("\u{1b}\\").map(|at| at + 3);
            [bell, terminator].into_iter().flatten().min()
        }
        Some(c) if c.is_ascii() && !c.is_control() => Some(2),
        _ => None,
    };
    end.filter(|end| !near[..*end].contains('\n')).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_controls_go_and_text_stays() {
        for (hostile, clean) in [
            ("a\u{1b}[31mred\u{1b}[0m b", "ared b"),
            ("\u{1b}]0;title\u{7}x", "x"),
            (
                "\u{1b}]8;;http://evil\u{1b}\\link\u{1b}]8;;\u{1b}\\",
                "link",
            ),
            ("\u{1b}[2J\u{1b}[Hx", "x"),
            ("\u{1b}c\u{9b}31mx", "31mx"),
            ("a\u{8}\u{8}b\0c\rd", "abcd"),
            ("\u{202e}gnp.exe", "gnp.exe"),
            ("kept: ä 漢 🦀\n\ttab", "kept: ä 漢 🦀\n\ttab"),
            ("\u{1b}", ""),
            ("\u{1b}[", "["),
        ] {
            assert_eq!(harmless(hostile), clean, "{hostile:?}");
        }
    }

    #[test]
    fn a_sequence_that_does_not_end_hides_nothing() {
        assert_eq!(
            harmless("\u{1b}]0;all of this\nis text"),
            "]0;all of this\nis text"
        );
        assert_eq!(harmless("\u{1b}[12;\nline"), "[12;\nline");
        let long = format!("\u{1b}P{}\u{7}end", "x".repeat(1000));
        assert!(harmless(&long).contains("xxx"));
    }

    #[test]
    fn sequences_that_never_end_take_no_time_worth_telling() {
        for part in ["\u{1b}]", "\u{1b}[", "\u{1b}P1", "\u{1b}"] {
            let text = part.repeat((8 << 20) / part.len());
            assert!(!harmless(&text).contains('\u{1b}'));
        }
    }

    #[test]
    fn a_name_shows_what_it_hides() {
        assert_eq!(
            escaped("a\u{1b}[2J\u{202e}\u{9b}\n\t\u{2028}é 漢.md"),
            "a\\u{1b}[2J\\u{202e}\\u{9b}\\n\\t\\u{2028}é 漢.md"
        );
    }

    #[test]
    fn one_line_has_no_line_ends() {
        assert_eq!(one_line(" a\r\nb\tc\u{2028}d\n"), "a  b c d");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left_whatever_comes() {
        proptest::proptest!(|(text in "[\\x00-\\x9f\\[\\]PX;m]{0,60}")| {
            proptest::prop_assert!(!harmless(&text).contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        });
    }

    #[test]
    fn what_is_harmless_stays_as_it_is_and_what_is_not_goes_at_once() {
        proptest::proptest!(|(text in "(\\PC|[\\x00-\\x9f\\[\\]PX^_;m\u{202e}\u{2066}]){0,60}", plain in "\\PC{0,40}")| {
            for clean in [harmless(&text), one_line(&text)] {
                proptest::prop_assert_eq!(&harmless(&clean), &clean);
                proptest::prop_assert!(!clean.chars().any(|c| is_dangerous(c) && c != '\n' && c != '\t'));
            }
            let shown = escaped(&text);
            proptest::prop_assert!(!shown.chars().any(|c| is_dangerous(c) || c == '\n'));
            proptest::prop_assert_eq!(&escaped(&shown), &shown);
            // What can be printed is kept, also between what cannot: where no escape begins, nothing but that goes.
            let printable: String = plain.chars().filter(|c| !is_dangerous(*c)).collect();
            proptest::prop_assert_eq!(&harmless(&plain), &printable);
            if !text.contains('\u{1b}') {
                let kept: String = text.chars().filter(|c| matches!(c, '\n' | '\t') || !is_dangerous(*c)).collect();
                proptest::prop_assert_eq!(harmless(&text), kept);
            }
            // An escape takes no more than itself: what stands behind a line's end is all there.
            let behind = harmless(&format!("{text}\n{printable}"));
            proptest::prop_assert!(behind.ends_with(&format!("\n{printable}")), "{:?}", behind);
        });
    }
}
