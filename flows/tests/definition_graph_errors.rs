//! Every kind of error between fields and steps: its kind, field, value and cure.

mod common;

use common::wrong::{ANGLE, HEAD, fails, spine};
use common::{agent, code, general, read, read_json};
use serde_json::json;

#[test]
fn an_unknown_need_names_the_nearest_steps() {
    let text = agent("first", "") + &agent("second", "needs = [\"frist\"]");
    fails(
        &general(&text),
        "unknown_step",
        "steps[1].needs[0]",
        Some("frist"),
        "did you mean first?",
    );
    let text = agent("first", "") + &agent("second", "needs = [\"first\"]\nwhen = \"frist.a\"");
    fails(
        &general(&text),
        "unknown_step",
        "steps[1].when",
        Some("frist"),
        "first",
    );
}

#[test]
fn ids_are_unique() {
    fails(
        &spine(ANGLE),
        "duplicate_id",
        "angles[1].id",
        Some("a"),
        "another id",
    );
    fails(
        &general(&agent("a", "").repeat(2)),
        "duplicate_id",
        "steps[1].id",
        Some("a"),
        "another id",
    );
    let text = agent("a", "") + &agent("b", "needs = [\"a\", \"a\"]");
    fails(
        &general(&text),
        "duplicate_id",
        "steps[1].needs[1]",
        Some("a"),
        "once",
    );
}

#[test]
fn ids_of_the_expansion_are_reserved() {
    for id in ["fold", "synthesis", "validation", "report"] {
        let text = ANGLE.replace("\"a\"", &format!("\"{id}\""));
        fails(
            &format!("{HEAD}{text}"),
            "reserved_id",
            "angles[0].id",
            Some(id),
            "another id",
        );
    }
    fails(
        &general(&agent("report", "")),
        "reserved_id",
        "steps[0].id",
        Some("report"),
        "another id",
    );
}

#[test]
fn a_cycle_is_named_step_by_step() {
    let text = agent("free", "")
        + &agent("a", "needs = [\"c\", \"free\"]")
        + &agent("b", "needs = [\"a\"]")
        + &agent("c", "needs = [\"b\"]")
        + &agent("after", "needs = [\"c\"]");
    fails(
        &general(&text),
        "cycle",
        "steps[1].needs",
        Some("a → b → c → a"),
        "remove one",
    );
    let text = agent("a", "needs = [\"a\"]");
    fails(
        &general(&text),
        "cycle",
        "steps[0].needs",
        Some("a → a"),
        "remove one",
    );
}

#[test]
fn references_are_facts_or_fields() {
    fails(
        &spine("when = \"projct\""),
        "bad_reference",
        "angles[0].when",
        Some("projct"),
        "project",
    );
    fails(
        &general(&agent("a", "when = \"documnets\"")),
        "bad_reference",
        "steps[0].when",
        Some("documnets"),
        "documents",
    );
    fails(
        &general(&agent("a", "foreach = \"project\"")),
        "bad_reference",
        "steps[0].foreach",
        Some("project"),
        "STEP.FIELD",
    );
    let text = agent("a", "")
        + &agent("b", "needs = [\"a\"]\nforeach = \"a.list\"")
        + &agent("c", "needs = [\"b\"]\nforeach = \"b.x\"");
    fails(
        &general(&text),
        "bad_reference",
        "steps[2].foreach",
        Some("b"),
        "step before",
    );
}

#[test]
fn references_point_only_to_what_has_ended() {
    fails(
        &spine("when = \"b.found\""),
        "reference_not_needed",
        "angles[0].when",
        Some("b.found"),
        "project",
    );
    let text = agent("a", "") + &agent("b", "when = \"a.found\"");
    fails(
        &general(&text),
        "reference_not_needed",
        "steps[1].when",
        Some("a"),
        "add \"a\" to needs",
    );
    let text = agent("a", "") + &agent("b", "foreach = \"a.list\"");
    fails(
        &general(&text),
        "reference_not_needed",
        "steps[1].foreach",
        Some("a"),
        "add \"a\" to needs",
    );
    let far = agent("a", "")
        + &agent("b", "needs = [\"a\"]")
        + &agent("c", "needs = [\"b\"]\nwhen = \"a.found\"");
    read(&general(&far)).unwrap();
}

#[test]
fn keys_that_exclude_each_other_conflict() {
    fails(
        &format!("steps = []\n{HEAD}{ANGLE}"),
        "conflict",
        "steps",
        None,
        "remove one",
    );
    fails(
        &general(&code("a", "fold", "persona = \"reader\"")),
        "conflict",
        "steps[0].persona",
        Some("persona"),
        "remove",
    );
    fails(
        &general(&code("a", "render", "foreach = \"a.b\"")),
        "conflict",
        "steps[0].foreach",
        Some("foreach"),
        "remove",
    );
}

#[test]
fn a_run_has_one_report_and_it_comes_last() {
    let two = agent("a", "")
        + &code("r", "render", "needs = [\"a\"]")
        + &code("s", "render", "needs = [\"a\"]");
    fails(
        &general(&two),
        "render_not_last",
        "steps[2].code",
        Some("s"),
        "one render step",
    );
    let needed = code("r", "render", "") + &agent("a", "needs = [\"r\"]");
    fails(
        &general(&needed),
        "render_not_last",
        "steps[1].needs",
        Some("a"),
        "needs",
    );
}

#[test]
fn json_is_read_by_the_same_rules() {
    let mut value = json!({"name": "x", "category": "review", "description": "A flow.",
        "angles": [{"id": "a", "persona": "reader", "brief": "Read."}]});
    read_json(&value).unwrap();
    value["angles"][0]["persona"] = json!("nobody");
    let error = read_json(&value).unwrap_err();
    assert_eq!(error.kind(), "unknown_persona");
    assert_eq!(error.place(), "angles[0].persona of x");
}

#[test]
fn what_is_written_out_reads_back_the_same() {
    let text = general(
        &(agent("a", "band = \"medium\"\nwhen = \"project\"")
            + &agent("b", "needs = [\"a\"]\njoin = \"any\"\nforeach = \"a.list\"")
            + &code("f", "merge_findings", "needs = [\"b\"]")),
    );
    for definition in [
        read(&text).unwrap(),
        read(&spine("when = \"base\"\n[validator]\nbrief = \"b\"")).unwrap(),
    ] {
        assert_eq!(read_json(&definition.to_json()).unwrap(), definition);
    }
}
