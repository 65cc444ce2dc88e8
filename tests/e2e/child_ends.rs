//! How a child can end that was not asked to: how often it is tried, what people are told, what becomes of the run.

use std::time::{Duration, Instant};

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, ports, processes};
use conductor_tests::scripted::{Options, Part, Reply, Rule, Script, ScriptedModel};

const SOON: Duration = Duration::from_secs(15);

/// Asks a flow of one step, `look`.
async fn ask(c: &Conductor, question: &str) -> i64 {
    c.launch(Launch::new("one", question)).await
}

async fn define(c: &Conductor) {
    c.define("one", &[("look", "research-analyst")]).await;
}

fn when_asked(question: &str, reply: Reply) -> Rule {
    Rule::any([reply]).contains(question)
}

fn half_then_held() -> Reply {
    Reply::parts([Part::text("HALF A SENTENCE"), Part::stall("gate")])
}

/// The run has failed after so many attempts, and says why wherever people look; the reason.
async fn failed(c: &Conductor, run: i64, attempts: i32, limit: Duration) -> String {
    let (status, of_run) = c.ended(run, limit).await;
    assert_eq!(status, "failed");
    let step = c.step(run, "look").await;
    assert_eq!(
        (step.status.as_str(), step.attempts),
        ("failed", attempts),
        "{step:?}"
    );
    let error = step.error.expect("a failed step says why");
    assert!(
        of_run.is_some_and(|text| text.contains("look")),
        "the run names its step"
    );
    let told = c.told(run).await;
    assert_eq!(told.last(), Some(&(error.clone(), false)), "{told:?}");
    let again = told.iter().filter(|(_, retried)| *retried).count();
    assert_eq!(again + 1, usize::try_from(attempts).unwrap(), "{told:?}");
    let report = c.report(run).await;
    assert!(report.contains("failed"), "{report}");
    error
}

#[test]
fn what_the_model_refuses_is_asked_once_and_told_with_its_status() {
    let statuses = [400_u16, 401, 403, 404];
    let script =
        statuses.map(|status| when_asked(&format!("case {status}?"), Reply::status(status)));
    Setup::new()
        .slots(4)
        .script(Script::of(script))
        .run(async |c| {
            define(c).await;
            let mut runs = Vec::new();
            for status in statuses {
                runs.push(ask(c, &format!("Is it so in case {status}?")).await);
            }
            for (status, run) in statuses.into_iter().zip(runs) {
                let error = failed(c, run, 1, LONG).await;
                assert_eq!(
                    error,
                    format!("the model's server: {status} an error by script")
                );
            }
            let requests = c.model.control().records().len();
            assert_eq!(requests, statuses.len(), "one request each");
        });
}

#[test]
fn a_limit_or_an_error_that_passes_is_waited_out_by_the_child() {
    let statuses = [429_u16, 500];
    let script = statuses
        .map(|status| when_asked(&format!("case {status}?"), Reply::status(status)).times(2));
    Setup::new().script(Script::of(script)).run(async |c| {
        define(c).await;
        let mut runs = Vec::new();
        for status in statuses {
            runs.push(ask(c, &format!("Is it so in case {status}?")).await);
        }
        for run in runs {
            c.completed(run, LONG).await;
            assert_eq!(c.step(run, "look").await.attempts, 1);
            assert_eq!(c.told(run).await, []);
        }
    });
}

#[test]
fn a_limit_and_an_error_that_stay_end_the_attempt_within_three_minutes() {
    let limit = Duration::from_secs(180);
    let statuses = ["429", "500"];
    let script = statuses.map(|status| {
        let reply = Reply::status(status.parse().unwrap());
        when_asked(&format!("case {status}?"), reply)
    });
    Setup::new()
        .slots(2)
        .settings("max_attempts = 1")
        .script(Script::of(script))
        .run(async |c| {
            define(c).await;
            let began = Instant::now();
            let mut runs = Vec::new();
            for status in statuses {
                runs.push((status, ask(c, &format!("Is it so in case {status}?")).await));
            }
            for (status, run) in runs {
                let error = failed(c, run, 1, limit).await;
                let beginning = format!("the model's server answered {status} ");
                assert!(
                    error.starts_with(&beginning) && error.ends_with(" s: an error by script"),
                    "{error}"
                );
                println!("{error} after {:?}", began.elapsed());
            }
            let requests = c.model.control().records().len();
            assert!((6..=12).contains(&requests), "{requests} requests");
        });
}

#[test]
fn a_model_that_dies_in_mid_stream_and_stays_away_ends_the_attempt_within_three_minutes() {
    let limit = Duration::from_secs(180);
    Setup::new()
        .without_worker()
        .settings("max_attempts = 1")
        .run(async |c| {
            define(c).await;
            let script = Script::of([Rule::any([half_then_held()])]);
            let options = Options {
                script,
                ..Options::default()
            };
            let model = ScriptedModel::start(options).await.expect("a port is free");
            c.environment.model_url = model.base_url();
            c.start_worker();
            let run = ask(c, "Is it so?").await;
            let control = model.control();
            assert!(
                control
                    .wait_until(LONG, |control| control.held().contains_key("gate"))
                    .await
            );
            c.has_streamed(run, "look", LONG).await;
            let began = Instant::now();
            drop(model);
            let error = failed(c, run, 1, limit).await;
            assert!(
                error.starts_with("the model's server failed ")
                    && error.contains("could not be reached"),
                "{error}"
            );
            println!("{error} after {:?}", began.elapsed());
        });
}

#[test]
fn a_model_where_nobody_listens_is_tried_again_and_named() {
    Setup::new()
        .without_worker()
        .settings("retry_backoff = '100 milliseconds'")
        .run(async |c| {
            define(c).await;
            // Bound and not listened to: refused, and nobody else's.
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            c.environment.model_url = format!("http://{}/v1", socket.local_addr().unwrap());
            c.start_worker();
            let run = ask(c, "Is it so?").await;
            let error = failed(c, run, 2, LONG).await;
            let beginning = format!("cannot reach the model at {}", c.environment.model_url);
            assert!(
                error.starts_with(&beginning) && error.contains("refused"),
                "{error}"
            );
        });
}

#[test]
fn a_model_that_is_restarted_in_mid_stream_goes_on_where_it_was() {
    let script = Script::of([Rule::any([half_then_held()])]);
    Setup::new().without_worker().run(async |c| {
        define(c).await;
        // Nobody else may take it before the model is back.
        let address = ([127, 0, 0, 1], ports::reserve().unwrap()).into();
        let options = Options {
            address,
            script,
            ..Options::default()
        };
        let model = ScriptedModel::start(options)
            .await
            .expect("the port is free");
        c.environment.model_url = model.base_url();
        c.start_worker();
        let run = ask(c, "Is it so?").await;
        let control = model.control();
        assert!(
            control
                .wait_until(LONG, |control| control.held().contains_key("gate"))
                .await
        );
        c.has_streamed(run, "look", LONG).await;
        drop(model);
        let script = Script::of([Rule::any([Reply::text(
            " and the other half, which ends well.",
        )])]);
        let again = c
            .until("the port is free again", SOON, async |_: &Conductor| {
                let script = script.clone();
                ScriptedModel::start(Options {
                    address,
                    script,
                    ..Options::default()
                })
                .await
                .ok()
            })
            .await;
        c.completed(run, LONG).await;
        assert_eq!(c.step(run, "look").await.attempts, 1);
        let output = c.output(run, "look").await;
        assert_eq!(
            output.trim(),
            "HALF A SENTENCE and the other half, which ends well."
        );
        drop(again);
    });
}

/// Whom a signal is sent to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum To {
    Node,
    Helper,
}

#[test]
fn a_child_that_a_signal_ends_is_tried_again_and_the_signal_is_named() {
    let cases = [
        (
            libc::SIGKILL,
            To::Node,
            "the child was ended by signal 9 (SIGKILL",
        ),
        (
            libc::SIGSEGV,
            To::Node,
            "the child was ended by signal 11 (SIGSEGV)",
        ),
        (libc::SIGTERM, To::Node, "the child was interrupted"),
        (libc::SIGINT, To::Node, "the child was interrupted"),
        (
            libc::SIGKILL,
            To::Helper,
            "the child was ended by signal 9 (SIGKILL",
        ),
    ];
    let settings =
        "retry_backoff = '100 milliseconds', max_attempts = 2, stall_timeout = '10 minutes'";
    Setup::new()
        .slots(6)
        .settings(settings)
        .script(Script::of([
            Rule::any([half_then_held()]).times(cases.len() + 1)
        ]))
        .run(async |c| {
            define(c).await;
            let mut runs = Vec::new();
            for _ in cases {
                runs.push(ask(c, "Is it so?").await);
            }
            let once = "update settings set max_attempts = 1";
            c.sql.execute(once, &[]).await.unwrap();
            let lost = ask(c, "Is it so?").await;
            let all = cases.len() + 1;
            let held = c.model.control().wait_until(LONG, |control| {
                control
                    .held()
                    .get("gate")
                    .is_some_and(|count| *count == all)
            });
            assert!(held.await, "all of them stream");
            // The model has said it; a child that is killed before it has passed it on leaves nothing to keep.
            for run in runs.iter().chain([&lost]) {
                c.has_streamed(*run, "look", LONG).await;
            }
            let last = (libc::SIGKILL, To::Node, cases[0].2);
            let sent = cases.iter().chain([&last]);
            for ((signal, to, _), run) in sent.zip(runs.iter().chain([&lost])) {
                let job = c.job(*run, "look").await;
                let of_job = processes::of_folder(&job);
                let found = of_job
                    .iter()
                    .find(|p| (p.pid == p.group) == (*to == To::Helper));
                let pid = found
                    .unwrap_or_else(|| panic!("no {to:?} in {of_job:?}"))
                    .pid;
                assert!(processes::signal(pid, *signal));
            }
            let error = failed(c, lost, 1, SOON).await;
            assert!(error.starts_with(last.2), "{error}");
            let kept = c.step(lost, "look").await.output;
            assert_eq!(kept.as_deref(), Some("HALF A SENTENCE"));
            for ((signal, to, expected), run) in cases.into_iter().zip(runs) {
                c.completed(run, LONG).await;
                let step = c.step(run, "look").await;
                assert_eq!((step.attempts, step.error), (2, None), "{signal} to {to:?}");
                let told = c.told(run).await;
                let retried: Vec<_> = told.iter().filter(|(_, retried)| *retried).collect();
                let [(error, _)] = retried[..] else {
                    panic!("{signal} to {to:?}: {told:?}");
                };
                assert!(error.starts_with(expected), "{signal} to {to:?}: {error}");
            }
        });
}
