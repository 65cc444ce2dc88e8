//! Whether a model answers at an address: one GET of its list of models.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::checks::Line;
use crate::credentials::Credentials;

const NAME: &str = "model answers";
const LIMIT: Duration = Duration::from_secs(10);
const MOST_BYTES: u64 = 1 << 20;

/// Asks, and says in one line what came back.
pub async fn probe(credentials: &Credentials) -> Line {
    let url = &credentials.base_url;
    let cure = "start the model server, or correct OPENAI_BASE_URL";
    let Some((host, path)) = split(url) else {
        return Line::bad(NAME, format!("{url} is no address"), cure);
    };
    let stream = match timeout(LIMIT, TcpStream::connect(&host)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Line::bad(NAME, format!("{host}: {error}"), cure),
        Err(_) => {
            return Line::bad(
                NAME,
                format!("{host} does not answer within {} s", LIMIT.as_secs()),
                cure,
            );
        }
    };
    if url.starts_with("https://") {
        return Line::good(
            NAME,
            format!("{host} accepts connections (TLS, not asked further)"),
        );
    }
    match timeout(
        LIMIT,
        ask(stream, &host, &path, credentials.api_key.expose()),
    )
    .await
    {
        Ok(Ok((status, body))) => judge(url, status, &body),
        Ok(Err(error)) => Line::bad(NAME, format!("{host}: {error}"), cure),
        Err(_) => Line::bad(
            NAME,
            format!("{host} takes longer than {} s", LIMIT.as_secs()),
            cure,
        ),
    }
}

/// Host with port, and the path of the list of models.
fn split(url: &str) -> Option<(String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = if scheme == "https" { 443 } else { 80 };
    // A bare IPv6 address has colons of its own, within brackets.
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let host = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:{port}")
    };
    let path = path
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let path = if path.is_empty() {
        "/models".to_owned()
    } else {
        format!("/{path}/models")
    };
    Some((host, path))
}

/// HTTP/1.0, so that the answer comes in one piece and ends with the connection.
async fn ask(
    mut stream: TcpStream,
    host: &str,
    path: &str,
    key: &str,
) -> std::io::Result<(u16, String)> {
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nAccept: application/json\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer).await?;
    parse(&String::from_utf8_lossy(&answer))
        .ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some((status, body.to_owned()))
}

fn judge(url: &str, status: u16, body: &str) -> Line {
    match status {
        200 => match serde_json::from_str::<Value>(body)
            .ok()
            .and_then(|json| models(&json))
        {
            Some(models) => Line::good(NAME, format!("{url} serves {models}")),
            None => Line::bad(
                NAME,
                format!("{url}/models is no list of models"),
                "the address should end in /v1",
            ),
        },
        401 | 403 => Line::bad(
            NAME,
            format!("{url} refuses the key ({status})"),
            "correct OPENAI_API_KEY",
        ),
        404 | 405 => Line::bad(
            NAME,
            format!("{url} has no /models ({status})"),
            "the address should end in /v1",
        ),
        _ => Line::bad(
            NAME,
            format!("{url} answers with status {status}"),
            "look into the model server's log",
        ),
    }
}

fn models(json: &Value) -> Option<String> {
    let names: Vec<&str> = json["data"]
        .as_array()?
        .iter()
        .filter_map(|model| model["id"].as_str())
        .collect();
    let shown = names
        .iter()
        .take(3)
        .map(|name| super::output::one_line(name))
        .collect::<Vec<_>>()
        .join(", ");
    Some(match names.len() {
        0 => "no model".to_owned(),
        1..=3 => shown,
        more => format!("{shown} and {} more", more - 3),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Secret;

    #[test]
    fn addresses_are_taken_apart() {
        for (url, host, path) in [
            ("http://localhost:8080/v1", "localhost:8080", "/v1/models"),
            ("http://h", "h:80", "/models"),
            ("https://h/a/b/", "h:443", "/a/b/models"),
            ("http://[::1]:9/v1", "[::1]:9", "/v1/models"),
            ("http://[::1]/v1", "[::1]:80", "/v1/models"),
        ] {
            assert_eq!(
                split(url),
                Some((host.to_owned(), path.to_owned())),
                "{url}"
            );
        }
    }

    #[test]
    fn each_answer_has_its_cure() {
        let list = r#"{"data":[{"id":"a"},{"id":"b"},{"id":"c"},{"id":"d\u001b[2J"}]}"#;
        let good = judge("http://h/v1", 200, list);
        assert!(
            good.ok && good.detail.ends_with("serves a, b, c and 1 more"),
            "{good:?}"
        );
        for (status, body, cure) in [
            (200, "<html>", "/v1"),
            (401, "", "OPENAI_API_KEY"),
            (404, "", "/v1"),
            (500, "", "log"),
        ] {
            let line = judge("http://h/v1", status, body);
            assert!(
                !line.ok && line.cure.as_deref().unwrap().contains(cure),
                "{line:?}"
            );
        }
    }

    #[test]
    fn what_is_not_http_is_not_read() {
        assert_eq!(
            parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\nx"),
            Some((200, "x".into()))
        );
        assert_eq!(parse("SSH-2.0-x\r\n\r\n"), None);
        assert_eq!(parse("HTTP/1.1 2"), None);
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_said_to_refuse() {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let base_url = format!("http://{free}/v1");
        let line = probe(&Credentials {
            base_url,
            api_key: Secret::new("sk-secret"),
        })
        .await;
        assert!(!line.ok && line.detail.contains("refused"), "{line:?}");
        assert!(!format!("{line:?}").contains("sk-secret"));
    }
}
