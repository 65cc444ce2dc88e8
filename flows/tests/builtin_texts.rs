//! The words of the library's own personas and briefs: their form, and what they must not ask for.

#[path = "common/wording.rs"]
mod wording;

use std::collections::BTreeSet;

use conductor_flows::{Definition, Persona, builtin_flows, builtin_personas};
use wording::{likeness, told_to_act};

/// Two briefs of one flow are near-identical from here on; an independent pair stays far below.
const TOO_LIKE: f64 = 0.35;

/// The headings of a persona's body, in their order.
const HEADINGS: [&str; 5] = [
    "## Look first",
    "## Judge",
    "## Reply form",
    "## Nothing to find",
    "## Never",
];

/// The part of a body below one of its headings.
fn part<'a>(persona: &'a Persona, heading: &str) -> &'a str {
    let (_, rest) = persona
        .body
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("{}: no {heading}", persona.name));
    let at = HEADINGS.iter().position(|it| *it == heading).unwrap();
    match HEADINGS.get(at + 1) {
        None => rest,
        Some(next) => rest.split_once(&format!("\n{next}\n")).expect(next).0,
    }
}

/// The fenced block of a persona's reply form.
fn form(persona: &Persona) -> &str {
    let pieces: Vec<&str> = part(persona, "## Reply form").split("```").collect();
    assert_eq!(pieces.len(), 3, "{}: one fenced block", persona.name);
    pieces[1].trim_matches('\n')
}

#[test]
fn every_persona_has_the_same_parts_in_the_same_order() {
    for persona in builtin_personas().all() {
        let name = &persona.name;
        let opening = persona.body.lines().next().unwrap();
        assert!(opening.starts_with("You are "), "{name}");
        assert!(opening.contains(": ") || opening.contains(", "), "{name}");
        assert_eq!(persona.body.matches("```").count(), 2, "{name}");
        let outside = persona.body.replace(form(persona), "");
        let found: Vec<&str> = outside.lines().filter(|it| it.starts_with('#')).collect();
        assert_eq!(found, HEADINGS, "{name}");
        let never: Vec<&str> = part(persona, "## Never").trim().lines().collect();
        assert!((3..=5).contains(&never.len()), "{name}");
        assert!(never.iter().all(|it| it.starts_with("- Never ")), "{name}");
        let steps = part(persona, "## Look first").trim();
        assert!(
            steps.starts_with("1. ") && steps.contains("\n3. "),
            "{name}"
        );
    }
}

#[test]
fn every_reply_form_has_headings_and_one_kind_of_item() {
    for persona in builtin_personas().all() {
        let name = &persona.name;
        let form = form(persona);
        assert!(form.starts_with("## "), "{name}");
        let items: Vec<&str> = form.lines().filter(|it| it.starts_with("###")).collect();
        assert_eq!(items.len(), 1, "{name}");
        let title = format!("### {}1. ", persona.prefix);
        assert!(items[0].starts_with(&title), "{name}: {}", items[0]);
        let fields: Vec<&str> = form
            .lines()
            .skip_while(|it| !it.starts_with("###"))
            .skip(1)
            .take_while(|it| it.starts_with("- "))
            .collect();
        assert!((2..=9).contains(&fields.len()), "{name}: {fields:?}");
        assert!(
            fields.iter().all(|it| it.contains(": ")),
            "{name}: {fields:?}"
        );
        assert!(form.contains("`<path>:<line>`"), "{name}");
        assert!(fields.iter().any(|it| it.contains("Consequence")), "{name}");
        for row in form.lines().filter(|it| it.starts_with('|')) {
            let head = form.lines().find(|it| it.starts_with('|')).unwrap();
            assert_eq!(
                row.matches('|').count(),
                head.matches('|').count(),
                "{name}"
            );
        }
    }
}

#[test]
fn every_persona_knows_the_tools_and_where_the_files_are() {
    for persona in builtin_personas().all() {
        let first = part(persona, "## Look first");
        let name = &persona.name;
        assert!(
            first.contains("`grep_search`") || first.contains("`glob`"),
            "{name}"
        );
        assert!(
            first.contains("`read_file`") || name == "research-analyst",
            "{name}"
        );
        assert!(persona.body.contains("read_file"), "{name}");
        assert!(first.contains("{snapshot}"), "{name}");
    }
}

#[test]
fn every_persona_says_what_an_empty_result_looks_like() {
    for persona in builtin_personas().all() {
        let text = part(persona, "## Nothing to find").trim();
        let words = if persona.name == "adversarial-validator" {
            "the verdict is \"stands\""
        } else {
            "`NO FINDINGS`"
        };
        assert!(text.contains(words), "{}", persona.name);
        for place in text.split('`').filter(|it| it.starts_with("## ")) {
            assert!(form(persona).contains(place), "{}: {place}", persona.name);
        }
    }
}

#[test]
fn nobody_is_told_to_write_files_to_run_things_or_to_ask_people() {
    for persona in builtin_personas().all() {
        let hits = told_to_act(&persona.body);
        assert!(hits.is_empty(), "{}: {hits:?}", persona.name);
    }
    for flow in builtin_flows() {
        for (place, brief) in all_briefs(flow) {
            let hits = told_to_act(&brief);
            assert!(hits.is_empty(), "{}/{place}: {hits:?}", flow.name());
        }
    }
}

#[test]
fn an_order_to_act_is_noticed() {
    for bad in [
        "Run the tests and report.",
        "2. Execute `make check` first.",
        "- **tests**: run them twice.",
        "Read the file, then run the linter.",
        "Read it. Create a file with the result.",
        "Write a test for each case.",
        "Write the report to a file.",
        "Ask the user which one is meant.",
        "If it is unclear: ask for the document.",
        "Use `run_shell_command` to look.",
        "Look it up with `web_fetch`.",
        "Save it below docs.",
        "Please install the tool.",
        "Build the project, and look at the warnings.",
        "Apply it.",
    ] {
        assert!(!told_to_act(bad).is_empty(), "{bad}");
    }
    for good in [
        "You run the code in your head.",
        "Never run anything.",
        "How tests are started here: build file, task runner.",
        "Otherwise, write `NO FINDINGS` under `## Tests` and no more.",
        "Ask of each claim who says so.",
        "Ask yourself what would count.",
        "Write `NO FINDINGS` under `## Findings`.",
        "Write the interleaving: actor A reads, actor B writes.",
        "Report what runs, and how the tests are run.",
        "what an author has to edit, create or save",
    ] {
        assert_eq!(told_to_act(good), Vec::<String>::new(), "{good}");
    }
}

/// The briefs of those who work first, without the lines that all of them share word for word.
fn first_briefs(flow: &Definition) -> Vec<(String, String)> {
    let json = flow.to_json();
    let entries = json["angles"].as_array().or(json["steps"].as_array());
    let first = entries.unwrap().iter().filter(|entry| {
        let needs = entry["needs"].as_array().is_none_or(Vec::is_empty);
        entry["brief"].is_string() && needs
    });
    let text = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap().to_owned();
    let briefs: Vec<(String, String)> = first
        .map(|entry| (text(entry, "id"), text(entry, "brief")))
        .collect();
    let shared = |line: &str| {
        briefs
            .iter()
            .all(|(_, brief)| brief.lines().any(|it| it == line))
    };
    let own = |brief: &str| -> Vec<String> {
        let lines = brief.lines().filter(|line| !shared(line));
        lines.map(str::to_owned).collect()
    };
    briefs
        .iter()
        .map(|(id, brief)| (id.clone(), own(brief).join("\n")))
        .collect()
}

/// Every brief of a flow, with the place where it stands.
fn all_briefs(flow: &Definition) -> Vec<(String, String)> {
    let json = flow.to_json();
    let lists = ["angles", "steps"].map(|key| json[key].as_array().cloned().unwrap_or_default());
    let mut briefs: Vec<(String, String)> = lists
        .iter()
        .flatten()
        .filter_map(|it| Some((it["id"].as_str()?.into(), it["brief"].as_str()?.into())))
        .collect();
    for place in ["synthesizer", "validator"] {
        briefs.extend(
            json[place]["brief"]
                .as_str()
                .map(|it| (place.into(), it.into())),
        );
    }
    briefs
}

#[test]
fn no_two_angles_of_a_flow_are_told_the_same() {
    let mut most = (0.0, String::new());
    for flow in builtin_flows() {
        let briefs = first_briefs(flow);
        assert!(briefs.len() >= 3, "{}", flow.name());
        for (at, (id, brief)) in briefs.iter().enumerate() {
            let lines = brief.lines().count();
            assert!(
                (4..=8).contains(&lines),
                "{}/{id}: {lines} lines",
                flow.name()
            );
            for (other, theirs) in &briefs[at + 1..] {
                let like = likeness(brief, theirs);
                let place = format!("{}: {id}, {other}", flow.name());
                assert!(like < TOO_LIKE, "{place}: {like:.3}");
                if like > most.0 {
                    most = (like, place);
                }
            }
        }
    }
    println!("most alike: {:.3} ({})", most.0, most.1);
}

#[test]
fn every_validator_and_synthesizer_has_a_task_of_its_flow() {
    let mut seen: Vec<(String, String)> = Vec::new();
    for flow in builtin_flows() {
        for (place, brief) in all_briefs(flow) {
            if ["synthesizer", "validator"].contains(&place.as_str()) {
                // What all of them are told of their input is not particular.
                let (_, own) = brief.split_once('\n').expect("it has several lines");
                let place = format!("{}/{place}", flow.name());
                for (other, theirs) in &seen {
                    let like = likeness(own, theirs);
                    assert!(like < TOO_LIKE, "{place}, {other}: {like:.3}");
                }
                seen.push((place, own.to_owned()));
            }
        }
        let json = flow.to_json();
        let spine = json["angles"].is_array();
        assert!(
            !spine || json["validator"]["brief"].is_string(),
            "{}",
            flow.name()
        );
    }
}

#[test]
fn a_copied_brief_is_noticed() {
    for flow in builtin_flows() {
        for (id, brief) in first_briefs(flow) {
            let lines: Vec<&str> = brief.lines().collect();
            let shuffled: Vec<&str> = lines.iter().rev().copied().collect();
            let half = lines[..lines.len().div_ceil(2)].join("\n");
            let other =
                "Something else altogether stands here, at some length and with words of its own.";
            let place = format!("{}/{id}", flow.name());
            for copy in [
                shuffled.join("\n"),
                format!("{half}\n{other}"),
                brief.replace("the ", "a "),
            ] {
                let like = likeness(&brief, &copy);
                assert!(like > TOO_LIKE + 0.1, "{place}: {like:.3}");
            }
        }
    }
}

#[test]
fn briefs_name_only_context_files_that_a_snapshot_has() {
    let known = [
        "changes.md",
        "log.txt",
        "status.txt",
        "uncommitted.diff",
        "base.diff",
        "documents/",
    ];
    let mut texts: Vec<(String, String)> = Vec::new();
    for flow in builtin_flows() {
        let place = |id: &str| format!("{}/{id}", flow.name());
        texts.extend(
            all_briefs(flow)
                .into_iter()
                .map(|(id, it)| (place(&id), it)),
        );
    }
    texts.extend(
        builtin_personas()
            .all()
            .map(|it| (it.name.clone(), it.body.clone())),
    );
    let mut seen = BTreeSet::new();
    for (place, text) in texts {
        for after in text.split("_context/").skip(1) {
            let name: &str = after.split('`').next().unwrap();
            let fits = name.is_empty() || name.starts_with("**") || known.contains(&name);
            assert!(fits, "{place}: {name}");
            seen.insert(name.to_owned());
        }
    }
    assert!(seen.contains("changes.md") && seen.contains("uncommitted.diff"));
}
