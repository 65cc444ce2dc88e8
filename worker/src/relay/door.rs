//! One request of a child: let in or refused, passed on, answered.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION,
    RETRY_AFTER,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::activity::{Activity, Failure, Flight};
use super::meter::{Form, Meter};
use super::reply::Passing;
use super::request::{Checked, Refusal};
use super::upstream::{Unanswered, Upstream};
use crate::events::is_passing;
use crate::shortage::is_shortage;

/// What a child is told to append to.
pub(super) const BASE_PATH: &str = "/v1";
const PLACE: &str = "/v1/chat/completions";
/// A child has one turn under way, and beside it a hidden look at its memory.
const MOST_REQUESTS: usize = 4;
/// Of an error's text; people read the first lines of it.
const ERROR_BYTES: usize = 64 << 10;
const ERROR_CHARS: usize = 300;
const ERROR_LIMIT: Duration = Duration::from_secs(10);

/// What goes back to a child.
pub(super) type Answer = Response<BoxBody<Bytes, io::Error>>;

/// The one way from a child to the model.
#[derive(Debug)]
pub(super) struct Door {
    upstream: Upstream,
    /// What the child's requests hold in the place of the key.
    pass: String,
    model: String,
    activity: Activity,
    places: Arc<Semaphore>,
}

impl Door {
    pub fn new(upstream: Upstream, pass: String, model: String, activity: Activity) -> Self {
        Door {
            upstream,
            pass,
            model,
            activity,
            places: Arc::new(Semaphore::new(MOST_REQUESTS)),
        }
    }

    /// Answers a request, whatever it is.
    pub async fn answer(&self, request: Request<Incoming>) -> Answer {
        match self.let_in(request).await {
            Ok(answer) => answer,
            Err(refusal) => {
                let (status, message) = refusal.told();
                tracing::debug!(
                    model = self.model,
                    status = status.as_u16(),
                    message,
                    "a child's request is refused"
                );
                error(status, &message)
            }
        }
    }

    async fn let_in(&self, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let (head, body) = request.into_parts();
        self.look_at(&head)?;
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| Refusal::TooMany)?;
        let body = Checked::open(body, &self.model).await?;
        let refused = body.refused();
        let flight = self.activity.begin();
        let answer = self.upstream.ask(body.boxed()).await;
        if let Some(refusal) = refused.get() {
            flight.ended(None);
            return Err(refusal.clone());
        }
        Ok(match answer {
            Ok(response) => self.pass_on(response, flight, place).await,
            Err(none) => self.unanswered(none, &flight),
        })
    }

    fn look_at(&self, head: &Parts) -> Result<(), Refusal> {
        let shown = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        if shown.and_then(|shown| shown.strip_prefix(b"Bearer ")) != Some(self.pass.as_bytes()) {
            return Err(Refusal::Stranger);
        }
        if head.uri.path() != PLACE || head.uri.query().is_some() {
            return Err(Refusal::Place(head.uri.to_string()));
        }
        if head.method != Method::POST {
            return Err(Refusal::Method(head.method.to_string()));
        }
        match head.headers.contains_key(CONTENT_ENCODING) {
            true => Err(Refusal::NotJson),
            false => Ok(()),
        }
    }

    fn unanswered(&self, none: Unanswered, flight: &Flight) -> Answer {
        let base_url = self.upstream.base_url();
        let why = match none.connecting {
            true => format!("cannot reach the model at {base_url}: {}", none.why),
            false => format!("the model's server gave no answer: {}", none.why),
        };
        if none.cause.as_ref().is_some_and(is_shortage) {
            self.activity.give_up(why.clone(), true);
        } else if none.lasting {
            self.activity.give_up(why.clone(), false);
        }
        let failure = match none.connecting {
            true => Failure::Unreachable(none.why),
            false => Failure::Cut,
        };
        flight.failed(failure, None, None);
        error(StatusCode::BAD_GATEWAY, &why)
    }

    async fn pass_on(
        &self,
        response: Response<Incoming>,
        flight: Flight,
        place: OwnedSemaphorePermit,
    ) -> Answer {
        let (head, incoming) = response.into_parts();
        if head.status.is_redirection() {
            let to = text(&head.headers, LOCATION).unwrap_or_else(|| "another address".to_owned());
            let to = self.upstream.redactor().text(&to);
            return self.useless(&format!(
                "the model's server sends its callers on to {to}, and the key goes nowhere else: set OPENAI_BASE_URL to \
                 the address that answers"
            ));
        }
        if !head.status.is_success() {
            return self
                .failed(head.status, &head.headers, incoming, &flight)
                .await;
        }
        if text(&head.headers, CONTENT_ENCODING)
            .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
        {
            return self.useless("the model's server packs its answers though it is asked not to");
        }
        let kind = text(&head.headers, CONTENT_TYPE).unwrap_or_default();
        let kind = kind.to_ascii_lowercase();
        let form = match kind.split(';').next().map(str::trim) {
            Some("text/event-stream") => Some(Form::Events),
            Some("application/json") => Some(Form::Whole),
            _ => None,
        };
        let passing = Passing {
            incoming,
            redactor: self.upstream.redactor(),
            meter: form.map(Meter::new),
            flight,
            over: false,
            _place: place,
        };
        answer(head.status, &head.headers, passing.boxed())
    }

    /// An answer that no child can do anything with, now or later.
    fn useless(&self, why: &str) -> Answer {
        self.activity.give_up(why.to_owned(), false);
        error(StatusCode::BAD_GATEWAY, why)
    }

    /// What the server says of its failure goes on, without the key.
    async fn failed(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        incoming: Incoming,
        flight: &Flight,
    ) -> Answer {
        let said = self.beginning(incoming).await;
        let message = message(&said);
        tracing::debug!(
            model = self.model,
            status = status.as_u16(),
            message,
            "the model's server answers with an error"
        );
        if is_passing(status.as_u16()) {
            let failure = Failure::Status(status.as_u16(), message);
            flight.failed(failure, wait(headers), None);
        } else {
            flight.ended(None);
        }
        answer(status, headers, full(said))
    }

    /// The beginning of an error's text, without the key and without what may be the beginning of it.
    async fn beginning(&self, mut incoming: Incoming) -> String {
        let mut redactor = self.upstream.redactor();
        let mut said = Vec::new();
        let reading = async {
            while let Some(Ok(frame)) = incoming.frame().await {
                if let Ok(bytes) = frame.into_data() {
                    said.extend_from_slice(&redactor.push(bytes));
                }
                if said.len() > ERROR_BYTES {
                    return;
                }
            }
            said.extend_from_slice(&redactor.finish());
        };
        let _ = timeout(ERROR_LIMIT, reading).await;
        said.truncate(ERROR_BYTES);
        String::from_utf8_lossy(&said).into_owned()
    }
}

/// The headers that a child needs to understand an answer; what others may hold is not known.
fn answer(status: StatusCode, from: &HeaderMap, body: BoxBody<Bytes, io::Error>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    if let Some(kind) = from.get(CONTENT_TYPE) {
        answer.headers_mut().insert(CONTENT_TYPE, kind.clone());
    }
    if let Some(wait) = wait(from) {
        let seconds = HeaderValue::from(wait.as_secs());
        answer.headers_mut().insert(RETRY_AFTER, seconds);
    }
    answer
}

/// An error in the form that a model's server has for it.
fn error(status: StatusCode, message: &str) -> Answer {
    let body =
        json!({"error": {"message": message, "type": "conductor_relay", "code": status.as_u16()}});
    let mut answer = Response::new(full(body.to_string()));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

fn full(text: String) -> BoxBody<Bytes, io::Error> {
    Full::new(Bytes::from(text)).map_err(|e| match e {}).boxed()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let value = headers.get(name)?.as_bytes();
    Some(String::from_utf8_lossy(value).into_owned())
}

/// How long the server asks its callers to wait.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// What an error says, in one line.
fn message(said: &str) -> String {
    let json: Value = serde_json::from_str(said).unwrap_or_default();
    let places = ["/error/message", "/error", "/message", "/detail"];
    let found = places
        .iter()
        .find_map(|place| json.pointer(place)?.as_str());
    let line = found.unwrap_or(said).split_whitespace();
    let line = line.collect::<Vec<_>>().join(" ");
    line.chars().take(ERROR_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_an_error_is_found_where_servers_put_it() {
        for (said, expected) in [
            (r#"{"error":{"message":"slow\ndown"}}"#, "slow down"),
            (r#"{"error":"loading"}"#, "loading"),
            (r#"{"detail":"gone"}"#, "gone"),
            ("<html> bad\n gateway", "<html> bad gateway"),
            ("", ""),
        ] {
            assert_eq!(message(said), expected);
        }
        assert_eq!(message(&"x".repeat(5000)).len(), ERROR_CHARS);
    }
}
