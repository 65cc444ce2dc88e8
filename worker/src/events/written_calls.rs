//! Tool calls that a model writes down instead of making: recognised, taken out, reported.
//!
//! Only what is well formed is taken for one (an opening tag with what must follow it, up to its closing tag), and never
//! in code. Everything else stays as it came: a report may well talk about such tags.

use conductor_flows::text::cut_at_char;
use serde_json::{Map, Value};

use super::code::CodeSpans;

/// What opens without closing within this many bytes is text.
const MAX_CALL_BYTES: usize = 256 * 1024;

/// An opening tag and the white space after it.
const MAX_OPENING_BYTES: usize = 4096;

const MAX_NAME_BYTES: usize = 128;

/// A call as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WrittenCall {
    pub name: String,
    pub input: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `<tool_call>{…}</tool_call>`, also around a function.
    ToolCall,
    /// `<function=NAME><parameter=KEY>…</parameter></function>`.
    Function,
    /// `<invoke name="NAME"><parameter name="KEY">…</parameter></invoke>`.
    Invoke,
    /// `<function_calls>` around several invokes.
    Invokes,
}

/// Opening tag up to where it may vary, and what it opens. A namespace before the name is left out first.
const OPENERS: &[(&str, Kind)] = &[
    ("<tool_call>", Kind::ToolCall),
    ("<function=", Kind::Function),
    ("<invoke name=", Kind::Invoke),
    ("<function_calls>", Kind::Invokes),
];

const NAMESPACE: &str = "antml:";

/// How far is looked, in bytes. Nothing depends on the pieces in which a text comes, so neither does this.
#[derive(Debug, Clone, Copy)]
struct Most {
    call: usize,
    opening: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self {
            call: MAX_CALL_BYTES,
            opening: MAX_OPENING_BYTES,
        }
    }
}

/// A filter over a text that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct WrittenCalls {
    most: Most,
    code: CodeSpans,
    /// Begins with `<` while something may be a call, else empty.
    held: String,
    /// How far `held` was searched for its closing tag.
    searched: usize,
}

enum Opening {
    /// Not known before more is seen.
    Open,
    No,
    /// Well begun; the closing tag decides.
    Yes(Kind, &'static str),
}

/// What the beginning of a text turned out to be.
enum Verdict {
    /// More must be seen.
    Open,
    /// So many bytes are text.
    Text(usize),
    /// So many bytes are calls.
    Calls(usize, Vec<WrittenCall>),
}

impl WrittenCalls {
    /// Takes the next piece; appends to `out` what is text for certain and returns the calls that it completed.
    pub fn push(&mut self, piece: &str, out: &mut String) -> Vec<WrittenCall> {
        let mut held = std::mem::take(&mut self.held);
        let joined = !held.is_empty();
        if joined {
            held.push_str(piece);
        }
        let text = if joined { held.as_str() } else { piece };
        let mut calls = Vec::new();
        let mut at = 0;
        loop {
            at += self.pass_text(&text[at..], out);
            if at == text.len() {
                return calls;
            }
            match self.judge(&text[at..]) {
                Verdict::Open => break,
                Verdict::Text(bytes) => {
                    let end = at + bytes;
                    text[at..end].chars().for_each(|c| self.code.push(c));
                    out.push_str(&text[at..end]);
                    at = end;
                }
                Verdict::Calls(bytes, mut found) => {
                    calls.append(&mut found);
                    at += bytes;
                }
            }
            self.searched = 0;
        }
        // What grows by small pieces is not copied for each.
        self.held = if joined && at == 0 {
            held
        } else {
            text[at..].to_owned()
        };
        calls
    }

    /// Appends what was held back: what is not closed by the end is text.
    pub fn finish(&mut self, out: &mut String) {
        out.push_str(&self.held);
        *self = Self {
            most: self.most,
            ..Self::default()
        };
    }

    /// Decides about a text that begins with `<`.
    fn judge(&mut self, text: &str) -> Verdict {
        match opening(cut_at_char(text, self.most.opening)) {
            Opening::Open if text.len() < self.most.opening => Verdict::Open,
            Opening::Open | Opening::No => Verdict::Text(1),
            Opening::Yes(kind, closer) => {
                let near = cut_at_char(text, self.most.call);
                let Some(at) = find_from(near, self.searched, closer) else {
                    if text.len() >= self.most.call {
                        return Verdict::Text(near.len());
                    }
                    // The tag may be cut.
                    self.searched = near.len().saturating_sub(closer.len());
                    return Verdict::Open;
                };
                let end = at + closer.len();
                read_calls(kind, &text[..end])
                    .map_or(Verdict::Text(end), |calls| Verdict::Calls(end, calls))
            }
        }
    }

    /// Passes text on up to the next `<` outside code; returns where that is.
    fn pass_text(&mut self, text: &str, out: &mut String) -> usize {
        for (at, c) in text.char_indices() {
            if c == '<' && !self.code.is_code() {
                out.push_str(&text[..at]);
                return at;
            }
            self.code.push(c);
        }
        out.push_str(text);
        text.len()
    }
}

fn find_from(text: &str, mut from: usize, what: &str) -> Option<usize> {
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    text[from..].find(what).map(|at| at + from)
}

/// Is this the beginning of a call?
fn opening(held: &str) -> Opening {
    let bare = held.strip_prefix('<').unwrap_or(held);
    let namespaced = bare.starts_with(NAMESPACE);
    if !namespaced && NAMESPACE.starts_with(bare) {
        return Opening::Open;
    }
    let name = if namespaced {
        &bare[NAMESPACE.len()..]
    } else {
        bare
    };
    for &(opener, kind) in OPENERS {
        let opener = &opener[1..];
        let with_namespace = matches!(kind, Kind::Invoke | Kind::Invokes);
        if namespaced && !with_namespace {
            continue;
        }
        if opener.starts_with(name) && opener != name {
            return Opening::Open;
        }
        let Some(after) = name.strip_prefix(opener) else {
            continue;
        };
        let closer = match (kind, namespaced) {
            (Kind::ToolCall, _) => "</tool_call>",
            (Kind::Function, _) => "</function>",
            (Kind::Invoke, false) => "</invoke>",
            (Kind::Invoke, true) => "</invoke>",
            (Kind::Invokes, false) => "</function_calls>",
            (Kind::Invokes, true) => "</function_calls>",
        };
        return match well_begun(kind, after) {
            Some(true) => Opening::Yes(kind, closer),
            Some(false) => Opening::No,
            None => Opening::Open,
        };
    }
    Opening::No
}

/// Whether what follows an opener fits it; None while that is open.
fn well_begun(kind: Kind, after: &str) -> Option<bool> {
    let expected: &[&str] = match kind {
        Kind::ToolCall => &["{", "<function="],
        Kind::Invokes => &["<invoke name=", "<invoke name="],
        Kind::Function => &["<parameter=", "{", "</function>"],
        Kind::Invoke => &[
            "<parameter name=",
            "<parameter name=",
            "</invoke>",
            "</invoke>",
        ],
    };
    let body = match kind {
        Kind::ToolCall | Kind::Invokes => after,
        Kind::Function | Kind::Invoke => {
            let Some((name, body)) = after.split_once('>') else {
                return (after.len() > MAX_NAME_BYTES || after.contains(['\n', '<']))
                    .then_some(false);
            };
            // What was refused before its end was seen is refused then as well.
            if name.len() > MAX_NAME_BYTES || name.contains('\n') || call_name(name).is_none() {
                return Some(false);
            }
            body
        }
    };
    let body = body.trim_start();
    if expected.iter().any(|e| body.starts_with(e)) {
        return Some(true);
    }
    if expected.iter().any(|e| e.starts_with(body)) {
        return None;
    }
    Some(false)
}

/// A tool's name, with or without quotation marks.
fn call_name(raw: &str) -> Option<&str> {
    let name = raw.trim().trim_matches(['"', '\'']);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    (!name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(fits)).then_some(name)
}

/// Reads what an opener and its closing tag enclose, both included.
fn read_calls(kind: Kind, text: &str) -> Option<Vec<WrittenCall>> {
    match kind {
        Kind::ToolCall => {
            let body = text
                .strip_prefix("<tool_call>")?
                .strip_suffix("</tool_call>")?
                .trim();
            if body.starts_with('{') {
                from_json(body)
            } else {
                function(body)
            }
            .map(|call| vec![call])
        }
        Kind::Function => function(text).map(|call| vec![call]),
        Kind::Invoke => invoke(&text.replace(NAMESPACE, "")).map(|call| vec![call]),
        Kind::Invokes => {
            let text = text.replace(NAMESPACE, "");
            let body = text
                .strip_prefix("<function_calls>")?
                .strip_suffix("</function_calls>")?;
            body.split_inclusive("</invoke>")
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(invoke)
                .collect()
        }
    }
}

fn from_json(body: &str) -> Option<WrittenCall> {
    // Models miss a bracket now and then; it is a call all the same when it names one.
    let Ok(value) = serde_json::from_str::<Value>(body) else {
        let name = body
            .split("\"name\"")
            .nth(1)?
            .split('"')
            .nth(1)
            .and_then(call_name)?;
        return Some(WrittenCall {
            name: name.to_owned(),
            input: Value::String(body.to_owned()),
        });
    };
    let name = call_name(value.get("name")?.as_str()?)?.to_owned();
    let input = value
        .get("arguments")
        .or_else(|| value.get("parameters"))
        .cloned()
        .unwrap_or_default();
    Some(WrittenCall { name, input })
}

fn function(text: &str) -> Option<WrittenCall> {
    let (name, body) = text.trim().strip_prefix("<function=")?.split_once('>')?;
    let body = body.trim_end().strip_suffix("</function>")?.trim();
    let input = if body.starts_with('{') {
        serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()))
    } else {
        parameters(body, "<parameter=")?
    };
    Some(WrittenCall {
        name: call_name(name)?.to_owned(),
        input,
    })
}

fn invoke(text: &str) -> Option<WrittenCall> {
    let (name, body) = text.trim().strip_prefix("<invoke name=")?.split_once('>')?;
    let input = parameters(
        body.trim_end().strip_suffix("</invoke>")?.trim(),
        "<parameter name=",
    )?;
    Some(WrittenCall {
        name: call_name(name)?.to_owned(),
        input,
    })
}

/// `<parameter=KEY>VALUE</parameter>`, one after the other.
fn parameters(mut body: &str, opener: &str) -> Option<Value> {
    let mut input = Map::new();
    while !body.is_empty() {
        let (key, rest) = body.strip_prefix(opener)?.split_once('>')?;
        // A last closing tag may be missing.
        let (value, rest) = rest.split_once("</parameter>").unwrap_or((rest, ""));
        input.insert(
            call_name(key)?.to_owned(),
            Value::String(value.trim_matches('\n').to_owned()),
        );
        body = rest.trim_start();
    }
    Some(Value::Object(input))
}

#[cfg(test)]
#[path = "written_calls_tests.rs"]
mod tests;
