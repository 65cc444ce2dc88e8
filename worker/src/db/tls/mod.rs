//! TLS to the server, with libpq's settings and their meaning.

mod files;
mod settings;
mod trouble;
mod watched;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

pub use files::is_private;
pub use settings::{Mode, SETTINGS, Wanted};
pub use trouble::of_error;
use watched::{Level, Watched};

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// What encrypts: named wherever it is needed, so that no other part of the program can exchange it.
fn provider() -> &'static Arc<CryptoProvider> {
    &PROVIDER
}

/// How a connection that was made is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protection {
    /// It does not leave this machine.
    pub local: bool,
    tls: Option<(&'static str, Level)>,
}

impl Protection {
    /// Whether what is said can be read on the way.
    pub fn is_open(&self) -> bool {
        !self.local && self.tls.is_none()
    }

    /// Whether somebody on the way could be taken for the server.
    pub fn is_unproved(&self) -> bool {
        !self.local && !matches!(self.tls, Some((_, Level::Name)))
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tls {
            Some((version, Level::Name)) => write!(f, "{version}, certificate and name verified"),
            Some((version, Level::Authority)) => {
                write!(
                    f,
                    "{version}, certificate verified, but not for which host it is"
                )
            }
            Some((version, Level::Nothing)) => write!(f, "{version}, certificate not verified"),
            None if self.local => f.write_str("without TLS, within this machine"),
            None => {
                f.write_str("without TLS: passwords and whatever is said can be read on the way")
            }
        }
    }
}

/// One attempt to connect: whether with TLS, and what watches the greeting.
pub struct Attempt {
    pub ssl_mode: SslMode,
    pub connector: MakeRustlsConnect,
    watch: Arc<Watched>,
}

impl Attempt {
    /// How the connection that was made is protected.
    pub fn protection(&self, local: bool) -> Protection {
        let tls = self
            .watch
            .version()
            .map(|version| (version, self.watch.level()));
        Protection { local, tls }
    }
}

impl Wanted {
    /// With and without TLS, in this order: a later one only when the server would not have the one before.
    pub fn attempts(&self) -> &'static [SslMode] {
        match self.mode {
            Mode::Disable => &[SslMode::Disable],
            Mode::Allow => &[SslMode::Disable, SslMode::Require],
            Mode::Prefer => &[SslMode::Prefer, SslMode::Disable],
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => &[SslMode::Require],
        }
    }

    /// Prepares an attempt, reading the files that it needs. An error is one line with what to do.
    pub fn attempt(&self, ssl_mode: SslMode) -> Result<Attempt, String> {
        let with_tls = ssl_mode != SslMode::Disable;
        let judge = if with_tls { files::judge(self)? } else { None };
        let level = match (&judge, self.mode) {
            (Some(_), Mode::VerifyFull) => Level::Name,
            (Some(_), _) => Level::Authority,
            (None, _) => Level::Nothing,
        };
        let watch = Arc::new(Watched::new(judge, level));
        let builder = ClientConfig::builder_with_provider(provider().clone())
            .with_protocol_versions(&self.versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(watch.clone());
        let mut config = match self.identity.as_ref().filter(|_| with_tls) {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = files::identity(identity)?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    format!("the client certificate and its key cannot be used: {error}")
                })?
            }
        };
        config.enable_sni = self.sni;
        // A session that goes on from a former one would not be looked at.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Attempt {
            ssl_mode,
            connector: MakeRustlsConnect::new(config),
            watch,
        })
    }
}

/// Whether connections to these addresses stay within this machine.
pub fn is_local(address: &IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_or_proves_nothing_is_told_only_of_a_line_that_leaves_the_machine() {
        let of = |local, tls| {
            let protection = Protection { local, tls };
            (protection.is_open(), protection.is_unproved())
        };
        assert_eq!(of(true, None), (false, false));
        assert_eq!(of(false, None), (true, true));
        for (level, unproved) in [
            (Level::Nothing, true),
            (Level::Authority, true),
            (Level::Name, false),
        ] {
            assert_eq!(of(false, Some(("TLS 1.3", level))), (false, unproved));
            assert_eq!(of(true, Some(("TLS 1.3", level))), (false, false));
        }
    }

    #[test]
    fn this_machine_is_where_its_own_addresses_lead() {
        for here in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(is_local(&here.parse().unwrap()), "{here}");
        }
        for elsewhere in ["10.0.0.1", "192.168.1.1", "::", "2001:db8::1"] {
            assert!(!is_local(&elsewhere.parse().unwrap()), "{elsewhere}");
        }
    }
}
