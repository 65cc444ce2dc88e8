//! The key goes to the model's server and nowhere else.

use super::server::{EVENTS, KEY, MODEL, QUESTION, Server, error, request, send, upstream, whole};
use conductor_worker::relay::Relay;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_server_that_echoes_the_key_does_not_tell_the_child() {
    let echo = format!("x-echo: {KEY}\r\nset-cookie: {KEY}\r\n");
    let stream = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{KEY} {KEY}\"}}}}]}}\n\n: {KEY}\n\ndata: [DONE]\n\n"
    );
    let events = EVENTS.replace("\r\n\r\n", &format!("\r\n{echo}\r\n"));
    for said in [
        error(401, &echo, &format!("bad key {KEY}")),
        error(500, &echo, &format!("{KEY}{KEY}")),
        format!("{events}{stream}"),
        format!("{EVENTS}data: {{\"error\":{{\"message\":\"bad key {KEY}\"}}}}\n\n"),
        format!(
            "HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/{KEY}\r\ncontent-length: 0\r\n\r\n"
        ),
    ] {
        let server = Server::saying(said).await;
        let relay = server.relay().await;
        let (_, headers, body) = whole(send(request(&relay, QUESTION)).await).await;
        assert!(body.contains("[key]"), "{body}");
        let activity = format!(
            "{:?} {:?}",
            relay.activity().seen(),
            relay.activity().failures()
        );
        for shown in [
            headers,
            body,
            activity,
            format!("{relay:?} {:?}", server.upstream()),
        ] {
            assert!(!shown.contains(KEY), "{shown}");
        }
        assert!(
            server.asked()[0].head.contains(KEY),
            "the server is who may know it"
        );
    }
}

#[tokio::test]
async fn the_key_is_found_also_where_it_comes_byte_by_byte() {
    let server = Server::start(|_, mut stream| async move {
        stream.write_all(EVENTS.as_bytes()).await.unwrap();
        for byte in format!("data: a {KEY} b\n\n").bytes() {
            stream.write_all(&[byte]).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
    })
    .await;
    let relay = server.relay().await;
    let (_, _, body) = whole(send(request(&relay, QUESTION)).await).await;
    assert_eq!(body, "data: a [key] b\n\n");
}

#[tokio::test]
async fn an_error_as_long_as_a_book_is_told_by_its_beginning_and_without_the_key() {
    for before in 0..KEY.len() {
        let long = format!(
            "{}{KEY}{}",
            "x".repeat((64 << 10) - before),
            "y".repeat(100_000)
        );
        let head = format!("HTTP/1.1 500 No\r\ncontent-length: {}\r\n\r\n", long.len());
        let server = Server::saying(format!("{head}{long}")).await;
        let relay = server.relay().await;
        let (status, _, said) = whole(send(request(&relay, QUESTION)).await).await;
        assert_eq!(status, 500);
        assert!(said.starts_with("xxx") && !said.contains("sk-") && said.len() <= 64 << 10);
    }
}

#[tokio::test]
async fn the_key_is_not_taken_along_to_where_a_server_sends_its_callers() {
    let other = Server::saying(format!("{EVENTS}data: [DONE]\n\n")).await;
    let to = format!("http://{}/v1/chat/completions", other.address);
    let server = Server::saying(format!(
        "HTTP/1.1 308 Go\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"
    ))
    .await;
    let relay = server.relay().await;
    let (status, _, said) = whole(send(request(&relay, QUESTION)).await).await;
    assert!(
        status == 502 && said.contains(&to) && said.contains("OPENAI_BASE_URL"),
        "{status} {said}"
    );
    assert!(other.asked().is_empty());
    let given_up = relay.activity().seen().given_up.unwrap();
    assert!(
        !given_up.ours && given_up.message.contains(&to),
        "{given_up:?}"
    );
}

#[tokio::test]
async fn an_unusable_key_is_not_told() {
    let credentials = conductor_worker::credentials::Credentials {
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        api_key: conductor_worker::credentials::Secret::new(format!("{KEY}\n")),
    };
    let error = conductor_worker::relay::Upstream::new(&credentials).unwrap_err();
    assert!(error.contains("key") && !error.contains(KEY), "{error}");
    let _ = Relay::start(upstream("http://127.0.0.1:1/v1"), MODEL)
        .await
        .unwrap();
}
