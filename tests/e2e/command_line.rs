//! What people type at a terminal.

use std::process::Output;
use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Launch, Setup};
use conductor_tests::scripted::{Part, Reply, Rule, Script};

const SOON: Duration = Duration::from_secs(30);

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn launch_watch_and_report_lead_from_a_question_to_its_report() {
    Setup::new().run(async |c| {
        c.shop("shop").await;
        let launched = c.environment.run(
            &[
                "launch",
                "research",
                "How does",
                "a lease work?",
                "--project",
                "shop",
                "--model",
                "scripted-model",
            ],
            SOON,
        );
        assert!(launched.status.success(), "{}", err(&launched));
        let run: i64 = out(&launched)
            .trim()
            .parse()
            .expect("standard output is the run's number");
        let watched = c.environment.run(&["watch", &run.to_string()], LONG);
        assert_eq!(
            watched.status.code(),
            Some(0),
            "{}{}",
            out(&watched),
            err(&watched)
        );
        let said = out(&watched);
        for step in ["sources", "codebase", "validation"] {
            assert!(said.contains(step), "{step} is not in:\n{said}");
        }
        assert!(
            !said.contains('\u{1b}'),
            "escapes where there is no terminal:\n{said}"
        );
        let report = c.environment.run(&["report", &run.to_string()], SOON);
        assert_eq!(out(&report).trim(), c.report(run).await.trim());
        let question: String = c
            .sql
            .query_one(
                "select input ->> 'question' from flow_runs where id = $1",
                &[&run],
            )
            .await
            .unwrap()
            .get(0);
        assert_eq!(question, "How does a lease work?");
        let json = c
            .environment
            .run(&["report", &run.to_string(), "--format", "json"], SOON);
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
        assert!(json.to_string().contains("scripted-model"));
        let history = c.environment.run(&["history"], SOON);
        assert!(out(&history).contains("research"), "{}", out(&history));
    });
}

#[test]
fn watching_ends_with_a_code_that_says_how_the_run_ended() {
    let refused = Rule::persona("research-analyst", [Reply::status(400)]).contains("Will it fail?");
    let held = Rule::persona("research-analyst", [Reply::parts([Part::stall("gate")])]);
    Setup::new()
        .script(Script::of([refused, held]))
        .run(async |c| {
            let failing = c.launch(Launch::new("research", "Will it fail?")).await;
            let watched = c.environment.run(&["watch", &failing.to_string()], LONG);
            assert_eq!(watched.status.code(), Some(1), "{}", out(&watched));
            let cancelled = c
                .launch(Launch::new("research", "Will it be cancelled?"))
                .await;
            c.held("gate", LONG).await;
            let said = c.environment.run(&["cancel", &cancelled.to_string()], SOON);
            assert!(out(&said).contains("cancelled"), "{}", out(&said));
            let watched = c.environment.run(&["watch", &cancelled.to_string()], SOON);
            assert_eq!(watched.status.code(), Some(130), "{}", out(&watched));
        });
}

#[test]
fn an_error_of_the_server_is_shown_with_its_detail_and_hint() {
    Setup::new().without_worker().run(async |c| {
        let refused = c.environment.run(&["launch", "reserch", "Is it so?"], SOON);
        assert_eq!(refused.status.code(), Some(2));
        let said = err(&refused);
        assert!(
            said.contains("reserch") && said.contains("research"),
            "{said}"
        );
        let missing = c.environment.run(&["report", "4711"], SOON);
        assert!(!missing.status.success());
        assert!(err(&missing).contains("4711"), "{}", err(&missing));
    });
}
