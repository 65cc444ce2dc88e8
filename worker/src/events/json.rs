//! JSON looked at in place: what is huge is decoded piece by piece, and only when it is wanted.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// About so many bytes of a text are decoded at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A string as it was written, without its quotation marks; it may be tens of megabytes.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    /// None when a value is no string.
    pub fn read(value: &'a str) -> Option<Self> {
        value.strip_prefix('"')?.strip_suffix('"').map(Self)
    }

    /// What it says, in order.
    pub fn pieces(self) -> impl Iterator<Item = String> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (piece, after) = rest.split_at(end_of_piece(rest));
            rest = after;
            (!piece.is_empty()).then(|| decode(piece))
        })
    }
}

/// The value of a member of an object, as it was written; None when there is none of that name.
pub(super) fn member<'a>(object: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = object.trim_start().strip_prefix('{')?;
    loop {
        let (key, after) = element(rest)?;
        let (value, after) = element(after.trim_start().strip_prefix(':')?)?;
        if Text::read(key)?.0 == name {
            return Some(value);
        }
        rest = after;
    }
}

/// The next value of a list, as it was written, and what follows it; None at the end.
pub(super) fn element(list: &str) -> Option<(&str, &str)> {
    let list = list.trim_start();
    let list = list.strip_prefix(',').unwrap_or(list).trim_start();
    let mut values = serde_json::Deserializer::from_str(list).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    Some(list.split_at(values.byte_offset()))
}

/// Between characters and between escapes.
fn end_of_piece(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < PIECE_BYTES && at < bytes.len() {
        at += if bytes[at] == b'\\' {
            match escape_at(bytes, at) {
                Some(unit) if is_pair(bytes, at, unit) => 12,
                Some(_) => 6,
                None => 2,
            }
        } else {
            1
        };
    }
    text.ceil_char_boundary(at)
}

fn decode(piece: &str) -> String {
    let quoted = format!("\"{}\"", repair(piece));
    // Only what is no JSON cannot be decoded, and that is kept as it is.
    serde_json::from_str(&quoted).unwrap_or_else(|_| piece.to_owned())
}

/// JavaScript writes half a surrogate pair as an escape, which is no text: it becomes U+FFFD.
pub(super) fn repair(text: &str) -> Cow<'_, str> {
    let mut repaired = String::new();
    let mut kept = 0;
    let mut at = 0;
    let bytes = text.as_bytes();
    while let Some(found) = text[at..].find('\\').map(|i| i + at) {
        let Some(unit) = escape_at(bytes, found) else {
            // Another escape: its second character is passed over, it may be a backslash.
            at = found + 1 + text[found + 1..].chars().next().map_or(0, char::len_utf8);
            continue;
        };
        let pair = is_pair(bytes, found, unit);
        at = found + if pair { 12 } else { 6 };
        if !pair && (0xD800..0xE000).contains(&unit) {
            repaired.push_str(&text[kept..found]);
            repaired.push_str("\\ufffd");
            kept = at;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(&text[kept..]);
    Cow::Owned(repaired)
}

/// The code unit of a `\uXXXX` that begins at `at`.
fn escape_at(bytes: &[u8], at: usize) -> Option<u32> {
    let escape = bytes.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether `unit`, whose escape begins at `at`, is the first half of a surrogate pair that is whole.
fn is_pair(bytes: &[u8], at: usize, unit: u32) -> bool {
    (0xD800..0xDC00).contains(&unit)
        && escape_at(bytes, at + 6).is_some_and(|low| (0xDC00..0xE000).contains(&low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_are_found_whatever_stands_before_them() {
        let object = r#" {"a" : [1, {"c": "\"}"}], "b":-1.5e3,"c" :null, "d": {"c":1} } rest"#;
        assert_eq!(member(object, "a"), Some(r#"[1, {"c": "\"}"}]"#));
        assert_eq!(member(object, "b"), Some("-1.5e3"));
        assert_eq!(member(object, "c"), Some("null"));
        assert_eq!(member(object, "d"), Some(r#"{"c":1}"#));
        for none in [object, "{}", "[1]", "\"e\"", ""] {
            assert_eq!(member(none, "e"), None);
        }
    }

    #[test]
    fn a_piece_never_ends_within_a_character_or_an_escape() {
        for unit in [r"\ud83d\ude00", r"\\", r"\n", "漢", r"\u0041", r"\ud83d"] {
            for shift in 0..12 {
                let raw = format!("\"{}{}\"", "x".repeat(shift), unit.repeat(40_000));
                let whole: String = serde_json::from_str(&repair(&raw)).unwrap();
                let pieces: Vec<String> = Text::read(&raw).unwrap().pieces().collect();
                assert!(pieces.len() > 1);
                assert!(pieces.concat() == whole, "{unit} after {shift}");
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_say_what_the_string_says(text in any::<String>()) {
            let raw = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(Text::read(&raw).unwrap().pieces().collect::<String>(), text);
        }
    }
}
