//! What is asked of a connection's protection, from the connection string and the `PGSSL*` variables, as libpq reads
//! them.

use std::path::{Path, PathBuf};

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// The settings of a connection string that are read here, and the variable that each has.
pub const SETTINGS: [(&str, &str); 18] = [
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslcrl", "PGSSLCRL"),
    ("sslsni", "PGSSLSNI"),
    ("sslcertmode", "PGSSLCERTMODE"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    ("gssencmode", "PGGSSENCMODE"),
    ("sslcompression", "PGSSLCOMPRESSION"),
    ("requiressl", "PGREQUIRESSL"),
    ("ssl", ""),
    // These are refused: to leave them out would be less than what was asked for.
    ("sslcrldir", "PGSSLCRLDIR"),
    ("sslpassword", ""),
    ("require_auth", "PGREQUIREAUTH"),
    ("requirepeer", "PGREQUIREPEER"),
    ("sslkeylogfile", ""),
];

/// How much protection is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    Disable,
    /// Without TLS, unless the server refuses that.
    Allow,
    /// With TLS, if the server has it.
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Who vouches for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// What stands in a file that was named.
    File(PathBuf),
    /// What stands in the user's own file, if there is one.
    Default(Option<PathBuf>),
    /// Whom this machine trusts.
    System,
}

/// A certificate of our own and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub mode: Mode,
    pub roots: Roots,
    pub revoked: Option<PathBuf>,
    pub identity: Option<Identity>,
    /// Whether the name of the server is told before the line is closed to others.
    pub sni: bool,
    pub versions: Vec<&'static SupportedProtocolVersion>,
}

impl Wanted {
    /// Reads what was taken out of the connection string, and the environment for the rest. An error is one line and
    /// holds no secret.
    pub fn read(
        taken: &[(String, String)],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let said = |key: &str| {
            let in_string = taken.iter().rev().find(|(name, _)| name == key);
            in_string.map(|(_, value)| value.clone()).or_else(|| {
                let (_, variable) = SETTINGS.iter().find(|(name, _)| *name == key)?;
                env(variable).filter(|value| !variable.is_empty() && !value.is_empty())
            })
        };
        let some = |key: &str| said(key).filter(|value| !value.is_empty());
        refuse_what_cannot_be_followed(&some)?;
        let home = |file: &str| {
            let home = env("HOME").filter(|home| !home.is_empty())?;
            Some(Path::new(&home).join(".postgresql").join(file))
        };
        let there = |file: Option<PathBuf>| file.filter(|file| file.exists());
        let roots = match some("sslrootcert").as_deref() {
            Some("system") => Roots::System,
            Some(file) => Roots::File(file.into()),
            None => Roots::Default(home("root.crt")),
        };
        let revoked = some("sslcrl").map(PathBuf::from);
        Ok(Wanted {
            mode: mode(&said, roots == Roots::System)?,
            roots,
            revoked: revoked.or_else(|| there(home("root.crl"))),
            identity: identity(&some, &home)?,
            sni: switch("sslsni", some("sslsni"), true)?,
            versions: versions(&some)?,
        })
    }
}

type Said<'a> = &'a dyn Fn(&str) -> Option<String>;

fn refuse_what_cannot_be_followed(some: Said<'_>) -> Result<(), String> {
    for (key, instead) in [
        (
            "sslcrldir",
            "join its files into one and name it with sslcrl",
        ),
        (
            "sslpassword",
            "take the passphrase off the key (openssl pkey -in KEY -out NEW) and let only its owner read it",
        ),
        (
            "require_auth",
            "leave it out; channel_binding=require is there",
        ),
        (
            "requirepeer",
            "leave it out, and put the socket where only the server's user may write",
        ),
        ("sslkeylogfile", "it would lay open what is said"),
    ] {
        if some(key).is_some() {
            return Err(format!("{key} is not supported: {instead}"));
        }
    }
    match some("gssencmode").as_deref() {
        None | Some("disable" | "prefer") => Ok(()),
        Some(other) => Err(format!(
            "gssencmode={other} is not supported: say disable, and use sslmode"
        )),
    }
}

fn mode(said: Said<'_>, system: bool) -> Result<Mode, String> {
    // As JDBC writes it, and as it was written before there was sslmode.
    let old = said("ssl").filter(|value| value == "true").is_some()
        || said("requiressl").filter(|value| value == "1").is_some();
    let default = if system { "verify-full" } else { "prefer" };
    let default = if old && !system { "require" } else { default };
    let value = said("sslmode").unwrap_or_else(|| default.into());
    let mode = match value.as_str() {
        "disable" => Mode::Disable,
        "allow" => Mode::Allow,
        "prefer" => Mode::Prefer,
        "require" => Mode::Require,
        "verify-ca" => Mode::VerifyCa,
        "verify-full" => Mode::VerifyFull,
        _ => {
            return Err(format!(
                "sslmode={value} is not one: say disable, allow, prefer, require, verify-ca or verify-full"
            ));
        }
    };
    if system && mode != Mode::VerifyFull {
        return Err(format!(
            "sslmode={value} is too weak for sslrootcert=system, where anybody may have a certificate of the same \
             authority: say verify-full"
        ));
    }
    Ok(mode)
}

fn identity(
    some: Said<'_>,
    home: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<Option<Identity>, String> {
    match some("sslcertmode").as_deref() {
        None | Some("allow") => {}
        Some("disable") => return Ok(None),
        Some(other) => {
            return Err(format!(
                "sslcertmode={other} is not supported: say allow or disable"
            ));
        }
    }
    let certificate = match some("sslcert") {
        Some(file) => PathBuf::from(file),
        None => match home("postgresql.crt").filter(|file| file.exists()) {
            Some(file) => file,
            None => return Ok(None),
        },
    };
    let key = some("sslkey").map(PathBuf::from);
    match key.or_else(|| home("postgresql.key")) {
        Some(key) => Ok(Some(Identity { certificate, key })),
        None => Err("sslcert is given, but no sslkey".into()),
    }
}

fn switch(key: &str, value: Option<String>, default: bool) -> Result<bool, String> {
    match value.as_deref() {
        None => Ok(default),
        Some("1") => Ok(true),
        Some("0") => Ok(false),
        Some(other) => Err(format!("{key}={other} is neither 0 nor 1")),
    }
}

fn versions(some: Said<'_>) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let rank = |key: &str, default: u8| match some(key).as_deref().map(str::to_ascii_lowercase) {
        None => Ok(default),
        Some(value) => match value.as_str() {
            "tlsv1" => Ok(0),
            "tlsv1.1" => Ok(1),
            "tlsv1.2" => Ok(2),
            "tlsv1.3" => Ok(3),
            _ => Err(format!("{key}={value} is not one: say TLSv1.2 or TLSv1.3")),
        },
    };
    let least = rank("ssl_min_protocol_version", 2)?;
    let most = rank("ssl_max_protocol_version", 3)?;
    let mut versions = vec![];
    for (number, version) in [(3, &TLS13), (2, &TLS12)] {
        if (least..=most).contains(&number) {
            versions.push(version);
        }
    }
    if versions.is_empty() {
        return Err(
            "no version of TLS is left between ssl_min_protocol_version and ssl_max_protocol_version: there are \
             TLSv1.2 and TLSv1.3"
                .into(),
        );
    }
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(taken: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Wanted, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let taken: Vec<_> = taken.iter().map(owned).collect();
        let env: std::collections::HashMap<_, _> = env.iter().map(owned).collect();
        Wanted::read(&taken, &|name: &str| env.get(name).cloned())
    }

    #[test]
    fn each_mode_is_read_from_the_string_and_then_from_the_environment() {
        let mode = |taken: &[(&str, &str)], env: &[(&str, &str)]| read(taken, env).unwrap().mode;
        for (value, wanted) in [
            ("disable", Mode::Disable),
            ("allow", Mode::Allow),
            ("prefer", Mode::Prefer),
            ("require", Mode::Require),
            ("verify-ca", Mode::VerifyCa),
            ("verify-full", Mode::VerifyFull),
        ] {
            assert_eq!(
                mode(&[("sslmode", value)], &[("PGSSLMODE", "disable")]),
                wanted
            );
            assert_eq!(mode(&[], &[("PGSSLMODE", value)]), wanted);
        }
        assert_eq!(mode(&[], &[]), Mode::Prefer);
        assert_eq!(mode(&[], &[("PGSSLMODE", "")]), Mode::Prefer);
        assert_eq!(mode(&[("ssl", "true")], &[]), Mode::Require);
        assert_eq!(mode(&[], &[("PGREQUIRESSL", "1")]), Mode::Require);
    }

    #[test]
    fn the_systems_authorities_imply_the_strongest_mode_and_take_no_weaker_one() {
        let wanted = read(&[("sslrootcert", "system")], &[]).unwrap();
        assert_eq!(
            (wanted.mode, wanted.roots),
            (Mode::VerifyFull, Roots::System)
        );
        let by_variable = read(&[], &[("PGSSLROOTCERT", "system")]).unwrap();
        assert_eq!(by_variable.mode, Mode::VerifyFull);
        for weak in ["disable", "allow", "prefer", "require", "verify-ca"] {
            let error = read(&[("sslrootcert", "system"), ("sslmode", weak)], &[]).unwrap_err();
            assert!(error.contains("say verify-full"), "{error}");
        }
    }

    #[test]
    fn files_are_looked_for_where_libpq_looks_for_them() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".postgresql");
        let env = [("HOME", home.path().to_str().unwrap())];
        let bare = read(&[], &env).unwrap();
        assert_eq!(bare.roots, Roots::Default(Some(folder.join("root.crt"))));
        assert_eq!((bare.identity, bare.revoked), (None, None));
        std::fs::create_dir(&folder).unwrap();
        for file in ["postgresql.crt", "root.crl"] {
            std::fs::write(folder.join(file), "").unwrap();
        }
        let found = read(&[], &env).unwrap();
        let identity = Identity {
            certificate: folder.join("postgresql.crt"),
            key: folder.join("postgresql.key"),
        };
        assert_eq!(found.identity, Some(identity));
        assert_eq!(found.revoked, Some(folder.join("root.crl")));
        assert_eq!(
            read(&[("sslcertmode", "disable")], &env).unwrap().identity,
            None
        );
        let named = read(
            &[("sslcert", "/c"), ("sslkey", "/k"), ("sslcrl", "/r")],
            &env,
        )
        .unwrap();
        assert_eq!(named.identity.unwrap().key, Path::new("/k"));
        assert_eq!(named.revoked, Some("/r".into()));
    }

    #[test]
    fn what_cannot_be_followed_is_refused_with_what_to_do_instead() {
        for (key, value, said) in [
            ("sslmode", "", "verify-full"),
            ("sslmode", "yes", "verify-full"),
            ("sslcrldir", "/crls", "sslcrl"),
            ("sslpassword", "geheim", "openssl pkey"),
            ("require_auth", "scram-sha-256", "channel_binding"),
            ("requirepeer", "postgres", "leave it out"),
            ("sslkeylogfile", "/keys", "lay open"),
            ("gssencmode", "require", "sslmode"),
            ("sslcertmode", "require", "allow"),
            ("sslsni", "maybe", "neither"),
            ("ssl_min_protocol_version", "SSLv3", "TLSv1.2"),
            ("ssl_max_protocol_version", "TLSv1.1", "TLSv1.3"),
        ] {
            let error = read(&[(key, value)], &[]).unwrap_err();
            assert!(error.contains(key) && error.contains(said), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
        for variable in ["PGSSLCRLDIR", "PGREQUIREAUTH", "PGREQUIREPEER"] {
            read(&[], &[(variable, "x")]).unwrap_err();
        }
        read(&[("gssencmode", "disable"), ("sslcompression", "0")], &[]).unwrap();
    }

    #[test]
    fn the_versions_are_those_between_the_least_and_the_most() {
        let versions = |taken: &[(&str, &str)]| read(taken, &[]).unwrap().versions;
        assert_eq!(versions(&[]), [&TLS13, &TLS12]);
        assert_eq!(
            versions(&[("ssl_min_protocol_version", "TLSv1")]),
            [&TLS13, &TLS12]
        );
        assert_eq!(
            versions(&[("ssl_min_protocol_version", "TLSv1.3")]),
            [&TLS13]
        );
        assert_eq!(
            versions(&[("ssl_max_protocol_version", "TLSv1.2")]),
            [&TLS12]
        );
    }
}
