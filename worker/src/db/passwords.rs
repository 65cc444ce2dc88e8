//! The password file, as psql reads it: a line for each server, database and user.

use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::address::SOCKET_FOLDERS;

/// The lines `host:port:database:user:password` that may be used; none from a file that others may read.
pub struct Passwords {
    lines: Vec<Vec<String>>,
}

impl Passwords {
    /// Reads the file that the environment names, or the one in the home folder.
    pub fn load(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let file = env("PGPASSFILE")
            .map(PathBuf::from)
            .or_else(|| env("HOME").map(|home| Path::new(&home).join(".pgpass")));
        let text = file
            .and_then(|file| read_private(&file))
            .unwrap_or_default();
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(split_unescaped)
            .filter(|fields| fields.len() == 5)
            .collect();
        Passwords { lines }
    }

    /// The password of the first line that fits this one host.
    pub fn of(&self, host: &Config) -> Option<&str> {
        let name = match (host.get_hosts().first(), host.get_hostaddrs().first()) {
            (Some(Host::Tcp(name)), _) => name.clone(),
            (Some(Host::Unix(folder)), _) => match folder.to_str() {
                Some(folder) if !SOCKET_FOLDERS.contains(&folder) => folder.to_owned(),
                _ => "localhost".to_owned(),
            },
            (None, address) => address.map(ToString::to_string)?,
        };
        let port = host.get_ports().first().copied().unwrap_or(5432);
        let user = host.get_user()?;
        let database = host.get_dbname().unwrap_or(user);
        let wanted = [name.as_str(), &port.to_string(), database, user];
        let fits = |line: &&Vec<String>| {
            let mut pairs = line.iter().zip(wanted);
            pairs.all(|(field, want)| field == "*" || field == want)
        };
        self.lines.iter().find(fits).map(|line| line[4].as_str())
    }
}

/// None if others may read it, too: psql passes it over as well.
fn read_private(file: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    (mode & 0o077 == 0)
        .then(|| std::fs::read_to_string(file).ok())
        .flatten()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(lines: &[&str]) -> Passwords {
        let lines = lines.iter().map(|line| split_unescaped(line)).collect();
        Passwords { lines }
    }

    fn of(passwords: &Passwords, url: &str) -> Option<String> {
        let config: Config = url.parse().unwrap();
        passwords.of(&config).map(str::to_owned)
    }

    #[test]
    fn a_line_fits_by_host_port_database_and_user() {
        let known = passwords(&["h:5433:d:u:second", "h:*:*:u:pa\\:ss", "*:*:*:u:any"]);
        assert_eq!(
            of(&known, "host=h port=5433 dbname=d user=u").unwrap(),
            "second"
        );
        assert_eq!(of(&known, "host=h dbname=d user=u").unwrap(), "pa:ss");
        assert_eq!(of(&known, "host=i dbname=d user=u").unwrap(), "any");
        assert_eq!(of(&known, "host=h dbname=d user=other"), None);
    }

    #[test]
    fn a_socket_is_localhost_only_where_every_server_puts_it() {
        let known = passwords(&["localhost:*:*:*:usual", "/run/mine:*:*:*:mine"]);
        assert_eq!(of(&known, "host=/tmp user=u").unwrap(), "usual");
        assert_eq!(of(&known, "host=/run/mine user=u").unwrap(), "mine");
        assert_eq!(of(&known, "host=/run/other user=u"), None);
    }
}
