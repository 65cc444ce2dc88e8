//! Ports and a socket that nobody may call, and a count of who did.

use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A TCP port, a UDP port and a unix socket; they listen until the program ends.
#[derive(Debug)]
pub struct Listeners {
    pub tcp: u16,
    pub udp: u16,
    pub socket: PathBuf,
    calls: Arc<[AtomicUsize; 3]>,
}

impl Listeners {
    /// Listens on free ports, and on a socket that this path names; everybody may write to it.
    pub fn start(socket: &Path) -> io::Result<Self> {
        let (tcp, udp, unix) = (
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
            UnixListener::bind(socket)?,
        );
        std::fs::set_permissions(socket, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        let listeners = Self {
            tcp: tcp.local_addr()?.port(),
            udp: udp.local_addr()?.port(),
            socket: socket.to_owned(),
            calls: Arc::default(),
        };
        let count = |which: usize| {
            let calls = Arc::clone(&listeners.calls);
            move || {
                calls[which].fetch_add(1, Ordering::SeqCst);
            }
        };
        let (on_tcp, on_udp, on_unix) = (count(0), count(1), count(2));
        thread::spawn(move || tcp.incoming().for_each(|_| on_tcp()));
        thread::spawn(move || {
            while udp.recv_from(&mut [0; 16]).is_ok() {
                on_udp();
            }
        });
        thread::spawn(move || unix.incoming().for_each(|_| on_unix()));
        Ok(listeners)
    }

    /// How often each was called so far: the TCP port, the UDP port, the socket.
    pub fn calls(&self) -> [usize; 3] {
        [0, 1, 2].map(|which| self.calls[which].load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    #[test]
    fn whoever_calls_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let listeners = Listeners::start(&folder.path().join("socket")).unwrap();
        assert_eq!(listeners.calls(), [0, 0, 0]);
        TcpStream::connect((Ipv4Addr::LOCALHOST, listeners.tcp)).unwrap();
        UnixStream::connect(&listeners.socket).unwrap();
        let ours = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        ours.send_to(b"x", (Ipv4Addr::LOCALHOST, listeners.udp))
            .unwrap();
        let end = Instant::now() + Duration::from_secs(10);
        while listeners.calls() != [1, 1, 1] {
            assert!(Instant::now() < end, "{:?}", listeners.calls());
            thread::yield_now();
        }
    }
}
