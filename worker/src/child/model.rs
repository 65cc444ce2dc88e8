//! Where a child finds its model, and what it shows there.

use super::ChildError;
use crate::credentials::Secret;

/// What a child is told of its model. `Debug` shows neither key nor password.
#[derive(Clone)]
pub struct Model {
    pub base_url: String,
    pub api_key: Secret,
    pub name: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("base_url", &self.shown())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// The TCP port that the address names or implies.
    ///
    /// # Errors
    /// When it is no http(s) address.
    pub fn port(&self) -> Result<u16, ChildError> {
        port(&self.base_url).ok_or_else(|| {
            let address = self.shown();
            ChildError::Refused(format!(
                "the model's address is not an http address: {address}"
            ))
        })
    }

    /// The address without a name and a password that may stand in it.
    fn shown(&self) -> &str {
        self.base_url
            .rsplit_once('@')
            .map_or(self.base_url.as_str(), |(_, rest)| rest)
    }
}

/// The port of an http address.
fn port(url: &str) -> Option<u16> {
    let (scheme, rest) = url.split_once("://")?;
    let implied = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority
        .rsplit_once('@')
        .map_or(authority, |(_, place)| place);
    // An IPv6 address has colons of its own, in brackets.
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) = bracketed.split_once(']')?;
            (
                host,
                after.strip_prefix(':').or(after.is_empty().then_some(""))?,
            )
        }
        None => place.split_once(':').unwrap_or((place, "")),
    };
    match (host, port) {
        ("", _) => None,
        (_, "") => Some(implied),
        (_, port) => port.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port_of(base_url: &str) -> Option<u16> {
        let model = Model {
            base_url: base_url.to_owned(),
            api_key: Secret::new("secret"),
            name: "m".to_owned(),
        };
        assert!(!format!("{model:?}").contains("secret"));
        model.port().ok()
    }

    #[test]
    fn a_password_in_the_address_is_not_shown() {
        let base_url = "ftp://user:secret@host/v1".to_owned();
        let model = Model {
            base_url,
            api_key: Secret::new("secret"),
            name: "m".to_owned(),
        };
        let shown = format!("{model:?} {}", model.port().unwrap_err());
        assert!(
            shown.contains("host/v1") && !shown.contains("secret"),
            "{shown}"
        );
    }

    #[test]
    fn the_port_is_read_from_the_address() {
        assert_eq!(port_of("http://127.0.0.1:8080/v1"), Some(8080));
        assert_eq!(port_of("http://localhost/v1"), Some(80));
        assert_eq!(port_of("https://models.example"), Some(443));
        assert_eq!(
            port_of("HTTPS://user:pass@models.example:444/v1?x#y"),
            Some(444)
        );
        assert_eq!(port_of("http://[::1]:81/v1"), Some(81));
        assert_eq!(port_of("http://[::1]/v1"), Some(80));
        assert_eq!(port_of("http://x:/v1"), Some(80));
        for wrong in [
            "http://[::1",
            "http://[::1]8080",
            "",
            "localhost:80",
            "ftp://x",
            "http://",
            "http://x:port/",
            "http://x:70000",
        ] {
            assert_eq!(port_of(wrong), None, "{wrong}");
        }
    }
}
