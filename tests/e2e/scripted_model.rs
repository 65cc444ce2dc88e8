//! The scripted model itself: over the wire, and with the real child.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use conductor_tests::harness::{Repository, tools};
use conductor_tests::scripted::huge::Huge;
use conductor_tests::scripted::server::StartError;
use conductor_tests::scripted::{Options, Outcome, Part, Reply, Rule, Script, ScriptedModel};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn start(script: Script) -> ScriptedModel {
    let options = Options {
        script,
        ..Options::default()
    };
    ScriptedModel::start(options).await.unwrap()
}

/// Sends a request and reads until the server closes; the status line and the raw rest.
async fn send(to: SocketAddr, method: &str, path: &str, body: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection cut by script ends in an error after what was said.
    let _ = stream.read_to_end(&mut answer).await;
    let at = answer
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .unwrap_or(answer.len());
    let status = String::from_utf8_lossy(&answer[..at]).into_owned();
    (status, answer)
}

fn chat(stream: bool) -> String {
    json!({"model": "any", "stream": stream, "messages": [{"role": "user", "content": "Question: why?"}]})
        .to_string()
}

/// The text of a streamed answer.
fn deltas(answer: &str) -> String {
    let lines = answer
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let chunks = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
    chunks
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test]
async fn serves_loopback_only() {
    let options = Options {
        address: "0.0.0.0:0".parse().unwrap(),
        ..Options::default()
    };
    let refused = ScriptedModel::start(options).await.unwrap_err();
    assert!(matches!(refused, StartError::NotLoopback(_)), "{refused}");
}

#[tokio::test]
async fn says_that_it_is_scripted_wherever_it_names_itself() {
    let model = start(Script::default()).await;
    let (_, models) = send(model.address(), "GET", "/v1/models", "").await;
    assert!(String::from_utf8_lossy(&models).contains("scripted-model"));
    for stream in [true, false] {
        let (status, answer) = send(
            model.address(),
            "POST",
            "/v1/chat/completions",
            &chat(stream),
        )
        .await;
        assert!(status.contains("200"), "{status}");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains("\"model\":\"scripted-model\""), "{answer}");
        assert!(answer.contains("\"usage\""), "{answer}");
        let said = if stream { deltas(&answer) } else { answer };
        assert!(
            said.contains("scripted model, not by a language model"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn the_same_request_has_the_same_answer() {
    let model = start(Script::default()).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(
            send(
                model.address(),
                "POST",
                "/v1/chat/completions",
                &chat(false),
            )
            .await
            .1,
        );
    }
    let body = |answer: &[u8]| {
        let text = String::from_utf8_lossy(answer).into_owned();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    assert_eq!(body(&answers[0]), body(&answers[1]));
}

#[tokio::test]
async fn a_script_can_be_set_and_the_record_read_over_the_wire() {
    let model = start(Script::default()).await;
    let script = "[[rules]]\ntimes = 1\n[[rules.replies]]\nstatus = 429\n";
    let (status, _) = send(model.address(), "POST", "/scripted/script", script).await;
    assert!(status.contains("200"), "{status}");
    let (status, _) = send(model.address(), "POST", "/scripted/script", "rules = 3").await;
    assert!(status.contains("400"), "{status}");
    let (first, _) = send(model.address(), "POST", "/v1/chat/completions", &chat(true)).await;
    let (second, _) = send(model.address(), "POST", "/v1/chat/completions", &chat(true)).await;
    assert!(
        first.contains("429") && second.contains("200"),
        "{first} {second}"
    );
    let (_, listed) = send(model.address(), "GET", "/scripted/requests", "").await;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let listed: Value = serde_json::from_str(listed.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(listed[0]["outcome"], "refused");
    assert_eq!(listed[1]["outcome"], "completed");
    assert_eq!(
        listed[1]["body"]["messages"][0]["content"],
        "Question: why?"
    );
}

#[tokio::test]
async fn a_cut_stream_ends_without_an_end_after_what_was_said() {
    let reply = Reply::parts([Part::text("half"), Part::Drop]);
    let model = start(Script::of([Rule::any([reply])])).await;
    let (_, answer) = send(model.address(), "POST", "/v1/chat/completions", &chat(true)).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(
        answer.contains("half") && !answer.contains("[DONE]"),
        "{answer}"
    );
    assert!(
        !answer.ends_with("0\r\n\r\n"),
        "the body ends as if it were whole"
    );
    let control = model.control();
    let over =
        |c: &conductor_tests::scripted::control::Control| c.records()[0].outcome == Outcome::Cut;
    assert!(control.wait_until(Duration::from_secs(5), over).await);
}

#[tokio::test]
async fn a_client_that_leaves_a_held_request_is_noticed() {
    let model = start(Script::of([Rule::any([Reply::parts([Part::stall(
        "gate",
    )])])]))
    .await;
    let address = model.address();
    let request = tokio::spawn(async move {
        send(address, "POST", "/v1/chat/completions", &chat(true)).await;
    });
    let limit = Duration::from_secs(5);
    let control = model.control();
    assert!(
        control
            .wait_until(limit, |c| c.held().contains_key("gate"))
            .await
    );
    request.abort();
    let gone = |c: &conductor_tests::scripted::control::Control| {
        c.records()[0].outcome == Outcome::Disconnected && c.held().is_empty()
    };
    assert!(
        control.wait_until(limit, gone).await,
        "{:?}",
        control.records()
    );
}

#[tokio::test]
async fn damage_goes_over_the_wire_as_it_was_made() {
    let huge = Huge {
        bytes: 5_000,
        ..Huge::default()
    };
    let model = start(Script::of([Rule::any([Reply::parts([Part::Huge(huge)])])])).await;
    let (_, answer) = send(model.address(), "POST", "/v1/chat/completions", &chat(true)).await;
    assert!(answer.windows(6).any(|window| window == b"\\u0000"));
    assert!(answer.windows(6).any(|window| window == b"\\ud83d"));
    assert!(
        answer
            .windows(2)
            .any(|window| window == b"\xff\\" || window == b"\xc0\xaf")
    );
}

/// Runs the real child by hand, hardened as little as this test needs.
async fn child(model: &ScriptedModel, folder: &std::path::Path, prompt: &str) -> String {
    let (node, qwen) = (tools::node().unwrap(), tools::qwen().unwrap());
    for name in ["home", "work"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let file = folder.join("prompt");
    std::fs::write(&file, prompt).unwrap();
    let persona = "# Structural analyst\nYou are a structural analyst.";
    let denied = "edit,write_file,notebook_edit,run_shell_command,monitor,enter_worktree,exit_worktree,\
        agent,skill,web_fetch,tool_call,tool_search,cron_create,cron_delete,cron_list,loop_wakeup,\
        record_artifact,report_findings,send_message,task_stop,list_agents,read_mcp_resource,get_goal,\
        update_goal,zoom_image,todo_write";
    let child = tokio::process::Command::new(node)
        .arg(qwen)
        .args([
            "--auth-type",
            "openai",
            "--approval-mode",
            "plan",
            "-o",
            "stream-json",
        ])
        .args([
            "--system-prompt",
            persona,
            "--exclude-tools",
            denied,
            "--add-dir",
        ])
        .arg(folder.join("shop"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder.join("home"))
        .env("QWEN_CODE_NO_RELAUNCH", "true")
        .env("OPENAI_BASE_URL", model.base_url())
        .env("OPENAI_API_KEY", "scripted")
        .env("OPENAI_MODEL", "scripted-model")
        .current_dir(folder.join("work"))
        .stdin(std::fs::File::open(&file).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let limit = Duration::from_secs(60);
    let output = tokio::time::timeout(limit, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let results = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let result = results.into_iter().find(|event| event["type"] == "result");
    result.map_or(lines, |event| {
        event["result"].as_str().unwrap_or_default().to_owned()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_child_reads_real_files_and_its_answer_cites_them() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Repository::shop(&folder.path().join("shop"));
    let model = start(Script::default()).await;
    let root = shop.root().display();
    let prompt = format!(
        "# The question\n\nHow does a lease work?\n\n# The project\n\nIts files stand in {root}\n"
    );
    let answer = child(&model, folder.path(), &prompt).await;
    let cited = conductor_tests::harness::runs::citations(&answer);
    assert!(!cited.is_empty(), "{answer}");
    for citation in &cited {
        let holds = conductor_tests::harness::runs::citation_holds(shop.root(), citation);
        assert!(holds, "{citation:?} in {answer}");
    }
    assert!(answer.contains("src/lease.rs"), "{answer}");
    let turns: Vec<usize> = model
        .control()
        .records()
        .iter()
        .map(|record| record.turn)
        .collect();
    assert_eq!(turns, [1, 2, 3], "list, read, answer");
}
