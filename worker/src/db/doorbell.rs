//! LISTEN on a connection of its own, driven by `poll_message`: otherwise the driver throws notifications away.

use std::future::poll_fn;
use std::time::Duration;

use postgres_protocol::escape::escape_identifier;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Notification};

use super::failure::Failure;
use super::servers::Connected;
use super::session::Db;
use crate::backoff::Backoff;

const ANSWER_LIMIT: Duration = Duration::from_secs(15);
const PROOF_LIMIT: Duration = Duration::from_secs(2);

/// What a notification says: where to look, never what is there.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Doorbell {
    #[serde(rename = "type", default)]
    pub kind: String,
    pub run_id: i64,
    #[serde(default)]
    pub seq: i64,
}

/// What the listener tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ring {
    /// Listening, from now on; whatever happened before must be looked up once. `proved` is false when a
    /// notification sent from another session did not arrive, as behind a pooler in transaction mode.
    Listening {
        proved: bool,
    },
    Frame(Doorbell),
    /// The connection could not be made or broke; it is tried again.
    Lost(String),
}

/// Listens on `channels` until the receiver is dropped. Rings that do not fit into the queue are left out: a queue
/// that is full will be looked at anyway.
pub fn listen(db: Db, channels: Vec<String>, rings: mpsc::Sender<Ring>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut backoff = Backoff::of_connections();
        while !rings.is_closed() {
            let lost = match listen_once(&db, &channels, &rings, &mut backoff).await {
                Ok(()) => "the connection was closed".to_owned(),
                Err(failure) => failure.to_string(),
            };
            if rings.send(Ring::Lost(lost)).await.is_err() {
                return;
            }
            tokio::select! {
                () = backoff.wait() => {}
                () = rings.closed() => return,
            }
        }
    })
}

async fn listen_once(
    db: &Db,
    channels: &[String],
    rings: &mpsc::Sender<Ring>,
    backoff: &mut Backoff,
) -> Result<(), Failure> {
    let mut gone = db.gone();
    let (client, mut heard, _driver) = connect(db).await?;
    let proof = format!("conductor_proof_{}", uuid::Uuid::new_v4().simple());
    let listens: Vec<String> = channels
        .iter()
        .chain([&proof])
        .map(|channel| format!("listen {}", escape_identifier(channel)))
        .collect();
    within(ANSWER_LIMIT, client.batch_execute(&listens.join("; "))).await?;
    let proved = prove(db, &proof, &mut heard, rings).await?;
    within(
        ANSWER_LIMIT,
        client.batch_execute(&format!("unlisten {}", escape_identifier(&proof))),
    )
    .await?;
    backoff.reset();
    if rings.send(Ring::Listening { proved }).await.is_err() {
        return Ok(());
    }
    loop {
        tokio::select! {
            notification = heard.recv() => match notification {
                Some(notification) => forward(&notification, rings),
                None => return Ok(()),
            },
            // This connection may outlive what it was made for: a server that no longer takes writes rings no more.
            Ok(()) = gone.changed() => return Err(Failure::Gone(gone.borrow().clone())),
            () = rings.closed() => return Ok(()),
        }
    }
}

/// Ends the driver, and with it the connection, when dropped.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn connect(db: &Db) -> Result<(Client, mpsc::Receiver<Notification>, Driver), Failure> {
    let Connected {
        client, mut line, ..
    } = db.servers().connect().await?;
    let (tell, heard) = mpsc::channel(256);
    let driver = tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| line.poll_message(cx)).await {
            if let AsyncMessage::Notification(notification) = message {
                let _ = tell.try_send(notification);
            }
        }
    });
    Ok((client, heard, Driver(driver)))
}

/// Rings once from another session and waits for it: a pooler in transaction mode loses LISTEN without a word.
async fn prove(
    db: &Db,
    channel: &str,
    heard: &mut mpsc::Receiver<Notification>,
    rings: &mpsc::Sender<Ring>,
) -> Result<bool, Failure> {
    let mut session = db.session().await?;
    session
        .rows(
            ANSWER_LIMIT,
            "select pg_catalog.pg_notify($1, '')",
            &[(&channel, Type::TEXT)],
        )
        .await?;
    drop(session);
    let arrival = async {
        while let Some(notification) = heard.recv().await {
            if notification.channel() == channel {
                return true;
            }
            forward(&notification, rings);
        }
        false
    };
    Ok(timeout(PROOF_LIMIT, arrival).await.unwrap_or(false))
}

fn forward(notification: &Notification, rings: &mpsc::Sender<Ring>) {
    match serde_json::from_str(notification.payload()) {
        Ok(doorbell) => {
            let _ = rings.try_send(Ring::Frame(doorbell));
        }
        // Anyone who may connect can notify: what is not ours is no reason to wake up.
        Err(_) => tracing::debug!(
            channel = notification.channel(),
            "a notification of unknown form"
        ),
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Failure> {
    match timeout(limit, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Failure::Gone(format!(
            "no answer within {} s",
            limit.as_secs()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_read_and_a_foreign_one_is_not() {
        let ours: Doorbell =
            serde_json::from_str(r#"{"type":"flow_run_started","run_id":7,"seq":1}"#).unwrap();
        assert_eq!(
            ours,
            Doorbell {
                kind: "flow_run_started".into(),
                run_id: 7,
                seq: 1
            }
        );
        assert!(serde_json::from_str::<Doorbell>("hello").is_err());
        assert!(serde_json::from_str::<Doorbell>(r#"{"type":"x"}"#).is_err());
    }
}
