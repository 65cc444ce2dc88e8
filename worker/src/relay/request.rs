//! What a child asks: read as it passes, and stopped when it is not a question to the run's model.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::json::{Scalar, Scanner};

/// A prompt has 8 MiB at most, which JSON may write six times as long; what the child has read comes on top.
pub const MOST_BYTES: u64 = 64 << 20;
/// The model's name stands at the very front of what qwen asks; so much is read before it must have come.
const FRONT_BYTES: usize = 64 << 10;

/// Why a request is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not hold what only the child of this relay knows.
    Stranger,
    /// Another place than the model's.
    Place(String),
    Method(String),
    TooMany,
    TooLarge,
    NotJson,
    /// The model's name is another, is missing or comes too late.
    Model(String),
    BrokenOff,
}

impl Refusal {
    /// The status for it, and what to say.
    pub fn told(&self) -> (StatusCode, String) {
        match self {
            Refusal::Stranger => (
                StatusCode::UNAUTHORIZED,
                "this relay serves one child, and the key is not that child's".to_owned(),
            ),
            Refusal::Place(path) => (
                StatusCode::NOT_FOUND,
                format!("this relay passes on /chat/completions and nothing else, not {path}"),
            ),
            Refusal::Method(method) => (
                StatusCode::METHOD_NOT_ALLOWED,
                format!("this relay passes on POST and nothing else, not {method}"),
            ),
            Refusal::TooMany => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests of one child at once".to_owned(),
            ),
            Refusal::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a request may have {MOST_BYTES} bytes at most"),
            ),
            Refusal::NotJson => (
                StatusCode::BAD_REQUEST,
                "the request is not one JSON object".to_owned(),
            ),
            Refusal::Model(model) => (
                StatusCode::FORBIDDEN,
                format!(
                    "this run's model is {model}, and a request must name it once, at its front"
                ),
            ),
            Refusal::BrokenOff => (StatusCode::BAD_REQUEST, "the request broke off".to_owned()),
        }
    }
}

/// Looks at a request piece by piece.
#[derive(Debug)]
struct Check {
    model: String,
    scanner: Scanner,
    bytes: u64,
    named: u32,
    wrong: bool,
}

impl Check {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.bytes += bytes.len() as u64;
        if self.bytes > MOST_BYTES {
            return Err(Refusal::TooLarge);
        }
        let (model, named, wrong) = (&self.model, &mut self.named, &mut self.wrong);
        let read = self.scanner.push(bytes, &mut |path, scalar| {
            if path.is(&["model"]) {
                *named += 1;
                *wrong |= !matches!(scalar, Scalar::Text { text, cut: false } if text == model);
            } else if path.begins(&["model"]) {
                *wrong = true;
            }
        });
        read.map_err(|_| Refusal::NotJson)?;
        match self.wrong || self.named > 1 {
            true => Err(Refusal::Model(self.model.clone())),
            false => Ok(()),
        }
    }

    fn finish(&self) -> Result<(), Refusal> {
        if !self.scanner.is_between() || self.scanner.documents() != 1 {
            return Err(Refusal::NotJson);
        }
        match self.named {
            1 => Ok(()),
            _ => Err(Refusal::Model(self.model.clone())),
        }
    }
}

/// A request's body on its way. Its last piece goes on only when the whole was found in order: a server that has not
/// got all of a request does not answer it.
#[derive(Debug)]
pub(super) struct Checked {
    incoming: Incoming,
    check: Check,
    ready: VecDeque<Bytes>,
    ended: bool,
    left: Option<u64>,
    refused: Arc<OnceLock<Refusal>>,
}

impl Checked {
    /// Reads until the model is named.
    ///
    /// # Errors
    /// When it is not the right one, or the request is none.
    pub async fn open(incoming: Incoming, model: &str) -> Result<Checked, Refusal> {
        let left = incoming.size_hint().exact();
        if left.is_some_and(|bytes| bytes > MOST_BYTES) {
            return Err(Refusal::TooLarge);
        }
        let check = Check {
            model: model.to_owned(),
            scanner: Scanner::default(),
            bytes: 0,
            named: 0,
            wrong: false,
        };
        let mut body = Checked {
            incoming,
            check,
            ready: VecDeque::new(),
            ended: false,
            left,
            refused: Arc::default(),
        };
        while body.check.named == 0 {
            match body.incoming.frame().await {
                Some(Ok(frame)) => body.take(frame)?,
                Some(Err(_)) => return Err(Refusal::BrokenOff),
                None => {
                    body.check.finish()?;
                    body.ended = true;
                    break;
                }
            }
            if body.check.named == 0 && body.check.bytes > FRONT_BYTES as u64 {
                return Err(Refusal::Model(model.to_owned()));
            }
        }
        // What has come whole already is not even begun to be asked when it is wrong.
        if !body.ended && body.incoming.is_end_stream() {
            body.check.finish()?;
            body.ended = true;
        }
        Ok(body)
    }

    /// Where it stands when a request is refused that has already begun to go on.
    pub fn refused(&self) -> Arc<OnceLock<Refusal>> {
        self.refused.clone()
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<(), Refusal> {
        let Ok(bytes) = frame.into_data() else {
            return Ok(());
        };
        self.check.push(&bytes)?;
        if !bytes.is_empty() {
            self.ready.push_back(bytes);
        }
        Ok(())
    }

    fn refuse(&mut self, refusal: Refusal) -> io::Error {
        self.ready.clear();
        let error = io::Error::other(refusal.told().1);
        let _ = self.refused.set(refusal);
        error
    }
}

impl Body for Checked {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        loop {
            if (this.ended || this.ready.len() > 1)
                && let Some(bytes) = this.ready.pop_front()
            {
                if let Some(left) = &mut this.left {
                    *left = left.saturating_sub(bytes.len() as u64);
                }
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if this.ended {
                return Poll::Ready(None);
            }
            let read = match ready!(Pin::new(&mut this.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => this.take(frame),
                Some(Err(_)) => Err(Refusal::BrokenOff),
                None => {
                    this.ended = true;
                    this.check.finish()
                }
            };
            if let Err(refusal) = read {
                this.ended = true;
                return Poll::Ready(Some(Err(this.refuse(refusal))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.ready.is_empty() && self.refused.get().is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Result<(), Refusal> {
        let mut check = Check {
            model: "m".to_owned(),
            scanner: Scanner::default(),
            bytes: 0,
            named: 0,
            wrong: false,
        };
        body.as_bytes()
            .chunks(3)
            .try_for_each(|piece| check.push(piece))?;
        check.finish()
    }

    #[test]
    fn a_request_names_the_runs_model_once_and_is_one_json_object() {
        let other = Err(Refusal::Model("m".to_owned()));
        assert_eq!(check(r#"{"model":"m","messages":[{"model":"n"}]}"#), Ok(()));
        assert_eq!(
            check(r#" {"messages":[],"mod\u0065l" : "\u006d"} "#),
            Ok(())
        );
        for wrong in [
            r#"{"model":"n"}"#,
            r#"{"model":"m","model":"n"}"#,
            r#"{"model":"m","model":"m"}"#,
            r#"{"model":"m","mod\u0065l":"n"}"#,
            r#"{"model":"m"}{"model":"n"}"#,
            r#"{"model":["m"]}"#,
            r#"{"model":7}"#,
            r#"{"models":"m"}"#,
            r#"[{"model":"m"}]"#,
        ] {
            assert_eq!(check(wrong), other, "{wrong}");
        }
        for none in ["", "{", r#"{"model":"m"}{}"#, r#"{"model":"m",}"#, "m"] {
            assert!(check(none).is_err(), "{none}");
        }
    }
}
