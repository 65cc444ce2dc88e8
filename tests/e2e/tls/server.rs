//! The server that speaks TLS, its certificates, and how a connection to it is judged.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use conductor_tests::harness::Cluster;
use conductor_tests::harness::tls::{Authority, NUMBER};
use conductor_worker::db::{self, Db};

pub const SOON: Duration = Duration::from_secs(30);
/// Nothing else is called so: wherever it is found it has leaked.
pub const PASSWORD: &str = "Kestrel-4711-Xylophon";

pub const LINES: &str = "hostssl all certified 127.0.0.1/32 cert
hostssl all sealed,conductor_worker 127.0.0.1/32 scram-sha-256
hostnossl all open 127.0.0.1/32 scram-sha-256
host all either 127.0.0.1/32 scram-sha-256
";

/// The server of this program, its authority, another one, and a folder with their certificates.
pub struct Sealed {
    pub cluster: &'static Cluster,
    pub authority: Authority,
    pub folder: PathBuf,
}

static SEALED: OnceLock<Sealed> = OnceLock::new();

pub fn sealed() -> &'static Sealed {
    SEALED.get_or_init(|| {
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(make())
        })
        .join()
        .expect("a server with TLS can be made")
    })
}

async fn make() -> Sealed {
    let cluster = Cluster::shared();
    let folder = cluster.folder().join("certificates");
    std::fs::create_dir(&folder).unwrap();
    let authority = Authority::new("ours");
    authority.write(&folder.join("ours.crt"));
    authority.revoke(NUMBER, &folder.join("revoked.crl"));
    authority.revoke(NUMBER + 1, &folder.join("current.crl"));
    Authority::new("others").write(&folder.join("others.crt"));
    let admin = cluster.connect("postgres").await.unwrap();
    for role in ["certified", "sealed", "open", "either", "conductor_worker"] {
        let create = format!("create role {role} login password '{PASSWORD}'");
        admin.batch_execute(&create).await.unwrap();
    }
    drop(admin);
    cluster
        .speak_tls(&authority.server(), &authority, LINES)
        .await;
    Sealed {
        cluster,
        authority,
        folder,
    }
}

impl Sealed {
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Settings with the file names filled in.
    pub fn settings(&self, settings: &str) -> String {
        settings
            .replace("OURS", &self.file("ours.crt"))
            .replace("OTHERS", &self.file("others.crt"))
    }
}

/// Connects as the commands do; how the connection is protected.
pub async fn connect(url: &str, env: &[(&str, &str)]) -> Result<String, String> {
    let env: HashMap<_, _> = env.iter().copied().collect();
    let get = |name: &str| env.get(name).map(|value| (*value).to_owned());
    let servers = db::resolve(Some(url), &get, "tests")?;
    let db = Db::new(servers, 1);
    let mut session = db.session().await.map_err(|failure| failure.to_string())?;
    let ssl = "select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()";
    let row = session
        .row(SOON, ssl, &[])
        .await
        .map_err(|failure| failure.to_string())?;
    let shown = session.protection().to_string();
    assert_eq!(
        row.get::<_, bool>(0),
        shown.starts_with("TLS 1."),
        "{shown}"
    );
    Ok(shown)
}

pub const OPEN: Result<&str, &str> = Ok("without TLS, within this machine");
pub const UNVERIFIED: Result<&str, &str> = Ok("TLS 1.3, certificate not verified");
pub const AUTHORITY: Result<&str, &str> =
    Ok("TLS 1.3, certificate verified, but not for which host it is");
pub const FULL: Result<&str, &str> = Ok("TLS 1.3, certificate and name verified");
pub const UNTRUSTED: Result<&str, &str> = Err("an authority that is not trusted here");

pub fn as_wanted(what: &str, found: Result<String, String>, wanted: Result<&str, &str>) {
    match (&found, wanted) {
        (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{what}"),
        (Err(found), Err(wanted)) => {
            assert!(
                found.contains(wanted) && !found.contains('\n'),
                "{what}: {found}"
            );
            assert!(!found.contains(PASSWORD), "{what}: {found}");
        }
        _ => panic!("{what}: {found:?}, not {wanted:?}"),
    }
}
