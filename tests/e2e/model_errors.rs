//! A model that errs: what passes is tried again, what does not is said.

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Launch, Setup, processes};
use conductor_tests::scripted::{Part, Reply, Rule, Script, ToolCall};
use serde_json::json;

fn analyst(reply: Reply) -> Rule {
    Rule::persona("research-analyst", [reply])
}

fn broken_off() -> Reply {
    Reply::parts([Part::text("BROKEN OFF "), Part::Drop])
}

#[test]
fn a_server_error_that_passes_is_not_even_a_new_attempt() {
    let script = Script::of([analyst(Reply::status(503)).times(2)]);
    Setup::new().script(script).run(async |c| {
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.completed(run, LONG).await;
        assert_eq!(c.step(run, "sources").await.attempts, 1);
    });
}

#[test]
fn a_stream_cut_once_goes_on_where_it_broke_off() {
    let script = Script::of([
        analyst(broken_off()).times(1),
        analyst(Reply::text("and mended.")),
    ]);
    Setup::new().script(script).run(async |c| {
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.completed(run, LONG).await;
        assert_eq!(
            c.output(run, "sources").await.trim(),
            "BROKEN OFF and mended."
        );
        assert_eq!(c.step(run, "sources").await.attempts, 1);
    });
}

#[test]
fn a_stream_cut_again_and_again_is_a_new_attempt_and_leaves_no_trace() {
    // The child itself gives up after four.
    let script = Script::of([analyst(broken_off()).times(4)]);
    Setup::new()
        .settings("retry_backoff = '100 milliseconds'")
        .script(script)
        .run(async |c| {
            let run = c.launch(Launch::new("research", "Is it so?")).await;
            c.completed(run, LONG).await;
            assert_eq!(c.step(run, "sources").await.attempts, 2);
            assert!(
                !c.report(run).await.contains("BROKEN OFF"),
                "what streamed before is void"
            );
        });
}

#[test]
fn a_stream_that_stalls_is_ended_by_the_stall_clock_and_tried_again() {
    let stalled = Reply::parts([Part::text("STALLED "), Part::stall("for ever")]);
    let script = Script::of([analyst(stalled).times(1)]);
    Setup::new()
        .settings("stall_timeout = '4 seconds', retry_backoff = '100 milliseconds'")
        .script(script)
        .run(async |c| {
            let run = c.launch(Launch::new("research", "Is it so?")).await;
            c.completed(run, LONG).await;
            assert_eq!(c.step(run, "sources").await.attempts, 2);
            assert!(!c.report(run).await.contains("STALLED"));
        });
}

#[test]
fn a_model_that_takes_its_time_before_the_first_word_is_not_stalled() {
    let slow = Reply::parts([Part::DelayMs(7_000), Part::Default]);
    let script = Script::of([analyst(slow).times(1)]);
    Setup::new()
        .settings("stall_timeout = '4 seconds'")
        .script(script)
        .run(async |c| {
            let run = c.launch(Launch::new("research", "Is it so?")).await;
            c.completed(run, LONG).await;
            assert_eq!(c.step(run, "sources").await.attempts, 1);
        });
}

#[test]
fn a_model_that_never_says_its_first_word_is_given_up_after_its_own_limit() {
    let script = Script::of([analyst(Reply::held("for ever")).times(1)]);
    Setup::new()
        .settings("first_event_timeout = '15 seconds', retry_backoff = '100 milliseconds'")
        .script(script)
        .run(async |c| {
            let run = c.launch(Launch::new("research", "Is it so?")).await;
            c.completed(run, LONG).await;
            assert_eq!(c.step(run, "sources").await.attempts, 2);
        });
}

#[test]
fn a_model_that_never_comes_to_an_end_is_ended_with_the_time_of_the_step() {
    // It is never silent for long: no other clock minds.
    let drip = (0..400).flat_map(|_| [Part::text("and "), Part::DelayMs(200)]);
    let script = Script::of([Rule::any([Reply::parts(drip)])]);
    Setup::new()
        .settings("step_timeout = '6 seconds', max_attempts = 1")
        .script(script)
        .run(async |c| {
            c.define("one", &[("look", "research-analyst")]).await;
            let run = c.launch(Launch::new("one", "Is it so?")).await;
            c.has_streamed(run, "look", LONG).await;
            let job = c.job(run, "look").await;
            assert_eq!(c.ended(run, LONG).await.0, "failed");
            let step = c.step(run, "look").await;
            assert_eq!(
                step.error.as_deref(),
                Some("the step took longer than 6 s"),
                "{step:?}"
            );
            assert!(step.output.is_some_and(|text| text.starts_with("and and ")));
            let left = processes::of_folder(&job);
            assert!(left.is_empty() && !job.exists(), "{left:?}");
        });
}

#[test]
fn a_request_that_the_model_refuses_fails_at_once_and_the_report_says_so() {
    let script = Script::of([analyst(Reply::status(400))]);
    Setup::new().script(script).run(async |c| {
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        let (status, error) = c.ended(run, LONG).await;
        assert_eq!(status, "failed");
        let step = c.step(run, "sources").await;
        assert_eq!(step.attempts, 1, "a refusal does not pass");
        assert!(
            step.error
                .as_deref()
                .is_some_and(|error| error.contains("400")),
            "{step:?}"
        );
        assert!(error.is_some());
        let report = c.report(run).await;
        assert!(
            report.contains("failed") && report.contains("400"),
            "{report}"
        );
    });
}

#[test]
fn a_failed_angle_does_not_fail_the_run_and_is_named() {
    let refused = Rule::persona("structural-analyst", [Reply::status(400)]);
    Setup::new().script(Script::of([refused])).run(async |c| {
        c.shop("shop").await;
        let launch = Launch::new("architectural-analysis", "How does a lease work here?");
        let run = c.launch(launch.on("shop").band("medium")).await;
        c.completed(run, LONG).await;
        assert_eq!(c.step(run, "structure").await.status, "failed");
        let report = c.report(run).await;
        let top: String = report.chars().take(1500).collect();
        assert!(
            top.contains("structure") || top.contains("Structure"),
            "not named at the top:\n{report}"
        );
        let fold = c.output(run, "fold").await;
        assert!(fold.contains("structure") && fold.contains("400"), "{fold}");
    });
}

#[test]
fn a_failed_validator_fails_the_run() {
    let refused = Rule::persona("adversarial-validator", [Reply::status(400)]);
    Setup::new().script(Script::of([refused])).run(async |c| {
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        let (status, _) = c.ended(run, LONG).await;
        assert_eq!(status, "failed");
        assert_eq!(c.step(run, "sources").await.status, "completed");
        let report = c.report(run).await;
        assert!(
            report.contains("sources/RA1"),
            "what was produced is kept:\n{report}"
        );
    });
}

#[test]
fn a_model_that_repeats_one_tool_call_is_halted_and_the_step_says_why() {
    let again = ToolCall {
        name: "glob".into(),
        arguments: json!({"pattern": "*", "path": "{snapshot}"}),
    };
    let again = Reply::parts([Part::ToolCalls(vec![again])]);
    let script = Script::of([Rule::persona("codebase-explorer", [again])]);
    Setup::new()
        .settings("retry_backoff = '100 milliseconds'")
        .script(script)
        .run(async |c| {
            c.shop("shop").await;
            let run = c
                .launch(Launch::new("research", "Is it so?").on("shop"))
                .await;
            c.completed(run, LONG).await;
            let step = c.step(run, "codebase").await;
            assert_eq!(step.status, "failed");
            assert!(
                step.error
                    .unwrap_or_default()
                    .to_lowercase()
                    .contains("loop")
            );
            assert_eq!(step.attempts, 1, "a loop does not pass");
        });
}
