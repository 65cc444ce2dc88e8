//! The model's address and key: from the worker's own file or environment, never from the database.

use std::fmt;
use std::path::{Path, PathBuf};

const BASE_URL: &str = "OPENAI_BASE_URL";
const API_KEY: &str = "OPENAI_API_KEY";
/// Local model servers ask for no key, the child insists on one.
const NO_KEY: &str = "none";

/// A value that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `value` from being printed.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Where the model answers and what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Without a trailing slash, for instance `http://127.0.0.1:8080/v1`.
    pub base_url: String,
    pub api_key: Secret,
}

/// Why there are no credentials. Never holds a value from the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("{}:{line}: {problem}", path.display())]
    BadLine {
        path: PathBuf,
        line: usize,
        problem: String,
    },
    #[error("no model address: {BASE_URL} is not set")]
    NoAddress,
    #[error("{BASE_URL} is not an http or https address: {0:?}")]
    BadAddress(String),
    #[error("{BASE_URL} must hold no user name or password")]
    UserInAddress,
    #[error("{BASE_URL} must hold no ? or #: paths are put behind it")]
    QueryInAddress,
}

impl CredentialsError {
    /// What to do about it, in one line.
    pub fn cure(&self) -> String {
        match self {
            CredentialsError::Unreadable { .. } => {
                "give --credentials a file that the worker may read".into()
            }
            CredentialsError::BadLine { .. } => {
                format!("write lines like {BASE_URL}=http://127.0.0.1:8080/v1")
            }
            CredentialsError::NoAddress
            | CredentialsError::BadAddress(_)
            | CredentialsError::UserInAddress
            | CredentialsError::QueryInAddress => {
                format!(
                    "set {BASE_URL} (for instance http://127.0.0.1:8080/v1) and {API_KEY}, \
                     in the environment or in the file given by --credentials"
                )
            }
        }
    }
}

/// Reads the file, if one is named, and fills what it leaves out from the environment.
pub fn load(
    file: Option<&Path>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Credentials, CredentialsError> {
    let mut found = Found::default();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|e| CredentialsError::Unreadable {
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
        found = parse(&text).map_err(|(line, problem)| CredentialsError::BadLine {
            path: path.to_owned(),
            line,
            problem,
        })?;
    }
    let base_url = found.base_url.or_else(|| env(BASE_URL));
    let api_key = found.api_key.or_else(|| env(API_KEY));
    Ok(Credentials {
        base_url: checked_address(base_url.unwrap_or_default())?,
        api_key: Secret::new(
            api_key
                .filter(|k| !k.is_empty())
                .unwrap_or_else(|| NO_KEY.into()),
        ),
    })
}

fn checked_address(url: String) -> Result<String, CredentialsError> {
    let url = url.trim().trim_end_matches('/');
    if url.is_empty() {
        return Err(CredentialsError::NoAddress);
    }
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let host = rest.and_then(|r| r.split(['/', '?', '#']).next());
    match host {
        Some(host) if host.contains('@') => Err(CredentialsError::UserInAddress),
        Some(_) if url.contains(['?', '#']) => Err(CredentialsError::QueryInAddress),
        Some(host) if !host.is_empty() && !url.contains(char::is_whitespace) => Ok(url.to_owned()),
        _ => Err(CredentialsError::BadAddress(url.to_owned())),
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    base_url: Option<String>,
    api_key: Option<String>,
}

/// Lines `KEY=VALUE`, `#` comments and empty lines; `export` and quotes as a shell file has them.
/// An error names the line and what is wrong, never the value.
fn parse(text: &str) -> Result<Found, (usize, String)> {
    let mut found = Found::default();
    for (index, raw) in text.lines().enumerate() {
        let number = index + 1;
        let line = raw.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((key, value)) = line.split_once('=') else {
            return Err((number, "expected KEY=VALUE".into()));
        };
        let slot = match key.trim() {
            BASE_URL => &mut found.base_url,
            API_KEY => &mut found.api_key,
            key if !key.is_empty()
                && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') =>
            {
                return Err((
                    number,
                    format!("unknown key {key} (known are {BASE_URL} and {API_KEY})"),
                ));
            }
            _ => return Err((number, "expected KEY=VALUE".into())),
        };
        if slot.is_some() {
            return Err((number, format!("{} is given twice", key.trim())));
        }
        *slot = Some(unquoted(value.trim()).map_err(|problem| (number, problem))?);
    }
    Ok(found)
}

fn unquoted(value: &str) -> Result<String, String> {
    let inner = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value[1..]
            .strip_suffix(quote)
            .ok_or_else(|| "the quote is not closed".to_owned())?,
        _ => value,
    };
    if inner.chars().any(char::is_control) {
        return Err("the value holds a control character".into());
    }
    Ok(inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_env(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_file_with_comments_quotes_and_export_is_read() {
        let found = parse(
            "# model\n\nexport OPENAI_BASE_URL=\"http://127.0.0.1:8080/v1\"\n OPENAI_API_KEY = 'a b=c'\n",
        )
        .unwrap();
        assert_eq!(found.base_url.as_deref(), Some("http://127.0.0.1:8080/v1"));
        assert_eq!(found.api_key.as_deref(), Some("a b=c"));
    }

    #[test]
    fn a_bad_line_is_named_by_number_and_never_quoted() {
        for (text, line, problem) in [
            ("\nsk-secret", 2, "expected KEY=VALUE"),
            ("sk secret=x", 1, "expected KEY=VALUE"),
            ("OPENAI_KEY=sk-secret", 1, "unknown key OPENAI_KEY"),
            ("OPENAI_API_KEY='sk-secret", 1, "the quote is not closed"),
            ("OPENAI_API_KEY=\"", 1, "the quote is not closed"),
            (
                "OPENAI_API_KEY=a\nOPENAI_API_KEY=sk-secret",
                2,
                "given twice",
            ),
        ] {
            let (number, message) = parse(text).unwrap_err();
            assert_eq!(number, line, "{text:?}");
            assert!(message.contains(problem), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn the_file_wins_over_the_environment_and_the_key_may_be_left_out() {
        let dir =
            std::env::temp_dir().join(format!("conductor-credentials-{}", uuid::Uuid::new_v4()));
        std::fs::write(&dir, "OPENAI_BASE_URL=http://file/v1/\n").unwrap();
        let env = |name: &str| (name == BASE_URL).then(|| "http://environment/v1".to_owned());
        let loaded = load(Some(&dir), &env).unwrap();
        std::fs::remove_file(&dir).unwrap();
        assert_eq!(loaded.base_url, "http://file/v1");
        assert_eq!(loaded.api_key.expose(), "none");
        assert_eq!(load(None, &env).unwrap().base_url, "http://environment/v1");
    }

    #[test]
    fn an_address_that_is_none_is_refused_with_a_cure() {
        assert_eq!(load(None, &no_env), Err(CredentialsError::NoAddress));
        for bad in ["localhost:8080", "http://", "ftp://x/", "http://a b/"] {
            let env = |name: &str| (name == BASE_URL).then(|| bad.to_owned());
            let error = load(None, &env).unwrap_err();
            assert!(matches!(error, CredentialsError::BadAddress(_)), "{bad}");
            assert!(error.cure().contains(BASE_URL));
        }
        for secret in [
            "http://me:secret@host/v1",
            "http://host/v1?key=secret",
            "http://host/v1#secret",
        ] {
            let env = |name: &str| (name == BASE_URL).then(|| secret.to_owned());
            let error = load(None, &env).unwrap_err();
            assert!(!error.to_string().contains("secret") && !error.cure().is_empty());
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let credentials = Credentials {
            base_url: "http://host/v1".into(),
            api_key: Secret::new("sk-secret"),
        };
        assert!(!format!("{credentials:?}").contains("sk-secret"));
    }

    #[test]
    fn a_missing_file_says_which() {
        let error = load(Some(Path::new("/nonexistent/credentials")), &no_env).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/credentials"));
    }
}
