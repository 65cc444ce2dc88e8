//! The key taken out of what a server says, also where it comes in pieces.

use std::borrow::Cow;

use bytes::Bytes;
use memchr::memmem;

use crate::credentials::Secret;

/// What stands where the key was.
const MASK: &str = "[key]";

/// A shorter key may be an everyday word ("none", "lm-studio"), and whoever takes words out of answers spoils them.
const SHORTEST: usize = 16;

/// Takes every occurrence of a key out of bytes that pass by. Holds back only what may be the beginning of one.
#[derive(Debug, Clone)]
pub(super) struct Redactor {
    forms: Vec<Form>,
}

/// One way to write the key.
#[derive(Clone)]
struct Form {
    key: Vec<u8>,
    held: Vec<u8>,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl Redactor {
    /// For a key as it is and as JSON writes it. One that is no secret is let through.
    pub fn new(key: &Secret) -> Self {
        let key = key.expose();
        let mut forms: Vec<String> = Vec::new();
        if key.len() >= SHORTEST {
            let quoted = serde_json::Value::from(key).to_string();
            let escaped = quoted[1..quoted.len() - 1].to_owned();
            for form in [key.to_owned(), escaped.replace('/', "\\/"), escaped] {
                if !forms.contains(&form) {
                    forms.push(form);
                }
            }
        }
        let held = Vec::new;
        let forms = forms.into_iter().map(|form| Form {
            key: form.into_bytes(),
            held: held(),
        });
        Redactor {
            forms: forms.collect(),
        }
    }

    /// What of these bytes, and of those held back, may go on.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        self.forms
            .iter_mut()
            .fold(bytes, |bytes, form| form.push(bytes, false))
    }

    /// What was held back, when nothing follows it.
    pub fn finish(&mut self) -> Bytes {
        let nothing = Bytes::new();
        self.forms
            .iter_mut()
            .fold(nothing, |bytes, form| form.push(bytes, true))
    }

    /// A whole text without the key.
    pub fn text(&self, text: &str) -> String {
        let mut clean = Cow::Borrowed(text);
        for form in &self.forms {
            let key = std::str::from_utf8(&form.key).expect("a key is text");
            if clean.contains(key) {
                clean = Cow::Owned(clean.replace(key, MASK));
            }
        }
        clean.into_owned()
    }
}

impl Form {
    fn push(&mut self, bytes: Bytes, last: bool) -> Bytes {
        let joined = match self.held.is_empty() {
            true => bytes,
            false => {
                self.held.extend_from_slice(&bytes);
                Bytes::from(std::mem::take(&mut self.held))
            }
        };
        let masked = match memmem::find(&joined, &self.key) {
            None => joined,
            Some(_) => {
                let mut masked = Vec::with_capacity(joined.len());
                let mut from = 0;
                for at in memmem::find_iter(&joined, &self.key) {
                    masked.extend_from_slice(&joined[from..at]);
                    masked.extend_from_slice(MASK.as_bytes());
                    from = at + self.key.len();
                }
                masked.extend_from_slice(&joined[from..]);
                masked.into()
            }
        };
        if last {
            return masked;
        }
        let most = masked.len().min(self.key.len() - 1);
        let begun = (1..=most).rev().find(|n| masked.ends_with(&self.key[..*n]));
        let goes = masked.len() - begun.unwrap_or(0);
        self.held = masked[goes..].to_vec();
        masked.slice(..goes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "sk-sk-recognisable/\"0123456789";

    fn through(text: &str, size: usize) -> String {
        let mut redactor = Redactor::new(&Secret::new(KEY));
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            out.extend_from_slice(&redactor.push(Bytes::copy_from_slice(piece)));
        }
        out.extend_from_slice(&redactor.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_key_is_taken_out_however_it_is_cut_and_escaped() {
        let escaped = r#"sk-sk-recognisable/\"0123456789"#;
        let slashed = r#"sk-sk-recognisable\/\"0123456789"#;
        let text = format!("a sk-{KEY} b {escaped}{slashed}{KEY}sk-sk-recog");
        let expected = format!("a sk-{MASK} b {MASK}{MASK}{MASK}sk-sk-recog");
        for size in 1..=text.len() {
            assert_eq!(through(&text, size), expected, "in pieces of {size}");
        }
        assert_eq!(Redactor::new(&Secret::new(KEY)).text(&text), expected);
    }

    proptest! {
        #[test]
        fn all_else_stays_as_it_is(text in "[sk\\-re\u{e9}\"\n]{0,60}", size in 1_usize..9) {
            prop_assert_eq!(through(&text, size), text);
        }
    }

    #[test]
    fn an_event_that_ended_is_not_held_back() {
        let mut redactor = Redactor::new(&Secret::new(KEY));
        let event = Bytes::from_static(b"data: {\"s\": \"sk-s\"}\n\n");
        assert_eq!(redactor.push(event.clone()), event);
    }

    #[test]
    fn a_key_that_is_an_everyday_word_spoils_no_answer() {
        let mut redactor = Redactor::new(&Secret::new("none"));
        let answer = Bytes::from_static(b"none of it");
        assert_eq!(redactor.push(answer.clone()), answer);
        assert!(!format!("{redactor:?}").contains("none"));
    }
}
