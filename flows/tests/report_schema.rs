//! The published schema of the JSON report: it takes every report and refuses what only looks like one.

mod common;

use common::pages::{children, failed, reviewed, synthesized};
use common::reports::{STRUCTURE, VALIDATION, data, spine, step};
use conductor_flows::{ReportData, report};
use jsonschema::Validator;
use serde_json::{Value, json};

fn published() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/report.schema.json");
    let text = std::fs::read_to_string(path).expect("the schema is published");
    serde_json::from_str(&text).expect("the schema is JSON")
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&published()).expect("the schema is a schema")
}

/// Reports of runs in every status, with and without what can be missing.
fn reports() -> Vec<ReportData> {
    let bare = data(&spine(false).plan, &[]);
    let mut cancelled = data(
        &spine(false).plan,
        &[("structure", STRUCTURE), ("behavior", "half a sent")],
    );
    cancelled.run.status = "cancelled".into();
    step(&mut cancelled, "behavior").status = "cancelled".into();
    let mut running = cancelled.clone();
    running.run.status = "running".into();
    running.run.ended_at = None;
    running.run.wall_seconds = None;
    running.run.project = None;
    step(&mut running, "behavior").status = "pending".into();
    let mut deferring = data(
        &spine(false).plan,
        &[("structure", STRUCTURE), ("validation", VALIDATION)],
    );
    deferring.run.snapshot_notes.push("changes: none".into());
    let mut unmerged = reviewed();
    step(&mut unmerged, "merge").output = None;
    unmerged.run.status = "running".into();
    let mut wide = reviewed();
    children(&mut wide, "correctness", 12);
    let clean = clean();
    vec![
        bare,
        cancelled,
        running,
        deferring,
        synthesized(),
        failed(),
        reviewed(),
        unmerged,
        wide,
        clean,
    ]
}

/// A review that found nothing, so that no verifier ran.
fn clean() -> ReportData {
    let merged =
        json!({"groups": [], "cap": 10, "clean": [{"step": "tests", "label": "Tests", "why": ""}]});
    let output = format!("Nothing.\n\n```json\n{merged}\n```\n");
    data(&common::pages::review_plan(), &[("merge", &output)])
}

#[test]
fn every_report_is_as_the_schema_says() {
    let validator = validator();
    for data in reports() {
        let report = report::json(&data);
        let wrong: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(wrong, Vec::<String>::new());
    }
    assert!(report::json(&clean())["review"].is_object());
}

#[test]
fn a_report_without_any_one_key_is_refused() {
    let validator = validator();
    for data in [synthesized(), reviewed()] {
        let whole = report::json(&data);
        let mut tried = 0;
        for path in required(&whole) {
            let mut changed = whole.clone();
            let (parent, key) = path.rsplit_once('/').expect("a pointer");
            let object = changed.pointer_mut(parent).and_then(Value::as_object_mut);
            object.expect("an object").remove(key);
            assert!(!validator.is_valid(&changed), "without {path}");
            tried += 1;
        }
        assert!(tried > 60, "{tried}");
    }
}

/// Pointers to all keys but those that may be missing.
fn required(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                // A finding must have a severity; what became of it may.
                let corrected = key == "severity" && map.contains_key("outcome");
                let optional = ["place", "broken", "joined", "by"].contains(&key.as_str());
                if !(optional || corrected) || value.is_null() {
                    found.push(format!("/{key}"));
                }
                found.extend(required(value).iter().map(|path| format!("/{key}{path}")));
            }
        }
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                found.extend(required(value).iter().map(|path| format!("/{at}{path}")));
            }
        }
        _ => {}
    }
    found
}

#[test]
fn wrong_types_words_and_keys_are_refused() {
    let validator = validator();
    let whole = report::json(&reviewed());
    assert!(validator.is_valid(&whole));
    for (path, value) in [
        ("/partial", json!("no")),
        ("/run/run_id", json!("12")),
        ("/run/band", json!("huge")),
        ("/run/status", json!("done")),
        ("/run/snapshot_notes", json!("none")),
        ("/validation", json!(null)),
        ("/answer", json!({})),
        ("/roster/0/status", json!("fine")),
        ("/roster/0/seconds", json!("1 s")),
        ("/citations/total", json!(1.5)),
        ("/review/confirmed/0/outcome", json!("maybe")),
        ("/review/confirmed/0/finding/severity", json!("blocker")),
        ("/review/confirmed/0/finding/joined/0/claim", json!(1)),
        ("/review/cap", json!(-1)),
        ("/next", json!("research")),
    ] {
        let mut changed = whole.clone();
        *changed.pointer_mut(path).expect(path) = value;
        assert!(!validator.is_valid(&changed), "{path}");
    }
    let mut corrected = whole.clone();
    for (severity, fits) in [("suggestion", true), ("blocker", false)] {
        corrected["review"]["confirmed"][0]["severity"] = json!(severity);
        assert_eq!(validator.is_valid(&corrected), fits, "{severity}");
    }
    for path in [
        "",
        "/run",
        "/roster/0",
        "/review",
        "/review/unproven/0",
        "/citations",
    ] {
        let mut changed = whole.clone();
        changed.pointer_mut(path).expect(path)["more"] = json!(1);
        assert!(!validator.is_valid(&changed), "more in {path}");
    }
}

#[test]
fn every_key_of_the_schema_is_described_and_no_object_is_open() {
    fn check(schema: &Value, path: &str) {
        let Some(map) = schema.as_object() else {
            return;
        };
        if let Some(properties) = map.get("properties").and_then(Value::as_object) {
            assert_eq!(
                map.get("additionalProperties"),
                Some(&json!(false)),
                "{path}"
            );
            for (key, value) in properties {
                let said = value["description"].as_str().unwrap_or("");
                assert!(said.ends_with(['.', '`']), "{path}/{key}: {said:?}");
            }
        }
        for (key, value) in map {
            match value {
                Value::Array(list) => list
                    .iter()
                    .for_each(|it| check(it, &format!("{path}/{key}"))),
                value => check(value, &format!("{path}/{key}")),
            }
        }
    }
    check(&published(), "");
}
