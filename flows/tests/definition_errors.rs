//! Every kind of error in a definition: its kind, field, value and cure.

mod common;

use common::{agent, code, general, read, read_json};
use conductor_flows::{Definition, FlowError, Persona, builtin_personas};
use serde_json::json;

const HEAD: &str = "name = \"x\"\ncategory = \"review\"\ndescription = \"A flow.\"\n";
const ANGLE: &str = "[[angles]]\nid = \"a\"\npersona = \"reader\"\nbrief = \"Read.\"\n";

/// Reads the text, which must fail, and compares kind, field and value.
#[track_caller]
fn fails(text: &str, kind: &str, field: &str, value: Option<&str>, cure: &str) -> FlowError {
    let error = read(text).expect_err("the definition is wrong");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.field(), field, "{error}");
    assert_eq!(error.value(), value, "{error}");
    assert_eq!(error.file(), "x.toml");
    assert!(error.cure().contains(cure), "cure: {}", error.cure());
    assert!(error.to_string().contains("x.toml"), "{error}");
    error
}

fn spine(rest: &str) -> String {
    format!("{HEAD}{ANGLE}{rest}")
}

#[test]
fn a_right_definition_is_read() {
    read(&spine("")).unwrap();
    read(&general(&agent("a", ""))).unwrap();
}

#[test]
fn text_that_is_not_toml_names_its_line() {
    let error = read("name = \"x\"\nbroken\n").unwrap_err();
    assert_eq!((error.kind(), error.field()), ("syntax", "line 2"));
    assert!(!error.cure().is_empty());
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    fails(
        &format!("{HEAD}contract = []\n{ANGLE}"),
        "unknown_key",
        "contract",
        Some("contract"),
        "contracts",
    );
    fails(
        &spine("personna = \"x\""),
        "unknown_key",
        "angles[0].personna",
        Some("personna"),
        "persona",
    );
    fails(
        &spine("[validator]\nbrif = \"x\""),
        "unknown_key",
        "validator.brif",
        Some("brif"),
        "brief",
    );
    fails(
        &spine("[synthesizer]\nid = \"x\""),
        "unknown_key",
        "synthesizer.id",
        Some("id"),
        "persona",
    );
    fails(
        &general(&agent("a", "need = []")),
        "unknown_key",
        "steps[0].need",
        Some("need"),
        "needs",
    );
}

#[test]
fn a_missing_key_is_named() {
    fails(
        "category = \"review\"\ndescription = \"d\"\n[[angles]]",
        "missing",
        "name",
        None,
        "name = ",
    );
    fails(
        "name = \"x\"\ndescription = \"d\"\n[[angles]]",
        "missing",
        "category",
        None,
        "category = ",
    );
    fails(HEAD, "missing", "angles", None, "[[angles]]");
    let no_brief = "[[angles]]\nid = \"a\"\npersona = \"reader\"\n";
    fails(
        &format!("{HEAD}{no_brief}"),
        "missing",
        "angles[0].brief",
        None,
        "brief = ",
    );
    fails(
        &general("[[steps]]\nid = \"a\"\n"),
        "missing",
        "steps[0].persona",
        None,
        "persona and brief",
    );
    fails(
        &general(&format!("{}{}", agent("a", ""), code("f", "fold", ""))),
        "missing",
        "steps[1].needs",
        Some("f"),
        "name the steps",
    );
}

#[test]
fn an_empty_brief_is_an_error() {
    let text = "[[angles]]\nid = \"a\"\npersona = \"reader\"\nbrief = \"\"\"\n  \n\"\"\"\n";
    fails(
        &format!("{HEAD}{text}"),
        "empty",
        "angles[0].brief",
        None,
        "write the brief",
    );
    fails(
        &format!("{HEAD}angles = []\n"),
        "empty",
        "angles",
        None,
        "[[angles]]",
    );
}

#[test]
fn a_value_of_another_type_is_an_error() {
    fails(
        &spine("band = 3"),
        "wrong_type",
        "angles[0].band",
        Some("a number"),
        "give a text",
    );
    fails(
        &format!("{HEAD}contracts = \"evidence\"\n{ANGLE}"),
        "wrong_type",
        "contracts",
        Some("a text"),
        "a list",
    );
    fails(
        &general(&agent("a", "needs = [1]")),
        "wrong_type",
        "steps[0].needs[0]",
        Some("a number"),
        "a text",
    );
    fails(
        &format!("validator = 1\n{HEAD}{ANGLE}"),
        "wrong_type",
        "validator",
        Some("a number"),
        "a table",
    );
    fails(
        &format!("{HEAD}angles = [1]\n"),
        "wrong_type",
        "angles[0]",
        Some("a number"),
        "a table",
    );
    assert_eq!(read_json(&json!([])).unwrap_err().kind(), "wrong_type");
}

#[test]
fn ids_have_their_form() {
    let text = ANGLE.replace("\"a\"", "\"A b\"");
    fails(
        &format!("{HEAD}{text}"),
        "bad_id",
        "angles[0].id",
        Some("A b"),
        "a to z",
    );
    fails(
        &format!("{}{ANGLE}", HEAD.replace("\"x\"", "\"x_y\"")),
        "bad_id",
        "name",
        Some("x_y"),
        "a to z",
    );
    fails(
        &format!("{HEAD}next = \"No\"\n{ANGLE}"),
        "bad_id",
        "next",
        Some("No"),
        "a to z",
    );
}

#[test]
fn the_flow_is_named_like_its_file() {
    let text = format!("{}{ANGLE}", HEAD.replace("\"x\"", "\"y\""));
    fails(&text, "name_mismatch", "name", Some("y"), "y.toml");
    // What comes from nowhere in particular may have any name.
    Definition::from_toml("flow_define", &text, &common::Few).unwrap();
}

#[test]
fn an_unknown_persona_names_the_nearest_ones() {
    let text = ANGLE.replace("reader", "raeder");
    let error = fails(
        &format!("{HEAD}{text}"),
        "unknown_persona",
        "angles[0].persona",
        Some("raeder"),
        "did you mean reader?",
    );
    assert_eq!(
        error.to_string(),
        "unknown persona \"raeder\" in angles[0].persona of x.toml"
    );
    fails(
        &spine("[synthesizer]\npersona = \"nobody\"\nbrief = \"b\"\n"),
        "unknown_persona",
        "synthesizer.persona",
        Some("nobody"),
        "use one of",
    );
    let text = agent("a", "").replace("reader", "writr");
    fails(
        &general(&text),
        "unknown_persona",
        "steps[0].persona",
        Some("writr"),
        "writer",
    );
}

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
fn bands_categories_contracts_code_and_joins_come_from_their_sets() {
    fails(
        &spine("band = \"smal\""),
        "unknown_band",
        "angles[0].band",
        Some("smal"),
        "small",
    );
    fails(
        &format!("{}{ANGLE}", HEAD.replace("review", "reviews")),
        "unknown_category",
        "category",
        Some("reviews"),
        "review",
    );
    fails(
        &format!("{HEAD}contracts = [\"yagni\", \"evidense\"]\n{ANGLE}"),
        "unknown_contract",
        "contracts[1]",
        Some("evidense"),
        "evidence",
    );
    fails(
        &general(&code("a", "merge", "")),
        "unknown_code",
        "steps[0].code",
        Some("merge"),
        "merge_findings",
    );
    fails(
        &general(&agent("a", "join = \"some\"")),
        "unknown_join",
        "steps[0].join",
        Some("some"),
        "use one of all, any",
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

#[test]
fn contracts_come_in_one_order_each_once() {
    let text = format!("{HEAD}contracts = [\"yagni\", \"evidence\", \"yagni\"]\n{ANGLE}");
    let names: Vec<String> = read(&text)
        .unwrap()
        .head()
        .contracts
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(names, ["evidence", "yagni"]);
}

#[test]
fn personas_have_their_form() {
    let good = "---\nname: p\ndescription: \"Does: it\"\nprefix: P\n---\n\nBody.\n";
    let persona = Persona::parse("p.md", good).unwrap();
    assert_eq!(
        (persona.description.as_str(), persona.body.as_str()),
        ("Does: it", "Body.")
    );
    assert_eq!(
        Persona::parse("p.md", &good.replace('\n', "\r\n")).unwrap(),
        persona
    );
    for (text, kind, field) in [
        ("Body.", "syntax", ""),
        ("---\nname: p\n", "syntax", ""),
        ("---\nname p\n---\nx", "syntax", "front matter"),
        ("---\nnmae: p\n---\nx", "unknown_key", "nmae"),
        ("---\nname: p\nname: p\n---\nx", "duplicate_id", "name"),
        ("---\nname: p\nprefix: P\n---\nx", "missing", "description"),
        (&good.replace("Body.", ""), "empty", "body"),
        (&good.replace("name: p", "name: P!"), "bad_id", "name"),
        (&good.replace("name: p", "name: q"), "name_mismatch", "name"),
        (
            &good.replace("prefix: P", "prefix: p1"),
            "bad_prefix",
            "prefix",
        ),
    ] {
        let error = Persona::parse("p.md", text).unwrap_err();
        assert_eq!((error.kind(), error.field()), (kind, field), "{error}");
        assert!(!error.cure().is_empty());
    }
    assert!(builtin_personas().all().count() > 0);
}
