//! A stand-in for the model on loopback, for one trial: it asks for what is given it, then says a last word.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const MAX_BODY_BYTES: usize = 64 << 20;

/// One tool call that it asks for: name and arguments.
pub(crate) type Call = (&'static str, Value);

/// Serves until it is dropped.
pub(crate) struct StandIn {
    port: u16,
    bodies: Arc<Mutex<Vec<Value>>>,
    serving: JoinHandle<()>,
}

impl StandIn {
    /// The first turn of its only conversation makes `calls`; the next one answers `last_word`.
    pub async fn start(calls: Vec<Call>, last_word: &'static str) -> io::Result<StandIn> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let bodies = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&bodies);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One after the other: there is one client.
                let _ = serve(stream, &calls, last_word, &seen).await;
            }
        });
        Ok(StandIn {
            port,
            bodies,
            serving,
        })
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The bodies of the requests so far.
    pub fn bodies(&self) -> Vec<Value> {
        self.bodies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    stream: TcpStream,
    calls: &[Call],
    last_word: &str,
    seen: &Mutex<Vec<Value>>,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    if length > MAX_BODY_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let body: Value = serde_json::from_slice(&body)?;
    let asked = body["messages"]
        .as_array()
        .is_some_and(|m| m.iter().any(|m| m["role"] == "tool"));
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(body);
    stream
        .write_all(answer(if asked { &[] } else { calls }, last_word).as_bytes())
        .await?;
    stream.shutdown().await
}

fn answer(calls: &[Call], last_word: &str) -> String {
    let (delta, reason) = if calls.is_empty() {
        (json!({ "role": "assistant", "content": last_word }), "stop")
    } else {
        let calls = calls.iter().enumerate().map(|(index, (name, arguments))| {
            let function = json!({ "name": name, "arguments": arguments.to_string() });
            json!({ "index": index, "id": format!("call-{index}"), "type": "function", "function": function })
        });
        (
            json!({ "role": "assistant", "tool_calls": calls.collect::<Vec<_>>() }),
            "tool_calls",
        )
    };
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
        json!({ "id": "trial", "object": "chat.completion.chunk", "created": 0, "model": "trial", "choices": [choice] })
    };
    let (first, last) = (chunk(delta, Value::Null), chunk(json!({}), json!(reason)));
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: {first}\n\ndata: {last}\n\ndata: [DONE]\n\n"
    )
}
