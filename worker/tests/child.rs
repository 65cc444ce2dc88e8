//! The real qwen, sandboxed, against a model that records what it is asked.

mod common;

use std::time::Duration;

use common::model::{Answer, Model};
use common::{Bench, LIMIT, model};
use conductor_worker::child::trial;
use conductor_worker::events::{Event, Outcome};
use serde_json::json;

fn text(text: &str) -> Answer {
    Answer::Text(text.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_of_the_real_child_finds_nothing_wrong() {
    let bench = Bench::new();
    let checks = trial(
        &bench.qwen,
        &bench.sandbox,
        &bench.toolbox,
        bench.dir.path(),
    )
    .await
    .unwrap();
    println!("{checks:#?}");
    assert!(checks.iter().all(|c| c.ok), "{checks:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prompt_reaches_the_model_byte_for_byte() {
    let bench = Bench::new();
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
    let bench = Bench::new();
    let prompt: String = (0..60_000)
        .map(|i| if i % 3 == 0 { "é@x 😀 " } else { "$ab\n" })
        .collect::<String>()
        + "end";
    assert!(prompt.len() > 300_000);
    let served = Model::start(vec![text("done")]);
    let model = model(&served.base_url());
    bench.run(&bench.spec(&prompt, &model)).await.output();
    assert!(served.user_texts().iter().any(|t| *t == prompt));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_persona_arrives_and_the_snapshot_is_named_by_its_path() {
    let bench = Bench::new();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_long_reply_arrives_whole_though_it_is_read_slowly() {
    let bench = Bench::new();
    let reply: String = (0..100_000).map(|n| format!("line {n}\n")).collect();
    let served = Model::start(vec![text(&reply)]);
    let model = model(&served.base_url());
    let job = bench.job("write", &model);
    let mut child = job.start().unwrap();
    let mut parser = bench.parser();
    let reading = async {
        while let Some(bytes) = child.read().await.unwrap() {
            parser.push(bytes);
            // The server that the worker passes everything on to may be slower than the child.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, reading).await.unwrap();
    let exit = child.wait().await;
    match parser.finish(&exit).1 {
        Outcome::Success { output, .. } => assert!(output.trim_end() == reply.trim_end()),
        Outcome::Failure { message, .. } => {
            panic!("{}", message.chars().take(300).collect::<String>())
        }
    }
    job.remove().unwrap();
}

/// The processes of a group, by /proc.
fn group(leader: u32) -> Vec<i32> {
    let field = |stat: &str, n: usize| {
        stat.rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(n)?.parse().ok())
    };
    let processes = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse::<i32>().ok());
    processes
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            field(&stat, 2) == Some(leader)
        })
        .collect()
}

/// Handles that tell when each process is gone.
fn handles(pids: &[i32]) -> Vec<std::os::fd::OwnedFd> {
    let open = |pid: &i32| {
        rustix::process::pidfd_open(
            rustix::process::Pid::from_raw(*pid).unwrap(),
            rustix::process::PidfdFlags::empty(),
        )
    };
    pids.iter().map(|pid| open(pid).unwrap()).collect()
}

#[track_caller]
fn all_end(handles: &[std::os::fd::OwnedFd]) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    for handle in handles {
        let limit = Timespec {
            tv_sec: 30,
            tv_nsec: 0,
        };
        let ended = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&limit)).unwrap();
        assert_eq!(ended, 1, "a process outlived its worker");
    }
}

async fn until_asked(served: &Model) {
    let asked = async {
        while served.bodies().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(common::LIMIT, asked)
        .await
        .expect("the child asks the model");
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_a_child_ends_its_whole_group_within_the_grace() {
    let bench = Bench::new();
    let served = Model::start(vec![Answer::Hang("some text".to_owned())]);
    let model = model(&served.base_url());
    let job = bench.job("hang", &model);
    let mut child = job.start().unwrap();
    until_asked(&served).await;
    let processes = group(child.pid());
    assert!(processes.len() >= 2, "helper and node: {processes:?}");
    let exit = child.end(Duration::from_secs(20)).await;
    assert_eq!((exit.code, exit.signal), (Some(130), None), "{exit:?}");
    assert_eq!(group(child.pid()), Vec::<i32>::new());
    job.remove().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_dies_with_its_helper() {
    let bench = Bench::new();
    let served = Model::start(vec![Answer::Hang("some text".to_owned())]);
    let model = model(&served.base_url());
    let child = bench.job("hang", &model).start().unwrap();
    until_asked(&served).await;
    let processes = handles(&group(child.pid()));
    let helper = rustix::process::Pid::from_raw(child.pid().cast_signed()).unwrap();
    rustix::process::kill_process(helper, rustix::process::Signal::KILL).unwrap();
    all_end(&processes);
}

/// Not a test of its own: the process that `no_child_outlives_a_worker_killed_with_9` kills.
#[tokio::test(flavor = "multi_thread")]
async fn worker_to_be_killed() {
    let Some(base_url) = std::env::var_os("CONDUCTOR_TEST_WORKER") else {
        return;
    };
    let bench = Bench::new();
    let model = model(base_url.to_str().unwrap());
    let child = bench.job("hang", &model).start().unwrap();
    println!(
        "\nleader {} folder {}",
        child.pid(),
        bench.dir.path().display()
    );
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_child_outlives_a_worker_killed_with_9() {
    use std::io::BufRead;
    let served = Model::start(vec![Answer::Hang("some text".to_owned())]);
    let mut worker = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker_to_be_killed", "--nocapture"])
        .env("CONDUCTOR_TEST_WORKER", served.base_url())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(worker.stdout.take().unwrap()).lines();
    let line = lines
        .map_while(Result::ok)
        .find_map(|l| l.strip_prefix("leader ").map(str::to_owned))
        .unwrap();
    let (leader, folder) = line.split_once(" folder ").unwrap();
    until_asked(&served).await;
    let processes = group(leader.parse().unwrap());
    assert!(processes.len() >= 2, "helper and node: {processes:?}");
    let processes = handles(&processes);
    worker.kill().unwrap();
    worker.wait().unwrap();
    all_end(&processes);
    std::fs::remove_dir_all(folder).unwrap();
}
