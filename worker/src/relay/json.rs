//! JSON read as it passes by: which scalar stands where, with little memory however large the whole is.

use memchr::memchr2;

/// Deeper than anything that a model is told or says.
const MOST_LEVELS: usize = 128;
/// What is kept of a text, a number or a key; the rest is passed over.
const KEPT_BYTES: usize = 512;

/// An object or a list that is open.
#[derive(Debug)]
struct Level {
    list: bool,
    /// The key whose value is being read.
    key: String,
}

/// Where a scalar stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a>(&'a [Level]);

/// What stands there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    /// `cut`: only its beginning was kept.
    Text { text: &'a str, cut: bool },
    /// A number, true, false or null, as it is written.
    Bare(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Expect {
    Value,
    /// A value, or the end of a list that holds nothing yet.
    FirstValue,
    Key,
    FirstKey,
    Colon,
    /// A comma, or the end.
    Next,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    None,
    Text { escaped: bool },
    Bare,
}

/// The text is not JSON, or nested too deep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads one document, or several after each other.
#[derive(Debug)]
pub(super) struct Scanner {
    levels: Vec<Level>,
    expect: Expect,
    token: Token,
    kept: Vec<u8>,
    cut: bool,
    documents: u64,
}

impl Default for Scanner {
    fn default() -> Self {
        Scanner {
            levels: Vec::new(),
            expect: Expect::Value,
            token: Token::None,
            kept: Vec::new(),
            cut: false,
            documents: 0,
        }
    }
}

impl Path<'_> {
    /// Whether it is this one; `[]` stands for any place in a list.
    pub fn is(&self, steps: &[&str]) -> bool {
        self.0.len() == steps.len() && self.begins(steps)
    }

    /// Whether it is this one or lies below it.
    pub fn begins(&self, steps: &[&str]) -> bool {
        self.0.len() >= steps.len()
            && self
                .0
                .iter()
                .zip(steps)
                .all(|(level, step)| match level.list {
                    true => *step == "[]",
                    false => level.key == *step,
                })
    }

    /// The key at a depth, none in a list.
    pub fn key(&self, depth: usize) -> Option<&str> {
        let level = self.0.get(depth)?;
        (!level.list).then_some(level.key.as_str())
    }
}

impl Scanner {
    /// Takes the next bytes and hands every scalar that ends in them to `found`.
    ///
    /// # Errors
    /// When they are not JSON; `reset` begins anew.
    pub fn push(
        &mut self,
        bytes: &[u8],
        found: &mut dyn FnMut(Path<'_>, Scalar<'_>),
    ) -> Result<(), Malformed> {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            match self.token {
                Token::Text { escaped: true } => {
                    self.keep(&rest[..1]);
                    self.token = Token::Text { escaped: false };
                    rest = &rest[1..];
                }
                Token::Text { escaped: false } => {
                    let end = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    self.keep(&rest[..end]);
                    rest = &rest[end..];
                    match rest.first() {
                        Some(b'"') => self.end_text(found)?,
                        Some(_) => {
                            self.keep(b"\\");
                            self.token = Token::Text { escaped: true };
                        }
                        None => break,
                    }
                    rest = &rest[1..];
                }
                Token::Bare if is_bare(byte) => {
                    self.keep(&rest[..1]);
                    rest = &rest[1..];
                }
                Token::Bare => self.end_bare(found),
                Token::None => {
                    self.begin(byte)?;
                    rest = &rest[1..];
                }
            }
        }
        Ok(())
    }

    /// Forgets what is open.
    pub fn reset(&mut self) {
        self.levels.clear();
        self.expect = Expect::Value;
        self.token = Token::None;
        self.kept.clear();
        self.cut = false;
    }

    /// Whether nothing is open.
    pub fn is_between(&self) -> bool {
        self.levels.is_empty() && self.token == Token::None
    }

    /// How many documents were read to their end.
    pub fn documents(&self) -> u64 {
        self.documents
    }

    /// Where a text stands that is longer than what is kept of it and has not ended yet.
    pub fn long_text(&self) -> Option<Path<'_>> {
        let long = self.cut && self.token != Token::None;
        long.then_some(Path(&self.levels))
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = KEPT_BYTES - self.kept.len();
        self.cut |= bytes.len() > room;
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// A byte outside of texts, numbers and words.
    fn begin(&mut self, byte: u8) -> Result<(), Malformed> {
        use Expect::{Colon, FirstKey, FirstValue, Key, Next, Value};
        match (byte, self.expect) {
            (b' ' | b'\t' | b'\n' | b'\r', _) => {}
            (b'{', Value | FirstValue) => self.open(false)?,
            (b'[', Value | FirstValue) => self.open(true)?,
            (b'}', FirstKey | Next) if self.in_list() == Some(false) => self.close(),
            (b']', FirstValue | Next) if self.in_list() == Some(true) => self.close(),
            (b',', Next) => {
                self.expect = match self.in_list() {
                    Some(true) => Value,
                    Some(false) => Key,
                    None => return Err(Malformed),
                }
            }
            (b':', Colon) => self.expect = Value,
            (b'"', Value | FirstValue | Key | FirstKey) => {
                self.kept.clear();
                self.cut = false;
                self.token = Token::Text { escaped: false };
            }
            (byte, Value | FirstValue) if is_bare(byte) => {
                self.kept.clear();
                self.cut = false;
                self.keep(&[byte]);
                self.token = Token::Bare;
            }
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn in_list(&self) -> Option<bool> {
        self.levels.last().map(|level| level.list)
    }

    fn open(&mut self, list: bool) -> Result<(), Malformed> {
        if self.levels.len() == MOST_LEVELS {
            return Err(Malformed);
        }
        let key = String::new();
        self.levels.push(Level { list, key });
        self.expect = match list {
            true => Expect::FirstValue,
            false => Expect::FirstKey,
        };
        Ok(())
    }

    fn close(&mut self) {
        self.levels.pop();
        self.after_value();
    }

    fn after_value(&mut self) {
        if self.levels.is_empty() {
            self.documents += 1;
            self.expect = Expect::Value;
        } else {
            self.expect = Expect::Next;
        }
    }

    fn end_text(&mut self, found: &mut dyn FnMut(Path<'_>, Scalar<'_>)) -> Result<(), Malformed> {
        self.token = Token::None;
        let text = unescaped(&self.kept, self.cut)?;
        if matches!(self.expect, Expect::Key | Expect::FirstKey) {
            self.levels.last_mut().ok_or(Malformed)?.key = text;
            self.expect = Expect::Colon;
            return Ok(());
        }
        let scalar = Scalar::Text {
            text: &text,
            cut: self.cut,
        };
        found(Path(&self.levels), scalar);
        self.after_value();
        Ok(())
    }

    fn end_bare(&mut self, found: &mut dyn FnMut(Path<'_>, Scalar<'_>)) {
        self.token = Token::None;
        let text = String::from_utf8_lossy(&self.kept);
        found(Path(&self.levels), Scalar::Bare(&text));
        self.after_value();
    }
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// What stands between the quotes of a text. The end of one that was cut may be damaged, and says nothing.
fn unescaped(raw: &[u8], cut: bool) -> Result<String, Malformed> {
    if cut || !raw.contains(&b'\\') {
        return Ok(String::from_utf8_lossy(raw).into_owned());
    }
    let quoted = format!("\"{}\"", String::from_utf8_lossy(raw));
    serde_json::from_str(&quoted).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// Every scalar, with its path as text.
    fn read(pieces: &[&[u8]]) -> Result<Vec<(String, String)>, Malformed> {
        let mut scanner = Scanner::default();
        let mut found = Vec::new();
        for piece in pieces {
            scanner.push(piece, &mut |path, scalar| {
                let steps = path.0.iter().map(|level| match level.list {
                    true => "[]".to_owned(),
                    false => level.key.clone(),
                });
                let text = match scalar {
                    Scalar::Text { text, .. } => format!("{text:?}"),
                    Scalar::Bare(text) => text.to_owned(),
                };
                found.push((steps.collect::<Vec<_>>().join("/"), text));
            })?;
        }
        match scanner.is_between() {
            true => Ok(found),
            false => Err(Malformed),
        }
    }

    fn all(value: &Value, path: &str, found: &mut Vec<(String, String)>) {
        let below = |step: &str| match path {
            "" => step.to_owned(),
            path => format!("{path}/{step}"),
        };
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    all(value, &below(key), found);
                }
            }
            Value::Array(items) => {
                for value in items {
                    all(value, &below("[]"), found);
                }
            }
            Value::String(text) => found.push((path.to_owned(), format!("{text:?}"))),
            other => found.push((path.to_owned(), other.to_string())),
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\\n\u{e9}\u{1f600}]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\]{1,5}", inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_scalar_is_found_where_it_stands_however_the_text_is_cut(
            value in json().prop_filter("an object or a list", |v| v.is_object() || v.is_array()),
            size in 1_usize..9,
            pretty in any::<bool>(),
        ) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let mut expected = Vec::new();
            all(&value, "", &mut expected);
            prop_assert_eq!(read(&pieces), Ok(expected));
        }

        #[test]
        fn no_bytes_whatever_break_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&bytes]);
        }
    }

    #[test]
    fn what_no_strict_reader_takes_is_not_taken_here() {
        for wrong in [
            "{\"a\":1,}",
            "[1,]",
            "{a:1}",
            "{'a':1}",
            "{\"a\" 1}",
            "{\"a\":1}}",
            "{\"a\":1]",
            "{/* x */\"a\":1}",
            "{\"a\":1",
            "{\0\"\0a\0\"\0:\x001\0}\0",
            "\u{feff}{}",
        ] {
            assert_eq!(read(&[wrong.as_bytes()]), Err(Malformed), "{wrong}");
        }
        let deep = "[".repeat(MOST_LEVELS + 1);
        assert_eq!(read(&[deep.as_bytes()]), Err(Malformed));
    }

    #[test]
    fn an_escaped_key_is_the_key_that_it_says() {
        let found = read(&[br#"{"mod\u0065l":"x"}"#]).unwrap();
        assert_eq!(found, [("model".to_owned(), "\"x\"".to_owned())]);
    }

    #[test]
    fn a_huge_text_is_passed_over() {
        let mut scanner = Scanner::default();
        let mut none = |_: Path<'_>, _: Scalar<'_>| panic!("it has not ended");
        scanner.push(b"{\"a\":\"", &mut none).unwrap();
        for _ in 0..1000 {
            scanner.push(&[b'x'; 1000], &mut none).unwrap();
        }
        assert!(scanner.long_text().unwrap().is(&["a"]));
        assert!(scanner.kept.capacity() <= 2 * KEPT_BYTES);
    }
}
