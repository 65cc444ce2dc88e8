//! Which server, from a connection string, the `PG*` variables and the password file, as psql does it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Where Debian's servers, and then everybody else's, put their socket.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// Makes the connection settings. `url` wins over the environment, both over the defaults.
///
/// Keepalives and limits are always set: the driver's own defaults are two hours and none at all. An error is one
/// line and holds no password.
pub fn resolve(
    url: Option<&str>,
    env: &dyn Fn(&str) -> Option<String>,
    application: &str,
) -> Result<Config, String> {
    let mut config = match url {
        Some(url) => {
            Config::from_str(url).map_err(|e| format!("bad connection string: {}", causes(&e)))?
        }
        None => Config::new(),
    };
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        match env("PGHOST") {
            Some(hosts) => hosts.split(',').for_each(|host| {
                config.host(host);
            }),
            None => {
                config.host(default_host());
            }
        }
    }
    if config.get_ports().is_empty() {
        for port in env("PGPORT").iter().flat_map(|ports| ports.split(',')) {
            let port = port
                .parse()
                .map_err(|_| format!("PGPORT is not a port: {port:?}"))?;
            config.port(port);
        }
    }
    if config.get_user().is_none()
        && let Some(user) = env("PGUSER")
    {
        config.user(user);
    }
    if config.get_dbname().is_none()
        && let Some(name) = env("PGDATABASE")
    {
        config.dbname(name);
    }
    if config.get_options().is_none()
        && let Some(options) = env("PGOPTIONS")
    {
        config.options(options);
    }
    if config.get_password().is_none() {
        if let Some(password) = env("PGPASSWORD") {
            config.password(password);
        } else if let Some(password) =
            password_file(&env).and_then(|file| from_password_file(&file, &config))
        {
            config.password(password);
        }
    }
    if config.get_application_name().is_none() {
        config.application_name(application);
    }
    set_limits(&mut config);
    Ok(config)
}

fn set_limits(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(10));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(30));
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_idle(Duration::from_secs(20));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
    }
}

fn default_host() -> &'static str {
    SOCKET_FOLDERS
        .into_iter()
        .find(|folder| Path::new(folder).join(".s.PGSQL.5432").exists())
        .unwrap_or(SOCKET_FOLDERS[0])
}

/// The server as a person would name it, without user or password: `db.example.org:5432/shop`.
pub fn shown(config: &Config) -> String {
    let port_of = |index: usize| {
        let ports = config.get_ports();
        ports
            .get(index)
            .or_else(|| ports.first())
            .copied()
            .unwrap_or(5432)
    };
    let mut hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| match host {
            Host::Tcp(name) => format!("{name}:{}", port_of(index)),
            Host::Unix(folder) => format!("{}:{}", folder.display(), port_of(index)),
        })
        .collect();
    if hosts.is_empty() {
        let addresses = config.get_hostaddrs().iter().enumerate();
        hosts = addresses
            .map(|(index, address)| format!("{address}:{}", port_of(index)))
            .collect();
    }
    match config.get_dbname().or(config.get_user()) {
        Some(name) => format!("{}/{name}", hosts.join(",")),
        None => hosts.join(","),
    }
}

fn password_file(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    env("PGPASSFILE")
        .map(PathBuf::from)
        .or_else(|| env("HOME").map(|home| Path::new(&home).join(".pgpass")))
}

/// The first line `host:port:database:user:password` that fits; a file others may read is passed over, as psql does.
fn from_password_file(file: &Path, config: &Config) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        return None;
    }
    let text = std::fs::read_to_string(file).ok()?;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        _ => "localhost".to_owned(),
    };
    let port = config
        .get_ports()
        .first()
        .copied()
        .unwrap_or(5432)
        .to_string();
    let user = config.get_user()?;
    let database = config.get_dbname().unwrap_or(user);
    let wanted = [host.as_str(), port.as_str(), database, user];
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let fields = split_unescaped(line);
            let fits = fields.len() == 5
                && fields
                    .iter()
                    .zip(wanted)
                    .all(|(field, want)| field == "*" || field == want);
            fits.then(|| fields[4].clone())
        })
}

/// Splits at colons; a backslash takes the character after it as it stands.
fn split_unescaped(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ':' => fields.push(String::new()),
            '\\' => fields
                .last_mut()
                .expect("never empty")
                .extend(characters.next()),
            _ => fields.last_mut().expect("never empty").push(c),
        }
    }
    fields
}

fn causes(error: &tokio_postgres::Error) -> String {
    use std::error::Error;
    error
        .source()
        .map_or_else(|| error.to_string(), |cause| cause.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn environment(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> + use<> {
        let map: HashMap<String, String> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        move |name| map.get(name).cloned()
    }

    #[test]
    fn the_url_wins_and_the_environment_fills_what_it_leaves_out() {
        let env = environment(&[
            ("PGHOST", "elsewhere"),
            ("PGPORT", "6000"),
            ("PGUSER", "ann"),
            ("PGPASSWORD", "pw"),
        ]);
        let config = resolve(Some("host=db.example.org dbname=shop"), &env, "conductor").unwrap();
        assert_eq!(shown(&config), "db.example.org:6000/shop");
        assert_eq!(config.get_user(), Some("ann"));
        assert_eq!(config.get_password(), Some("pw".as_bytes()));
        assert_eq!(config.get_application_name(), Some("conductor"));
    }

    #[test]
    fn several_hosts_keep_their_own_ports() {
        let url = "host=a,b port=5433,5434 dbname=shop target_session_attrs=read-write";
        let config = resolve(Some(url), &environment(&[]), "conductor").unwrap();
        assert_eq!(shown(&config), "a:5433,b:5434/shop");
    }

    #[test]
    fn limits_are_set_unless_the_url_sets_them() {
        let config = resolve(Some("postgres://h/d"), &environment(&[]), "conductor").unwrap();
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(10)));
        assert_eq!(
            config.get_tcp_user_timeout(),
            Some(&Duration::from_secs(30))
        );
        assert_eq!(config.get_keepalives_idle(), Duration::from_secs(20));
        let config = resolve(
            Some("postgres://h/d?connect_timeout=3"),
            &environment(&[]),
            "c",
        )
        .unwrap();
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
    }

    #[test]
    fn an_error_names_the_setting_and_no_password() {
        let error = resolve(
            Some("postgres://u:secret@h/d?colour=red"),
            &environment(&[]),
            "c",
        )
        .unwrap_err();
        assert!(
            error.contains("colour") && !error.contains("secret"),
            "{error}"
        );
        let error = resolve(None, &environment(&[("PGPORT", "x1")]), "c").unwrap_err();
        assert!(error.contains("PGPORT"), "{error}");
    }

    #[test]
    fn the_password_file_is_read_when_only_its_owner_may() {
        use std::os::unix::fs::PermissionsExt;
        let file = std::env::temp_dir().join(format!("conductor-pgpass-{}", uuid::Uuid::new_v4()));
        std::fs::write(&file, "# mine\nother:*:*:*:no\nh:5432:d:*:pa\\:ss\n").unwrap();
        let env = environment(&[("PGPASSFILE", file.to_str().unwrap())]);
        let password = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let config = resolve(Some("postgres://u@h/d"), &env, "c").unwrap();
            config.get_password().map(<[u8]>::to_vec)
        };
        let (open, closed) = (password(0o644), password(0o600));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(open, None);
        assert_eq!(closed, Some(b"pa:ss".to_vec()));
    }
}
