//! Where errors stand in the files that people write.

mod common;

use common::Few;
use conductor_flows::definition::locate::{self, Place};
use conductor_flows::{Definition, FlowError, Persona};

const HEAD: &str = "name = \"x\"\ncategory = \"analysis\"\ndescription = \"d\"\n";

/// The text with the place of its first error marked: `«…»` around what is meant.
fn marked(text: &str) -> String {
    let error = Definition::from_toml("x.toml", text, &Few).expect_err("the text is wrong");
    mark(text, &error, locate::in_definition(text, &error))
}

fn marked_persona(text: &str) -> String {
    let error = Persona::parse("x.md", text).expect_err("the text is wrong");
    mark(text, &error, locate::in_persona(text, &error))
}

/// The line that is pointed at, with its number.
fn mark(text: &str, error: &FlowError, found: Option<Place>) -> String {
    let Place {
        line,
        column,
        length,
    } = found.unwrap_or_else(|| panic!("no place for {error}"));
    let shown: Vec<char> = text
        .split('\n')
        .nth(line - 1)
        .unwrap_or_default()
        .chars()
        .collect();
    let (from, to) = (column - 1, (column - 1 + length).min(shown.len()));
    let part = |range: &[char]| range.iter().collect::<String>();
    format!(
        "{line}: {}«{}»{}",
        part(&shown[..from]),
        part(&shown[from..to]),
        part(&shown[to..])
    )
}

fn with(rest: &str) -> String {
    format!("{HEAD}{rest}")
}

#[test]
fn a_wrong_value_is_found_at_the_value() {
    let angles = "[[angles]]\nid = \"a\"\npersona = \"reader\"\nbrief = \"b\"\n";
    let wrong = "[[angles]]\nid = \"b\"\npersona  =  \"raeder\" # who?\nbrief = \"b\"\n";
    assert_eq!(
        marked(&with(&format!("{angles}{wrong}"))),
        "10: persona  =  «\"raeder\"» # who?"
    );
    assert_eq!(
        marked(&format!(
            "{}contracts = [\"evidence\", \"yagny\"]\n{angles}",
            HEAD
        )),
        "4: contracts = [\"evidence\", «\"yagny\"»]"
    );
    assert_eq!(
        marked(&with(&angles.replace("\"b\"", "7"))),
        "7: brief = «7»"
    );
}

#[test]
fn a_missing_key_is_found_at_the_head_of_its_table() {
    let text = with(
        "[[angles]]\nid = \"a\"\npersona = \"reader\"\nbrief = \"b\"\n  [[ angles ]]\nid = \"b\"\n",
    );
    assert_eq!(marked(&text), "8:   «[[ angles ]]»");
    let text = "# A comment first.\n\ncategory = \"analysis\"\ndescription = \"d\"\n[[angles]]\n";
    assert_eq!(marked(text), "3: «category» = \"analysis\"");
    assert_eq!(marked(&with("")), "1: «name» = \"x\"");
}

#[test]
fn an_unknown_key_is_found_at_the_key() {
    assert_eq!(
        marked(&with("[[angles]]\nid = \"a\"\npersonna = \"reader\"\n")),
        "6: «personna» = \"reader\""
    );
    assert_eq!(
        marked(&with("[[angles]]\nid = \"a\"\n\"a.b[0]\" = 1\n")),
        "6: «\"a.b[0]\"» = 1"
    );
    assert_eq!(
        marked(&format!("{HEAD}\"\\u001b[2J\" = 1\n[[angles]]\n")),
        "4: «\"\\u001b[2J\"» = 1"
    );
}

#[test]
fn inline_tables_dotted_keys_and_arrays_are_found_too() {
    assert_eq!(
        marked(&with(
            "angles = [{ id = \"a\", persona = \"reader\", brief = \"b\" }, { id = \"B\" }]\n"
        )),
        "4: angles = [{ id = \"a\", persona = \"reader\", brief = \"b\" }, { id = «\"B\"» }]"
    );
    assert_eq!(
        marked(&with(
            "angles = [\n  { id = \"a\", persona = \"reader\" },\n]\n"
        )),
        "5:   «{ id = \"a\", persona = \"reader\" }»,"
    );
    let angle = "[[angles]]\nid = \"a\"\npersona = \"reader\"\nbrief = \"b\"\n";
    assert_eq!(
        marked(&format!("{HEAD}validator.brief = 3\n{angle}")),
        "4: validator.brief = «3»"
    );
    assert_eq!(
        marked(&format!("{HEAD}synthesizer.persona = \"reader\"\n{angle}")),
        "4: «synthesizer».persona = \"reader\""
    );
    let steps = "[[steps]]\nid = \"a\"\npersona = \"reader\"\nbrief = \"b\"\nneeds = [\n  \"b\", # later\n  \"nobody\",\n]\n\
                 [[steps]]\nid = \"b\"\npersona = \"reader\"\nbrief = \"b\"\n";
    assert_eq!(marked(&with(steps)), "10:   «\"nobody\"»,");
}

#[test]
fn a_text_of_several_lines_is_found_at_its_beginning() {
    let text = with("[[angles]]\nid = \"a\"\npersona = \"reader\"\nbrief = \"\"\"\n   \n\"\"\"\n");
    assert_eq!(marked(&text), "7: brief = «\"\"\"»");
}

#[test]
fn broken_toml_is_found_where_it_breaks() {
    let line = marked(&with("[[angles]]\nid = \n"));
    assert!(line.starts_with("5: id ="), "{line}");
    let line = marked(&with("[[angles]\nid = 1\n"));
    assert!(line.starts_with("4: "), "{line}");
    let twice = marked(&format!("{HEAD}name = \"y\"\n"));
    assert_eq!(twice, "4: «name» = \"y\"");
}

#[test]
fn an_empty_file_has_no_place() {
    let error = Definition::from_toml("x.toml", "", &Few).unwrap_err();
    assert_eq!(locate::in_definition("", &error), None);
}

#[test]
fn errors_of_personas_are_found() {
    let good = "---\nname: x\ndescription: d\nprefix: X\n---\nBody.\n";
    Persona::parse("x.md", good).unwrap();
    for (from, to, found) in [
        ("name: x", "name:   Y y", "2: name:   «Y y»"),
        ("name: x", "name: y", "2: name: «y»"),
        ("prefix: X", "prefix: toolong", "4: prefix: «toolong»"),
        ("prefix: X", " prefx: X", "4:  «prefx»: X"),
        ("prefix: X", "name: x\nprefix: X", "4: «name»: x"),
        ("prefix: X", "no key here", "4: «no key here»"),
        ("prefix: X\n", "", "1: «---»"),
        ("description: d", "description:", "3: «description»:"),
        ("Body.", "", "5: «---»"),
        ("---\nname", "name", "1: «name: x»"),
    ] {
        assert_eq!(marked_persona(&good.replacen(from, to, 1)), found);
    }
    let windows = good.replace('\n', "\r\n").replace("prefix: X", "prefix: x");
    assert_eq!(marked_persona(&windows), "4: prefix: «x»\r");
}

#[test]
fn no_text_is_a_panic() {
    proptest::proptest!(|(text in "(name|angles|\\[\\[|\\]\\]|=|\"|\n|\\.|x|[\\x00-\\x7fé]){0,40}")| {
        if let Err(error) = Definition::from_toml("x.toml", &text, &Few) {
            locate::in_definition(&text, &error);
            locate::in_persona(&text, &error);
        }
        if let Err(error) = Persona::parse("x.md", &text) {
            locate::in_persona(&text, &error);
        }
    });
}
