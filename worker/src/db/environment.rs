//! What a connection string leaves out: the `PG*` variables and, after them, the defaults.

use std::path::Path;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslNegotiation};

/// Where Debian's servers, and then everybody else's, put their socket.
pub const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// How long one host may take, greetings included, when nobody says otherwise.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How a connection begins, as far as the string does not say it.
pub fn set_greeting(
    config: &mut Config,
    negotiation: Option<&str>,
    binding: Option<&str>,
) -> Result<(), String> {
    match negotiation {
        None => {}
        Some("postgres") => drop(config.ssl_negotiation(SslNegotiation::Postgres)),
        Some("direct") => drop(config.ssl_negotiation(SslNegotiation::Direct)),
        Some(other) => {
            return Err(format!(
                "PGSSLNEGOTIATION={other} is neither postgres nor direct"
            ));
        }
    }
    match binding {
        None => {}
        Some("disable") => drop(config.channel_binding(ChannelBinding::Disable)),
        Some("prefer") => drop(config.channel_binding(ChannelBinding::Prefer)),
        Some("require") => drop(config.channel_binding(ChannelBinding::Require)),
        Some(other) => {
            return Err(format!(
                "PGCHANNELBINDING={other} is not one: say disable, prefer or require"
            ));
        }
    }
    Ok(())
}

/// Hosts and ports.
pub fn set_hosts(config: &mut Config, env: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    if config.get_hostaddrs().is_empty() {
        for address in env("PGHOSTADDR").iter().flat_map(|list| list.split(',')) {
            let address = address
                .parse()
                .map_err(|_| format!("PGHOSTADDR is not an address: {address:?}"))?;
            config.hostaddr(address);
        }
    }
    if config.get_hosts().is_empty() {
        for host in env("PGHOST").iter().flat_map(|list| list.split(',')) {
            config.host(if host.is_empty() {
                default_host()
            } else {
                host
            });
        }
    }
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        config.host(default_host());
    }
    if config.get_ports().is_empty() {
        for port in env("PGPORT").iter().flat_map(|ports| ports.split(',')) {
            config.port(match port {
                "" => 5432,
                port => port
                    .parse()
                    .map_err(|_| format!("PGPORT is not a port: {port:?}"))?,
            });
        }
    }
    Ok(())
}

/// Who we are, and what is asked for.
pub fn set_names(config: &mut Config, env: &dyn Fn(&str) -> Option<String>, application: &str) {
    // The driver would find the system's name as well, but after the password was looked for.
    if config.get_user().is_none()
        && let Some(user) = env("PGUSER").or_else(|| whoami::username().ok())
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
    if config.get_application_name().is_none() {
        config.application_name(env("PGAPPNAME").unwrap_or_else(|| application.to_owned()));
    }
}

/// How long anything may take.
pub fn set_limits(config: &mut Config, env: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    if config.get_connect_timeout().is_none() {
        let given = env("PGCONNECT_TIMEOUT").map(|seconds| {
            let seconds = seconds.trim().parse::<u64>();
            seconds.map_err(|_| "PGCONNECT_TIMEOUT is not a number of seconds".to_owned())
        });
        let given = given.transpose()?.filter(|seconds| *seconds > 0);
        config.connect_timeout(given.map_or(CONNECT_TIMEOUT, Duration::from_secs));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(Duration::from_secs(30));
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_idle(Duration::from_secs(20));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(3);
    }
    Ok(())
}

fn default_host() -> &'static str {
    SOCKET_FOLDERS
        .into_iter()
        .find(|folder| Path::new(folder).join(".s.PGSQL.5432").exists())
        .unwrap_or(SOCKET_FOLDERS[0])
}
