//! Judges the server's certificate as strictly as the settings ask, and remembers that it was asked.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::provider;

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Only that the server has the key of the certificate that it shows, whosever that is.
    Nothing,
    /// That an authority vouches for it.
    Authority,
    /// That it does so for this host.
    Name,
}

/// Watches one greeting.
#[derive(Debug)]
pub struct Watched {
    judge: Option<Arc<WebPkiServerVerifier>>,
    level: Level,
    version: OnceLock<&'static str>,
}

impl Watched {
    /// Without a judge everything is let through; `level` must be [`Level::Nothing`] then.
    pub fn new(judge: Option<Arc<WebPkiServerVerifier>>, level: Level) -> Self {
        let version = OnceLock::new();
        Watched {
            judge,
            level,
            version,
        }
    }

    /// The version of TLS, once the server has proved that it has the certificate's key.
    pub fn version(&self) -> Option<&'static str> {
        self.version.get().copied()
    }

    /// What was verified.
    pub fn level(&self) -> Level {
        self.level
    }
}

impl ServerCertVerifier for Watched {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(judge) = &self.judge else {
            return match self.level {
                Level::Nothing => Ok(ServerCertVerified::assertion()),
                _ => Err(CertificateError::UnknownIssuer.into()),
            };
        };
        match judge.verify_server_cert(certificate, between, host, ocsp, now) {
            // The name is looked at last: everything else was found right.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.level == Level::Authority => Ok(ServerCertVerified::assertion()),
            judged => judged,
        }
    }

    // Never left out: channel binding trusts that the server has the key of the certificate.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        let valid = verify_tls12_signature(message, certificate, signed, algorithms)?;
        let _ = self.version.set("TLS 1.2");
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        let valid = verify_tls13_signature(message, certificate, signed, algorithms)?;
        let _ = self.version.set("TLS 1.3");
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
