//! Every kind of error in a single field: its kind, field, value and cure.

mod common;

use common::wrong::{ANGLE, HEAD, fails, spine};
use common::{agent, code, general, read, read_json};
use conductor_flows::Definition;
use serde_json::json;

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
