//! A line to a server that can fall silent, break, and be mended.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What the line does with those who use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Open,
    /// Connections are taken and nothing goes through, in neither direction; nothing is lost.
    Silent,
    /// Connections are closed, new ones too.
    Broken,
}

/// A port that leads to another one. Closed when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    line: Arc<watch::Sender<(Line, u32)>>,
    server: AbortHandle,
}

impl Proxy {
    /// Listens on a free port and leads to this port of this machine.
    pub async fn start(port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let line = Arc::new(watch::Sender::new((Line::Open, 0)));
        let state = line.clone();
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, port, state.subscribe()));
            }
        });
        let server = server.abort_handle();
        Ok(Self {
            address,
            line,
            server,
        })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on, for connections that are there and for new ones.
    pub fn set(&self, line: Line) {
        self.line.send_modify(|(current, _)| *current = line);
    }

    /// As if the machine had been exchanged: the connections that are there stay silent for good, new ones go through.
    pub fn forget(&self) {
        self.line.send_modify(|(_, age)| *age += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(client: TcpStream, port: u16, line: watch::Receiver<(Line, u32)>) {
    let age = line.borrow().1;
    let mut state = line.clone();
    // Nothing is opened to the server before somebody may speak to it.
    if !may_pass(&mut state, age).await {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, line.clone(), age) => {}
        () = copy(from_server, to_client, line.clone(), age) => {}
        () = broken(line.clone()) => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut line: watch::Receiver<(Line, u32)>,
    age: u32,
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if !may_pass(&mut line, age).await || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
    // That one end has gone is not heard through a silent line either.
    may_pass(&mut line, age).await;
}

/// Waits while the line is silent for connections of this age; false when it is broken.
async fn may_pass(line: &mut watch::Receiver<(Line, u32)>, age: u32) -> bool {
    let state = line.wait_for(|(line, now)| match line {
        Line::Open => *now == age,
        Line::Silent => false,
        Line::Broken => true,
    });
    state.await.is_ok_and(|state| state.0 == Line::Open)
}

async fn broken(mut line: watch::Receiver<(Line, u32)>) {
    let _ = line.wait_for(|(line, _)| *line == Line::Broken).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    /// A server that says back what it hears.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.into_split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        port
    }

    async fn says_back(socket: &mut TcpStream) -> Option<bool> {
        socket.write_all(b"x").await.ok()?;
        let mut byte = [0];
        let heard = timeout(Duration::from_millis(100), socket.read(&mut byte)).await;
        heard.ok().map(|count| matches!(count, Ok(1)))
    }

    #[tokio::test]
    async fn a_line_falls_silent_is_mended_forgets_and_breaks() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let connect = || TcpStream::connect(proxy.address);
        let mut socket = connect().await.unwrap();
        assert_eq!(says_back(&mut socket).await, Some(true));
        proxy.set(Line::Silent);
        assert_eq!(says_back(&mut socket).await, None);
        proxy.set(Line::Open);
        assert_eq!(says_back(&mut socket).await, Some(true), "nothing was lost");
        proxy.forget();
        assert_eq!(says_back(&mut socket).await, None);
        let mut second = connect().await.unwrap();
        assert_eq!(says_back(&mut second).await, Some(true));
        proxy.set(Line::Broken);
        let mut byte = [0];
        let ended = timeout(Duration::from_secs(5), second.read(&mut byte)).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
    }
}
