//! A model's server on loopback that records what it is asked and answers what a test wants.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// One answer to one request; the last one is given to all requests after it.
#[derive(Clone, Debug)]
pub enum Answer {
    Text(String),
    /// Tool calls: name and arguments.
    Calls(Vec<(&'static str, Value)>),
    /// An HTTP error.
    Status(u16),
    /// Some text, then the connection is cut.
    Cut(String),
    /// Some text, then nothing more until the client is gone.
    Hang(String),
    /// The last chunk is sent when `Model::release` is called.
    Held(String),
}

#[derive(Debug, Default)]
struct Seen {
    bodies: Vec<Value>,
    keys: Vec<String>,
    released: bool,
}

/// Runs until the process ends.
#[derive(Debug, Clone)]
pub struct Model {
    port: u16,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Model {
    pub fn start(answers: Vec<Answer>) -> Model {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let model = Model {
            port,
            seen: Arc::default(),
        };
        let serving = model.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (model, answers) = (serving.clone(), answers.clone());
                thread::spawn(move || drop(model.serve(stream, &answers)));
            }
        });
        model
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    pub fn bodies(&self) -> Vec<Value> {
        self.seen.0.lock().unwrap().bodies.clone()
    }

    pub fn keys(&self) -> Vec<String> {
        self.seen.0.lock().unwrap().keys.clone()
    }

    /// Lets held answers end.
    pub fn release(&self) {
        self.seen.0.lock().unwrap().released = true;
        self.seen.1.notify_all();
    }

    /// The text parts of the user's messages of the first request.
    pub fn user_texts(&self) -> Vec<String> {
        let body = self
            .bodies()
            .into_iter()
            .next()
            .expect("the model was asked");
        let messages = body["messages"].as_array().unwrap().clone();
        let users = messages.into_iter().filter(|m| m["role"] == "user");
        users
            .flat_map(|m| match &m["content"] {
                Value::String(text) => vec![text.clone()],
                Value::Array(parts) => parts
                    .iter()
                    .filter_map(|p| Some(p["text"].as_str()?.to_owned()))
                    .collect(),
                _ => vec![],
            })
            .collect()
    }

    fn serve(&self, stream: TcpStream, answers: &[Answer]) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut length, mut key) = (0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            match line.split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap()
                }
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    key = value.trim().to_owned()
                }
                _ if line.is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let turn = {
            let mut seen = self.seen.0.lock().unwrap();
            seen.bodies.push(serde_json::from_slice(&body)?);
            seen.keys.push(key);
            seen.bodies.len() - 1
        };
        self.answer(stream, &answers[turn.min(answers.len() - 1)])
    }

    fn answer(&self, mut stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
        if let Answer::Status(status) = answer {
            let body = json!({ "error": { "message": format!("status {status}") } }).to_string();
            return write!(
                stream,
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )?;
        let (deltas, reason): (Vec<Value>, &str) = match answer {
            Answer::Calls(calls) => {
                let calls: Vec<Value> = calls.iter().enumerate().map(|(i, (name, arguments))| json!({ "index": i, "id": format!("call-{i}"), "type": "function", "function": { "name": name, "arguments": arguments.to_string() } })).collect();
                (vec![json!({ "tool_calls": calls })], "tool_calls")
            }
            Answer::Text(text) | Answer::Cut(text) | Answer::Hang(text) | Answer::Held(text) => (
                pieces(text)
                    .map(|piece| json!({ "content": piece }))
                    .collect(),
                "stop",
            ),
            Answer::Status(_) => unreachable!(),
        };
        for delta in deltas {
            chunk(&mut stream, delta, Value::Null)?;
        }
        stream.flush()?;
        match answer {
            Answer::Cut(_) => return Ok(()),
            Answer::Hang(_) => {
                // Until the client hangs up.
                stream.set_read_timeout(None)?;
                let _ = stream.read(&mut [0; 16]);
                return Ok(());
            }
            Answer::Held(_) => {
                let guard = self.seen.0.lock().unwrap();
                drop(
                    self.seen
                        .1
                        .wait_timeout_while(guard, Duration::from_secs(60), |seen| !seen.released)
                        .unwrap(),
                );
            }
            _ => {}
        }
        chunk(&mut stream, json!({}), json!(reason))?;
        write!(stream, "data: [DONE]\n\n")
    }
}

fn chunk(stream: &mut TcpStream, delta: Value, reason: Value) -> std::io::Result<()> {
    let mut chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 0, "model": "test-model", "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }] });
    if !reason.is_null() {
        chunk["usage"] = json!({ "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 });
    }
    write!(stream, "data: {chunk}\n\n")
}

/// A text in pieces of some characters.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    let size = if chars.len() > 10_000 { 4096 } else { 3 };
    chars
        .chunks(size)
        .map(|c| c.iter().collect())
        .collect::<Vec<_>>()
        .into_iter()
}
