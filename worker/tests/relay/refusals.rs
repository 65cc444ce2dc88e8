//! What does not go through.

use std::io::Write;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use tokio::io::AsyncWriteExt;

use super::server::{ANSWER, EVENTS, KEY, QUESTION, Server, request, send, until, whole};

fn changed(mut request: Request<Full<Bytes>>, method: Method, path: &str) -> Request<Full<Bytes>> {
    let old = request.uri().to_string();
    let base = old.split("/v1/").next().unwrap();
    *request.uri_mut() = format!("{base}{path}").parse().unwrap();
    *request.method_mut() = method;
    request
}

#[tokio::test]
async fn whatever_is_no_question_to_the_runs_model_is_refused_and_nobody_is_asked() {
    let server = Server::saying(format!("{EVENTS}{ANSWER}")).await;
    let relay = server.relay().await;
    let ask = || request(&relay, QUESTION);
    let shown = |key: &str| {
        let mut request = ask();
        let header = format!("Bearer {key}").parse().unwrap();
        request.headers_mut().insert("authorization", header);
        request
    };
    let mut nameless = ask();
    nameless.headers_mut().remove("authorization");
    let mut packed = ask();
    packed
        .headers_mut()
        .insert("content-encoding", "gzip".parse().unwrap());
    let body = |body: &str| request(&relay, body.to_owned());
    let late = format!(
        "{{\"messages\":\"{}\",\"model\":\"the-model\"}}",
        "x".repeat(1_000_000)
    );
    let cases = [
        (401, "no key", nameless),
        (401, "the real key", shown(KEY)),
        (401, "another key", shown("conductor-0123")),
        (
            401,
            "a stranger's wrong path",
            changed(shown(KEY), Method::GET, "/v1/models"),
        ),
        (404, "the models", changed(ask(), Method::GET, "/v1/models")),
        (
            404,
            "embeddings",
            changed(ask(), Method::POST, "/v1/embeddings"),
        ),
        (
            404,
            "a longer path",
            changed(ask(), Method::POST, "/v1/chat/completions/x"),
        ),
        (
            404,
            "another base",
            changed(ask(), Method::POST, "/v2/chat/completions"),
        ),
        (
            404,
            "dots",
            changed(ask(), Method::POST, "/v1/../v1/chat/completions"),
        ),
        (
            404,
            "a query",
            changed(ask(), Method::POST, "/v1/chat/completions?x=1"),
        ),
        (
            405,
            "another method",
            changed(ask(), Method::GET, "/v1/chat/completions"),
        ),
        (
            405,
            "another method",
            changed(ask(), Method::DELETE, "/v1/chat/completions"),
        ),
        (
            403,
            "another model",
            body(r#"{"model":"another","messages":[]}"#),
        ),
        (
            403,
            "a second model",
            body(r#"{"model":"the-model","model":"another"}"#),
        ),
        (403, "no model", body(r#"{"messages":[]}"#)),
        (403, "a late model", body(&late)),
        (400, "no JSON", body("model=the-model")),
        (400, "nothing", body("")),
        (400, "two objects", body(r#"{"model":"the-model"}{}"#)),
        (400, "a packed body", packed),
    ];
    for (status, what, request) in cases {
        let (found, headers, said) = whole(send(request).await).await;
        assert_eq!(found, status, "{what}: {said}");
        let json: serde_json::Value = serde_json::from_str(&said).unwrap();
        let message = json["error"]["message"].as_str().unwrap_or_default();
        assert!(
            !message.is_empty() && headers.contains("json"),
            "{what}: {said}"
        );
        assert!(!said.contains(KEY));
    }
    assert!(server.asked().is_empty(), "{:?}", server.asked());
    assert_eq!(whole(send(ask()).await).await.0, 200);
}

#[tokio::test]
async fn a_question_that_turns_wrong_on_its_way_never_arrives_whole() {
    let server = Server::saying(format!("{EVENTS}{ANSWER}")).await;
    let relay = server.relay().await;
    let long = "x".repeat(8 << 20);
    for end in [
        r#","model":"another"}"#,
        r#","mod\u0065l":"the-model"}"#,
        r#"}{"model":"another"}"#,
        r#",}"#,
        "",
    ] {
        let body = format!("{{\"model\":\"the-model\",\"messages\":\"{long}\"{end}");
        let (status, _, said) = whole(send(request(&relay, body)).await).await;
        assert!([400, 403].contains(&status), "{end}: {status} {said}");
    }
    assert!(
        server.asked().iter().all(|asked| !asked.whole),
        "it arrived"
    );
    assert_eq!(relay.activity().failures(), None, "no fault of the server");
}

#[tokio::test]
async fn a_question_beyond_all_bounds_is_refused_by_its_length() {
    let server = Server::saying(format!("{EVENTS}{ANSWER}")).await;
    let relay = server.relay().await;
    let model = relay.model().clone();
    let address = model
        .base_url
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("/v1")
        .unwrap();
    let mut head = Vec::new();
    write!(
        head,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{{",
        model.api_key.expose(),
        conductor_worker::relay::MOST_BYTES + 1
    )
    .unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(&head).await.unwrap();
    let mut answer = [0; 12];
    let reading = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut answer);
    let read = tokio::time::timeout(super::LIMIT, reading).await;
    read.expect("an answer in time").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn no_more_than_four_questions_are_asked_at_once() {
    let server = Server::start(|_, stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let relay = server.relay().await;
    let asking: Vec<_> = (0..4)
        .map(|_| tokio::spawn(send(request(&relay, QUESTION))))
        .collect();
    until("four are under way", || server.asked().len() == 4).await;
    let (status, _, said) = whole(send(request(&relay, QUESTION)).await).await;
    assert_eq!(status, 429, "{said}");
    assert_eq!(server.asked().len(), 4);
    assert_eq!(relay.activity().failures(), None, "no fault of the server");
    asking.iter().for_each(|asking| asking.abort());
    until("they are over", || {
        relay.activity().seen().requests.is_empty()
    })
    .await;
}
