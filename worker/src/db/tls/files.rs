//! The files that a connection's protection needs, read anew for each connection: certificates are renewed while a
//! worker runs.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::provider;
use super::settings::{Identity, Mode, Roots, Wanted};

/// What judges the server's certificate; none where nothing is to be verified. An error is one line with what to do.
pub fn judge(wanted: &Wanted) -> Result<Option<Arc<WebPkiServerVerifier>>, String> {
    let Some(roots) = roots(wanted)? else {
        return Ok(None);
    };
    let mut builder =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider().clone());
    if let Some(file) = &wanted.revoked {
        let lists = CertificateRevocationListDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unreadable("list of revoked certificates", file, &error))?;
        // Without one nothing would be looked up.
        if lists.is_empty() {
            let none = "it holds no such list in PEM form";
            return Err(unreadable("list of revoked certificates", file, &none));
        }
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let judge = builder.build();
    judge
        .map(Some)
        .map_err(|error| format!("the certificates of the authorities cannot be used: {error}"))
}

fn roots(wanted: &Wanted) -> Result<Option<RootCertStore>, String> {
    let file = match &wanted.roots {
        Roots::System => return of_system().map(Some),
        Roots::File(file) => file,
        Roots::Default(Some(file)) if file.exists() => file,
        Roots::Default(_) if wanted.mode < Mode::VerifyCa => return Ok(None),
        Roots::Default(file) => {
            let file = file
                .as_deref()
                .unwrap_or(Path::new("~/.postgresql/root.crt"));
            return Err(format!(
                "there is no file {} with the certificate of the authority that vouches for the server: name one with \
                 sslrootcert= (PGSSLROOTCERT), or say sslrootcert=system",
                file.display()
            ));
        }
    };
    let found = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("root certificate file", file, &error))?;
    let mut roots = RootCertStore::empty();
    for certificate in found {
        let added = roots.add(certificate);
        added.map_err(|error| unreadable("root certificate file", file, &error))?;
    }
    if roots.is_empty() {
        return Err(unreadable(
            "root certificate file",
            file,
            &"it holds no certificate in PEM form",
        ));
    }
    Ok(Some(roots))
}

fn of_system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(
            "sslrootcert=system: this machine trusts no authority (install ca-certificates, or name a file with \
             sslrootcert=)"
                .into(),
        );
    }
    Ok(roots)
}

/// Our own certificate with those between it and its authority, and its key.
pub fn identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let Identity { certificate, key } = identity;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("client certificate", certificate, &error))?;
    if chain.is_empty() {
        return Err(unreadable(
            "client certificate",
            certificate,
            &"it holds no certificate in PEM form",
        ));
    }
    let about = std::fs::metadata(key)
        .map_err(|error| unreadable("key of the client certificate", key, &error))?;
    if !is_private(&about) {
        return Err(format!(
            "the key {} may be read by others: chmod 600 {} (or 640, when it is root's)",
            key.display(),
            key.display()
        ));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        format!(
            "the key {} cannot be used: it must be in PEM form and without a passphrase ({error})",
            key.display()
        )
    })?;
    Ok((chain, key))
}

/// Whether only its owner may read a file, or root's group besides root: that is how systemd hands credentials over.
pub fn is_private(about: &Metadata) -> bool {
    let others = if about.uid() == 0 { 0o037 } else { 0o077 };
    about.is_file() && about.permissions().mode() & others == 0
}

fn unreadable(what: &str, file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("the {what} {} cannot be used: {error}", file.display())
}
