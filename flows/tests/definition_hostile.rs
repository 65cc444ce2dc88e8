//! Definitions as nobody should write them: each is a flow that expands, or an error with its place.

mod common;

use std::time::{Duration, Instant};

use common::fuzz::{is_linear, tried, worked};
use common::{Few, agent, general, launch, read};
use conductor_flows::definition::locate::{self, Place};
use conductor_flows::{
    Band, Definition, FlowError, Personas, builtin_personas, expand, quoted_steps, waves,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The built-in flows as they are written, with their file names.
fn written() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/definitions");
    let mut found: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the definitions are there")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read_to_string(&path).expect("a text"))
        })
        .filter(|(name, _)| name.ends_with(".toml"))
        .collect();
    found.sort();
    assert!(found.len() > 20);
    found
}

/// Checks an error as a person meets it: with a cure, and a place in the text.
fn check_error(text: &str, error: &FlowError) -> Result<(), TestCaseError> {
    prop_assert!(!error.cure().is_empty() && !error.problem().is_empty());
    let said = error.to_string();
    prop_assert!(said.len() < 4000, "{} bytes", said.len());
    let Some(Place {
        line,
        column,
        length,
    }) = locate::in_definition(text, error)
    else {
        let nothing = text.lines().all(|line| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#')
        });
        prop_assert!(nothing, "no place for {error} in {text}");
        return Ok(());
    };
    let lines: Vec<&str> = text.split('\n').collect();
    prop_assert!(
        (1..=lines.len()).contains(&line) && length >= 1,
        "{error}: line {line}"
    );
    let most = lines[line - 1].chars().count() + 1;
    prop_assert!(
        (1..=most).contains(&column),
        "{error}: column {column} of {most}"
    );
    Ok(())
}

/// Checks a definition as the database meets it: it is what it says, and expands at every band.
fn check_flow(flow: &Definition, personas: &dyn Personas) -> Result<(), TestCaseError> {
    let again = Definition::from_json(flow.name(), &flow.to_json(), personas);
    prop_assert_eq!(again.as_ref(), Ok(flow));
    for &band in Band::ALL {
        let Ok(expansion) = expand(flow, &launch(band), personas) else {
            // Nothing runs at this band, which is said then.
            continue;
        };
        let plan = &expansion.plan;
        let known = |id: &String| plan.steps.iter().any(|step| step.id == *id);
        prop_assert!(plan.steps.iter().all(|step| step.needs.iter().all(known)));
        prop_assert_eq!(waves(plan).concat().len(), plan.steps.len());
        for text in expansion.texts.values() {
            prop_assert!(quoted_steps(text).iter().all(known));
        }
    }
    Ok(())
}

/// What is put into a text that was right.
fn splinter() -> impl Strategy<Value = String> {
    let splinters = prop::sample::select(vec![
        "[[steps]]\n",
        "[[angles]]\n",
        "[validator]\n",
        "needs = [\"report\"]\n",
        "when = \"project\"\n",
        "foreach = \"merge.groups\"\n",
        "id = \"merge\"\n",
        "name = \"x\"\n",
        "band = \"large\"\n",
        "code = \"render\"\n",
        "code = \"fold\"\n",
        "\"",
        "\"\"\"",
        "'''",
        "=",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        "#",
        "\n",
        "\r\n",
        "\u{0}",
        "\u{feff}",
        "é",
        "名前",
        "\\u0000",
        "\\",
        "9999999999999999999999",
        "1e400",
        "nan",
        "true",
        "a.b.c = 1\n",
        "cap = 0\n",
        "cap = 99999999999999999999\n",
        "1979-05-27T07:32:00Z",
        "\u{1}output:merge\u{1}",
        "{snapshot}",
        "{{",
        "}}",
        "  ",
        "\t",
    ]);
    prop_oneof![4 => splinters.prop_map(str::to_owned), 1 => any::<String>()]
}

proptest! {
    #![proptest_config(tried(400))]

    #[test]
    fn a_flow_that_was_changed_anywhere_expands_or_says_where_it_is_wrong(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((0..6_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), splinter()), 1..5),
    ) {
        let all = written();
        let (file, text) = which.get(&all);
        let mut text = text.clone();
        for (kind, at, to, splinter) in changes {
            let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
            if lines.is_empty() {
                break;
            }
            let (line, other) = (at.index(lines.len()), to.index(lines.len()));
            match kind {
                0 => drop(lines.remove(line)),
                1 => lines.insert(other, lines[line].clone()),
                2 => lines.swap(line, other),
                3 => lines.truncate(line),
                4 => lines.insert(line, splinter),
                _ => {
                    let line = &mut lines[line];
                    let at = line.floor_char_boundary(to.index(line.len() + 1));
                    line.insert_str(at, &splinter);
                }
            }
            text = lines.concat();
        }
        match Definition::from_toml(file, &text, builtin_personas()) {
            Ok(flow) => check_flow(&flow, builtin_personas())?,
            Err(error) => check_error(&text, &error)?,
        }
    }

    #[test]
    fn needs_in_a_circle_are_found_and_no_others(
        edges in prop::collection::vec((0..9_usize, 0..9_usize), 0..18),
    ) {
        let mut needs = vec![Vec::new(); 9];
        for (from, to) in edges {
            if !needs[from].contains(&to) {
                needs[from].push(to);
            }
        }
        // Taking away what needs nothing that is left, until nothing changes, leaves the circles.
        let mut left: Vec<usize> = (0..9).collect();
        loop {
            let before = left.len();
            let now = left.clone();
            left.retain(|step| needs[*step].iter().any(|need| now.contains(need)));
            if left.len() == before {
                break;
            }
        }
        let steps: Vec<Value> = needs.iter().enumerate().map(|(at, needs)| json!({
            "id": format!("s{at}"), "persona": "reader", "brief": "Read.",
            "needs": needs.iter().map(|need| format!("s{need}")).collect::<Vec<_>>(),
        })).collect();
        let flow = json!({"name": "x", "category": "review", "description": "d", "steps": steps});
        match Definition::from_json("x", &flow, &Few) {
            Ok(flow) => {
                prop_assert!(left.is_empty());
                check_flow(&flow, &Few)?;
            }
            Err(error) => prop_assert!(!left.is_empty() && error.kind() == "cycle", "{error}"),
        }
    }

    #[test]
    fn any_json_is_a_flow_or_an_error(value in value(), key in prop::sample::select(vec![
        "name", "category", "description", "contracts", "next", "needs_document", "angles", "steps", "validator", "synthesizer",
    ])) {
        let mut flow = json!({"name": "x", "category": "review", "description": "d", "angles": [
            {"id": "a", "persona": "reader", "brief": "b"}]});
        if key == "steps" {
            flow.as_object_mut().expect("a table").remove("angles");
        }
        flow[key] = value;
        match Definition::from_json("x", &flow, &Few) {
            Ok(flow) => check_flow(&flow, &Few)?,
            Err(error) => prop_assert!(!error.cure().is_empty() && error.to_string().len() < 4000),
        }
    }
}

/// JSON with the keys that definitions have.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "a", "b", "reader", "x", "fold", "render", "a.list", "project", "large", "any", ""
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let key = prop::sample::select(vec![
            "id", "label", "persona", "brief", "code", "needs", "join", "band", "when", "foreach",
            "cap", "exempt", "é",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8).prop_map(|pairs| pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

/// Reads on a small stack, as a worker's thread or a server's backend has one.
fn read_on_a_small_stack(text: String) -> Result<Definition, FlowError> {
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    let reading = thread.spawn(move || {
        let read = read(&text);
        if let Err(error) = &read {
            locate::in_definition(&text, error);
        }
        read
    });
    reading.expect("a thread").join().expect("no panic")
}

#[test]
fn nesting_without_end_is_an_error() {
    let levels = 200_000;
    for text in [
        format!("{} = 1\n", vec!["a"; levels].join(".")),
        format!("[{}]\nb = 1\n", vec!["a"; levels].join(".")),
        format!("[[{}]]\nb = 1\n", vec!["a"; levels].join(".")),
        format!("a = {}{}\n", "[".repeat(levels), "]".repeat(levels)),
        format!("a = {}\n", "[".repeat(levels)),
        format!("a = {}1{}\n", "{a=".repeat(levels), "}".repeat(levels)),
        format!("a = {}\n", "{a.b.c=".repeat(levels)),
        (0..2000)
            .map(|n| format!("[{}]\n", vec!["a"; n % 100 + 1].join(".")))
            .collect(),
    ] {
        let head: String = text.chars().take(40).collect();
        let began = Instant::now();
        read_on_a_small_stack(text).expect_err("no flow");
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{head}: {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn a_flow_has_an_end() {
    let steps = |count: usize, more: &dyn Fn(usize) -> String| {
        let steps = (0..count).map(|at| agent(&format!("s{at}"), &more(at)));
        general(&steps.collect::<String>())
    };
    let chain = |at: usize| match at {
        0 => String::new(),
        at => format!("needs = [\"s{}\"]", at - 1),
    };
    let began = Instant::now();
    let flow = read(&steps(1000, &chain)).expect("a thousand steps");
    let plan = expand(&flow, &launch(Band::Small), &Few)
        .expect("it expands")
        .plan;
    assert_eq!(waves(&plan).len(), 1001);

    let error = read(&steps(1001, &chain)).expect_err("one too many");
    assert_eq!((error.kind(), error.field()), ("out_of_range", "steps"));
    assert!(error.cure().contains("at most 1000"), "{}", error.cure());

    // Each needs all before it, the other way round, and reads the first.
    let all = |count: usize| {
        move |at: usize| {
            let needs: Vec<String> = (at + 1..count).map(|need| format!("\"s{need}\"")).collect();
            format!("needs = [{}]", needs.join(", "))
        }
    };
    let flow = read(&steps(140, &all(140))).expect("9730 needs");
    expand(&flow, &launch(Band::Small), &Few).expect("it expands");
    let error = read(&steps(200, &all(200))).expect_err("19900 needs");
    assert_eq!(error.kind(), "out_of_range");
    assert!(error.cure().contains("10000"), "{}", error.cure());
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn megabytes_of_a_definition_take_linear_time() {
    let head = "name = \"x\"\ncategory = \"review\"\ndescription = \"d\"\n";
    for unit in [
        "# c\n",
        "\n",
        "[[angles]]\n",
        "[[steps]]\nid = \"a\"\n",
        "[\n",
        "a = [\n",
        "\"",
        "\"\"\"\n",
        "x = 1\n",
        "[a]\n",
        "é",
        "'",
        "{",
        "a.",
        "[[",
        "= =",
        "\\",
        "\u{0}",
        "0",
        "_",
    ] {
        let time = |bytes: usize| {
            let text = format!("{head}{}", unit.repeat(bytes / unit.len()));
            let began = worked();
            let error = read(&text).expect_err("no flow");
            locate::in_definition(&text, &error);
            assert!(
                error.to_string().len() < 4000,
                "{unit:?}: {} bytes",
                error.to_string().len()
            );
            worked() - began
        };
        is_linear(unit, time(250_000), time(1_000_000));
    }
}
