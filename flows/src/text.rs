//! Text as it came: control characters, cuts, and the fences of Markdown.

use std::borrow::Cow;

/// Removes control characters but `\n` and `\t`; everything else stays byte for byte.
///
/// What is left cannot hold U+0001, which marks the places in prompts.
pub fn strip_controls(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

/// Removes U+0001 only.
pub fn strip_marks(text: &str) -> Cow<'_, str> {
    if text.contains('\u{1}') {
        Cow::Owned(text.replace('\u{1}', ""))
    } else {
        Cow::Borrowed(text)
    }
}

/// One line without control characters, at most `max` characters, with `…` where it was cut.
pub fn one_line(text: &str, max: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    let mut blank = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            blank = !line.is_empty();
            continue;
        }
        if count + usize::from(blank) >= max {
            line.push('…');
            break;
        }
        if blank {
            line.push(' ');
            count += 1;
            blank = false;
        }
        line.push(c);
        count += 1;
    }
    line
}

/// The longest beginning of at most `max` bytes that ends at a character boundary.
pub fn cut_at_char(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The longest beginning of at most `max` bytes that ends after a line.
///
/// Where that would give up more than half of what fits (one huge line), it ends at a character
/// boundary instead.
pub fn cut_at_line(text: &str, max: usize) -> &str {
    let cut = cut_at_char(text, max);
    if cut.len() == text.len() {
        return cut;
    }
    match cut.rfind('\n') {
        Some(end) if end + 1 >= cut.len() / 2 => &cut[..=end],
        _ => cut,
    }
}

/// The words of a text in lower case, letters and digits only, one blank between them; at most 200
/// characters are read.
pub(crate) fn plain_words(text: &str) -> String {
    let mut words = String::new();
    for c in text.chars().take(200) {
        if c.is_alphanumeric() {
            words.extend(c.to_lowercase());
        } else if !words.ends_with(' ') && !words.is_empty() {
            words.push(' ');
        }
    }
    words.truncate(words.trim_end().len());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_go_and_everything_else_stays() {
        assert_eq!(
            strip_controls("a\u{0}\u{1}b\r\n\tc\u{1b}[0m\u{9f}é👩‍👩‍👧"),
            "ab\n\tc[0mé👩‍👩‍👧"
        );
    }

    #[test]
    fn one_line_is_one_line() {
        assert_eq!(one_line("  a\n\n b\tc \u{1b}", 80), "a b c");
        assert_eq!(one_line("abcdef", 3), "abc…");
        assert_eq!(one_line("abc", 3), "abc");
    }

    #[test]
    fn cuts_respect_lines_and_characters() {
        assert_eq!(cut_at_line("one\ntwo\nthree", 9), "one\ntwo\n");
        assert_eq!(cut_at_line("one\ntwo", 7), "one\ntwo");
        assert_eq!(cut_at_line("é".repeat(10).as_str(), 5), "éé");
        assert_eq!(cut_at_line("a\nbbbbbbbbbbbbbbbbbbbb", 12), "a\nbbbbbbbbbb");
        assert_eq!(cut_at_line("anything", 0), "");
    }
}
