//! Client certificates, and what goes over the line.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use conductor_tests::harness::tls::{Authority, First, Tap};
use conductor_worker::db::{self, Db, Failure};

use super::server::*;

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
