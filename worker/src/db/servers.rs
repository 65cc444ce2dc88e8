//! The hosts of one address, tried in turn as psql does it. Each has its own time, password and reason, so that one
//! that is silent does not keep the others from being tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{Failure, TAKES_NO_WRITES};
use super::host::{addresses, is_local, is_socket, name, shown, without_hosts};
use super::passwords::Passwords;
use super::tls::{self, Mode, Protection, Wanted};

/// What the driver says of a server that must take writes and does not.
const READ_ONLY: &str = "database does not allow writes";

/// A server, or several of which one is to be found. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Servers {
    hosts: Arc<[Config]>,
    wanted: Arc<Wanted>,
    /// Which host took us last.
    last: Arc<AtomicUsize>,
    /// Whether it was said that a connection can be read on the way.
    warned: Arc<AtomicBool>,
}

/// The half of a connection that must be polled.
pub type Line = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// A connection that was made.
pub struct Connected {
    pub client: Client,
    pub line: Line,
    /// What a request to cancel must be protected with.
    pub connector: MakeRustlsConnect,
    pub protection: Protection,
}

impl Servers {
    /// One setting for each host of `config`.
    pub(super) fn new(
        config: &Config,
        passwords: Option<&Passwords>,
        wanted: Wanted,
    ) -> Result<Self, String> {
        let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
        let ports = config.get_ports();
        let count = hosts.len().max(addresses.len());
        if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
            let (hosts, addresses) = (hosts.len(), addresses.len());
            return Err(format!("{hosts} hosts and {addresses} host addresses"));
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(format!("{} ports for {count} hosts", ports.len()));
        }
        if wanted.mode == Mode::VerifyFull && hosts.is_empty() {
            return Err(
                "sslmode=verify-full verifies a host name, and only hostaddr is given: name the host with host= (PGHOST)"
                    .into(),
            );
        }
        let one = |index: usize| {
            let mut one = without_hosts(config);
            match hosts.get(index) {
                Some(Host::Tcp(name)) => drop(one.host(name)),
                Some(Host::Unix(folder)) => drop(one.host_path(folder)),
                None => {}
            }
            if let Some(address) = addresses.get(index) {
                one.hostaddr(*address);
            }
            let port = ports.get(index).or_else(|| ports.first());
            one.port(port.copied().unwrap_or(5432));
            let password = passwords.and_then(|passwords| passwords.of(&one));
            if let Some(password) = password.map(<[u8]>::to_vec) {
                one.password(password);
            }
            one
        };
        let hosts: Vec<Config> = (0..count).map(one).collect();
        if !hosts.iter().all(is_socket) {
            // So that what is wrong with a file is told at once.
            for ssl_mode in wanted.attempts() {
                wanted.attempt(*ssl_mode)?;
            }
        }
        Ok(Servers {
            hosts: hosts.into(),
            wanted: Arc::new(wanted),
            last: Arc::default(),
            warned: Arc::default(),
        })
    }

    /// Only a server that takes writes will do: anything else could not do what a worker asks of it.
    pub fn that_take_writes(self) -> Result<Self, String> {
        let mut hosts = self.hosts.to_vec();
        for host in &mut hosts {
            if host.get_target_session_attrs() == TargetSessionAttrs::ReadOnly {
                return Err(
                    "a worker writes: target_session_attrs=read-only cannot serve it".into(),
                );
            }
            host.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Servers {
            hosts: hosts.into(),
            ..self
        })
    }

    /// The settings of each host.
    pub fn hosts(&self) -> &[Config] {
        &self.hosts
    }

    /// The servers as a person would name them, without user or password: `db.example.org:5432/shop`.
    pub fn shown(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(shown).collect();
        let first = self.hosts.first();
        match first.and_then(|config| config.get_dbname().or(config.get_user())) {
            Some(name) => format!("{}/{name}", hosts.join(",")),
            None => hosts.join(","),
        }
    }

    /// Tries the hosts until one takes us. As with psql, one that refuses whoever we are ends the search.
    pub async fn connect(&self) -> Result<Connected, Failure> {
        let mut reasons = Vec::new();
        for index in self.order() {
            let host = &self.hosts[index];
            let failure = match self.connect_host(host).await {
                Ok(connected) => {
                    self.last.store(index, Ordering::Relaxed);
                    self.look_at(&connected, host);
                    return Ok(connected);
                }
                Err(failure) => failure,
            };
            if self.hosts.len() == 1 || !failure.is_passing() {
                return Err(failure);
            }
            let reason = match failure {
                Failure::Gone(reason) => reason,
                failure => failure.to_string(),
            };
            reasons.push(format!("{}: {reason}", shown(host)));
        }
        Err(Failure::Gone(reasons.join("; ")))
    }

    /// Says once what could be read on the way.
    fn look_at(&self, connected: &Connected, host: &Config) {
        let protection = connected.protection;
        tracing::debug!(server = %shown(host), %protection, "connected");
        if protection.is_open() && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                server = %shown(host),
                "connected {protection} (sslmode=verify-full with sslrootcert= closes the line)"
            );
        }
    }

    /// Tries every address of a host, with and without TLS as the settings say. Each attempt has its own time, the
    /// greetings included: a machine may accept and then say nothing.
    async fn connect_host(&self, host: &Config) -> Result<Connected, Failure> {
        let limit = host.get_connect_timeout().copied();
        let limit = limit.unwrap_or(Duration::from_secs(10));
        let late = |_| Failure::Gone(format!("no answer within {} s", limit.as_secs()));
        let mut failure = Failure::Gone("it has no address".into());
        for address in timeout(limit, addresses(host)).await.map_err(late)?? {
            for ssl_mode in self.attempts(&address) {
                let tried = self.attempt(&address, *ssl_mode);
                match timeout(limit, tried).await.unwrap_or_else(|e| Err(late(e))) {
                    Ok(connected) => return Ok(connected),
                    Err(error) => failure = error,
                }
                if !is_for_want_of_another(&failure) {
                    break;
                }
                tracing::debug!(server = %shown(host), %failure, "another way of connecting is tried, if there is one");
            }
            if !failure.is_passing() {
                break;
            }
        }
        Err(failure)
    }

    fn attempts(&self, host: &Config) -> &'static [SslMode] {
        // There is no TLS on a socket, whatever is asked for.
        if is_socket(host) {
            &[SslMode::Disable]
        } else {
            self.wanted.attempts()
        }
    }

    async fn attempt(&self, host: &Config, ssl_mode: SslMode) -> Result<Connected, Failure> {
        let attempt = self.wanted.attempt(ssl_mode).map_err(|reason| {
            let cure = "look at the sslmode, sslrootcert, sslcert and sslkey that the worker was started with";
            let cure = cure.into();
            Failure::Unprotected { reason, cure }
        })?;
        let mut config = host.clone();
        config.ssl_mode(attempt.ssl_mode);
        let connected = config.connect(attempt.connector.clone()).await;
        let (client, line) = connected.map_err(|error| {
            let of_tls = tls::of_error(&error, &name(host));
            of_tls.unwrap_or_else(|| told(Failure::from(error)))
        })?;
        Ok(Connected {
            client,
            line,
            protection: attempt.protection(is_local(host)),
            connector: attempt.connector,
        })
    }

    /// Only one host takes writes, so the one that did last comes first: those before it may be silent, and each would
    /// cost its time again and again.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        let Some(first) = self.hosts.first() else {
            return order;
        };
        if first.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
            order.rotate_left(self.last.load(Ordering::Relaxed));
        } else if first.get_load_balance_hosts() == LoadBalanceHosts::Random {
            fastrand::shuffle(&mut order);
        }
        order
    }
}

/// Whether the server might take us with TLS where it did not without, or the other way round.
fn is_for_want_of_another(failure: &Failure) -> bool {
    match failure {
        Failure::Unprotected { .. } => true,
        // No line in pg_hba.conf for a connection of this kind.
        Failure::Refused(refusal) => refusal.sqlstate == "28000",
        _ => false,
    }
}

fn told(failure: Failure) -> Failure {
    match failure {
        Failure::Gone(reason) if reason.contains(READ_ONLY) => {
            Failure::Gone(TAKES_NO_WRITES.into())
        }
        failure => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    fn servers(url: &str) -> Servers {
        crate::db::resolve(Some(url), &|_| None, "conductor").unwrap()
    }

    #[tokio::test]
    async fn a_host_that_is_silent_does_not_keep_the_next_one_from_being_tried() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let next = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let (first, second) = (port(&silent), port(&next));
        let tried = tokio::spawn(async move {
            let mut greeting = [0; 8];
            let (mut socket, _) = next.accept().await.unwrap();
            socket.read_exact(&mut greeting).await.unwrap();
        });
        let url =
            format!("host=127.0.0.1,localhost port={first},{second} user=u connect_timeout=1");
        let begin = Instant::now();
        let Err(Failure::Gone(reason)) = servers(&url).connect().await else {
            panic!("neither of them is a server");
        };
        tried.await.unwrap();
        let late = format!("127.0.0.1:{first}: no answer within 1 s; localhost:{second}: ");
        assert!(reason.starts_with(&late), "{reason}");
        assert!(
            begin.elapsed() < Duration::from_secs(9),
            "each has its own time"
        );
    }

    #[tokio::test]
    async fn a_server_that_asks_for_a_password_that_nobody_gave_is_not_asked_again() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        let asked = tokio::spawn(async move {
            let (mut socket, _) = server.accept().await.unwrap();
            let length = socket.read_u32().await.unwrap() as usize;
            socket.read_exact(&mut vec![0; length - 4]).await.unwrap();
            // AuthenticationCleartextPassword.
            socket.write_all(b"R\0\0\0\x08\0\0\0\x03").await.unwrap();
            socket
        });
        let url = format!("host=127.0.0.1 port={port} user=u sslmode=disable");
        let Err(Failure::Refused(refusal)) = servers(&url).connect().await else {
            panic!("it may not count as passing");
        };
        asked.await.unwrap();
        assert_eq!(refusal.sqlstate, "28P01");
        assert!(refusal.hint.unwrap().contains("PGPASSWORD"));
    }

    #[test]
    fn a_socket_needs_no_tls_and_a_host_beside_it_does() {
        for mode in ["allow", "prefer", "require", "verify-ca", "verify-full"] {
            for url in [
                format!("host=/tmp user='a b' sslmode='{mode}'"),
                format!("postgres:///d?host=/tmp&sslmode={mode}"),
            ] {
                let servers = servers(&url);
                assert_eq!(servers.hosts()[0].get_hosts(), [Host::Unix("/tmp".into())]);
                assert_eq!(servers.attempts(&servers.hosts()[0]), [SslMode::Disable]);
            }
        }
        let both = servers("host=/tmp,h sslmode=require");
        assert_eq!(both.attempts(&both.hosts()[0]), [SslMode::Disable]);
        assert_eq!(both.attempts(&both.hosts()[1]), [SslMode::Require]);
        for url in [
            "host=/tmp,h sslmode=verify-ca",
            "host=/tmp hostaddr=127.0.0.1 sslmode=verify-full",
        ] {
            let error = crate::db::resolve(Some(url), &|_| None, "c").unwrap_err();
            assert!(error.contains("sslrootcert="), "{error}");
        }
    }

    #[test]
    fn the_host_that_took_us_last_is_tried_first_when_only_one_takes_writes() {
        let any = servers("host=a,b,c user=u");
        let writing = any.clone().that_take_writes().unwrap();
        any.last.store(1, Ordering::Relaxed);
        assert_eq!(any.order(), [0, 1, 2]);
        assert_eq!(writing.order(), [1, 2, 0]);
    }

    #[test]
    fn a_worker_cannot_be_told_to_look_for_a_server_that_only_reads() {
        let reading = servers("host=a user=u target_session_attrs=read-only");
        assert!(
            reading
                .that_take_writes()
                .unwrap_err()
                .contains("read-only")
        );
    }
}
