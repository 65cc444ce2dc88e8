//! Text of anybody inside HTML and XML: nothing in it is markup, and nothing in it hides.

use std::fmt::Write as _;

/// Appends a text as character data, fit for element content and for quoted attributes.
///
/// What cannot be seen but changes what is seen (control characters, changes of direction, blanks
/// without width) is written out: `␛` and `⟨U+202E⟩`. Line ends and tabs stay.
pub(crate) fn push(out: &mut String, text: &str) {
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        // Most text is neither markup nor hidden, so it is copied in stretches.
        if !matches!(c, '&' | '<' | '>' | '"' | '\'') && !is_hidden(c) {
            continue;
        }
        out.push_str(&text[plain..at]);
        plain = at + c.len_utf8();
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\r' if text[plain..].starts_with('\n') => {}
            '\u{0}'..='\u{1f}' => out.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}' => out.push('␡'),
            _ => write!(out, "⟨U+{:04X}⟩", u32::from(c)).expect("a string takes everything"),
        }
    }
    out.push_str(&text[plain..]);
}

/// The text as character data; see [`push`].
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    push(&mut out, text);
    out
}

fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}' => {
            true
        }
        '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        // XML has no way to write these two.
        '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            escaped("<a href=\"x\">'&amp;'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;amp;&#39;&lt;/a&gt;"
        );
    }

    #[test]
    fn what_hides_is_shown_and_languages_stay() {
        assert_eq!(escaped("a\u{1b}[31m\u{0}\u{7f}\u{9b}"), "a␛[31m␀␡⟨U+009B⟩");
        assert_eq!(escaped("x\u{202e}y\u{2066}"), "x⟨U+202E⟩y⟨U+2066⟩");
        assert_eq!(escaped("a\r\nb\rc\td"), "a\nb␍c\td");
        let fine = "é 中文 עברית 👩‍👩‍👧 نص";
        assert_eq!(escaped(fine), fine);
    }
}
