//! TLS to the server, with real certificates and a real server: what protects, what is refused, and what a worker does.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::tls::{Authority, First, HOST, NUMBER, Signed, Tap};
use conductor_tests::harness::worker::children;
use conductor_tests::harness::{Cluster, Conductor, Launch, Setup, tools};
use conductor_tests::scripted::{Part, Reply, Rule, Script};
use conductor_worker::db::{self, Db, Failure};

const SOON: Duration = Duration::from_secs(30);
/// Nothing else is called so: wherever it is found it has leaked.
const PASSWORD: &str = "Kestrel-4711-Xylophon";

const LINES: &str = "hostssl all certified 127.0.0.1/32 cert
hostssl all sealed,conductor_worker 127.0.0.1/32 scram-sha-256
hostnossl all open 127.0.0.1/32 scram-sha-256
host all either 127.0.0.1/32 scram-sha-256
";

/// The server of this program, its authority, another one, and a folder with their certificates.
struct Sealed {
    cluster: &'static Cluster,
    authority: Authority,
    folder: PathBuf,
}

static SEALED: OnceLock<Sealed> = OnceLock::new();

fn sealed() -> &'static Sealed {
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
    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Settings with the file names filled in.
    fn settings(&self, settings: &str) -> String {
        settings
            .replace("OURS", &self.file("ours.crt"))
            .replace("OTHERS", &self.file("others.crt"))
    }
}

/// Connects as the commands do; how the connection is protected.
async fn connect(url: &str, env: &[(&str, &str)]) -> Result<String, String> {
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

const OPEN: Result<&str, &str> = Ok("without TLS, within this machine");
const UNVERIFIED: Result<&str, &str> = Ok("TLS 1.3, certificate not verified");
const AUTHORITY: Result<&str, &str> =
    Ok("TLS 1.3, certificate verified, but not for which host it is");
const FULL: Result<&str, &str> = Ok("TLS 1.3, certificate and name verified");
const UNTRUSTED: Result<&str, &str> = Err("an authority that is not trusted here");

fn as_wanted(what: &str, found: Result<String, String>, wanted: Result<&str, &str>) {
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

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_protects_as_it_does_in_libpq() {
    let sealed = sealed();
    let port = sealed.cluster.port();
    for (user, settings, wanted) in [
        (
            "sealed",
            "host=localhost sslmode=disable",
            Err("no encryption"),
        ),
        ("sealed", "host=localhost sslmode=allow", UNVERIFIED),
        ("sealed", "host=localhost", UNVERIFIED),
        ("sealed", "host=localhost sslmode=require", UNVERIFIED),
        ("sealed", "hostaddr=127.0.0.1 sslmode=require", UNVERIFIED),
        (
            "sealed",
            "host=localhost sslmode=require sslrootcert=OURS",
            AUTHORITY,
        ),
        (
            "sealed",
            "host=localhost sslmode=verify-ca sslrootcert=OURS",
            AUTHORITY,
        ),
        (
            "sealed",
            "host=localhost sslmode=verify-ca sslrootcert=OTHERS",
            UNTRUSTED,
        ),
        (
            "sealed",
            "host=localhost sslmode=require sslrootcert=OTHERS",
            UNTRUSTED,
        ),
        (
            "sealed",
            "host=127.0.0.1 sslmode=verify-full sslrootcert=OURS",
            FULL,
        ),
        (
            "sealed",
            "host=127.0.0.1 sslmode=verify-full sslrootcert=OTHERS",
            UNTRUSTED,
        ),
        (
            "sealed",
            "host=db.example.org hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=OURS",
            FULL,
        ),
        (
            "sealed",
            "host=localhost sslmode=verify-full sslrootcert=OURS",
            Err("not for localhost, but for db.example.org"),
        ),
        (
            "sealed",
            "host=www.example.org hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=OURS",
            Err("not for www.example.org"),
        ),
        // A certificate that proves nothing leaves `prefer` without TLS, as in libpq, where the server has that.
        ("either", "host=localhost sslrootcert=OTHERS", OPEN),
        (
            "sealed",
            "host=localhost sslrootcert=OTHERS",
            Err("no encryption"),
        ),
        // Where the server takes somebody only without TLS.
        ("open", "host=localhost", OPEN),
        ("open", "host=localhost sslmode=allow", OPEN),
        (
            "open",
            "host=localhost sslmode=require",
            Err("SSL encryption"),
        ),
        ("either", "host=localhost sslmode=allow", OPEN),
        (
            "either",
            "host=localhost sslmode=disable channel_binding=require",
            Err("channel binding"),
        ),
        (
            "either",
            "host=localhost channel_binding=require",
            UNVERIFIED,
        ),
        (
            "sealed",
            "host=localhost sslmode=require ssl_max_protocol_version=TLSv1.2 channel_binding=require",
            Ok("TLS 1.2, certificate not verified"),
        ),
        (
            "sealed",
            "host=127.0.0.1 sslsni=0 sslmode=verify-full sslrootcert=OURS",
            FULL,
        ),
    ] {
        let url = format!(
            "port={port} dbname=postgres user={user} {}",
            sealed.settings(settings)
        );
        as_wanted(
            &format!("{user} {settings}"),
            connect(&url, &[("PGPASSWORD", PASSWORD)]).await,
            wanted,
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_and_the_environment_say_the_same_as_words() {
    let sealed = sealed();
    let port = sealed.cluster.port();
    let root = sealed.file("ours.crt");
    let address = format!(
        "postgres://sealed:{PASSWORD}@{HOST}:{port}/postgres?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={}",
        root.replace('/', "%2F")
    );
    as_wanted("an address", connect(&address, &[]).await, FULL);
    let short = format!("postgres://sealed@localhost:{port}/postgres");
    let variables = [
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", root.as_str()),
        ("PGPASSWORD", PASSWORD),
    ];
    let not_for = Err("not for localhost");
    as_wanted(
        "the environment",
        connect(&short, &variables).await,
        not_for,
    );
    // Each of several hosts by its own name, and each refusal is told.
    let two = format!(
        "host=localhost,{HOST} hostaddr=127.0.0.1,127.0.0.1 port={port} dbname=postgres user=sealed"
    );
    as_wanted("two hosts", connect(&two, &variables).await, FULL);
    let none = two.replace(HOST, "c.example.org");
    for wanted in ["not for localhost", "not for c.example.org"] {
        as_wanted("no host", connect(&none, &variables).await, Err(wanted));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_root_file_is_taken_and_makes_require_verify() {
    let sealed = sealed();
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".postgresql")).unwrap();
    let root = home.path().join(".postgresql/root.crt");
    let env = [
        ("HOME", home.path().to_str().unwrap()),
        ("PGPASSWORD", PASSWORD),
    ];
    let port = sealed.cluster.port();
    let url = format!("host=127.0.0.1 port={port} dbname=postgres user=sealed sslmode=");
    let full = format!("{url}verify-full");
    as_wanted(
        "without the file",
        connect(&full, &env).await,
        Err("there is no file"),
    );
    std::fs::copy(sealed.folder.join("ours.crt"), &root).unwrap();
    as_wanted("verify-full", connect(&full, &env).await, FULL);
    as_wanted(
        "require",
        connect(&format!("{url}require"), &env).await,
        AUTHORITY,
    );
    std::fs::copy(sealed.folder.join("others.crt"), &root).unwrap();
    as_wanted(
        "require, of another",
        connect(&format!("{url}require"), &env).await,
        UNTRUSTED,
    );
    std::fs::write(&root, "no certificate").unwrap();
    as_wanted(
        "a file of another kind",
        connect(&full, &env).await,
        Err("no certificate in PEM form"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_was_revoked_is_refused() {
    let sealed = sealed();
    let port = sealed.cluster.port();
    let env = [("PGPASSWORD", PASSWORD)];
    for (list, wanted) in [
        ("current.crl", FULL),
        ("revoked.crl", Err("was revoked")),
        ("ours.crt", Err("list of revoked certificates")),
        ("none.crl", Err("list of revoked certificates")),
    ] {
        let url = format!(
            "host=127.0.0.1 port={port} dbname=postgres user=sealed sslmode=verify-full sslrootcert={} sslcrl={}",
            sealed.file("ours.crt"),
            sealed.file(list)
        );
        as_wanted(list, connect(&url, &env).await, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_may_vouch_for_itself_unless_it_is_an_authoritys() {
    let sealed = sealed();
    let own = sealed.cluster.create_copy();
    let folder = tempfile::tempdir().unwrap();
    for (is_authority, wanted) in [(false, FULL), (true, Err("basicConstraints CA:FALSE"))] {
        let certificate = Signed::by_itself(is_authority);
        let (root, _) = certificate.write(folder.path(), "own");
        own.speak_tls(&certificate, &sealed.authority, LINES).await;
        let url = format!(
            "host=127.0.0.1 port={} dbname=postgres user=sealed sslmode=verify-full sslrootcert={}",
            own.port(),
            root.display()
        );
        let found = connect(&url, &[("PGPASSWORD", PASSWORD)]).await;
        as_wanted(&format!("{is_authority}"), found, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_may_be_the_only_way_in() {
    let sealed = sealed();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = sealed
        .authority
        .client("certified")
        .write(folder.path(), "ours");
    let foreign = Authority::new("foreign").client("certified");
    let (foreign, foreign_key) = foreign.write(folder.path(), "foreign");
    let port = sealed.cluster.port();
    let root = sealed.file("ours.crt");
    let url = format!(
        "host=127.0.0.1 port={port} dbname=postgres user=certified sslmode=verify-full sslrootcert={root}"
    );
    let with = |certificate: &Path, key: &Path| {
        format!(
            "{url} sslcert={} sslkey={}",
            certificate.display(),
            key.display()
        )
    };
    as_wanted(
        "with none",
        connect(&url, &[]).await,
        Err("client certificate"),
    );
    as_wanted(
        "with ours",
        connect(&with(&certificate, &key), &[]).await,
        FULL,
    );
    let (c, k) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    as_wanted(
        "by variables",
        connect(&url, &[("PGSSLCERT", c), ("PGSSLKEY", k)]).await,
        FULL,
    );
    let other = with(&foreign, &foreign_key);
    as_wanted(
        "of another authority",
        connect(&other, &[]).await,
        Err("client certificate"),
    );
    let mismatch = with(&certificate, &foreign_key);
    as_wanted(
        "of another key",
        connect(&mismatch, &[]).await,
        Err("cannot be used"),
    );
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    as_wanted(
        "an open key",
        connect(&with(&certificate, &key), &[]).await,
        Err("chmod 600"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_that_there_is_no_tls_is_told_nothing() {
    let sealed = sealed();
    let tap = Tap::start(sealed.cluster.port(), true).await.unwrap();
    let root = sealed.file("ours.crt");
    let url = format!(
        "host=127.0.0.1 port={} dbname=postgres user=either sslrootcert={root}",
        tap.port()
    );
    let env = [("PGPASSWORD", PASSWORD)];
    for mode in ["require", "verify-ca", "verify-full"] {
        let found = connect(&format!("{url} sslmode={mode}"), &env).await;
        as_wanted(
            mode,
            found,
            Err("offers no TLS, and sslmode asks for it: nothing was sent"),
        );
    }
    let begun = tap.begun();
    assert_eq!(begun.len(), 3, "{begun:?}");
    assert!(
        begun
            .iter()
            .all(|one| one.first == First::Tls && one.open_bytes == 0),
        "{begun:?}"
    );
    // That the same line does lead whoever asks for less into the open shows that something was to be seen.
    as_wanted(
        "prefer",
        connect(&format!("{url} sslmode=prefer"), &env).await,
        OPEN,
    );
    assert!(tap.begun()[3].open_bytes > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_is_cancelled_over_tls_too() {
    let sealed = sealed();
    let tap = Tap::start(sealed.cluster.port(), false).await.unwrap();
    let root = sealed.file("ours.crt");
    let url = format!(
        "host=127.0.0.1 port={} dbname=postgres user=sealed sslmode=verify-full sslrootcert={root} \
         application_name=slow",
        tap.port()
    );
    let env = |name: &str| (name == "PGPASSWORD").then(|| PASSWORD.to_owned());
    let db = Db::new(db::resolve(Some(&url), &env, "tests").unwrap(), 1);
    let mut session = db.session().await.unwrap();
    let slow = session
        .rows(
            Duration::from_millis(300),
            "select pg_catalog.pg_sleep(60)",
            &[],
        )
        .await;
    assert!(matches!(slow, Err(Failure::Gone(_))), "{slow:?}");
    let admin = sealed.cluster.connect("postgres").await.unwrap();
    let left = "select count(*) from pg_stat_activity where application_name = 'slow' and state = 'active'";
    let end = std::time::Instant::now() + SOON;
    while admin.query_one(left, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(std::time::Instant::now() < end, "the call is still running");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begun: Vec<First> = tap.begun().iter().map(|one| one.first).collect();
    assert_eq!(
        begun,
        [First::Tls, First::Tls],
        "the session and its cancel request"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_over_and_a_server_that_has_no_tls_any_more_are_refused() {
    let sealed = sealed();
    let own = sealed.cluster.create_copy();
    own.speak_tls(&sealed.authority.expired(), &sealed.authority, LINES)
        .await;
    let root = sealed.file("ours.crt");
    let url = format!(
        "host=127.0.0.1 port={} dbname=postgres user=sealed sslrootcert={root} sslmode=",
        own.port()
    );
    let env = [("PGPASSWORD", PASSWORD)];
    for mode in ["verify-ca", "verify-full"] {
        let found = connect(&format!("{url}{mode}"), &env).await;
        as_wanted(mode, found, Err("has expired, "));
    }
    own.switch_tls(false).await;
    for mode in ["require", "verify-full"] {
        let found = connect(&format!("{url}{mode}"), &env).await;
        as_wanted(mode, found, Err("switch it on there (ssl = on)"));
    }
}

/// A server of the test's own that takes the worker only with TLS and its password; the worker's settings name it.
async fn worker_over_tls(c: &mut Conductor) {
    let sealed = sealed();
    let own = sealed.cluster.create_copy();
    c.move_to(own).await;
    let grant = "select conductor.grant_worker('conductor_worker')";
    c.sql.execute(grant, &[]).await.unwrap();
    c.environment.database = format!(
        "postgres://conductor_worker:{PASSWORD}@{HOST}:{}/{}?hostaddr=127.0.0.1&sslmode=verify-full&sslrootcert={}",
        own.port(),
        c.database,
        sealed.file("ours.crt")
    );
}

fn held_script() -> Script {
    let first = Reply::parts([
        Part::text("## Answer\nIt is "),
        Part::stall("gate"),
        Part::text("so.\n"),
    ]);
    Script::of([Rule::persona("research-analyst", [first])])
}

#[test]
fn a_worker_runs_a_whole_run_over_tls_and_finds_its_way_back_to_a_server_that_was_started_again() {
    sealed();
    let setup = Setup::new().script(held_script()).without_worker();
    setup.run(async |c| {
        worker_over_tls(c).await;
        c.start_worker();
        c.said("listening, the doorbell rings", 1, SOON).await;
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        let sessions = "select count(*), count(*) filter (where s.ssl and s.version = 'TLSv1.3')
            from pg_stat_activity a join pg_stat_ssl s using (pid) where a.usename = 'conductor_worker'";
        let row = c.sql.query_one(sessions, &[]).await.unwrap();
        let (all, with_tls): (i64, i64) = (row.get(0), row.get(1));
        assert!(all >= 2 && all == with_tls, "{with_tls} of {all} sessions speak TLS");
        c.cluster.stop();
        c.cluster.start();
        c.reconnect().await;
        c.said("listening, the doorbell rings", 2, SOON).await;
        c.model.control().release(Some("gate"));
        c.completed(run, LONG).await;
        assert_eq!(c.step(run, "sources").await.attempts, 1);
    });
}

#[test]
fn a_worker_waits_for_a_server_whose_certificate_it_does_not_take() {
    sealed();
    Setup::new().without_worker().run(async |c| {
        worker_over_tls(c).await;
        let sealed = sealed();
        c.cluster
            .speak_tls(&sealed.authority.expired(), &sealed.authority, LINES)
            .await;
        c.reconnect().await;
        c.start_worker();
        c.said("the server's certificate has expired", 1, SOON)
            .await;
        c.cluster
            .speak_tls(&sealed.authority.server(), &sealed.authority, LINES)
            .await;
        c.reconnect().await;
        c.said("listening, the doorbell rings", 1, SOON).await;
    });
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn commands_say_how_the_connection_is_protected_and_why_there_is_none() {
    sealed();
    Setup::new().without_worker().run(async |c| {
        worker_over_tls(c).await;
        let doctor = text(&c.environment.run(&["doctor"], LONG).stdout);
        let line = "✓ connection: TLS 1.3, certificate and name verified";
        assert!(doctor.contains(line), "{doctor}");
        assert!(
            doctor.contains("doorbell: a notification arrives"),
            "{doctor}"
        );
        assert!(!doctor.contains(PASSWORD), "{doctor}");
        // The system's authorities are those that this file holds; without it none of them knows ours.
        let system = c
            .environment
            .database
            .split("&sslmode")
            .next()
            .unwrap()
            .to_owned();
        c.environment.database = format!("{system}&sslrootcert=system");
        let file = sealed().file("ours.crt");
        c.environment.variables = vec![("SSL_CERT_FILE".into(), file)];
        let doctor = text(&c.environment.run(&["doctor"], LONG).stdout);
        assert!(doctor.contains(line), "{doctor}");
        c.environment.variables.clear();
        let history = c.environment.run(&["history"], SOON);
        let said = text(&history.stderr);
        assert_eq!(history.status.code(), Some(2), "{said}");
        assert!(
            said.contains("not trusted here\nhint: name its authority's"),
            "{said}"
        );
        assert!(!said.contains(PASSWORD), "{said}");
    });
}

#[test]
fn a_password_on_the_command_line_is_refused_before_anything_is_connected() {
    sealed();
    Setup::new().without_worker().run(async |c| {
        let tap = Tap::start(c.cluster.port(), false).await.unwrap();
        let url = format!(
            "postgres://either:{PASSWORD}@127.0.0.1:{}/postgres",
            tap.port()
        );
        for command in ["worker", "doctor", "history"] {
            let output = c.environment.run(&[command, "--database", &url], SOON);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{command}: {said}");
            assert!(
                said.contains("PGPASSWORD") && !said.contains(PASSWORD),
                "{said}"
            );
        }
        assert_eq!(tap.begun(), []);
        // That the line was there to be used: the same address is taken from the environment.
        c.environment.database = url;
        c.environment.run(&["history"], SOON);
        assert_eq!(tap.begun().len(), 1);
    });
}

#[test]
fn the_database_password_reaches_no_child_and_stands_nowhere() {
    sealed();
    let setup = Setup::new().script(held_script()).without_worker();
    setup.run(async |c| {
        c.shop("shop").await;
        worker_over_tls(c).await;
        c.environment.variables = vec![
            ("CONDUCTOR_LOG".into(), "trace".into()),
            ("PGPASSWORD".into(), PASSWORD.into()),
        ];
        c.start_worker();
        let run = c
            .launch(Launch::new("research", "Is it so?").on("shop"))
            .await;
        c.held("gate", LONG).await;
        let worker = c.worker().pid();
        let started = children(c.folder(), worker);
        assert!(!started.is_empty(), "a child is held");
        for process in &started {
            for part in ["environ", "cmdline"] {
                let bytes =
                    std::fs::read(format!("/proc/{}/{part}", process.pid)).unwrap_or_default();
                assert!(!text(&bytes).contains(PASSWORD), "{part} of {process:?}");
            }
        }
        let arguments = std::fs::read(format!("/proc/{worker}/cmdline")).unwrap();
        assert!(!text(&arguments).contains(PASSWORD));
        // That it is looked for in the right way: the worker itself was given it.
        let given = std::fs::read(format!("/proc/{worker}/environ")).unwrap_or_default();
        assert!(given.is_empty() || text(&given).contains(PASSWORD));
        c.model.control().release(Some("gate"));
        c.completed(run, LONG).await;
        c.stop_worker();
        let log = std::fs::read_to_string(c.environment.log()).unwrap();
        assert!(
            log.contains("TRACE") && log.contains("DEBUG"),
            "it was logged in detail"
        );
        assert!(!log.contains(PASSWORD), "the worker's log");
        let doctor = c.environment.run(&["doctor", "--json"], LONG);
        for said in [&doctor.stdout, &doctor.stderr] {
            assert!(!text(said).contains(PASSWORD), "doctor");
        }
        let dump = std::process::Command::new(tools::postgres_programs().unwrap().join("pg_dump"))
            .arg(c.cluster.url(&c.database))
            .output()
            .unwrap();
        let dump = text(&dump.stdout);
        assert!(dump.contains("It is so."), "the dump holds the run");
        assert!(!dump.contains(PASSWORD), "the dump");
        let jobs = walk(&c.environment.state());
        assert!(!jobs.is_empty());
        for file in jobs {
            let bytes = std::fs::read(&file).unwrap_or_default();
            assert!(!text(&bytes).contains(PASSWORD), "{}", file.display());
        }
    });
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(&entry.path()),
            Ok(kind) if kind.is_file() => vec![entry.path()],
            _ => Vec::new(),
        })
        .collect()
}
