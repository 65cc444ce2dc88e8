//! The listener, the routes, and one handler a request.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use super::MODEL_NAME;
use super::control::{Control, Outcome, Ticket};
use super::conversation::Conversation;
use super::player::{Ended, Player};
use super::script::{Reply, Script};

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Must be on loopback; port 0 takes a free one.
    pub address: SocketAddr,
    pub script: Script,
    /// Wait between two chunks of text, where a reply does not say otherwise.
    pub chunk_delay: Duration,
    /// Requests to remember.
    pub keep: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            script: Script::default(),
            chunk_delay: Duration::ZERO,
            keep: 10_000,
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0} is not a loopback address: the scripted model serves this machine only")]
    NotLoopback(IpAddr),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct ScriptedModel {
    address: SocketAddr,
    control: Control,
    /// Closing it ends the listener and every connection.
    _stop: watch::Sender<()>,
}

type Answer = Response<Either<Full<Bytes>, Channel>>;

impl ScriptedModel {
    /// Starts a server on the current runtime. Fails on any address that is not loopback.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let ip = options.address.ip();
        if !ip.is_loopback() {
            return Err(StartError::NotLoopback(ip));
        }
        let failed = |error| StartError::Listen(options.address, error);
        let listener = TcpListener::bind(options.address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let control = Control::new(options.script, options.keep);
        let (stop, stopped) = watch::channel(());
        tokio::spawn(accept(
            listener,
            control.clone(),
            options.chunk_delay,
            stopped,
        ));
        Ok(Self {
            address,
            control,
            _stop: stop,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to give as `OPENAI_BASE_URL`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Script, record and holds.
    pub fn control(&self) -> &Control {
        &self.control
    }
}

async fn accept(
    listener: TcpListener,
    control: Control,
    delay: Duration,
    mut stopped: watch::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let (control, mut stopped) = (control.clone(), stopped.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let control = control.clone();
                async move { Ok::<_, Infallible>(route(request, control, delay).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no error of ours.
            tokio::select! {
                _ = connection => {}
                _ = stopped.changed() => {}
            }
        });
    }
}

async fn route(request: Request<Incoming>, control: Control, delay: Duration) -> Answer {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return error(StatusCode::BAD_REQUEST, "the body broke off");
    };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/v1/models") => ok(json!({"object": "list", "data": [
            {"id": MODEL_NAME, "object": "model", "created": 0, "owned_by": "scripted"}]})),
        (&Method::POST, "/v1/chat/completions") => chat(body, control, delay).await,
        (&Method::GET, "/scripted/requests") => ok(listing(&control)),
        (&Method::GET, "/scripted/holds") => ok(json!(control.held())),
        (&Method::POST, "/scripted/release") => {
            let name: Value = serde_json::from_str(&body).unwrap_or_default();
            control.release(name["name"].as_str());
            ok(json!({"released": true}))
        }
        (&Method::PUT | &Method::POST, "/scripted/script") => match Script::parse(&body) {
            Ok(script) => {
                control.set_script(script);
                ok(json!({"set": true}))
            }
            Err(reason) => error(StatusCode::BAD_REQUEST, &reason.to_string()),
        },
        (&Method::POST, "/scripted/reset") => {
            control.reset();
            ok(json!({"reset": true}))
        }
        (_, path) => error(StatusCode::NOT_FOUND, &format!("nothing is at {path}")),
    }
}

/// Answers a chat request as the script says, or by default.
async fn chat(body: String, control: Control, delay: Duration) -> Answer {
    let talk = match Conversation::parse(&body) {
        Ok(talk) => talk,
        Err(reason) => return error(StatusCode::BAD_REQUEST, &reason.to_string()),
    };
    let asked = body.len();
    let (ticket, reply) = control.begin(&talk, body);
    let reply = reply.unwrap_or_else(Reply::default_behaviour);
    if let Some(stall) = &reply.hold {
        control.hold(stall).await;
    }
    if let Some(status) = reply.status {
        ticket.end(Outcome::Refused);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        return error(status, "an error by script");
    }
    if talk.stream {
        let (pieces, body) = mpsc::channel(16);
        tokio::spawn(async move {
            let player = Player::new(&control, &talk, &reply, delay, Some(pieces));
            settle(ticket, player.play(&reply.parts, asked).await.err());
        });
        return Response::builder()
            .header("content-type", "text/event-stream; charset=utf-8")
            .header("cache-control", "no-cache")
            .body(Either::Right(Channel(body)))
            .expect("the headers are constants");
    }
    let player = Player::new(&control, &talk, &reply, delay, None);
    let played = player.play(&reply.parts, asked).await;
    match played {
        Ok(body) => {
            settle(ticket, None);
            json_response(StatusCode::OK, body.unwrap_or_default())
        }
        Err(ended) => {
            settle(ticket, Some(ended));
            error(StatusCode::BAD_GATEWAY, "cut by script")
        }
    }
}

fn settle(ticket: Ticket, ended: Option<Ended>) {
    ticket.end(match ended {
        None => Outcome::Completed,
        Some(Ended::Cut) => Outcome::Cut,
        Some(Ended::Disconnected) => Outcome::Disconnected,
    });
}

/// The record of requests, bodies as JSON.
fn listing(control: &Control) -> Value {
    let records = control.records().into_iter().map(|record| {
        let mut shown = json!(record);
        shown["body"] = serde_json::from_str(&record.body).unwrap_or_default();
        shown
    });
    records.collect()
}

fn ok(value: Value) -> Answer {
    json_response(StatusCode::OK, value.to_string().into())
}

fn error(status: StatusCode, message: &str) -> Answer {
    let body = json!({"error": {"message": message, "type": "scripted", "code": status.as_u16()}});
    json_response(status, body.to_string().into())
}

fn json_response(status: StatusCode, body: Bytes) -> Answer {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Either::Left(Full::new(body)))
        .expect("the headers are constants")
}

/// A body that is fed through a channel.
struct Channel(mpsc::Receiver<Result<Frame<Bytes>, io::Error>>);

impl Body for Channel {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(cx)
    }
}
