//! A model's server that does what a test says, and a child that asks.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use conductor_worker::credentials::{Credentials, Secret};
use conductor_worker::relay::{Relay, Upstream};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::LIMIT;

pub const KEY: &str = "sk-recognisable-0123456789abcdef";
pub const MODEL: &str = "the-model";
pub const QUESTION: &str =
    r#"{"model":"the-model","messages":[{"role":"user","content":"Is it so?"}],"stream":true}"#;
pub const ANSWER: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"It is.\"},\"finish_reason\":null}]}\n\n\
    data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":90,\"completion_tokens\":10,\"total_tokens\":100}}\n\n\
    data: [DONE]\n\n";
pub const EVENTS: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// What a server was asked, as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub head: String,
    /// Shorter than it was said to be when it broke off.
    pub body: Vec<u8>,
    pub whole: bool,
}

/// A server on loopback; it ends when this is dropped.
pub struct Server {
    pub address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Gives each request's connection to `answer` when the request was read.
    pub async fn start<F>(
        answer: impl Fn(Asked, BufStream<TcpStream>) -> F + Send + 'static,
    ) -> Server
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = asked.clone();
        let serving = tokio::spawn(async move {
            let mut answers = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufStream::new(stream);
                let request = read(&mut stream).await;
                record.lock().unwrap().push(request.clone());
                if request.whole {
                    answers.spawn(answer(request, stream));
                }
            }
        });
        Server {
            address,
            asked,
            serving,
        }
    }

    /// One that gives every request the same answer.
    pub async fn saying(answer: impl Into<String>) -> Server {
        let answer = answer.into();
        Server::start(move |_, mut stream| {
            let answer = answer.clone();
            async move {
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    pub fn upstream(&self) -> Upstream {
        upstream(&format!("http://{}/v1", self.address))
    }

    pub async fn relay(&self) -> Relay {
        Relay::start(self.upstream(), MODEL).await.unwrap()
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub fn upstream(base_url: &str) -> Upstream {
    let credentials = Credentials {
        base_url: base_url.to_owned(),
        api_key: Secret::new(KEY),
    };
    Upstream::new(&credentials).unwrap()
}

async fn read(stream: &mut BufStream<TcpStream>) -> Asked {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().unwrap())
    });
    let mut body = Vec::new();
    let length = length.unwrap_or(0);
    let _ = stream.take(length as u64).read_to_end(&mut body).await;
    let whole = body.len() == length && !head.is_empty();
    Asked { head, body, whole }
}

/// A JSON error with a status.
pub fn error(status: u16, headers: &str, message: &str) -> String {
    let body = serde_json::json!({"error": {"message": message}}).to_string();
    format!(
        "HTTP/1.1 {status} Because\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request as a child makes it.
pub fn request(relay: &Relay, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let model = relay.model();
    Request::builder()
        .method(Method::POST)
        .uri(format!("{}/chat/completions", model.base_url))
        .header(
            "authorization",
            format!("Bearer {}", model.api_key.expose()),
        )
        .header("content-type", "application/json")
        .header("accept-encoding", "gzip, deflate")
        .body(Full::new(body.into()))
        .unwrap()
}

/// Sends a request and returns the answer's beginning.
pub async fn send(request: Request<Full<Bytes>>) -> Response<Incoming> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = timeout(LIMIT, client.request(request)).await;
    answer.expect("an answer in time").expect("an answer")
}

/// Status, headers as text, and the whole of an answer.
pub async fn whole(response: Response<Incoming>) -> (u16, String, String) {
    let (head, body) = response.into_parts();
    let body = timeout(LIMIT, body.collect())
        .await
        .expect("an end in time");
    let body = body.expect("a whole answer").to_bytes();
    let headers = format!("{:?}", head.headers);
    (
        head.status.as_u16(),
        headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(LIMIT, waiting)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"));
}
