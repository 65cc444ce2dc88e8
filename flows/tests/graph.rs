//! Graphs of runs and plans: what is drawn, and that nothing in it is markup.

mod common;

use std::path::Path;

use common::pages::{children, failed, review_plan, reviewed, synthesized};
use common::reports::{data, step};
use conductor_flows::graph::{mermaid, mermaid_of_plan, svg, svg_of_plan};
use conductor_flows::{Band, ReportData};

#[track_caller]
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, found).expect("the folder is there");
    }
    let wanted = std::fs::read_to_string(&path).expect("the golden file is there");
    assert!(found == wanted, "{name} has changed:\n{found}");
}

/// The labels of the nodes that are drawn, and how many lines.
fn drawn(text: &str) -> (Vec<String>, usize) {
    let tree = roxmltree::Document::parse(text).expect("well-formed XML");
    let class = |node: &roxmltree::Node, wanted: &str| node.attribute("class") == Some(wanted);
    let labels = tree
        .descendants()
        .filter(|node| class(node, "label"))
        .map(|node| node.text().unwrap_or("").to_owned())
        .collect();
    let edges = tree.descendants().find(|node| class(node, "edges"));
    let edges = edges.map_or(0, |it| {
        it.children()
            .filter(|it| it.has_tag_name("path") || it.is_element())
            .count()
    });
    (labels, edges)
}

fn fanned(count: usize) -> ReportData {
    let mut data = data(&review_plan(), &[]);
    children(&mut data, "verify", count);
    data
}

#[test]
fn graphs_are_as_they_were() {
    golden("with-synthesizer.svg", &svg(&synthesized()));
    golden("with-synthesizer.mmd", &mermaid(&synthesized()));
    golden("failed-run.mmd", &mermaid(&failed()));
    golden("review.svg", &svg(&reviewed()));
    golden("review.mmd", &mermaid(&reviewed()));
    golden("review-plan.mmd", &mermaid_of_plan(&review_plan()));
}

#[test]
fn children_stand_behind_their_parent_and_before_who_needs_it() {
    let text = mermaid(&reviewed());
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(
        lines[5].starts_with("n4[[\"Verification<br>"),
        "{}",
        lines[5]
    );
    for edge in [
        "n3 --> n4",
        "n4 --> n5",
        "n4 --> n6",
        "n5 --> n7",
        "n6 --> n7",
    ] {
        assert!(lines.contains(&edge), "{edge}");
    }
    assert!(!lines.contains(&"n4 --> n7"));
    let (labels, edges) = drawn(&svg(&reviewed()));
    assert_eq!(
        labels,
        [
            "Correctness",
            "Security",
            "Tests",
            "Merge",
            "Verification",
            "Verification 1",
            "Verification 2",
            "Report"
        ]
    );
    assert_eq!(edges, 3 + 1 + 2 + 2);
}

#[test]
fn a_fan_out_without_children_is_one_node() {
    let (labels, edges) = drawn(&svg(&fanned(0)));
    assert_eq!((labels.len(), edges), (6, 5));
}

#[test]
fn nine_children_are_drawn_and_a_hundred_are_one_node() {
    assert_eq!(drawn(&svg(&fanned(9))).0.len(), 6 + 9);
    let mut data = fanned(100);
    for number in [3, 50, 99] {
        step(&mut data, &format!("verify/{number}")).status = "failed".into();
    }
    let text = svg(&data);
    let (labels, _) = drawn(&text);
    assert_eq!(labels.len(), 7);
    assert!(labels.contains(&"100 steps".to_owned()));
    assert!(text.contains("97 completed, 3 failed, up to 1 min 50 s"));
    assert!(mermaid(&data).contains("100 steps<br>✕ 97 completed, 3 failed, up to 1 min 50 s"));
}

#[test]
fn every_state_has_a_word_and_a_form_of_its_own() {
    let states = [
        "completed",
        "failed",
        "cancelled",
        "skipped",
        "running",
        "pending",
    ];
    let mut forms = std::collections::BTreeSet::new();
    for state in states {
        let mut data = synthesized();
        step(&mut data, "structure").status = state.into();
        let text = svg(&data);
        let tree = roxmltree::Document::parse(&text).expect("well-formed XML");
        let node = tree
            .descendants()
            .find(|it| {
                it.attribute("class")
                    .is_some_and(|class| class.starts_with("node "))
            })
            .expect("a node");
        assert_eq!(
            node.attribute("class"),
            Some(format!("node agent {state}").as_str())
        );
        let mark = node
            .children()
            .find(|it| it.attribute("class") == Some("mark"))
            .expect("a mark");
        forms.insert(text[mark.range()].to_owned());
        let words: String = node.descendants().filter_map(|it| it.text()).collect();
        assert!(words.contains(state));
    }
    assert_eq!(forms.len(), states.len());
}

#[test]
fn boxes_stand_apart_in_the_column_of_their_wave() {
    for count in [0, 2, 9, 100] {
        let text = svg(&fanned(count));
        let tree = roxmltree::Document::parse(&text).expect("well-formed XML");
        let size = |key: &str| {
            tree.root_element()
                .attribute(key)
                .and_then(|it| it.parse::<f64>().ok())
        };
        let (width, height) = (
            size("width").expect("a width"),
            size("height").expect("a height"),
        );
        let boxes: Vec<(f64, f64)> = tree
            .descendants()
            .filter_map(|it| {
                it.attribute("transform")?
                    .strip_prefix("translate(")?
                    .strip_suffix(')')
            })
            .map(|it| it.split_once(' ').expect("two numbers"))
            .map(|(x, y)| (x.parse().expect("a number"), y.parse().expect("a number")))
            .collect();
        for (number, (x, y)) in boxes.iter().enumerate() {
            assert!(*x >= 0.0 && *y >= 0.0 && x + 168.0 <= width && y + 62.0 <= height);
            for (other_x, other_y) in &boxes[number + 1..] {
                assert!((x - other_x).abs() >= 168.0 || (y - other_y).abs() >= 62.0);
            }
        }
    }
}

#[test]
fn flows_of_the_library_can_be_drawn_before_any_launch() {
    let launch = common::launch(Band::Large);
    for flow in conductor_flows::builtin_flows() {
        let plan = conductor_flows::expand(flow, &launch, conductor_flows::builtin_personas())
            .expect("a flow of the library expands")
            .plan;
        let (labels, _) = drawn(&svg_of_plan(&plan));
        assert_eq!(labels.len(), plan.steps.len());
        let text = mermaid_of_plan(&plan);
        assert!(text.starts_with("flowchart LR\n") && !text.contains("completed"));
    }
}

#[test]
fn names_of_steps_are_text_in_both_languages() {
    for evil in [
        "\"]; end",
        "</text><script>alert(1)</script>",
        "%%{init: {\"x\": 1}}%%",
        "&amp; &#34;",
        "]]>",
        "<!--",
        "\u{1b}[31m\u{0}",
        "\u{202e}x\u{fffe}",
        "end",
        "1. subgraph\nclick n0 href",
        "`**md**`",
        "#quot;",
        "é中文👩‍👩‍👧",
    ] {
        let mut data = reviewed();
        data.run.flow_name = evil.into();
        for step in &mut data.steps {
            step.label = evil.into();
            step.persona = Some(evil.into());
            step.status = if step.step_id == "merge" {
                evil.into()
            } else {
                step.status.clone()
            };
        }
        let (labels, _) = drawn(&svg(&data));
        assert_eq!(labels.len(), 8, "{evil:?}");
        let text = mermaid(&data);
        for line in text.lines().skip(1) {
            let line = line.trim_start();
            let node =
                line.starts_with('n') && line.matches('"').count() == 2 && line.contains(":::");
            let edge = line.starts_with('n') && line.contains(" --> ") && !line.contains('"');
            assert!(node || edge || line.starts_with("classDef "), "{line}");
        }
        assert!(!text.contains("%%") && !text.contains(['\u{1b}', '\u{202e}']));
    }
}

#[test]
fn a_file_has_its_own_colours_and_a_page_lends_them() {
    let text = svg(&synthesized());
    assert!(
        text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")
            && text.contains("prefers-color-scheme: dark")
    );
    let page = conductor_flows::report::html(&synthesized());
    assert_eq!(page.matches("<style>").count(), 1);
}
