//! The password file, as psql reads it: a line for each server, database and user.

use std::path::{Path, PathBuf};

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::environment::SOCKET_FOLDERS;
use super::tls::is_private;

/// The lines `host:port:database:user:password` that may be used; none from a file that others may read.
pub struct Passwords {
    lines: Vec<Vec<Vec<u8>>>,
}

impl Passwords {
    /// Reads the file that is named here or in the environment, or the one in the home folder.
    pub fn load(named: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let named = named.map(str::to_owned).or_else(|| env("PGPASSFILE"));
        let file = named
            .map(PathBuf::from)
            .or_else(|| env("HOME").map(|home| Path::new(&home).join(".pgpass")));
        let text = file.map_or(Ok(Vec::new()), |file| read_private(&file));
        Passwords::parse(&text.unwrap_or_else(|reason| {
            tracing::warn!("{reason}");
            Vec::new()
        }))
    }

    fn parse(text: &[u8]) -> Self {
        let lines = text
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| !line.starts_with(b"#"))
            .map(split_unescaped)
            // What follows a colon in the password is passed over.
            .filter(|fields| fields.len() >= 5)
            .collect();
        Passwords { lines }
    }

    /// The password of the first line that fits this one host.
    pub fn of(&self, host: &Config) -> Option<&[u8]> {
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
        let fits = |line: &&Vec<Vec<u8>>| {
            let mut pairs = line.iter().zip(wanted);
            pairs.all(|(field, want)| field == b"*" || field == want.as_bytes())
        };
        self.lines.iter().find(fits).map(|line| line[4].as_slice())
    }
}

/// What is in the file; nothing where there is none. As psql does, one that others may read is passed over;
/// root's group may, because that is how systemd hands credentials over.
fn read_private(file: &Path) -> Result<Vec<u8>, String> {
    let Ok(about) = std::fs::metadata(file) else {
        return Ok(Vec::new());
    };
    if !is_private(&about) {
        let file = file.display();
        return Err(format!(
            "the password file {file} is not used, because others may read it (chmod 600 {file})"
        ));
    }
    Ok(std::fs::read(file).unwrap_or_default())
}

/// Splits at colons; a backslash takes the byte after it as it stands.
fn split_unescaped(line: &[u8]) -> Vec<Vec<u8>> {
    let mut fields = vec![Vec::new()];
    let mut bytes = line.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b':' => fields.push(Vec::new()),
            b'\\' => fields.last_mut().expect("never empty").extend(bytes.next()),
            _ => fields.last_mut().expect("never empty").push(byte),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(lines: &[&str]) -> Passwords {
        Passwords::parse(lines.join("\n").as_bytes())
    }

    fn of(passwords: &Passwords, url: &str) -> Option<String> {
        let config: Config = url.parse().unwrap();
        let password = passwords.of(&config);
        password.map(|password| String::from_utf8_lossy(password).into_owned())
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
    fn a_strange_line_costs_no_other_its_password() {
        let known =
            Passwords::parse(b"# fran\xe7ais\nh:*:*:e:\xe9t\xe9\r\nshort:line\nh:*:*:c:be:fore\n");
        assert_eq!(of(&known, "host=h user=c").unwrap(), "be");
        let config: Config = "host=h user=e".parse().unwrap();
        assert_eq!(known.of(&config), Some(b"\xe9t\xe9".as_slice()));
    }

    #[test]
    fn a_file_that_others_may_read_is_told_with_the_cure() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "*:*:*:*:p").unwrap();
        let read = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            read_private(file.path())
        };
        assert_eq!(read(0o600).unwrap(), b"*:*:*:*:p");
        assert!(read(0o644).unwrap_err().contains("chmod 600"));
        let roots = std::os::unix::fs::MetadataExt::uid(&file.path().metadata().unwrap()) == 0;
        assert_eq!(read(0o440).is_ok(), roots, "as systemd hands it over");
        assert_eq!(read_private(&file.path().join("none")), Ok(Vec::new()));
    }

    #[test]
    fn a_socket_is_localhost_only_where_every_server_puts_it() {
        let known = passwords(&["localhost:*:*:*:usual", "/run/mine:*:*:*:mine"]);
        assert_eq!(of(&known, "host=/tmp user=u").unwrap(), "usual");
        assert_eq!(of(&known, "host=/run/mine user=u").unwrap(), "mine");
        assert_eq!(of(&known, "host=/run/other user=u"), None);
    }
}
