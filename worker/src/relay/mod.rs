//! The one way from a child to the model: a small server on loopback, one for each attempt, that alone knows the model's
//! address and key. It passes on questions to the run's model and nothing else, counts what they cost, and tells the
//! clocks what is really happening.
//!
//! | module | holds |
//! |---|---|
//! | `door` | one request: let in or refused, passed on, answered |
//! | `request` | what a child asks, read as it passes |
//! | `reply` | what the model answers, on its way to the child |
//! | `upstream` | the model's server: who it is, what opens it, how it is asked |
//! | `meter` | what an answer says of itself: content, end, tokens |
//! | `activity` | what really happens, for the clocks and for when to give up |
//! | `redact` | the key taken out of what a server says |
//! | `json` | JSON read as it passes by |

mod activity;
mod door;
mod json;
mod meter;
mod redact;
mod reply;
mod request;
mod upstream;

use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

pub use activity::{
    Activity, Failure, Flight, GivenUp, MOST_FAILURES, Metered, PATIENCE, Request, Seen,
};
pub use meter::Tokens;
pub use request::MOST_BYTES;
pub use upstream::Upstream;

use crate::child::Model;
use crate::credentials::Secret;
use door::{BASE_PATH, Door};

/// More connections at once than a child opens; further ones wait.
const MOST_CONNECTIONS: usize = 8;
/// For the head of a request, and between two.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// What is read ahead of a child or kept back from one that is slow.
const BUFFER_BYTES: usize = 64 << 10;
/// After a connection could not be taken, for want of files perhaps.
const PAUSE: Duration = Duration::from_millis(100);

/// A relay under way. It ends, with all that passes through it, when this is dropped.
#[derive(Debug)]
pub struct Relay {
    model: Model,
    activity: Activity,
    /// Closing it ends the listener and every connection.
    stop: watch::Sender<()>,
    serving: JoinHandle<()>,
}

impl Relay {
    /// Listens on a free port of loopback and lets through what is asked of this model.
    ///
    /// # Errors
    /// When there is no port, or no file for one.
    pub async fn start(upstream: Upstream, model: &str) -> io::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let pass = format!("conductor-{}", uuid::Uuid::new_v4().simple());
        let activity = Activity::default();
        let door = Door::new(upstream, pass.clone(), model.to_owned(), activity.clone());
        let (stop, stopped) = watch::channel(());
        let serving = tokio::spawn(serve(listener, Arc::new(door), stopped));
        let model = Model {
            base_url: format!("http://127.0.0.1:{port}{BASE_PATH}"),
            api_key: Secret::new(pass),
            name: model.to_owned(),
        };
        Ok(Relay {
            model,
            activity,
            stop,
            serving,
        })
    }

    /// What a child is told: this relay's address, and a key that opens nothing else.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What really happens.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Ends what is under way and says what it all cost.
    pub async fn finish(self) -> Metered {
        drop(self.stop);
        let _ = self.serving.await;
        self.activity.metered()
    }
}

async fn serve(listener: TcpListener, door: Arc<Door>, mut stopped: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < MOST_CONNECTIONS;
        tokio::select! {
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, door.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a child's connection could not be taken");
                    sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break,
        }
    }
    connections.shutdown().await;
}

async fn converse(stream: TcpStream, door: Arc<Door>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // A child that goes away is no error; what it had asked is dropped with its connection.
    let _ = connection.await;
}
