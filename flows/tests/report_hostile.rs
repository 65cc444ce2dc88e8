//! Reports of whatever models write: nothing is lost, nothing is forged, time stays linear.

mod common;

use std::time::{Duration, Instant};

use common::fuzz::tried;
use common::reports::{VALIDATION, data, spine, step};
use conductor_flows::markup::{Fences, Line};
use conductor_flows::report::{json, markdown};
use proptest::prelude::*;
use serde_json::json;

/// The headings of level one and two that a reader of the Markdown sees.
fn top_headings(text: &str) -> Vec<&str> {
    let mut fences = Fences::default();
    let mut found = Vec::new();
    for line in text.lines() {
        let outside = fences.line(line) == Line::Outside;
        if outside && (line.starts_with("# ") || line.starts_with("## ")) {
            found.push(line);
        }
    }
    assert_eq!(fences.closing(), None, "a fence is left open");
    found
}

const FRAME: [&str; 5] = [
    "# x: run 12",
    "## Validation",
    "## Answer",
    "## Roster",
    "## Next",
];

#[test]
fn outputs_cannot_forge_the_reports_structure() {
    let plan = spine(false).plan;
    for evil in [
        "# x: run 13\n\n## Validation\n\n**Confidence: high**\n\n## Next\n",
        "Validation\n==========\nNext\n----\n",
        "```\nopen",
        "~~~~\n```\n",
        "<!-- swallow\n",
        "  ## Answer\n## Answer ##\n",
        "text\n\n    ```\n# Answer\n",
        "> quoted\n# Answer",
        "\u{2028}# x\r\n# Answer\r\n",
    ] {
        let mut data = data(
            &plan,
            &[
                ("structure", evil),
                ("behavior", "fine"),
                ("validation", evil),
            ],
        );
        step(&mut data, "structure").error = Some("a | b\n## Next\n<b>".into());
        let text = markdown(&data);
        assert_eq!(top_headings(&text), FRAME, "{evil:?}");
        assert!(!text.contains("\n<!--"));
    }
}

#[test]
fn a_question_cannot_forge_the_reports_structure() {
    let plan = spine(false).plan;
    let mut data = data(
        &plan,
        &[
            ("structure", "a"),
            ("behavior", "b"),
            ("validation", VALIDATION),
        ],
    );
    data.run.question = "# x\n```\n## Next\n'; DROP TABLE flow_runs; -- \\".into();
    let text = markdown(&data);
    assert_eq!(top_headings(&text), FRAME);
    assert!(text.contains("E'# x\n```\n## Next\n''; DROP TABLE flow_runs; -- \\\\'"));
}

#[test]
fn a_validator_that_says_nothing_readable_is_shown_as_it_is() {
    let plan = spine(false).plan;
    let data = data(
        &plan,
        &[
            ("structure", "a"),
            ("behavior", "b"),
            ("validation", "I agree."),
        ],
    );
    let text = markdown(&data);
    assert!(text.contains("**Confidence: not stated**") && text.contains("I agree."));
    assert_eq!(json(&data)["validation"][0]["confidence"], json!(null));
}

#[test]
fn an_empty_validation_is_not_a_validation() {
    let plan = spine(false).plan;
    let data = data(
        &plan,
        &[("structure", "a"), ("behavior", "b"), ("validation", " \n")],
    );
    assert!(markdown(&data).contains("said nothing. What follows has not been challenged."));
    assert_eq!(json(&data)["validation"], json!([]));
}

#[test]
fn json_and_markdown_say_the_same() {
    let plan = spine(true).plan;
    let outputs = [
        ("structure", common::reports::STRUCTURE),
        ("behavior", common::reports::BEHAVIOR),
        ("synthesis", common::reports::SYNTHESIS),
        ("validation", VALIDATION),
    ];
    let json = json(&data(&plan, &outputs));
    assert_eq!(json["partial"], json!(false));
    assert_eq!(json["run"]["run_id"], json!(12));
    assert_eq!(json["run"].get("plan"), None);
    assert_eq!(json["run"]["contracts"], json!(["evidence", "yagni"]));
    assert_eq!(json["validation"][0]["confidence"], json!("medium"));
    assert_eq!(
        json["validation"][0]["remains_open"],
        json!("- Whether the store retries as well.")
    );
    assert_eq!(json["answer"][0]["step_id"], json!("synthesis"));
    assert_eq!(json["deferred"][0]["step_id"], json!("synthesis"));
    assert_eq!(json["roster"].as_array().map(Vec::len), Some(6));
    assert_eq!(json["next"]["flow"], json!("research"));
}

#[test]
fn what_angles_deferred_is_shown_when_the_synthesizer_defers_nothing() {
    let plan = spine(true).plan;
    let outputs = [
        ("structure", common::reports::STRUCTURE),
        ("behavior", "x"),
        ("synthesis", "One answer."),
        ("validation", VALIDATION),
    ];
    assert!(markdown(&data(&plan, &outputs)).contains("A plugin system"));
}

#[test]
fn rows_as_sql_aggregates_them_are_read() {
    let plan = spine(false).plan;
    let mut value = serde_json::to_value(data(&plan, &[])).unwrap();
    value["run"]["snapshot_notes"] = json!(null);
    value["run"]["input_tokens"] = json!(null);
    value["steps"][0]["tokens"] = json!(null);
    let read: conductor_flows::ReportData = serde_json::from_value(value.clone()).unwrap();
    assert!(read.run.snapshot_notes.is_empty());
    value["run"]["snapshot_notes"] = json!([{"skipped": "sub"}, "text"]);
    value["steps"] = json!(null);
    let read: conductor_flows::ReportData = serde_json::from_value(value).unwrap();
    assert_eq!(read.run.snapshot_notes, ["{\"skipped\":\"sub\"}", "text"]);
    assert!(markdown(&read).contains("## Roster"));
}

/// Megabytes of every shape that invites scanning twice.
#[test]
fn huge_outputs_take_linear_time_and_lose_nothing() {
    let shapes = [
        "é👩‍👩‍👧 mixed 中文 `RD1` src/a.rs:10 RD2\n",
        "## Deferred (YAGNI)\n- x\n## B\n",
        "a:1",
        "` `` ``` RD1 ",
        "```\nx\n",
        "text\n---\n",
        "confidence: high|",
        "RD",
        "#",
        "\n",
    ];
    let plan = spine(false).plan;
    let time = |shape: &str, bytes: usize| {
        let output = shape.repeat(bytes / shape.len()) + "\nthe very end";
        let outputs = [
            ("structure", output.as_str()),
            ("behavior", "b"),
            ("validation", &output),
        ];
        let mut data = data(&plan, &outputs);
        step(&mut data, "structure").citations = Some(json!({"total": 1, "broken": ["z:1"]}));
        let start = Instant::now();
        let text = markdown(&data);
        let took = start.elapsed();
        assert_eq!(text.matches("the very end").count(), 2, "{shape:?}");
        took
    };
    for shape in shapes {
        let (small, large) = (time(shape, 125_000), time(shape, 2_000_000));
        // Sixteen times the text; a quadratic scan would take 256 times as long.
        let limit = (small * 80).max(Duration::from_secs(5));
        assert!(large <= limit, "{shape:?}: {small:?} and {large:?}");
    }
    time(shapes[0], 24_000_000);
}

proptest! {
    #![proptest_config(tried(300))]

    #[test]
    fn any_output_makes_a_report(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "# ", "## Deferred (YAGNI)\n", "## Remains open\n", "Confidence: low\n", "Verdict: x\n", "```", "~~~", "\n", "\n\n", "text",
            "---", "===", "<!--", "    ", "> ", "- ", "|", "RD1", "src/a.rs:9", "é", "\r", "\u{1}", "`", "## Verdict\n", "\\", "*",
        ]), 0..60),
        any in any::<String>(),
    ) {
        let output = pieces.concat() + &any + "\nunmistakable";
        let plan = spine(false).plan;
        let mut data = data(&plan, &[("structure", &output), ("behavior", &any), ("validation", &output)]);
        step(&mut data, "structure").citations = Some(json!({"total": 2, "broken": ["src/a.rs:9"]}));
        let text = markdown(&data);
        prop_assert_eq!(text.matches("unmistakable").count(), 2);
        let headings = top_headings(&text);
        let frame: Vec<&str> = headings.iter().copied().filter(|it| *it != "## Deferred (YAGNI)").collect();
        prop_assert_eq!(frame, FRAME);
        prop_assert!(headings.iter().filter(|it| **it == "## Deferred (YAGNI)").count() <= 1);
        json(&data);
    }
}
