//! The hostile corpus: what an enemy can plant in a repository, what a model can ask for and what a question can say.
//! After each case the repository and everything beside it is as it was, nobody was called but the model, no process is
//! left, and the run has ended. Every child is the real one, and in every case it is asked for everything that writes.

mod case;
mod files;
mod git;
mod looks;
mod model;
mod names;
mod prompts;
mod qwen;
mod verdict;

use std::path::Path;

use conductor_tests::harness::listeners::Listeners;
use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup};
use conductor_tests::scripted::{Reply, Rule, Script};

use case::{Case, Plot};

/// A user without a name, a group or a home.
const NOBODY_KNOWN: u32 = 61_235;
const SLOTS: u32 = 4;

/// All cases, or those that are named in the environment, between commas.
const ONLY: &str = "CONDUCTOR_CORPUS";

fn corpus() -> Vec<Case> {
    let all = [
        qwen::cases(),
        git::cases(),
        files::cases(),
        names::cases(),
        looks::cases(),
        model::cases(),
        prompts::cases(),
    ];
    let all = all.into_iter().flatten();
    match std::env::var(ONLY) {
        Ok(only) => all
            .filter(|case| only.split(',').any(|name| name == case.name))
            .collect(),
        Err(_) => all.collect(),
    }
}

#[test]
fn nothing_in_the_corpus_gets_through() {
    let cases = corpus();
    let whole = std::env::var_os(ONLY).is_none();
    assert!(cases.len() >= 25 || !whole, "{} cases", cases.len());
    play(cases, None);
}

#[test]
fn nothing_in_the_corpus_gets_through_where_the_worker_is_an_ordinary_user() {
    // Where the tests do not run as root, they are one already.
    // SAFETY: geteuid(2) has no arguments and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        let cases = corpus().into_iter().filter(|case| case.ordinary).collect();
        play(cases, Some(NOBODY_KNOWN));
    }
}

/// Plays all cases in one worker, and looks at each.
fn play(cases: Vec<Case>, user: Option<u32>) {
    let setup = Setup::new().without_worker().slots(SLOTS);
    setup.run(async |c| {
        let listeners = Listeners::start(&c.folder().join("socket")).unwrap();
        if let Some(user) = user {
            c.environment.hand_over(user);
        }
        c.define("look", &[("look", "codebase-explorer")]).await;
        let environment = Plot::new(c, "environment", &listeners);
        c.environment.variables = qwen::environment(&environment);
        let mut plots = Vec::new();
        for case in &cases {
            let plot = Plot::new(c, case.name, &listeners);
            (case.plant)(&plot);
            if user.is_some() {
                plot.open_to_all();
            }
            c.register(case.name, plot.repo.root()).await;
            plots.push((case, plot));
        }
        assert_eq!(listeners.calls(), [0; 3], "planting calls nobody");
        c.model.control().set_script(script(&plots));
        let before: Vec<_> = plots.iter().map(|(_, plot)| plot.look()).collect();
        c.start_worker();
        if let Some(user) = user {
            let worker = std::fs::metadata(format!("/proc/{}", c.worker().pid()));
            let owner = std::os::unix::fs::MetadataExt::uid(&worker.unwrap());
            assert_eq!(owner, user);
        }
        let mut runs = Vec::new();
        for (case, plot) in &plots {
            runs.push(launch(c, case, plot).await);
        }
        let mut wrong = Vec::new();
        for ((case, plot), (before, run)) in plots.iter().zip(before.iter().zip(runs)) {
            let (status, error) = c.ended(run, LONG * 3).await;
            wrong.extend(verdict::on(c, case, plot, run, (&status, error.as_deref())).await);
            wrong.extend(
                plot.changes(before)
                    .map(|change| format!("{}: {change}", case.name)),
            );
        }
        wrong.extend(verdict::on_the_model(c, &plots));
        wrong.extend(c.violations().await.unwrap());
        wrong.extend(verdict::on_processes(c, &plots));
        let calls = listeners.calls();
        assert!(
            wrong.is_empty() && calls == [0; 3] && environment.ran().is_empty(),
            "called: {calls:?}, ran: {:?}\n{}",
            environment.ran(),
            wrong.join("\n")
        );
        c.stop_worker();
        spring(&plots);
        // Deeper than what ends the test can reach.
        let mut remove = std::process::Command::new("rm");
        remove.arg("-rf").arg(&c.environment.allowed);
        assert!(remove.status().unwrap().success());
    });
}

async fn launch(c: &Conductor, case: &Case, plot: &Plot<'_>) -> i64 {
    let question = (case.question)(plot);
    let question = format!("{question} {}", case.mark());
    let mut launch = Launch::new("look", &question).on(case.name);
    if let Some(input) = case.input {
        launch = launch.input(input(plot));
    }
    c.launch(launch).await
}

/// The first turn of each case asks for what it asks for, the second ends it.
fn script(plots: &[(&Case, Plot)]) -> Script {
    let mut rules = Vec::new();
    for (case, plot) in plots {
        let first = Rule::any([Reply::parts([case.calls(plot)])]).turn(1);
        rules.push(first.contains(&case.mark()));
        if let Some(text) = case.reply {
            let last = Rule::any([Reply::text(&text(plot))]).turn(2);
            rules.push(last.contains(&case.mark()));
        }
    }
    rules.push(Rule::any([Reply::text(case::REPLY)]));
    Script::of(rules)
}

/// Each trap is a real one: what it was meant to be found by steps into it.
fn spring(plots: &[(&Case, Plot)]) {
    for (case, plot) in plots {
        if let Some(spring) = case.spring {
            assert!(plot.ran().is_empty(), "{}: {:?}", case.name, plot.ran());
            let called = plot.listeners.calls();
            let sprung = spring(plot);
            let ran = !plot.ran().is_empty() || plot.listeners.calls() != called;
            assert!(sprung || ran, "{}: it was no trap", case.name);
        }
    }
}

/// Text of a path that is text.
fn text(path: &Path) -> &str {
    path.to_str().expect("the path is text")
}
