//! Plays a reply: over the wire as it goes, or collected into one body.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::analyst;
use super::clocked::{self, Clocked};
use super::control::Control;
use super::conversation::Conversation;
use super::flood::{Flood, Kind};
use super::reported_name;
use super::script::{Part, Reply, ToolCall};
use super::wire::{Usage, Wire, escape};

/// Pieces of a streamed body.
pub type Pieces = mpsc::Sender<Result<Frame<Bytes>, io::Error>>;

/// Bytes of a huge text in one chunk.
const HUGE_CHUNK: usize = 16 * 1024;

/// Why a reply was not played to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client went away.
    Disconnected,
    /// The script says so.
    Cut,
}

/// Where a reply goes, and what was said so far.
pub struct Player<'a> {
    control: &'a Control,
    talk: &'a Conversation,
    wire: Wire,
    /// None collects.
    pieces: Option<Pieces>,
    chunk_chars: usize,
    chunk_delay: Duration,
    content: Vec<u8>,
    reasoning: Vec<u8>,
    calls: Vec<Value>,
    said: usize,
}

impl<'a> Player<'a> {
    /// A player for one request; `chunk_delay` is the server's own, a reply may set another.
    pub fn new(
        control: &'a Control,
        talk: &'a Conversation,
        reply: &Reply,
        chunk_delay: Duration,
        pieces: Option<Pieces>,
    ) -> Self {
        Self {
            control,
            talk,
            wire: Wire::new(
                &format!("scripted-{}", talk.turn()),
                reported_name(&talk.model),
            ),
            pieces,
            chunk_chars: reply.chunk_chars.unwrap_or(120).max(1),
            chunk_delay: reply
                .chunk_delay_ms
                .map_or(chunk_delay, Duration::from_millis),
            content: Vec::new(),
            reasoning: Vec::new(),
            calls: Vec::new(),
            said: 0,
        }
    }

    /// Plays all parts; the body if it was collected. `asked` is the request's size in bytes.
    pub async fn play(mut self, parts: &[Part], asked: usize) -> Result<Option<Bytes>, Ended> {
        self.send(self.wire.role()).await?;
        for part in parts {
            if matches!(part, Part::Default) {
                for part in analyst::reply(self.talk) {
                    self.part(&part).await?;
                }
            } else {
                self.part(part).await?;
            }
        }
        let usage = Usage::of_bytes(asked, self.said);
        if self.pieces.is_none() {
            return Ok(Some(self.wire.whole(
                &self.content,
                &self.reasoning,
                &self.calls,
                usage,
            )));
        }
        let reason = if self.calls.is_empty() {
            "stop"
        } else {
            "tool_calls"
        };
        self.send(self.wire.finish(reason)).await?;
        self.send(self.wire.usage(usage)).await?;
        self.send(Wire::done()).await?;
        Ok(None)
    }

    async fn part(&mut self, part: &Part) -> Result<(), Ended> {
        match part {
            Part::Text(text) => self.text("content", text).await,
            Part::Reasoning(text) => self.text("reasoning_content", text).await,
            Part::ToolCalls(calls) => {
                for call in calls {
                    self.tool_call(call).await?;
                }
                Ok(())
            }
            Part::Huge(huge) => {
                let mut chunk = Vec::new();
                for line in huge.lines() {
                    chunk.extend(line.wire);
                    if chunk.len() >= HUGE_CHUNK {
                        self.escaped("content", &std::mem::take(&mut chunk)).await?;
                    }
                }
                self.escaped("content", &chunk).await
            }
            Part::Flood(flood) => self.flood(flood).await,
            Part::Clocked(clocked) => self.clocked(*clocked).await,
            Part::DelayMs(ms) => self.pause(Duration::from_millis(*ms)).await,
            Part::Stall(stall) => {
                let control = self.control;
                let gone = self.gone();
                tokio::select! {
                    () = control.hold(stall) => Ok(()),
                    () = gone => Err(Ended::Disconnected),
                }
            }
            Part::Drop => {
                self.cut().await;
                Err(Ended::Cut)
            }
            Part::Default => Ok(()),
        }
    }

    async fn text(&mut self, field: &str, text: &str) -> Result<(), Ended> {
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest
                .char_indices()
                .nth(self.chunk_chars)
                .map_or(rest.len(), |(at, _)| at);
            self.escaped(field, escape(&rest[..end]).as_bytes()).await?;
            rest = &rest[end..];
        }
        Ok(())
    }

    async fn escaped(&mut self, field: &str, bytes: &[u8]) -> Result<(), Ended> {
        self.said += bytes.len();
        if self.pieces.is_some() {
            self.send(self.wire.text(field, bytes)).await?;
            return self.pause(self.chunk_delay).await;
        }
        let kept = match field {
            "content" => &mut self.content,
            _ => &mut self.reasoning,
        };
        kept.extend_from_slice(bytes);
        Ok(())
    }

    async fn clocked(&mut self, clocked: Clocked) -> Result<(), Ended> {
        let start = Instant::now();
        for number in 0..clocked.tokens {
            tokio::time::sleep_until(start + clocked.due(number)).await;
            let token = clocked::token(number);
            self.said += token.len();
            if self.pieces.is_some() {
                self.send(self.wire.text("content", token.as_bytes()))
                    .await?;
            } else {
                self.content.extend(token.bytes());
            }
        }
        Ok(())
    }

    async fn flood(&mut self, flood: &Flood) -> Result<(), Ended> {
        let (field, index) = match flood.kind {
            Kind::Text => ("content", 0),
            Kind::Reasoning => ("reasoning_content", 0),
            Kind::Arguments => ("", self.calls.len()),
        };
        if flood.kind == Kind::Arguments {
            let call = self.wire.tool_call(index, "call_flood", "glob");
            self.send(call).await?;
            self.send(self.wire.arguments(index, "{\"pattern\":\""))
                .await?;
            self.calls.push(Value::Null);
        }
        for piece in flood.pieces() {
            self.said += piece.len();
            let chunk = match flood.kind {
                Kind::Arguments => self.wire.arguments(index, &piece),
                _ => self.wire.text(field, piece.as_bytes()),
            };
            self.send(chunk).await?;
        }
        if flood.kind == Kind::Arguments {
            self.send(self.wire.arguments(index, "\"}")).await?;
        }
        Ok(())
    }

    async fn tool_call(&mut self, call: &ToolCall) -> Result<(), Ended> {
        let index = self.calls.len();
        let id = format!("call_{}_{index}", self.talk.turn());
        let arguments = self.filled(&call.arguments).to_string();
        self.said += arguments.len();
        self.send(self.wire.tool_call(index, &id, &call.name))
            .await?;
        let middle = arguments.floor_char_boundary(arguments.len() / 2);
        for piece in [&arguments[..middle], &arguments[middle..]] {
            self.send(self.wire.arguments(index, piece)).await?;
            if self.pieces.is_some() {
                self.pause(self.chunk_delay).await?;
            }
        }
        self.calls.push(json!({"id": id, "type": "function",
            "function": {"name": call.name, "arguments": arguments}}));
        Ok(())
    }

    /// Arguments with `{snapshot}` replaced in every string.
    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => text
                .replace("{snapshot}", self.talk.snapshot().unwrap_or("/nowhere"))
                .into(),
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| (key.clone(), self.filled(value)))
                .collect(),
            other => other.clone(),
        }
    }

    async fn send(&self, chunk: Bytes) -> Result<(), Ended> {
        match &self.pieces {
            Some(pieces) => pieces
                .send(Ok(Frame::data(chunk)))
                .await
                .map_err(|_| Ended::Disconnected),
            None => Ok(()),
        }
    }

    async fn pause(&self, time: Duration) -> Result<(), Ended> {
        if time.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.gone() => Err(Ended::Disconnected),
        }
    }

    /// Resolves when the client has gone; never, where the reply is collected: then the whole request
    /// is dropped with its client.
    fn gone(&self) -> impl Future<Output = ()> + use<'a> {
        let pieces = self.pieces.clone();
        async move {
            match pieces {
                Some(pieces) => pieces.closed().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Breaks the body off after what was said has left.
    async fn cut(&self) {
        let Some(pieces) = &self.pieces else { return };
        for _ in 0..100 {
            if pieces.capacity() == pieces.max_capacity() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let broken = io::Error::new(io::ErrorKind::ConnectionAborted, "cut by script");
        let _ = pieces.send(Err(broken)).await;
    }
}
