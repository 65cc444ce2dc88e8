//! A few sessions, kept and made anew when they break.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{Failure, Refusal};
use super::servers::{Connected, Servers};
use super::tls::Protection;

/// How long the server may take to be told that a call was given up.
const CANCEL_LIMIT: Duration = Duration::from_secs(15);
/// A session that nobody used for so long is closed when the next one is taken.
const IDLE_LIMIT: Duration = Duration::from_secs(120);

/// A parameter with its type: statements are sent unnamed and whole, in one round trip, so that they also pass a
/// pooler that gives each transaction another server connection.
pub type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// The server's address and the sessions to it. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    servers: Servers,
    idle: Mutex<Vec<Idle>>,
    permits: Arc<Semaphore>,
    notices: Option<mpsc::UnboundedSender<Refusal>>,
    /// Why a session last found the server gone.
    gone: watch::Sender<String>,
}

impl Inner {
    /// What one session finds the others would find, each after its own time: the idle ones are closed, and whoever
    /// listens looks again.
    fn found_gone(&self, reason: &str) {
        self.idle().clear();
        self.gone.send_replace(reason.to_owned());
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle
            .lock()
            .expect("no panic while idle sessions are held")
    }
}

struct Idle {
    wire: Wire,
    since: Instant,
}

struct Wire {
    client: Client,
    connector: MakeRustlsConnect,
    protection: Protection,
    connection: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        // A call that was given up would otherwise keep the socket until the server answers.
        self.connection.abort();
    }
}

impl Db {
    /// At most `sessions` connections at a time. Nothing is connected yet.
    pub fn new(servers: Servers, sessions: usize) -> Self {
        Db::with_notices(servers, sessions, None)
    }

    /// As [`Db::new`]; warnings of the server are passed on instead of being logged.
    pub fn with_notices(
        servers: Servers,
        sessions: usize,
        notices: Option<mpsc::UnboundedSender<Refusal>>,
    ) -> Self {
        Db {
            inner: Arc::new(Inner {
                servers,
                idle: Mutex::new(Vec::new()),
                permits: Arc::new(Semaphore::new(sessions.max(1))),
                notices,
                gone: watch::Sender::default(),
            }),
        }
    }

    /// Where sessions are made.
    pub fn servers(&self) -> &Servers {
        &self.inner.servers
    }

    /// Changes to the reason whenever a session finds the server gone.
    pub fn gone(&self) -> watch::Receiver<String> {
        self.inner.gone.subscribe()
    }

    /// The server as a person would name it.
    pub fn shown(&self) -> String {
        self.inner.servers.shown()
    }

    /// Takes an idle session or makes one; waits while all are taken. One attempt, bounded in time.
    pub async fn session(&self) -> Result<Session, Failure> {
        let permit = self.inner.permits.clone().acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let wire = match self.take_idle() {
            Some(wire) => wire,
            None => self.connect().await?,
        };
        Ok(Session {
            wire: Some(wire),
            home: self.inner.clone(),
            usable: true,
            _permit: permit,
        })
    }

    fn take_idle(&self) -> Option<Wire> {
        let mut idle = self.inner.idle();
        idle.retain(|i| i.since.elapsed() < IDLE_LIMIT && !i.wire.client.is_closed());
        idle.pop().map(|i| i.wire)
    }

    async fn connect(&self) -> Result<Wire, Failure> {
        let Connected {
            client,
            mut line,
            connector,
            protection,
        } = self.inner.servers.connect().await?;
        let notices = self.inner.notices.clone();
        let connection = tokio::spawn(async move {
            while let Some(message) = poll_fn(|cx| line.poll_message(cx)).await {
                match (message, &notices) {
                    (Ok(AsyncMessage::Notice(notice)), Some(notices)) => {
                        let _ = notices.send(Refusal::from(&notice));
                    }
                    (Ok(AsyncMessage::Notice(notice)), None) => {
                        tracing::debug!(%notice, "the server remarks")
                    }
                    (Ok(_), _) => {}
                    (Err(error), _) => {
                        tracing::debug!(%error, "a connection to the server ended");
                        return;
                    }
                }
            }
        });
        Ok(Wire {
            client,
            connector,
            protection,
            connection,
        })
    }
}

/// One session, taken for a while; it goes back by itself unless a call on it was given up or broke.
pub struct Session {
    wire: Option<Wire>,
    home: Arc<Inner>,
    usable: bool,
    _permit: OwnedSemaphorePermit,
}

impl Session {
    /// Runs one statement and returns its rows. A call that takes longer than `limit` is cancelled on the server too
    /// and counts as a lost connection, because nobody knows whether it took effect.
    pub async fn rows(
        &mut self,
        limit: Duration,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, Failure> {
        // Stays so when this future is dropped half-way: the answer would meet the next caller.
        self.usable = false;
        let wire = self.wire.as_ref().expect("present until drop");
        let client = &wire.client;
        match timeout(limit, client.query_typed(sql, params)).await {
            Ok(Ok(rows)) => {
                self.usable = true;
                Ok(rows)
            }
            Ok(Err(error)) => {
                let failure = Failure::from(error);
                match &failure {
                    Failure::Gone(reason) => self.home.found_gone(reason),
                    _ => self.usable = true,
                }
                Err(failure)
            }
            Err(_) => {
                let (cancel, connector) = (client.cancel_token(), wire.connector.clone());
                tokio::spawn(async move {
                    let told = timeout(CANCEL_LIMIT, cancel.cancel_query(connector)).await;
                    tracing::debug!(?told, "the server was told that a call was given up");
                });
                let reason = format!("no answer within {} s", limit.as_secs_f32());
                self.home.found_gone(&reason);
                Err(Failure::Gone(reason))
            }
        }
    }

    /// How what is said on it is protected.
    pub fn protection(&self) -> Protection {
        self.wire.as_ref().expect("present until drop").protection
    }

    /// Ends the session instead of giving it back.
    pub fn close(mut self) {
        self.usable = false;
    }

    /// As [`Session::rows`], for a statement that returns exactly one row.
    pub async fn row(
        &mut self,
        limit: Duration,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Row, Failure> {
        let mut rows = self.rows(limit, sql, params).await?;
        match rows.pop() {
            Some(row) if rows.is_empty() => Ok(row),
            _ => Err(Failure::Gone(
                "the server did not answer with one row".into(),
            )),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(wire) = self.wire.take() else { return };
        if self.usable && !wire.client.is_closed() {
            self.home.idle().push(Idle {
                wire,
                since: Instant::now(),
            });
        }
    }
}
