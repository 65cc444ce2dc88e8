//! What protects and what is refused, by settings and by certificate.

use conductor_tests::harness::tls::{HOST, Signed};

use super::server::*;

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
