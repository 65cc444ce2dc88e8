//! Reports as people read them, compared with the files in `golden/`.
//! `UPDATE_GOLDEN=1 cargo test` writes those anew.

mod common;

use std::path::Path;

use common::reports::{BEHAVIOR, STRUCTURE, SYNTHESIS, VALIDATION, data, spine, step};
use common::{agent, code, expanded, general, launch, read};
use conductor_flows::{Band, ReportData, report};
use serde_json::json;

const ALL: [(&str, &str); 5] = [
    ("structure", STRUCTURE),
    ("behavior", BEHAVIOR),
    ("synthesis", SYNTHESIS),
    ("validation", VALIDATION),
    ("fold", "the fold is not shown"),
];

#[track_caller]
fn golden(name: &str, data: &ReportData) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let found = report::markdown(data);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).expect("the folder is there");
    }
    let wanted = std::fs::read_to_string(&path).expect("the golden file is there");
    assert!(found == wanted, "{name} has changed:\n{found}");
    found
}

#[test]
fn completed_with_synthesizer() {
    let plan = spine(true).plan;
    let text = golden("with-synthesizer.md", &data(&plan, &ALL));
    let at = |what: &str| text.find(what).expect(what);
    let order = [
        "## Validation",
        "## Answer",
        "## Deferred (YAGNI)",
        "## Roster",
        "## Next",
    ];
    assert!(
        order.windows(2).all(|pair| at(pair[0]) < at(pair[1])),
        "{order:?}"
    );
    assert!(
        !text.contains("A plugin system"),
        "the synthesizer answers for the angles"
    );
}

#[test]
fn completed_without_synthesizer() {
    let plan = spine(false).plan;
    let mut data = data(&plan, &ALL);
    data.run.citations_total = 7;
    data.run.citations_broken = 1;
    let cited = json!({"total": 4, "broken": [{"cited": "src/retry.rs:99", "why": "the file has 40 lines"}]});
    step(&mut data, "behavior").citations = Some(cited);
    golden("without-synthesizer.md", &data);
}

#[test]
fn completed_with_a_failed_angle() {
    let plan = spine(true).plan;
    let mut data = data(&plan, &ALL);
    let failed = step(&mut data, "behavior");
    failed.status = "failed".into();
    failed.attempts = 2;
    failed.output = None;
    failed.error = Some("connection refused | by 127.0.0.1:8080".into());
    data.run.project = None;
    data.run.commit = None;
    data.run.tree_digest = None;
    data.run.snapshot_notes.clear();
    golden("failed-angle.md", &data);
}

#[test]
fn failed_run() {
    let plan = spine(true).plan;
    let mut data = data(&plan, &ALL[..2]);
    data.run.status = "failed".into();
    data.run.error = Some("step synthesis failed: no answer for 90 s".into());
    step(&mut data, "synthesis").status = "failed".into();
    step(&mut data, "synthesis").error = Some("no answer for 90 s".into());
    for id in ["validation", "report"] {
        step(&mut data, id).status = "cancelled".into();
        step(&mut data, id).attempts = 0;
        step(&mut data, id).seconds = None;
        step(&mut data, id).tokens = 0;
    }
    let text = golden("failed-run.md", &data);
    assert!(!text.contains("## Answer"));
    let json = report::json(&data);
    assert_eq!(
        (&json["partial"], &json["answer"]),
        (&json!(true), &json!(null))
    );
    assert_eq!(json["unvalidated"].as_array().map(Vec::len), Some(2));
}

#[test]
fn cancelled_and_running_runs() {
    let plan = spine(false).plan;
    let mut data = data(
        &plan,
        &[("structure", STRUCTURE), ("behavior", "half a sent")],
    );
    data.run.status = "cancelled".into();
    step(&mut data, "behavior").status = "cancelled".into();
    step(&mut data, "validation").status = "cancelled".into();
    step(&mut data, "report").status = "cancelled".into();
    golden("cancelled-run.md", &data);
    data.run.status = "running".into();
    data.run.ended_at = None;
    step(&mut data, "behavior").status = "running".into();
    step(&mut data, "validation").status = "pending".into();
    step(&mut data, "report").status = "pending".into();
    golden("running-run.md", &data);
}

#[test]
fn general_flow_with_a_fan_out_and_no_validator() {
    let steps = agent("scan", "")
        + &agent(
            "each",
            "label = \"One part\"\nneeds = [\"scan\"]\nforeach = \"scan.parts\"",
        )
        + &code("joined", "fold", "needs = [\"each\"]\njoin = \"any\"");
    let plan = expanded(&read(&general(&steps)).unwrap(), &launch(Band::Small)).plan;
    let mut data = data(&plan, &[("scan", "{\"parts\": [1, 2]}")]);
    let mut child = step(&mut data, "each").clone();
    child.role = conductor_flows::Role::Step;
    child.kind = conductor_flows::Kind::Agent;
    for (number, output) in [(2, "# Two\nRD1"), (1, "# One\nRD1")] {
        child.step_id = format!("each/{number}");
        child.output = Some(output.into());
        data.steps.push(child.clone());
    }
    golden("general.md", &data);
}

#[test]
fn reviewers_of_a_fan_out_are_no_verifiers() {
    let steps = agent("list", "")
        + &agent("each", "needs = [\"list\"]\nforeach = \"list.items\"")
        + &code("merge", "merge_findings", "needs = [\"each\"]")
        + &agent("verify", "needs = [\"merge\"]\nforeach = \"merge.groups\"");
    let plan = expanded(&read(&general(&steps)).unwrap(), &launch(Band::Small)).plan;
    let merged = conductor_flows::findings::Merged {
        cap: 10,
        ..Default::default()
    };
    let mut data = data(&plan, &[("merge", &merged.to_output())]);
    for (parent, id) in [("each", "each/1"), ("verify", "verify/1")] {
        let mut child = step(&mut data, parent).clone();
        child.step_id = id.to_owned();
        data.steps.push(child);
    }
    let text = report::markdown(&data);
    let (_, validation) = text.split_once("## Validation").unwrap();
    let (validation, _) = validation.split_once("## Findings").unwrap();
    assert!(validation.contains("| verify/1 |"), "{validation}");
    assert!(!validation.contains("each/1"), "{validation}");
}
