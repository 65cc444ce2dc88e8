//! A server in front of the scripted model that looks at who asks, and may refuse by itself.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// It ends when this is dropped.
pub struct Front {
    pub base_url: String,
    seen: Arc<Mutex<Seen>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    heads: Vec<String>,
    answers: Vec<u8>,
    /// Said in the place of the model, where it is not empty.
    refusal: String,
}

impl Front {
    /// In front of the model at this address.
    pub async fn start(model: std::net::SocketAddr) -> Front {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = seen.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, model, shared.clone()));
            }
        });
        Front {
            base_url: format!("http://{address}/v1"),
            seen,
            serving,
        }
    }

    /// From now on every request is answered so.
    pub fn refuse(&self, answer: String) {
        self.seen.lock().unwrap().refusal = answer;
    }

    /// The heads of all requests, as they came.
    pub fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().heads.clone()
    }

    /// All that the model has answered.
    pub fn answers(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap().answers).into_owned()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    stream: TcpStream,
    model: std::net::SocketAddr,
    seen: Arc<Mutex<Seen>>,
) -> Option<()> {
    let mut stream = BufStream::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let refusal = {
        let mut seen = seen.lock().unwrap();
        seen.heads.push(head.clone());
        seen.refusal.clone()
    };
    if !refusal.is_empty() {
        stream.write_all(refusal.as_bytes()).await.ok()?;
        return stream.shutdown().await.ok();
    }
    let mut behind = TcpStream::connect(model).await.ok()?;
    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    behind.write_all(head.as_bytes()).await.ok()?;
    behind.write_all(&body).await.ok()?;
    let (mut taken, mut given) = (vec![0; 16 << 10], vec![0; 1]);
    loop {
        tokio::select! {
            read = behind.read(&mut taken) => match read.ok()? {
                0 => return stream.shutdown().await.ok(),
                read => {
                    seen.lock().unwrap().answers.extend_from_slice(&taken[..read]);
                    stream.write_all(&taken[..read]).await.ok()?;
                    stream.flush().await.ok()?;
                }
            },
            // Whoever asked has gone: so does the question.
            _ = stream.read(&mut given) => return None,
        }
    }
}
