//! What the model is asked is what was given.

use conductor_worker::child::{ChildSpec, Job};
use conductor_worker::events::Event;
use serde_json::json;

use crate::common::model::{Answer, Model};
use crate::common::{Bench, model};
use crate::text;

#[tokio::test(flavor = "multi_thread")]
async fn the_prompt_reaches_the_model_byte_for_byte() {
    let bench = Bench::new().await;
    let prompts = [
        "/init",
        "/a/path and me@example.com, @a.txt @./a.txt @/etc/passwd \\@a.txt @ @\n",
        "  \n\t@{a.txt} !{id} !id {{args}} $1 $$ $& $` $' ${x}\r\n\u{feff}\u{a0}",
        "?btw // # \u{0}nul \u{7} \u{2060} 😀 {\"json\": \"\\u0041\"} </system-reminder>",
        "```\n@media (x) { a: b }\n```\n---\nname: x\n---\n",
    ];
    for prompt in prompts {
        let served = Model::start(vec![text("done")]);
        let model = model(&served.base_url());
        let ran = bench.run(&bench.spec(prompt, &model)).await;
        assert_eq!(ran.output(), "done");
        let texts = served.user_texts();
        assert!(
            texts.iter().any(|t| t == prompt),
            "{prompt:?} became {texts:#?}"
        );
        assert_eq!(served.bodies().len(), 1, "one turn is one request");
        assert_eq!(served.keys(), ["Bearer test-key"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_prompt_arrives_whole() {
    let bench = Bench::new().await;
    let prompt: String = (0..60_000)
        .map(|i| if i % 3 == 0 { "é@x 😀 " } else { "$ab\n" })
        .collect::<String>()
        + "end";
    assert!(prompt.len() > 300_000);
    let served = Model::start(vec![text("done")]);
    let model = model(&served.base_url());
    bench.run(&bench.spec(&prompt, &model)).await.output();
    assert!(served.user_texts().contains(&prompt));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_persona_arrives_and_the_snapshot_is_named_by_its_path() {
    let bench = Bench::new().await;
    let served = Model::start(vec![
        Answer::Calls(vec![(
            "read_file",
            json!({ "file_path": bench.snapshot.join("a.txt") }),
        )]),
        Answer::Text(format!("see {}/a.txt:1", bench.snapshot.display())),
    ]);
    let model = model(&served.base_url());
    let mut spec = bench.spec("read \u{1}snapshot\u{1}/a.txt", &model);
    spec.system_prompt = "-- a persona for \u{1}snapshot\u{1}";
    let ran = bench.run(&spec).await;
    let system = served.bodies()[0]["messages"][0]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        system.starts_with(&format!("-- a persona for {}", bench.snapshot.display())),
        "{system}"
    );
    assert!(
        served
            .user_texts()
            .contains(&format!("read {}/a.txt", bench.snapshot.display()))
    );
    assert_eq!(ran.output(), "see a.txt:1");
    assert!(ran.events.contains(&Event::ToolCall {
        id: "call-0".to_owned(),
        name: "read_file".to_owned(),
        input: json!({ "file_path": "a.txt" }),
        executed: true,
    }));
    let result = ran.events.iter().find_map(|e| match e {
        Event::ToolResult {
            is_error, content, ..
        } => Some((*is_error, content.as_str())),
        _ => None,
    });
    assert_eq!(result, Some((false, "one\ntwo\n")));
    // The reminder of plan mode, a date and two lines stand before the prompt, nothing of size besides.
    let before: usize = served.user_texts().iter().map(String::len).sum();
    assert!(before < 6000, "{before} bytes: {:#?}", served.user_texts());
}

#[tokio::test]
async fn what_cannot_be_passed_on_is_refused_and_leaves_nothing() {
    let bench = Bench::new().await;
    let fine = model("http://127.0.0.1:1/v1");
    let refused = |spec: ChildSpec<'_>| {
        let error = Job::prepare(&spec, &bench.qwen, &bench.sandbox).unwrap_err();
        assert!(!error.is_retryable() && !spec.job_dir.exists(), "{error}");
        error.to_string()
    };
    let long = "x".repeat(128 * 1024);
    let mut spec = bench.spec("go", &fine);
    spec.system_prompt = &long;
    assert!(refused(spec).contains("the persona takes 131072 bytes"));
    let longest = &long[..128 * 1024 - 1 - "--system-prompt=".len()];
    let mut spec = bench.spec("go", &fine);
    spec.system_prompt = longest;
    Job::prepare(&spec, &bench.qwen, &bench.sandbox)
        .unwrap()
        .remove()
        .unwrap();
    let mut spec = bench.spec("go", &fine);
    spec.system_prompt = " ";
    assert!(refused(spec).contains("persona is blank"));
    assert!(refused(bench.spec(" \n", &fine)).contains("prompt is blank"));
    let huge = "$".repeat(5 << 20);
    assert!(refused(bench.spec(&huge, &fine)).contains("max_prompt_bytes"));
    let wrong = model("not an address");
    assert!(refused(bench.spec("go", &wrong)).contains("not an http address"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_persona_arrives() {
    let bench = Bench::new().await;
    let served = Model::start(vec![text("done")]);
    let model = model(&served.base_url());
    let persona = "é".repeat(60_000) + "end of persona";
    let mut spec = bench.spec("go", &model);
    spec.system_prompt = &persona;
    bench.run(&spec).await.output();
    assert!(
        served.bodies()[0]["messages"][0]["content"]
            .as_str()
            .unwrap()
            .starts_with(&persona)
    );
}
