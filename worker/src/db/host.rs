//! One host of those that an address names.

use tokio::net::lookup_host;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::failure::Failure;
use super::tls;

/// Everything but where it is; the driver can add hosts but not take them away.
pub fn without_hosts(config: &Config) -> Config {
    let mut new = Config::new();
    if let Some(user) = config.get_user() {
        new.user(user);
    }
    if let Some(password) = config.get_password() {
        new.password(password);
    }
    if let Some(name) = config.get_dbname() {
        new.dbname(name);
    }
    if let Some(options) = config.get_options() {
        new.options(options);
    }
    if let Some(application) = config.get_application_name() {
        new.application_name(application);
    }
    if let Some(limit) = config.get_connect_timeout() {
        new.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        new.tcp_user_timeout(*limit);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        new.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        new.keepalives_retries(retries);
    }
    new.keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    new
}

/// Host and port, as a person would name them.
pub fn shown(host: &Config) -> String {
    let port = host.get_ports().first().copied().unwrap_or(5432);
    match (host.get_hosts().first(), host.get_hostaddrs().first()) {
        (Some(Host::Tcp(name)), _) => format!("{name}:{port}"),
        (Some(Host::Unix(folder)), _) => format!("{}:{port}", folder.display()),
        (None, Some(address)) => format!("{address}:{port}"),
        (None, None) => format!(":{port}"),
    }
}

/// The name that a certificate must have.
pub fn name(host: &Config) -> String {
    match host.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        _ => shown(host),
    }
}

/// Whether it is reached by a socket of this machine.
pub fn is_socket(host: &Config) -> bool {
    matches!(host.get_hosts().first(), Some(Host::Unix(_))) && host.get_hostaddrs().is_empty()
}

/// Whether a connection to it, with its address looked up, stays within this machine.
pub fn is_local(host: &Config) -> bool {
    let mut addresses = host.get_hostaddrs().iter();
    is_socket(host) || (!host.get_hostaddrs().is_empty() && addresses.all(tls::is_local))
}

/// Each of its addresses. An error is one line for people.
pub async fn addresses(host: &Config) -> Result<Vec<Config>, Failure> {
    let (Some(Host::Tcp(name)), None) = (host.get_hosts().first(), host.get_hostaddrs().first())
    else {
        let mut only = host.clone();
        // The driver has no greeting with TLS for a server without a name.
        if let (None, Some(address)) = (host.get_hosts().first(), host.get_hostaddrs().first()) {
            only.host(address.to_string());
        }
        return Ok(vec![only]);
    };
    let found = lookup_host((name.as_str(), 0)).await;
    let found = found.map_err(|error| Failure::Gone(format!("unknown host {name}: {error}")))?;
    let at = |address: std::net::SocketAddr| {
        let mut config = host.clone();
        config.hostaddr(address.ip());
        config
    };
    Ok(found.map(at).collect())
}
