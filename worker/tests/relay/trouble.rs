//! A server that fails: what the child is told, and when it is enough.

use conductor_worker::relay::{MOST_FAILURES, Relay};
use http_body_util::BodyExt;
use serde_json::Value;

use super::server::{
    ANSWER, EVENTS, MODEL, QUESTION, Server, error, request, send, until, upstream, whole,
};

async fn ask(relay: &Relay) -> (u16, String, String) {
    whole(send(request(relay, QUESTION)).await).await
}

#[tokio::test]
async fn an_error_goes_through_with_its_status_and_its_words() {
    for status in [400_u16, 401, 404, 422] {
        let server = Server::saying(error(status, "", "what the server says")).await;
        let relay = server.relay().await;
        for _ in 0..2 * MOST_FAILURES {
            let (found, headers, said) = ask(&relay).await;
            assert_eq!(found, status);
            let json: Value = serde_json::from_str(&said).unwrap();
            assert_eq!(json["error"]["message"], "what the server says");
            assert!(headers.contains("application/json"));
        }
        assert_eq!(
            relay.activity().seen().given_up,
            None,
            "the child gives up by itself"
        );
    }
}

#[tokio::test]
async fn a_limit_that_stays_is_given_up_and_said() {
    for status in [429_u16, 500, 503] {
        let server = Server::saying(error(status, "retry-after: 1\r\n", "slow down")).await;
        let relay = server.relay().await;
        for tries in 1..=MOST_FAILURES {
            assert_eq!(relay.activity().seen().given_up, None, "after {tries}");
            let (found, headers, _) = ask(&relay).await;
            assert!(
                found == status && headers.contains("retry-after"),
                "{headers}"
            );
        }
        let message = relay.activity().seen().given_up.unwrap().message;
        let expected = format!("the model's server answered {status} {MOST_FAILURES} times in ");
        assert!(
            message.starts_with(&expected) && message.ends_with(" s: slow down"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_server_that_asks_for_an_hour_is_not_waited_for() {
    let server = Server::saying(error(429, "retry-after: 3600\r\n", "come back later")).await;
    let relay = server.relay().await;
    ask(&relay).await;
    let message = relay.activity().seen().given_up.unwrap().message;
    assert_eq!(
        message,
        "the model's server answered 429 once: come back later; it asks to wait 3600 s"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    // Bound and not listened to: refused, and nobody else's.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base_url = format!("http://{}/v1", socket.local_addr().unwrap());
    let upstream = upstream(&base_url);
    let error = upstream.reach().await.unwrap_err();
    assert!(error.is_retryable());
    let error = error.to_string();
    assert!(
        error.starts_with(&format!("cannot reach the model at {base_url}: ")),
        "{error}"
    );
    assert!(error.contains("refused"), "{error}");
    let relay = Relay::start(upstream, MODEL).await.unwrap();
    for _ in 0..MOST_FAILURES {
        let (status, _, said) = ask(&relay).await;
        assert!(status == 502 && said.contains("refused"), "{status} {said}");
    }
    let message = relay.activity().seen().given_up.unwrap().message;
    assert!(
        message.starts_with("the model's server could not be reached 6 times in "),
        "{message}"
    );
}

#[tokio::test]
async fn a_server_that_is_there_is_reached() {
    let server = Server::saying("").await;
    server.upstream().reach().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_child() {
    let chunked =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let piece = "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n";
    let cut = format!("{chunked}{:x}\r\n{piece}\r\n", piece.len());
    let server = Server::saying(cut).await;
    let relay = server.relay().await;
    let answer = send(request(&relay, QUESTION)).await;
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, piece);
    assert!(body.frame().await.unwrap().is_err(), "cut, not complete");
    let said = relay.activity().failures();
    assert_eq!(
        said.as_deref(),
        Some("the model's server cut its answer off once")
    );
}

#[tokio::test]
async fn an_answer_without_its_end_is_cut_also_where_nothing_tells_its_length() {
    for (body, cut) in [
        (
            "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\n",
            true,
        ),
        ("", true),
        (ANSWER, false),
        (ANSWER.split("data: [DONE]").next().unwrap(), false),
        (
            "data: {\"error\":{\"message\":\"no slot\",\"code\":500}}\n\n",
            true,
        ),
    ] {
        let server = Server::saying(format!("{EVENTS}{body}")).await;
        let relay = server.relay().await;
        let (_, _, passed) = ask(&relay).await;
        assert_eq!(passed, body);
        until("it is over", || relay.activity().seen().requests.is_empty()).await;
        assert_eq!(relay.activity().failures().is_some(), cut, "{body}");
    }
}

#[tokio::test]
async fn a_packed_answer_is_not_passed_on() {
    let head = EVENTS.replace("\r\n\r\n", "\r\ncontent-encoding: gzip\r\n\r\n");
    let server = Server::saying(format!("{head}xxx")).await;
    let relay = server.relay().await;
    let (status, _, said) = ask(&relay).await;
    assert!(status == 502 && said.contains("packs"), "{said}");
    assert!(relay.activity().seen().given_up.is_some());
}

#[tokio::test]
async fn a_whole_answer_is_counted_as_a_stream_is() {
    let body = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let server = Server::saying(format!("{head}{body}")).await;
    let relay = server.relay().await;
    assert_eq!(ask(&relay).await.2, body);
    assert_eq!(relay.finish().await.tokens.total, 9);
}
