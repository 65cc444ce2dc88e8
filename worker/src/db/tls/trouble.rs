//! What people are told when a connection cannot be protected as they asked.

use std::error::Error as _;
use std::io;

use rustls::pki_types::UnixTime;
use rustls::{CertificateError, Error};

use crate::db::failure::Failure;

/// What the driver says of a server that answers that it has no TLS.
const NO_TLS: &str = "server does not support TLS";
/// And before whatever goes wrong in the greeting.
const GREETING: &str = "error performing TLS handshake";

/// The failure, if TLS is what went wrong with this host.
pub fn of_error(error: &tokio_postgres::Error, host: &str) -> Option<Failure> {
    let source = error.source();
    let of_tls = source
        .and_then(|source| source.downcast_ref::<io::Error>())
        .and_then(io::Error::get_ref)
        .and_then(|inner| inner.downcast_ref::<Error>());
    if let Some(error) = of_tls {
        return Some(told(error, host));
    }
    if !error.to_string().starts_with(GREETING) {
        return None;
    }
    let cause = source.map(ToString::to_string).unwrap_or_default();
    Some(if cause == NO_TLS {
        unprotected(
            "the server offers no TLS, and sslmode asks for it: nothing was sent",
            "switch it on there (ssl = on); if it is on, somebody on the way says that it is not",
        )
    } else {
        unprotected(
            format!("the TLS greeting broke off: {cause}"),
            "the server's log says why; does it speak TLS 1.2 or 1.3?",
        )
    })
}

fn told(error: &Error, host: &str) -> Failure {
    use CertificateError as Of;
    let Error::InvalidCertificate(of) = error else {
        return match error {
            Error::AlertReceived(alert) => unprotected(
                format!("the server ended the TLS greeting: {alert:?}"),
                "if it wants a client certificate, name one that it trusts with sslcert= and sslkey=",
            ),
            Error::InvalidMessage(_) => unprotected(
                "what answers there does not speak TLS",
                "correct host and port",
            ),
            _ => unprotected(
                format!("no TLS connection: {error}"),
                "the server must speak TLS 1.2 or 1.3 (ssl_min_protocol_version, ssl_max_protocol_version)",
            ),
        };
    };
    match of {
        Of::UnknownIssuer | Of::BadSignature => unprotected(
            "the server's certificate is of an authority that is not trusted here",
            "name its authority's certificate with sslrootcert= (PGSSLROOTCERT); if that is named, this is not the \
             server that you mean",
        ),
        Of::Expired => unprotected("the server's certificate has expired", RENEW),
        Of::ExpiredContext { time, not_after } => unprotected(
            format!(
                "the server's certificate has expired, {}",
                ago(*time, *not_after)
            ),
            RENEW,
        ),
        Of::NotValidYet | Of::NotValidYetContext { .. } => {
            unprotected("the server's certificate is not valid yet", RENEW)
        }
        Of::NotValidForName => not_for(host, &[]),
        Of::NotValidForNameContext { presented, .. } => not_for(host, presented),
        Of::Revoked => unprotected(
            "the server's certificate was revoked",
            "give the server a new one",
        ),
        Of::UnknownRevocationStatus
        | Of::ExpiredRevocationList
        | Of::ExpiredRevocationListContext { .. } => unprotected(
            format!("whether the server's certificate was revoked is not known: {of:?}"),
            "bring the list that sslcrl names (or ~/.postgresql/root.crl) up to date, with one of each authority",
        ),
        other => unprotected(
            format!("the server's certificate is not taken: {other:?}"),
            "it must be of X.509 version 3, with its names in subjectAltName, and not an authority's own \
             (basicConstraints CA:FALSE)",
        ),
    }
}

const RENEW: &str = "renew it on the server, or correct the clock of this machine";

fn not_for(host: &str, presented: &[String]) -> Failure {
    // As webpki prints them: DnsName("a").
    let names: Vec<&str> = presented
        .iter()
        .map(|name| name.split('"').nth(1).unwrap_or(name))
        .collect();
    let others = match names.as_slice() {
        [] => ": it has no subjectAltName".to_owned(),
        names => format!(", but for {}", names.join(", ")),
    };
    unprotected(
        format!("the server's certificate is not for {host}{others}"),
        "say host= as the certificate does (hostaddr= may say where that is), or give the server one with this name in \
         subjectAltName",
    )
}

fn ago(now: UnixTime, end: UnixTime) -> String {
    let seconds = now.as_secs().saturating_sub(end.as_secs());
    match seconds / (24 * 60 * 60) {
        0 => "today".into(),
        1 => "a day ago".into(),
        days => format!("{days} days ago"),
    }
}

fn unprotected(reason: impl Into<String>, cure: impl Into<String>) -> Failure {
    Failure::Unprotected {
        reason: reason.into(),
        cure: cure.into(),
    }
}
