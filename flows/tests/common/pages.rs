//! Runs whose reports are compared as pages: one that merges findings, and one of many children.

use conductor_flows::{Band, Kind, ReportData, Role};
use serde_json::{Value, json};

use super::reports::{BEHAVIOR, STRUCTURE, SYNTHESIS, VALIDATION, data, spine, step};
use super::{agent, code, expanded, general, launch, read};

/// A run with a synthesizer of which every step said something, some of it wrong.
pub fn synthesized() -> ReportData {
    let outputs = [
        ("structure", STRUCTURE),
        ("behavior", BEHAVIOR),
        ("synthesis", SYNTHESIS),
        ("validation", VALIDATION),
        ("fold", "the fold is not shown"),
    ];
    let mut data = data(&spine(true).plan, &outputs);
    data.run.citations_total = 4;
    data.run.citations_broken = 1;
    step(&mut data, "structure").citations = Some(json!({"total": 1, "broken": []}));
    step(&mut data, "synthesis").citations = Some(json!({"total": 3, "broken": [
        {"cited": "src/retry.rs:99", "why": "the file has 40 lines"}]}));
    step(&mut data, "behavior").note =
        Some("the reply is in Chinese, the question in English".into());
    data
}

/// The same after a failure: an angle failed and nothing came after it.
pub fn failed() -> ReportData {
    let mut data = data(&spine(true).plan, &[("structure", STRUCTURE)]);
    data.run.status = "failed".into();
    data.run.error = Some("step synthesis failed: no answer <for> 90 s".into());
    for (id, status) in [
        ("behavior", "failed"),
        ("synthesis", "failed"),
        ("validation", "cancelled"),
        ("report", "skipped"),
    ] {
        let step = step(&mut data, id);
        step.status = status.into();
        step.seconds = None;
        step.tokens = 0;
    }
    step(&mut data, "synthesis").error = Some("no answer <for> 90 s".into());
    data
}

/// The plan of a review with two reviewers.
pub fn review_plan() -> conductor_flows::Plan {
    let steps = agent("correctness", "label = \"Correctness\"")
        + &agent("security", "label = \"Security\"")
        + &agent("tests", "label = \"Tests\"")
        + &code(
            "merge",
            "merge_findings",
            "needs = [\"correctness\", \"security\", \"tests\"]\njoin = \"any\"",
        )
        + &agent(
            "verify",
            "label = \"Verification\"\nneeds = [\"merge\"]\nforeach = \"merge.groups\"",
        )
        .replace("\"reader\"", "\"adversarial-validator\"")
        + &code("report", "render", "needs = [\"verify\"]\njoin = \"any\"");
    expanded(&read(&general(&steps)).unwrap(), &launch(Band::Small)).plan
}

fn finding(id: &str, severity: &str, claim: &str, place: Value) -> Value {
    json!({"id": id, "severity": severity, "rated": severity != "warning", "place": place, "claim": claim,
        "text": format!("### {id}. {severity}: {claim}\n- Where: `src/cart.rs:10`\n\
            - Evidence (codebase): `src/cart.rs:10` \"total -= price\"\n- Fix: saturate.\n")})
}

/// A run that merged findings, as the merge put them out and verifiers judged them.
pub fn reviewed() -> ReportData {
    let place = json!({"path": "src/cart.rs", "first": 10, "last": 12});
    let mut first = finding(
        "correctness/B1",
        "critical",
        "The total goes below zero",
        place.clone(),
    );
    first["joined"] = json!([finding(
        "security/SEC2",
        "warning",
        "A negative total pays out",
        place.clone()
    )]);
    first["broken"] = json!([{"cited": "src/cart.rs:999", "why": "the file has 40 lines"}]);
    let text = format!(
        "{}- See `src/cart.rs:999`.\n",
        first["text"].as_str().unwrap()
    );
    first["text"] = json!(text);
    let merged = json!({
        "groups": [
            {"step": "correctness", "label": "Correctness", "findings": [
                first,
                finding("correctness/B2", "warning", "The cache is never emptied", place.clone()),
                finding("correctness/B3", "suggestion", "The loop copies <each> row", Value::Null),
            ]},
            {"step": "security", "label": "Security", "findings": [
                finding("security/SEC1", "critical", "The token is logged", place.clone()),
            ], "raw": ["| SEC9 | something that is no <table> |"]},
        ],
        "cut": [finding("correctness/B4", "suggestion", "Names differ", place)],
        "cap": 3,
        "clean": [{"step": "tests", "label": "Tests", "why": ""}],
        "missing": [{"step": "concurrency", "label": "Concurrency", "why": "failed: no answer"}],
        "yagni": [{"step": "correctness", "label": "Correctness", "text": "- A plugin system. Why: nobody asked.\n"}],
    });
    let output = format!("# Merged\n\n```json\n{merged}\n```\n");
    let mut data = data(
        &review_plan(),
        &[
            ("correctness", "## Findings\n### RD1. critical: x\n"),
            ("security", "| SEC9 |"),
            ("tests", "## Findings\nNO FINDINGS\n"),
            ("merge", &output),
        ],
    );
    let said = [
        "## Verdict\nstands with corrections\n\n## Counter-evidence\n\
         ### V1. correctness/B1: confirmed\n- Evidence (codebase): `src/cart.rs:10` \"total -= price\"\n\
         - Consequence: a refund pays twice.\n\
         ### V2. correctness/B2: refuted\n- Evidence (codebase): `src/cache.rs:4` \"clear()\"\n\
         ### V3. correctness/B3: unproven\n- Evidence: none was found.\n\n\
         Confidence: medium\n\n## Remains open\n- Whether refunds are rounded.\n",
        "## Verdict\nstands\n\n## Counter-evidence\n### V1. security/SEC1: confirmed\n\
         - Evidence (codebase): `src/log.rs:7` \"token\"\n\nConfidence: high\n",
    ];
    children(&mut data, "verify", said.len());
    for (number, said) in said.iter().enumerate() {
        step(&mut data, &format!("verify/{}", number + 1)).output = Some((*said).into());
    }
    data
}

/// Gives a fan-out so many children, all completed.
pub fn children(data: &mut ReportData, parent: &str, count: usize) {
    let mut child = step(data, parent).clone();
    child.role = Role::Step;
    child.kind = Kind::Agent;
    child.attempts = 1;
    child.tokens = 2500;
    for number in 1..=count {
        child.step_id = format!("{parent}/{number}");
        child.seconds = Some(10.0 + number as f64);
        data.steps.push(child.clone());
    }
}
