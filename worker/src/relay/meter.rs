//! What an answer says of itself while it passes by: whether it goes on, whether it ended well, what it cost.

use memchr::memchr2;

use super::json::{Path, Scalar, Scanner};

/// Tokens as the model's server counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
    pub cached: u64,
    pub total: u64,
}

impl Tokens {
    /// Adds those of another answer.
    pub fn add(&mut self, other: Tokens) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cached = self.cached.saturating_add(other.cached);
        self.total = self.total.saturating_add(other.total);
    }
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Server-sent events.
    Events,
    /// One JSON object.
    Whole,
}

/// Where in a line of server-sent events the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// So many bytes of `data:` were read.
    Field(usize),
    Data,
    /// A comment, or a field that holds nothing of the answer.
    Other,
}

const DATA: &[u8] = b"data:";

/// Reads one answer.
#[derive(Debug)]
pub(super) struct Meter {
    form: Form,
    place: Place,
    scanner: Scanner,
    seen: Seen,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Seen {
    content: bool,
    finished: bool,
    error: Option<String>,
    input: Option<u64>,
    output: Option<u64>,
    cached: Option<u64>,
    total: Option<u64>,
}

impl Meter {
    /// For an answer of this form.
    pub fn new(form: Form) -> Self {
        Meter {
            form,
            place: Place::Field(0),
            scanner: Scanner::default(),
            seen: Seen::default(),
        }
    }

    /// Takes the next bytes. True when there was something of the answer itself in them: a comment that keeps the
    /// connection alive, a role or an empty piece is none.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        self.seen.content = false;
        match self.form {
            Form::Whole => {
                self.scan(bytes);
                // Its text arrives in one piece or as it grows; nothing else does.
                return !bytes.is_empty();
            }
            Form::Events => self.events(bytes),
        }
        let grows = self.scanner.long_text();
        self.seen.content || grows.is_some_and(|path| is_content(&path))
    }

    fn events(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr2(b'\n', b'\r', rest);
            let line = &rest[..end.unwrap_or(rest.len())];
            self.line(line);
            let Some(end) = end else { break };
            if self.place == Place::Data {
                // An event may have several lines, which make one text.
                self.scan(b"\n");
            } else if self.place == Place::Field(0) && rest[end] == b'\n' {
                self.scanner.reset();
            }
            self.place = Place::Field(0);
            rest = &rest[end + 1..];
        }
    }

    /// A piece of a line, without its end.
    fn line(&mut self, mut piece: &[u8]) {
        while let (Place::Field(read), Some(&byte)) = (self.place, piece.first()) {
            self.place = match DATA.get(read) {
                Some(expected) if *expected != byte => Place::Other,
                _ if read + 1 == DATA.len() => Place::Data,
                _ => Place::Field(read + 1),
            };
            piece = &piece[1..];
        }
        if self.place == Place::Data {
            self.scan(piece);
        }
    }

    fn scan(&mut self, bytes: &[u8]) {
        let seen = &mut self.seen;
        let read = self
            .scanner
            .push(bytes, &mut |path, scalar| seen.look(&path, scalar));
        if read.is_err() {
            // The child says what it cannot read; what comes after it may be readable.
            self.scanner.reset();
            self.place = Place::Other;
        }
    }

    /// What the answer cost, if it said so.
    pub fn tokens(&self) -> Option<Tokens> {
        let seen = &self.seen;
        let (input, output) = (seen.input.unwrap_or(0), seen.output.unwrap_or(0));
        let told = seen.input.is_some() || seen.output.is_some() || seen.total.is_some();
        let total = seen.total.unwrap_or(input.saturating_add(output));
        told.then_some(Tokens {
            input,
            output,
            cached: seen.cached.unwrap_or(0),
            total,
        })
    }

    /// Whether it is complete: events say so, an object is so when it has ended.
    pub fn finished(&self) -> bool {
        self.seen.finished || self.form == Form::Whole && self.scanner.documents() > 0
    }

    /// The error that it held in the place of an answer.
    pub fn error(&self) -> Option<&str> {
        self.seen.error.as_deref()
    }
}

impl Seen {
    fn look(&mut self, path: &Path<'_>, scalar: Scalar<'_>) {
        match (path.key(0), scalar) {
            (Some("choices"), Scalar::Text { text, .. }) if !text.is_empty() => {
                self.content |= is_content(path);
                self.finished |= path.is(&["choices", "[]", "finish_reason"]);
            }
            (Some("usage"), Scalar::Bare(number)) => self.count(path, number.parse().ok()),
            (Some("error"), Scalar::Text { text, .. }) => {
                let says = path.is(&["error"]) || path.is(&["error", "message"]);
                if says || self.error.is_none() {
                    self.error = Some(text.to_owned());
                }
            }
            (None, Scalar::Bare("DONE")) => self.finished |= path.is(&["[]"]),
            _ => {}
        }
    }

    /// A later figure takes the place of an earlier one: servers that tell it with every piece tell the sum so far.
    fn count(&mut self, path: &Path<'_>, number: Option<u64>) {
        let slot = match () {
            () if path.is(&["usage", "prompt_tokens"]) => &mut self.input,
            () if path.is(&["usage", "completion_tokens"]) => &mut self.output,
            () if path.is(&["usage", "total_tokens"]) => &mut self.total,
            () if path.is(&["usage", "prompt_tokens_details", "cached_tokens"]) => &mut self.cached,
            () if path.is(&["usage", "prompt_cache_hit_tokens"]) => &mut self.cached,
            () => return,
        };
        *slot = number.or(*slot);
    }
}

/// Whether a text there is something that the model says, thinks or calls.
fn is_content(path: &Path<'_>) -> bool {
    let said = path.begins(&["choices", "[]", "delta"])
        || path.begins(&["choices", "[]", "message"])
        || path.is(&["choices", "[]", "text"]);
    said && path.key(3) != Some("role")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
    const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a \\\"usage\\\": 7\"},\"finish_reason\":null}]}\n\n";
    const END: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\r\n\r\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20,\"total_tokens\":120,\"prompt_tokens_details\":{\"cached_tokens\":64}}}\n\n";

    fn metered(form: Form, text: &str, size: usize) -> (Meter, bool) {
        let mut meter = Meter::new(form);
        let mut content = false;
        for piece in text.as_bytes().chunks(size) {
            content |= meter.push(piece);
        }
        (meter, content)
    }

    #[test]
    fn tokens_and_the_end_are_read_however_the_stream_is_cut() {
        let text = format!(": hello\n\n{ROLE}{TEXT}{END}{USAGE}data: [DONE]\n\n");
        let tokens = Tokens {
            input: 100,
            output: 20,
            cached: 64,
            total: 120,
        };
        for size in 1..=text.len() {
            let (meter, content) = metered(Form::Events, &text, size);
            assert_eq!(meter.tokens(), Some(tokens), "in pieces of {size}");
            assert!(meter.finished() && content && meter.error().is_none());
        }
    }

    #[test]
    fn a_whole_answer_is_read_as_well() {
        let text = "{\"choices\":[{\"message\":{\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}";
        let (meter, content) = metered(Form::Whole, text, 7);
        assert_eq!(meter.tokens().unwrap().total, 4);
        assert!(content && meter.finished());
    }

    #[test]
    fn comments_roles_and_empty_pieces_are_nothing_of_the_answer() {
        for nothing in [
            ": keep-alive\n\n",
            ROLE,
            "event: ping\nretry: 3\n\n",
            "data: {\"choices\":[{\"delta\":{}}]}\n\n",
            END,
            USAGE,
            "data: [DONE]\n\n",
            "data: nonsense {\n\n",
        ] {
            let (_, content) = metered(Form::Events, nothing, 5);
            assert!(!content, "{nothing}");
        }
        for something in [
            "data:{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]}}]}\n\n",
            "data: nonsense {\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n",
        ] {
            let (_, content) = metered(Form::Events, something, 1000);
            assert!(content, "{something}");
        }
    }

    #[test]
    fn a_text_that_does_not_end_is_content_as_it_grows() {
        let mut meter = Meter::new(Form::Events);
        meter.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"");
        meter.push(&[b'x'; 2000]);
        assert!(meter.push(b"more"));
    }

    #[test]
    fn figures_that_grow_with_the_answer_are_not_added_up() {
        let two = USAGE.replace(":20,", ":10,").replace(":120,", ":110,") + USAGE;
        let (meter, _) = metered(Form::Events, &two, 50);
        assert_eq!(meter.tokens().unwrap().total, 120);
        let (meter, _) = metered(Form::Events, &format!("{TEXT}{END}"), 50);
        assert_eq!(meter.tokens(), None, "it did not say");
    }

    #[test]
    fn an_error_in_the_place_of_an_answer_is_seen() {
        let text =
            "data: {\"error\":{\"code\":429,\"type\":\"limit\",\"message\":\"slow down\"}}\n\n";
        let (meter, _) = metered(Form::Events, text, 9);
        assert_eq!(meter.error(), Some("slow down"));
        let fine = "data: {\"error\":null,\"choices\":[]}\n\n";
        assert_eq!(metered(Form::Events, fine, 9).0.error(), None);
    }
}
