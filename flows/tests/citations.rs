//! Outputs as models write them: every citation is found, with its quote, and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use conductor_flows::citation::find;
use serde::Deserialize;

/// What is expected of one output.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expected {
    /// Citations that hold, with their quotes, joined by ` / `.
    good: BTreeMap<String, String>,
    /// Citations that do not, with the reason, which only the worker can know.
    broken: BTreeMap<String, String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/citations")
}

fn expected() -> BTreeMap<String, Expected> {
    let text = std::fs::read_to_string(folder().join("expected.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

/// Each citation of a text once, with its quotes.
fn found(text: &str) -> BTreeMap<String, Vec<String>> {
    let project = folder().join("project");
    let mut known = |path: &str| match path.ends_with('/') {
        true => project.join(path).is_dir(),
        false => project.join(path).is_file(),
    };
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for citation in find(text, &mut known) {
        let quotes = found.entry(citation.cited.into_owned()).or_default();
        quotes.extend(citation.quote.map(str::to_owned));
    }
    found
}

#[test]
fn each_output_cites_what_is_expected() {
    let mut wrong = Vec::new();
    for (name, expected) in expected() {
        let text = std::fs::read_to_string(folder().join(format!("{name}.md"))).unwrap();
        let found = found(&text);
        let wanted: Vec<&String> = expected.good.keys().chain(expected.broken.keys()).collect();
        let missed = wanted.iter().filter(|it| !found.contains_key(**it));
        wrong.extend(missed.map(|it| format!("{name}: {it} was not found")));
        for (cited, quotes) in &found {
            match expected.good.get(cited) {
                Some(wanted) if *wanted == quotes.join(" / ") => {}
                Some(_) => wrong.push(format!("{name}: {cited} has the quotes {quotes:?}")),
                None if expected.broken.contains_key(cited) => {}
                None => wrong.push(format!("{name}: {cited} was found")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_output_has_its_expectations() {
    let expected = expected();
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".md").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert_eq!(names, expected.keys().cloned().collect::<Vec<_>>());
    assert!(names.len() >= 25);
}
