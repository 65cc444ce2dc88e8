//! A model's server over TLS: its certificate must be vouched for.

use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use super::server::{ANSWER, EVENTS, MODEL, QUESTION, request, send, upstream, whole};
use conductor_worker::relay::Relay;

/// Serves one answer for ever under a certificate for `name`; its port, and the certificate of its authority.
async fn serve(name: &str) -> (u16, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = tokio_rustls::rustls::crypto::ring::default_provider();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut asked = vec![0; 64 << 10];
                if stream.read(&mut asked).await.is_ok_and(|read| read > 0) {
                    let _ = stream
                        .write_all(format!("{EVENTS}{ANSWER}").as_bytes())
                        .await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    (port, authority)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_refused_with_the_cure() {
    let (port, _) = serve("localhost").await;
    let base_url = format!("https://localhost:{port}/v1");
    let error = upstream(&base_url).reach().await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains(&base_url) && error.contains("SSL_CERT_FILE"),
        "{error}"
    );
    let relay = Relay::start(upstream(&base_url), MODEL).await.unwrap();
    let (status, _, said) = whole(send(request(&relay, QUESTION)).await).await;
    assert!(
        status == 502 && said.contains("SSL_CERT_FILE"),
        "{status} {said}"
    );
    let given_up = relay.activity().seen().given_up.unwrap();
    assert!(
        !given_up.ours && given_up.message.contains("SSL_CERT_FILE"),
        "{given_up:?}"
    );
}

/// Not a test of its own: `a_certificate_of_a_known_authority_is_accepted` runs it with another environment.
#[tokio::test(flavor = "multi_thread")]
async fn in_an_environment_of_its_own() {
    let Ok(base_url) = std::env::var("CONDUCTOR_TEST_UPSTREAM") else {
        return;
    };
    match std::env::var("CONDUCTOR_TEST_NAME").as_deref() {
        Ok("wrong") => {
            let error = upstream(&base_url).reach().await.unwrap_err().to_string();
            assert!(error.contains("not valid for name"), "{error}");
        }
        _ => {
            upstream(&base_url).reach().await.unwrap();
            let relay = Relay::start(upstream(&base_url), MODEL).await.unwrap();
            let (status, _, body) = whole(send(request(&relay, QUESTION)).await).await;
            assert_eq!((status, body.as_str()), (200, ANSWER));
        }
    }
    println!("it was so");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_known_authority_is_accepted_for_its_own_name_alone() {
    for (name, outcome) in [("localhost", "right"), ("other.example", "wrong")] {
        let (port, authority) = serve(name).await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), authority).unwrap();
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new(program);
        command
            .args([
                "--exact",
                "tls::in_an_environment_of_its_own",
                "--nocapture",
            ])
            .env("SSL_CERT_FILE", file.path())
            .env(
                "CONDUCTOR_TEST_UPSTREAM",
                format!("https://localhost:{port}/v1"),
            )
            .env("CONDUCTOR_TEST_NAME", outcome);
        let ran = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(
            ran.status.success() && said.contains("it was so"),
            "{name}: {ran:?}"
        );
    }
}
