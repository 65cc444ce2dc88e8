//! Authorities, certificates, and servers that speak TLS; a line that sees how connections begin.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::cluster::{Cluster, server_user};

/// The host that the certificates of servers are for, beside this machine's address.
pub const HOST: &str = "db.example.org";
/// The number that the certificates of servers have.
pub const NUMBER: u64 = 7;

/// Whoever signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key, as text.
pub struct Signed {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    /// A new one, which nobody trusts yet.
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).expect("it signs itself").pem();
        let issuer = Issuer::new(params, key);
        Self {
            issuer,
            certificate,
        }
    }

    /// Writes its own certificate into a file.
    pub fn write(&self, file: &Path) -> PathBuf {
        std::fs::write(file, &self.certificate).expect("the file can be written");
        file.to_owned()
    }

    /// A certificate of a server for [`HOST`] and this machine's address.
    pub fn server(&self) -> Signed {
        self.sign(server_params())
    }

    /// One of which the time is over.
    pub fn expired(&self) -> Signed {
        let mut params = server_params();
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    /// Writes its list of revoked certificates, with this number on it, into a file.
    pub fn revoke(&self, number: u64, file: &Path) {
        let revoked = RevokedCertParams {
            serial_number: number.into(),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2049, 1, 1),
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer).expect("the authority signs");
        let text = list.pem().expect("it can be written as text");
        std::fs::write(file, text).expect("the file can be written");
    }

    /// A certificate of a client for this role.
    pub fn client(&self, role: &str) -> Signed {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, role);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Signed {
        let key = KeyPair::generate().expect("a key can be made");
        let signed = params.signed_by(&key, &self.issuer);
        Signed {
            certificate: signed.expect("the authority signs").pem(),
            key: key.serialize_pem(),
        }
    }
}

fn server_params() -> CertificateParams {
    let mut params = CertificateParams::new([HOST.to_owned()]).expect("a host's name");
    let here = SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
    params.subject_alt_names.push(here);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.serial_number = Some(NUMBER.into());
    params
}

impl Signed {
    /// A certificate of a server that vouches for itself, marked as an authority's or not.
    pub fn by_itself(is_authority: bool) -> Self {
        let mut params = server_params();
        if is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let key = KeyPair::generate().expect("a key can be made");
        Self {
            certificate: params.self_signed(&key).expect("it signs itself").pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes both into files of this folder, the key for its owner alone.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (
            folder.join(format!("{name}.crt")),
            folder.join(format!("{name}.key")),
        );
        std::fs::write(&certificate, &self.certificate).expect("the file can be written");
        std::fs::write(&key, &self.key).expect("the file can be written");
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("it is ours");
        (certificate, key)
    }
}

/// Superusers come without TLS from this machine, as the tests themselves do; whoever else only as these lines say.
const OWN_LINES: &str = "local all all trust
host all,replication postgres 127.0.0.1/32 trust
";

impl Cluster {
    /// Lets the server speak TLS with this certificate, ask for clients' of that authority, and take others than the
    /// superuser as these lines of `pg_hba.conf` say. It is started again for it.
    pub async fn speak_tls(&self, with: &Signed, authority: &Authority, lines: &str) {
        let data = self.folder().join("data");
        let (certificate, key) = with.write(&data, "server");
        let root = authority.write(&data.join("root.crt"));
        for file in [&certificate, &key, &root] {
            if let Some((user, group)) = server_user() {
                std::os::unix::fs::chown(file, Some(user), Some(group)).expect("we are root");
            }
        }
        std::fs::write(data.join("pg_hba.conf"), format!("{OWN_LINES}{lines}"))
            .expect("there is a folder");
        self.switch_tls(true).await;
    }

    /// Switches TLS on or off, and starts the server again.
    pub async fn switch_tls(&self, on: bool) {
        let admin = self.connect("postgres").await.expect("the server answers");
        for setting in [&format!("ssl = {on}"), "ssl_ca_file = 'root.crt'"] {
            let set = admin
                .batch_execute(&format!("alter system set {setting}"))
                .await;
            set.expect("a superuser may");
        }
        drop(admin);
        self.stop();
        self.start();
    }
}

/// What a connection asked for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    Tls,
    /// A request to cancel, which says its secret to everybody.
    OpenCancel,
    Other,
}

/// A connection that went through a line: what it asked for first, and how much was said openly after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    pub first: First,
    pub open_bytes: usize,
}

/// A line to a server that sees how connections begin, and may answer in the server's place that there is no TLS.
pub struct Tap {
    address: SocketAddr,
    begun: Arc<Mutex<Vec<Begun>>>,
    server: AbortHandle,
}

impl Tap {
    /// Listens on a free port and leads to this port of this machine.
    pub async fn start(port: u16, strip: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let begun: Arc<Mutex<Vec<Begun>>> = Arc::default();
        let seen = begun.clone();
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, port, strip, seen.clone()));
            }
        });
        let server = server.abort_handle();
        Ok(Self {
            address,
            begun,
            server,
        })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// How the connections of so far began.
    pub fn begun(&self) -> Vec<Begun> {
        self.begun.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(
    mut client: TcpStream,
    port: u16,
    strip: bool,
    seen: Arc<Mutex<Vec<Begun>>>,
) -> Option<()> {
    let mut asked = [0; 8];
    client.read_exact(&mut asked).await.ok()?;
    let first = match u32::from_be_bytes([asked[4], asked[5], asked[6], asked[7]]) {
        80_877_103 => First::Tls,
        80_877_102 => First::OpenCancel,
        _ => First::Other,
    };
    let number = {
        let mut seen = seen.lock().ok()?;
        let open_bytes = 0;
        seen.push(Begun { first, open_bytes });
        seen.len() - 1
    };
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    if strip && first == First::Tls {
        client.write_all(b"N").await.ok()?;
        let mut said = vec![0; 4 << 10];
        let count = client.read(&mut said).await.ok()?;
        seen.lock().ok()?[number].open_bytes = count;
        server.write_all(&said[..count]).await.ok()?;
    } else {
        server.write_all(&asked).await.ok()?;
    }
    copy_bidirectional(&mut client, &mut server).await.ok()?;
    Some(())
}
