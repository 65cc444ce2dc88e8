//! What the findings of one step are called.

/// What findings of one step are called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    pub step: &'a str,
    pub prefix: &'a str,
}

impl Names<'_> {
    /// The id at the beginning of a text, unqualified, and its length there.
    pub fn id(&self, text: &str) -> Option<(String, usize)> {
        let qualified = text
            .strip_prefix(self.step)
            .and_then(|rest| rest.strip_prefix('/'));
        let local = qualified.unwrap_or(text);
        let rest = local.strip_prefix(self.prefix)?;
        let rest = rest.strip_prefix('-').unwrap_or(rest);
        let digits = rest.bytes().take(5).take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let mut following = after.chars();
        let whole = match following.next() {
            Some('_' | '/' | '\\') => false,
            Some('.') => !following.next().is_some_and(|c| c.is_ascii_alphanumeric()),
            Some(c) => !c.is_ascii_alphanumeric(),
            None => true,
        };
        let length = text.len() - after.len();
        ((1..=4).contains(&digits) && whole).then(|| (format!("{}{number}", self.prefix), length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = Names {
        step: "correctness",
        prefix: "B",
    };

    #[test]
    fn ids_are_whole_tokens() {
        for text in ["B", "B12345", "B1x", "B1/x", "B1.rs", "AB1", "b1"] {
            assert_eq!(NAMES.id(text), None, "{text}");
        }
        assert_eq!(NAMES.id("B1. x"), Some(("B1".to_owned(), 2)));
        assert_eq!(NAMES.id("B1：x"), Some(("B1".to_owned(), 2)));
    }
}
