//! Which server, from a connection string, the `PG*` variables and the password file, as psql does it.

use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslNegotiation, TargetSessionAttrs};

use super::environment::{set_greeting, set_hosts, set_limits, set_names};
use super::passwords::Passwords;
use super::servers::Servers;
use super::settings;
use super::tls::{Mode, SETTINGS, Wanted};

/// Makes the connection settings. `url` wins over the environment, both over the defaults.
///
/// Keepalives and limits are always set: the driver's own defaults are two hours and none at all. An error is one
/// line and holds no password.
pub fn resolve(
    url: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
    application: &str,
) -> Result<Servers, String> {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    if env("PGSERVICE").is_some() {
        return Err("PGSERVICE is not supported: name host, port and database themselves".into());
    }
    let said = |key: &str| url.and_then(|url| settings::said(url, key));
    let session = said("target_session_attrs").or_else(|| env("PGTARGETSESSIONATTRS"));
    let session = session.as_deref().map(session_attrs).transpose()?;
    let ours: Vec<&str> = SETTINGS
        .iter()
        .map(|(key, _)| *key)
        .chain(["passfile"])
        .collect();
    let (rest, taken) = settings::take(url.unwrap_or_default(), &ours);
    let wanted = Wanted::read(&taken, &env)?;
    let mut config = Config::from_str(&rest)
        .map_err(|e| format!("bad connection string: {}", cause(&rest, &e)))?;
    let of_password = |host: &Host| matches!(host, Host::Tcp(name) if name.contains('@'));
    if config.get_hosts().iter().any(of_password) {
        return Err("bad connection string: write a @ in a user name or a password as %40".into());
    }
    set_hosts(&mut config, &env)?;
    set_names(&mut config, &env, application);
    config.target_session_attrs(session.unwrap_or(TargetSessionAttrs::Any));
    let left = |key: &str, variable: &str| env(variable).filter(|_| said(key).is_none());
    set_greeting(
        &mut config,
        left("sslnegotiation", "PGSSLNEGOTIATION").as_deref(),
        left("channel_binding", "PGCHANNELBINDING").as_deref(),
    )?;
    if config.get_ssl_negotiation() == SslNegotiation::Direct && wanted.mode < Mode::Require {
        return Err("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full".into());
    }
    set_limits(&mut config, &env)?;
    let file = taken
        .iter()
        .rev()
        .find(|(key, value)| key == "passfile" && !value.is_empty());
    let passwords = match (config.get_password(), env("PGPASSWORD")) {
        (None, Some(password)) => {
            config.password(password);
            None
        }
        (None, None) => Some(Passwords::load(file.map(|(_, file)| file.as_str()), &env)),
        (Some(_), _) => None,
    };
    Servers::new(&config, passwords.as_ref(), wanted)
}

fn session_attrs(value: &str) -> Result<TargetSessionAttrs, String> {
    match value {
        "any" => Ok(TargetSessionAttrs::Any),
        "read-write" => Ok(TargetSessionAttrs::ReadWrite),
        "read-only" => Ok(TargetSessionAttrs::ReadOnly),
        _ => Err(format!(
            "target_session_attrs={value} is not supported: say read-write, read-only or any"
        )),
    }
}

/// What the driver has against a connection string, without a part of the password.
fn cause(text: &str, error: &tokio_postgres::Error) -> String {
    use std::error::Error;
    let cause = error
        .source()
        .map_or_else(|| error.to_string(), |cause| cause.to_string());
    // What follows a space in a password is taken for a setting.
    if !text.contains("://") && settings::holds_password(text) && cause.contains("unknown option") {
        return "unknown option after the password (which needs quotes, if there is a space in it)"
            .into();
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::super::environment::CONNECT_TIMEOUT;
    use super::*;
    use std::collections::HashMap;
    use std::time::Duration;
    use tokio_postgres::config::ChannelBinding;

    fn environment(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
        let map: HashMap<String, String> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        move |name| map.get(name).cloned()
    }

    fn servers(url: &str, pairs: &[(&str, &str)]) -> Servers {
        resolve(Some(url), &environment(pairs), "conductor").unwrap()
    }

    fn first(url: &str, pairs: &[(&str, &str)]) -> Config {
        servers(url, pairs).hosts()[0].clone()
    }

    #[test]
    fn the_url_wins_and_the_environment_fills_what_it_leaves_out() {
        let pairs = [
            ("PGHOST", "elsewhere"),
            ("PGPORT", "6000"),
            ("PGUSER", "ann"),
            ("PGPASSWORD", "pw"),
            ("PGTARGETSESSIONATTRS", "read-write"),
            ("PGCONNECT_TIMEOUT", "3"),
        ];
        let servers = servers("host=db.example.org dbname=shop", &pairs);
        assert_eq!(servers.shown(), "db.example.org:6000/shop");
        let config = &servers.hosts()[0];
        assert_eq!(config.get_user(), Some("ann"));
        assert_eq!(config.get_password(), Some("pw".as_bytes()));
        assert_eq!(config.get_application_name(), Some("conductor"));
        assert_eq!(
            config.get_target_session_attrs(),
            TargetSessionAttrs::ReadWrite
        );
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        let url = "postgres://h/d?target_session_attrs=any&connect_timeout=7";
        let config = first(url, &pairs);
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::Any);
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(7)));
    }

    #[test]
    fn several_hosts_keep_their_own_ports() {
        for url in [
            "host=a,b port=5433,5434 dbname=shop target_session_attrs=read-write",
            "postgres://u@a:5433,b:5434/shop?target_session_attrs=read-write",
        ] {
            let servers = servers(url, &[]);
            assert_eq!(servers.shown(), "a:5433,b:5434/shop");
            for config in servers.hosts() {
                let attrs = config.get_target_session_attrs();
                assert_eq!(attrs, TargetSessionAttrs::ReadWrite);
            }
        }
        let pairs = [("PGHOST", "a,b"), ("PGPORT", "5433,5434"), ("PGUSER", "u")];
        let servers = resolve(None, &environment(&pairs), "c").unwrap();
        assert_eq!(servers.shown(), "a:5433,b:5434/u");
    }

    #[test]
    fn limits_are_set_unless_the_url_sets_them() {
        let config = first("postgres://h/d", &[]);
        assert_eq!(config.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
        let limit = Some(&Duration::from_secs(30));
        assert_eq!(config.get_tcp_user_timeout(), limit);
        assert_eq!(config.get_keepalives_idle(), Duration::from_secs(20));
    }

    #[test]
    fn an_error_names_the_setting_and_no_password() {
        let wrong = |url: &str| resolve(Some(url), &environment(&[]), "c").unwrap_err();
        for (url, named) in [
            ("postgres://u:secret@h/d?colour=red", "colour"),
            ("host=a,b,c port=1,2 password=secret", "2 ports"),
            (
                "postgres://u:secret@h/d?target_session_attrs=prefer-standby",
                "say read-write",
            ),
            ("postgres://u:secret@h/d?sslmode=yes", "say disable"),
            ("postgres://u:my@secret@h/d", "%40"),
            ("host=h password=my secret=1", "quotes"),
            (
                "host=h password=secret sslmode = 'verify-full'",
                "sslrootcert=",
            ),
            (
                "hostaddr=127.0.0.1 password=secret sslrootcert=system",
                "name the host",
            ),
            (
                "host=h password=secret sslnegotiation=direct",
                "sslmode=require",
            ),
            ("host=h password=secret sslcert=/none sslkey=/none", "/none"),
            ("host=h password=secret sslrootcert=/none", "/none"),
        ] {
            let error = wrong(url);
            assert!(
                error.contains(named) && !error.contains("secret"),
                "{error}"
            );
        }
        for (name, value) in [
            ("PGPORT", "x1"),
            ("PGCONNECT_TIMEOUT", "soon"),
            ("PGHOSTADDR", "here"),
            ("PGSERVICE", "shop"),
        ] {
            let error = resolve(None, &environment(&[(name, value)]), "c").unwrap_err();
            assert!(error.contains(name), "{error}");
        }
        for (name, value) in [
            ("PGSSLMODE", "yes"),
            ("PGSSLNEGOTIATION", "late"),
            ("PGCHANNELBINDING", "maybe"),
            ("PGREQUIREAUTH", "scram-sha-256"),
        ] {
            let env = environment(&[("PGHOST", "h"), (name, value)]);
            let error = resolve(None, &env, "c").unwrap_err();
            assert!(
                error.contains(value) || error.contains("require_auth"),
                "{error}"
            );
        }
    }

    #[test]
    fn how_a_connection_begins_is_said_by_the_string_before_the_environment() {
        let pairs = [
            ("PGCHANNELBINDING", "require"),
            ("PGSSLNEGOTIATION", "direct"),
            ("PGSSLMODE", "require"),
        ];
        let config = first("host=h", &pairs);
        assert_eq!(config.get_channel_binding(), ChannelBinding::Require);
        assert_eq!(config.get_ssl_negotiation(), SslNegotiation::Direct);
        let config = first(
            "host=h channel_binding=disable sslnegotiation=postgres",
            &pairs,
        );
        assert_eq!(config.get_channel_binding(), ChannelBinding::Disable);
        assert_eq!(config.get_ssl_negotiation(), SslNegotiation::Postgres);
    }

    #[test]
    fn a_password_file_may_be_named_in_the_string() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "*:*:*:*:pw").unwrap();
        let config = first(
            &format!("host=h passfile={}", file.path().display()),
            &[("PGPASSFILE", "/none")],
        );
        assert_eq!(config.get_password(), Some("pw".as_bytes()));
    }

    #[test]
    fn each_setting_of_the_environment_fills_in_by_itself() {
        let pairs = [("PGHOSTADDR", "127.0.0.9"), ("PGPORT", "5433")];
        let config = first("host=db.example.org", &pairs);
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example.org".into())]);
        assert_eq!(
            config.get_hostaddrs(),
            ["127.0.0.9".parse::<std::net::IpAddr>().unwrap()]
        );
        let config = first("hostaddr=127.0.0.1", &[("PGHOST", "name")]);
        assert_eq!(config.get_hosts(), [Host::Tcp("name".into())]);
        let servers = servers("host=a,b dbname=d", &[("PGPORT", "5433,")]);
        assert_eq!(servers.shown(), "a:5433,b:5432/d");
    }

    #[test]
    fn who_is_not_named_is_the_systems_user() {
        let config = first("host=h", &[]);
        assert_eq!(config.get_user(), Some(&*whoami::username().unwrap()));
        assert_eq!(
            first("host=h", &[("PGUSER", "ann")]).get_user(),
            Some("ann")
        );
    }

    #[test]
    fn each_host_has_its_own_password_from_a_file_that_only_its_owner_may_read() {
        use std::os::unix::fs::PermissionsExt;
        let file = std::env::temp_dir().join(format!("conductor-pgpass-{}", uuid::Uuid::new_v4()));
        std::fs::write(
            &file,
            "# mine\nother:*:*:*:no\na:5432:d:*:pa\\:ss\nb:6:d:u:second\n",
        )
        .unwrap();
        let env = environment(&[("PGPASSFILE", file.to_str().unwrap())]);
        let passwords = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let servers = resolve(Some("postgres://u@a:5432,b:6,c:7/d"), &env, "c").unwrap();
            let password = |config: &Config| config.get_password().map(<[u8]>::to_vec);
            servers.hosts().iter().map(password).collect::<Vec<_>>()
        };
        let (open, closed) = (passwords(0o644), passwords(0o600));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(open, [None, None, None]);
        assert_eq!(
            closed,
            [Some(b"pa:ss".to_vec()), Some(b"second".to_vec()), None]
        );
    }
}
