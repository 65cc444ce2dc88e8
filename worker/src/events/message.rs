//! The text of one message on its way out: cleaned, calls taken out, paths made relative, counted.

use super::written_calls::{WrittenCall, WrittenCalls};
use crate::text::Relative;

/// One model turn's answer as it grows.
#[derive(Debug)]
pub(super) struct MessageText {
    calls: WrittenCalls,
    relative: Relative,
    /// What went out so far.
    text: String,
    chars: u64,
    calls_taken_out: u64,
}

/// The last turn's text.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub text: String,
    /// How many tool calls the model wrote into it.
    pub written_calls: u64,
}

/// What a piece of text let out.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Out {
    /// Code points before it.
    pub offset: u64,
    pub text: String,
    pub calls: Vec<WrittenCall>,
}

impl MessageText {
    pub fn new(relative: &Relative) -> Self {
        Self {
            calls: WrittenCalls::default(),
            relative: relative.clone(),
            text: String::new(),
            chars: 0,
            calls_taken_out: 0,
        }
    }

    /// Takes the next piece of what the model writes.
    pub fn push(&mut self, piece: &str) -> Out {
        let mut text = String::new();
        let calls = if piece.contains('\0') {
            self.calls.push(&piece.replace('\0', ""), &mut text)
        } else {
            self.calls.push(piece, &mut text)
        };
        let mut relative = String::new();
        self.relative.push(&text, &mut relative);
        self.let_out(relative, calls)
    }

    /// Lets out what was held back.
    pub fn finish(&mut self) -> Out {
        let (mut text, mut relative) = (String::new(), String::new());
        self.calls.finish(&mut text);
        self.relative.push(&text, &mut relative);
        self.relative.finish(&mut relative);
        self.let_out(relative, Vec::new())
    }

    /// What went out so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Frees what went out so far; more may follow it.
    pub fn forget(&mut self) {
        self.text = String::new();
    }

    /// What went out, and how many calls were taken out of it.
    pub fn into_answer(self) -> Answer {
        Answer {
            text: self.text,
            written_calls: self.calls_taken_out,
        }
    }

    fn let_out(&mut self, text: String, calls: Vec<WrittenCall>) -> Out {
        let offset = self.chars;
        self.chars += text.chars().count() as u64;
        self.calls_taken_out += calls.len() as u64;
        self.text.push_str(&text);
        Out {
            offset,
            text,
            calls,
        }
    }
}
