//! Whether a model answers at an address: one GET of its list of models.

use std::time::Duration;

use serde_json::Value;

use crate::checks::Line;
use crate::credentials::Credentials;
use crate::relay::Upstream;

const NAME: &str = "model answers";
const LIMIT: Duration = Duration::from_secs(10);
const MOST_BYTES: usize = 1 << 20;

/// Asks, as the relay will ask, and says in one line what came back.
pub async fn probe(credentials: &Credentials) -> Line {
    // What is wrong with the address itself has been told by the self-check.
    let upstream = match Upstream::new(credentials) {
        Ok(upstream) => upstream,
        Err(error) => return Line::bad(NAME, error, "correct OPENAI_BASE_URL and OPENAI_API_KEY"),
    };
    let url = upstream.base_url();
    match upstream.models(LIMIT, MOST_BYTES).await {
        Ok((status, body)) => judge(url, status, &body),
        Err(error) => Line::bad(
            NAME,
            format!("{url}: {error}"),
            "start the model server, or correct OPENAI_BASE_URL",
        ),
    }
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
        300..=399 => Line::bad(
            NAME,
            format!("{url} sends its callers elsewhere ({status})"),
            "set OPENAI_BASE_URL to the address that answers",
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
    fn each_answer_has_its_cure() {
        let list = r#"{"data":[{"id":"a"},{"id":"b"},{"id":"c"},{"id":"d\u001b[2J"}]}"#;
        let good = judge("http://h/v1", 200, list);
        assert!(
            good.ok && good.detail.ends_with("serves a, b, c and 1 more"),
            "{good:?}"
        );
        for (status, body, cure) in [
            (200, "<html>", "/v1"),
            (301, "", "OPENAI_BASE_URL"),
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
