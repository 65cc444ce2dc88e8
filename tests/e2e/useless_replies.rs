//! Replies that are no results, and replies of which something is to be said.

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup};
use conductor_tests::scripted::{Reply, Rule, Script};

const QUESTION: &str =
    "How does a lease work in this project, and what happens when its worker dies?";
const CALL: &str = "<tool_call>\n{\"name\": \"read_file\", \"arguments\": {\"file_path\": \"/src/lease.rs\"}}\n</tool_call>";
const CHINESE: &str = "## Summary\n租约是一行记录，包含所有者和到期时间。工作进程在每次心跳时续约，如果它停止续约，任务就会交给另一个进程。\n\n\
    ## Findings\n### RA1. 租约会到期\n- Consequence: 另一个进程会接手这个任务，结果不会丢失。\n";

/// The only angle of a run gives these replies, one an attempt.
fn setup(replies: &[&str]) -> Setup {
    let rules = replies
        .iter()
        .map(|reply| Rule::persona("research-analyst", [Reply::text(reply)]).times(1));
    Setup::new()
        .settings("retry_backoff = '100 milliseconds', max_attempts = 2")
        .script(Script::of(rules))
}

async fn note(c: &Conductor, run: i64, step: &str) -> Option<String> {
    let query = "select note from flow_steps where run_id = $1 and step_id = $2";
    c.sql
        .query_one(query, &[&run, &step])
        .await
        .expect("the step is there")
        .get(0)
}

/// The run fails for want of an answer; the error of its angle.
async fn failed(c: &Conductor, run: i64, attempts: i32) -> String {
    let (status, _) = c.ended(run, LONG).await;
    assert_eq!(status, "failed");
    let step = c.step(run, "sources").await;
    assert_eq!((step.status.as_str(), step.attempts), ("failed", attempts));
    let error = step.error.expect("a failed step has an error");
    let report = c.report(run).await;
    let told = error.split(['"', '<']).next().unwrap_or_default();
    assert!(report.contains(told), "{error} is not in:\n{report}");
    error
}

#[test]
fn a_promise_fails_the_attempt_and_the_next_one_may_do_better() {
    setup(&["I will now analyse the code and report back."]).run(async |c| {
        let run = c.launch(Launch::new("research", QUESTION)).await;
        c.completed(run, LONG).await;
        assert_eq!(c.step(run, "sources").await.attempts, 2);
        assert!(!c.output(run, "sources").await.contains("report back"));
        let why = "the reply was only a promise: \"I will now analyse the code and report back.\"";
        let frames = c.frames(run).await;
        let told = frames.iter().filter(|(kind, frame)| {
            kind == "error" && frame["message"] == why && frame["retried"] == true
        });
        assert_eq!(told.count(), 1, "{frames:?}");
    });
}

#[test]
fn promises_only_fail_the_step_which_says_so() {
    setup(&[
        "Let me start by looking at the project structure.",
        "我将分析代码。",
    ])
    .run(async |c| {
        let run = c.launch(Launch::new("research", QUESTION)).await;
        assert_eq!(
            failed(c, run, 2).await,
            "the reply was only a promise: \"我将分析代码。\""
        );
    });
}

#[test]
fn an_answer_without_words_fails_the_step_which_says_so() {
    setup(&["```\n```", "---\n"]).run(async |c| {
        let run = c.launch(Launch::new("research", QUESTION)).await;
        assert_eq!(
            failed(c, run, 2).await,
            "the reply held only markup, no words"
        );
    });
}

#[test]
fn an_empty_answer_is_no_result() {
    // The child asks again by itself before it gives up.
    let silent = Rule::persona("research-analyst", [Reply::text("")]);
    Setup::new()
        .settings("max_attempts = 1")
        .script(Script::of([silent]))
        .run(async |c| {
            let run = c.launch(Launch::new("research", QUESTION)).await;
            let error = failed(c, run, 1).await;
            assert!(error.contains("empty"), "{error}");
        });
}

#[test]
fn tool_calls_that_are_only_written_are_no_result() {
    let twice = format!("{CALL}\n{CALL}");
    setup(&[CALL, &twice]).run(async |c| {
        let run = c.launch(Launch::new("research", QUESTION)).await;
        assert_eq!(
            failed(c, run, 2).await,
            "the reply held only 2 tool calls written as text, which nothing executes"
        );
    });
}

#[test]
fn an_answer_with_written_calls_or_in_another_language_is_taken_with_a_note() {
    let answer = format!("## Summary\nA lease is a row.\n\n{CALL}\n\nConfidence: low\n");
    setup(&[&answer, CHINESE]).run(async |c| {
        let run = c.launch(Launch::new("research", QUESTION)).await;
        c.completed(run, LONG).await;
        let said = note(c, run, "sources").await;
        assert_eq!(
            said.as_deref(),
            Some("1 tool call was written as text and not executed")
        );
        assert!(!c.output(run, "sources").await.contains("tool_call"));
        assert_eq!(note(c, run, "validation").await, None);

        let run = c.launch(Launch::new("research", QUESTION)).await;
        c.completed(run, LONG).await;
        let said = note(c, run, "sources").await;
        assert_eq!(
            said.as_deref(),
            Some("the reply is in Chinese, the question in English")
        );
        assert_eq!(c.step(run, "sources").await.attempts, 1);
        assert!(c.output(run, "sources").await.contains("租约"));
        let report = c.report(run).await;
        assert!(report.contains("the reply is in Chinese"), "{report}");
    });
}
