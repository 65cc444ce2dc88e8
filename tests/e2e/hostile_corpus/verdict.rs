//! What must hold after each case, and after all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use conductor_tests::harness::Conductor;
use conductor_tests::harness::processes;
use conductor_tests::harness::worker::children;
use serde_json::Value;

use super::case::{Case, Plot, SECRET};

/// All that a child may offer.
const TOOLS: [&str; 3] = ["glob", "grep_search", "read_file"];

/// What is wrong with how a case ended.
pub async fn on(
    c: &Conductor,
    case: &Case,
    plot: &Plot<'_>,
    run: i64,
    (status, error): (&str, Option<&str>),
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |what: String| wrong.push(format!("{}: {what}", case.name));
    let step = c.step(run, "look").await;
    let said = step.error.as_deref().unwrap_or_default();
    let as_expected = match case.fails {
        None => status == "completed" && step.attempts == 1,
        Some(words) => status == "failed" && said.contains(words),
    };
    if !as_expected {
        say(format!(
            "{status} at attempt {}: {error:?} {said}",
            step.attempts
        ));
    }
    let frames = c.frames(run).await;
    let told = format!("{frames:?} {:?} {}", step.output, c.report(run).await);
    if told.contains(SECRET) {
        say("a secret was told".to_owned());
    }
    let mut names = BTreeMap::new();
    for (kind, frame) in &frames {
        let id = frame["id"].as_str().unwrap_or_default();
        let name = frame["name"].as_str().unwrap_or_default();
        match kind.as_str() {
            "tool_call" if frame["executed"] != false => {
                names.insert(id, name);
            }
            "tool_result" if frame["is_error"] != true => {
                let name = names.get(id).copied().unwrap_or_default();
                if !TOOLS.contains(&name) {
                    say(format!("{name} was not refused: {frame}"));
                }
            }
            _ => {}
        }
    }
    if !processes::of_folder(plot.repo.root()).is_empty() {
        say("a process is in the repository".to_owned());
    }
    wrong
}

/// What is wrong with what the model was asked.
pub fn on_the_model(c: &Conductor, plots: &[(&Case, Plot)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let records = c.model.control().records();
    for (case, _) in plots {
        let mark = case.mark();
        let ours = records.iter().filter(|record| record.body.contains(&mark));
        let turns: Vec<usize> = ours.clone().map(|record| record.turn).collect();
        // qwen makes a call of what a model writes in one of the forms, which costs a turn.
        let more = case.reply.is_some() && turns.starts_with(&[1, 2]);
        if turns != [1, 2] && !more && case.fails.is_none() {
            wrong.push(format!(
                "{}: the model was asked for turns {turns:?}",
                case.name
            ));
        }
        for record in ours {
            let talk = record.conversation();
            let mut tools = talk.tools.clone();
            tools.sort();
            if talk.model != "scripted-model" || tools != TOOLS {
                wrong.push(format!("{}: {} with {tools:?}", case.name, talk.model));
            }
            for word in [SECRET, "EVIL ORDERS", "root:x:0:0", "OPENAI_API_KEY="] {
                if record.body.contains(word) {
                    wrong.push(format!("{}: {word} reached the model", case.name));
                }
            }
            let read = talk.calls.first().and_then(|call| call.result.clone());
            if read.is_some_and(|text| !text.contains("A small shop that lends")) {
                wrong.push(format!("{}: the snapshot was not read", case.name));
            }
            let body: Value = serde_json::from_str(&record.body).unwrap_or_default();
            if body["messages"].as_array().is_none_or(Vec::is_empty) {
                wrong.push(format!("{}: nothing was said", case.name));
            }
        }
    }
    let known = |body: &str| plots.iter().any(|(case, _)| body.contains(&case.mark()));
    let others = records.iter().filter(|record| !known(&record.body));
    wrong.extend(others.map(|record| format!("a request of no case: {}", record.body)));
    wrong
}

/// Processes that a worker's children left.
pub fn on_processes(c: &mut Conductor, plots: &[(&Case, Plot)]) -> Vec<String> {
    let worker = c.worker().pid();
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while !children(c.folder(), worker).is_empty() && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let left = children(c.folder(), worker);
    let folders = plots.iter().map(|(_, plot)| plot.canaries.as_path());
    let others = folders.flat_map(processes::of_folder);
    left.into_iter()
        .chain(others)
        .map(|process| format!("left behind: {process:?}"))
        .collect()
}
