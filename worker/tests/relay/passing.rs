//! What goes through, and what it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::LIMIT;
use super::server::{ANSWER, EVENTS, KEY, QUESTION, Server, request, send, until, whole};

#[tokio::test]
async fn a_question_goes_to_the_model_with_the_key_and_the_answer_comes_back_as_it_was() {
    let server = Server::saying(format!("{EVENTS}{ANSWER}")).await;
    let relay = server.relay().await;
    let (status, headers, body) = whole(send(request(&relay, QUESTION)).await).await;
    assert_eq!((status, body.as_str()), (200, ANSWER));
    assert!(headers.contains("text/event-stream"), "{headers}");
    let asked = &server.asked()[0];
    assert_eq!(asked.body, QUESTION.as_bytes());
    let head = asked.head.to_ascii_lowercase();
    assert!(
        head.starts_with("post /v1/chat/completions http/1.1\r\n"),
        "{head}"
    );
    for header in [
        format!("authorization: bearer {KEY}\r\n"),
        "accept-encoding: identity\r\n".to_owned(),
        format!("host: {}\r\n", server.address),
    ] {
        assert!(head.contains(&header), "{header} is not in {head}");
    }
    let dummy = relay.model().api_key.expose().to_owned();
    assert!(!head.contains(&dummy) && dummy.len() > 40, "{head}");
    let other = server.relay().await;
    assert_ne!(
        other.model().api_key.expose(),
        dummy,
        "one for each attempt"
    );
    let metered = relay.finish().await;
    assert_eq!(
        (metered.told, metered.untold, metered.tokens.total),
        (1, 0, 100)
    );
}

#[tokio::test]
async fn the_models_path_stays_in_front() {
    let server = Server::saying(format!("{EVENTS}{ANSWER}")).await;
    let upstream = super::server::upstream(&format!("http://{}/deep/api/v2", server.address));
    let relay = conductor_worker::relay::Relay::start(upstream, "the-model")
        .await
        .unwrap();
    whole(send(request(&relay, QUESTION)).await).await;
    assert!(
        server.asked()[0]
            .head
            .starts_with("POST /deep/api/v2/chat/completions ")
    );
}

#[tokio::test]
async fn a_large_question_goes_through_whole() {
    let server = Server::saying(format!("{EVENTS}{ANSWER}")).await;
    let relay = server.relay().await;
    let text = "é漢\"\\ ".repeat(1_000_000);
    let text = serde_json::Value::from(text);
    let question = format!("{{\"model\":\"the-model\",\"messages\":[{{\"content\":{text}}}]}}");
    let (status, ..) = whole(send(request(&relay, question.clone())).await).await;
    assert_eq!(status, 200);
    assert!(
        server.asked()[0].body == question.as_bytes(),
        "changed on the way"
    );
}

#[tokio::test]
async fn the_clocks_are_told_when_the_model_begins_and_goes_on() {
    let go = Arc::new(Notify::new());
    let told = go.clone();
    let server = Server::start(move |_, mut stream| {
        let go = told.clone();
        async move {
            for piece in [EVENTS, ": keep-alive\n\n", ANSWER] {
                go.notified().await;
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    })
    .await;
    let relay = server.relay().await;
    let activity = relay.activity().clone();
    assert!(activity.seen().requests.is_empty());
    let asking = tokio::spawn(send(request(&relay, QUESTION)));
    until("the request is seen", || {
        activity.seen().requests.len() == 1
    })
    .await;
    go.notify_one();
    let mut answer = asking.await.unwrap();
    go.notify_one();
    let comment = answer
        .body_mut()
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert_eq!(comment, ": keep-alive\n\n");
    assert!(
        !activity.seen().requests[0].streaming,
        "a comment is no answer"
    );
    go.notify_one();
    let piece = answer
        .body_mut()
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert!(piece.starts_with(b"data: "));
    whole(answer).await;
    until("the request is over", || {
        activity.seen().requests.is_empty()
    })
    .await;
    assert_eq!(activity.metered().tokens.output, 10);
}

#[tokio::test]
async fn a_child_that_takes_nothing_slows_the_model_down() {
    const PIECE: usize = 64 << 10;
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let server = Server::start(move |_, mut stream| {
        let count = count.clone();
        async move {
            let text = "x".repeat(PIECE);
            let piece =
                format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
            let _ = stream.write_all(EVENTS.as_bytes()).await;
            while stream.write_all(piece.as_bytes()).await.is_ok() {
                count.fetch_add(PIECE, Ordering::SeqCst);
            }
        }
    })
    .await;
    let relay = server.relay().await;
    let mut answer = send(request(&relay, QUESTION)).await;
    let activity = relay.activity();
    // Nobody takes anything, and the model's server is read no further.
    until("the answer is stuck", || {
        let untaken = activity.seen().requests[0].untaken;
        untaken.is_some_and(|since| since.elapsed() > Duration::from_millis(300))
    })
    .await;
    let stuck = written.load(Ordering::SeqCst);
    assert!(
        stuck < 32 << 20,
        "{stuck} bytes were taken for a child that takes none"
    );
    let mut taken = 0;
    while taken < 64 << 20 {
        let frame = answer.body_mut().frame().await.unwrap().unwrap();
        taken += frame.into_data().unwrap().len();
    }
    assert!(
        written.load(Ordering::SeqCst) > stuck,
        "it goes on when the child does"
    );
}

/// A server that tells when the client of its only request has gone, after saying `first`.
async fn that_notices(first: &'static str) -> (Server, oneshot::Receiver<()>) {
    let (gone, noticed) = oneshot::channel();
    let gone = std::sync::Mutex::new(Some(gone));
    let server = Server::start(move |_, mut stream| {
        let gone = gone.lock().unwrap().take().unwrap();
        async move {
            stream.write_all(first.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            let _ = gone.send(());
        }
    })
    .await;
    (server, noticed)
}

#[tokio::test]
async fn when_the_child_goes_away_the_model_is_let_go() {
    for first in [
        "",
        EVENTS,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {}\n\n",
    ] {
        let (server, noticed) = that_notices(first).await;
        let relay = server.relay().await;
        let child = tokio::spawn(async move {
            let request = request(&relay, QUESTION);
            let answer = tokio::spawn(send(request));
            until("the model is asked", || server.asked().len() == 1).await;
            if !first.is_empty() {
                let answer = answer.await.unwrap();
                drop(answer);
            } else {
                answer.abort();
            }
            (server, relay)
        });
        let _both = child.await.unwrap();
        timeout(LIMIT, noticed)
            .await
            .expect("let go in time")
            .unwrap();
    }
}

#[tokio::test]
async fn with_the_relay_all_that_passes_through_it_ends() {
    for finish in [true, false] {
        let (server, noticed) = that_notices(EVENTS).await;
        let relay = server.relay().await;
        let answer = send(request(&relay, QUESTION)).await;
        match finish {
            true => drop(timeout(LIMIT, relay.finish()).await.unwrap()),
            false => drop(relay),
        }
        timeout(LIMIT, noticed)
            .await
            .expect("let go in time")
            .unwrap();
        assert!(
            answer.into_body().collect().await.is_err(),
            "cut, not complete"
        );
    }
}
