//! Pages of whatever models and people write: nothing of it is markup, nothing is lost, and time
//! stays linear.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::fuzz::{tried, worked};
use common::pages::{reviewed, synthesized};
use common::reports::{data, spine, step};
use conductor_flows::{ReportData, report};
use proptest::prelude::*;
use scraper::{Html, Selector};
use serde_json::json;

const ELEMENTS: &str = "html head meta title style script body a header nav main section article div span p h1 h2 h3 h4 \
    h5 h6 ul ol li dl dt dd blockquote pre code em strong del br hr table caption thead tbody tr th td details summary \
    form fieldset legend label input select option button svg desc g path rect circle text";

/// Attributes by the elements that may have them; a star stands for any element.
const ATTRIBUTES: &[(&str, &str)] = &[
    (
        "*",
        "class id tabindex role aria-label aria-labelledby aria-hidden hidden",
    ),
    ("html", "lang"),
    ("meta", "charset name content http-equiv"),
    ("a", "href rel"),
    ("article", "data-step data-id data-outcome data-severity"),
    ("ol", "start"),
    ("th", "scope"),
    ("details", "open"),
    ("input", "type name value checked autocomplete placeholder"),
    ("select", "name"),
    ("option", "value"),
    ("button", "type"),
    ("svg", "width height viewBox"),
    ("g", "transform"),
    ("path", "d"),
    ("rect", "x y width height rx"),
    ("circle", "cx cy r"),
    ("text", "x y"),
];

/// Parses a page as a browser does and checks that every element and attribute is one of ours.
#[track_caller]
fn safe(text: &str) -> Html {
    let page = Html::parse_document(text);
    let known: BTreeSet<&str> = ELEMENTS.split_whitespace().collect();
    let mut ids = BTreeSet::new();
    for node in page.tree.nodes() {
        assert!(!node.value().is_comment(), "a comment");
        let Some(element) = node.value().as_element() else {
            continue;
        };
        let name = element.name();
        assert!(known.contains(name), "<{name}>");
        for (key, value) in element.attrs() {
            let allowed = ATTRIBUTES.iter().any(|(of, keys)| {
                (*of == "*" || *of == name) && keys.split(' ').any(|it| it == key)
            });
            assert!(allowed, "<{name} {key}={value:?}>");
            match key {
                "id" => assert!(ids.insert(value.to_owned()), "id {value:?} twice"),
                "href" => {
                    let ours = value
                        .strip_prefix('#')
                        .is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_lowercase()));
                    let fine = ["http://", "https://", "mailto:"];
                    let lower = value.to_ascii_lowercase();
                    assert!(
                        ours || fine.iter().any(|it| lower.starts_with(it)),
                        "{value:?}"
                    );
                    assert_eq!(ours, element.attr("rel").is_none());
                }
                _ => {}
            }
        }
    }
    let scripts = Selector::parse("script, style").expect("a selector");
    assert_eq!(page.select(&scripts).count(), 2, "script or style");
    page
}

fn all_text(page: &Html) -> String {
    page.root_element().text().collect()
}

/// A run in which everything that anybody wrote is this text.
fn everywhere(evil: &str) -> ReportData {
    let mut data = synthesized();
    for it in &mut data.steps {
        if it.output.is_some() {
            let said = it.output.take().unwrap_or_default();
            it.output = Some(format!(
                "{evil}\n\n{said}\n\n### RD7. {evil}\n- {evil}\n\n{evil}"
            ));
        }
        it.label = evil.into();
        it.persona = it.persona.as_ref().map(|_| evil.into());
        it.note = Some(evil.into());
        it.error = Some(evil.into());
        it.citations = Some(json!({"total": 2, "broken": [{"cited": evil, "why": evil}]}));
    }
    let run = &mut data.run;
    run.status = "failed".into();
    run.question = evil.into();
    for field in [
        &mut run.flow_name,
        &mut run.model,
        &mut run.band,
        &mut run.launched_by,
        &mut run.created_at,
    ] {
        *field = evil.into();
    }
    for field in [
        &mut run.project,
        &mut run.commit,
        &mut run.tree_digest,
        &mut run.ended_at,
        &mut run.error,
    ] {
        *field = Some(evil.into());
    }
    run.snapshot_notes = vec![evil.into(), format!("changes: {evil}")];
    data
}

const EVIL: &[&str] = &[
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title></pre></code></textarea><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><foreignObject><iframe src=//x></svg>",
    "<!-- open",
    "--> <b>",
    "<![CDATA[ x ]]>",
    "<?php x ?>",
    "\" onmouseover=\"alert(1)\" x=\"",
    "' onfocus='alert(1)",
    "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](data:text/html,x) [w](vbscript:x) [v](//x.test)",
    "[x](java\nscript:alert(1)) [x](&#106;avascript:alert(1)) [x](\u{1}javascript:alert(1)) <javascript:alert(1)>",
    "[x](https://a.test/\"onclick=alert(1)) <https://a.test/'><b> [q](http://a.test 'a\" onclick=\"b')",
    "![x](https://a.test/pixel.png) ![y][z]\n\n[z]: https://a.test/q.png 'onerror=x'",
    "&lt;script&gt; &#60;script&#62; &amp;lt;",
    "\u{1b}[31m red \u{1b}]8;;http://x\u{7} \u{9b}31m \u{7f} \u{0} null",
    "a \u{202e}desrever\u{202c} \u{2066}x\u{2069} \u{200b} \u{feff} \u{2028} \u{fffe}",
    "# x\n## Validation\n<h1>forged</h1>\n",
    "<details><summary>x</summary>\n\n</article></section></main></body></html>",
    "| a | b |\n|---|:-:|\n| <b> | `</td>` |\n| [l](javascript:x) |",
    "```html\n<script>alert(1)</script>\n",
    "~~~\" onx=\"\n</code></pre>\n",
    "a\r\nb\rc\tIMG \\<b\\> *x <b>* **y** ~~z~~ [ ] x",
    "- [ ] <input autofocus onfocus=alert(1)>\n- [x] done",
    "<base href=//x> <meta http-equiv=refresh content=0> <link rel=stylesheet href=//x> <form action=//x>",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} `${x}`",
    "id=\"validation\" <a id=\"next\" name=\"next\">",
];

#[test]
fn nothing_that_anybody_wrote_is_markup() {
    for evil in EVIL {
        let page = safe(&report::html(&everywhere(evil)));
        assert!(!all_text(&page).contains([
            '\u{1b}', '\u{0}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200b}'
        ]));
    }
}

#[test]
fn findings_of_reviewers_are_not_markup_either() {
    for evil in EVIL {
        let mut data = reviewed();
        spoil_findings(&mut data, evil);
        let page = safe(&report::html(&data));
        let articles = Selector::parse("#findings article").expect("a selector");
        assert!(page.select(&articles).count() >= 1, "{evil:?}");
    }
}

/// Lets reviewers and verifiers say nothing but this text.
fn spoil_findings(data: &mut ReportData, evil: &str) {
    let merge = step(data, "merge");
    let output = merge.output.take().expect("the merge said something");
    let json = output
        .split_once("```json\n")
        .and_then(|(_, rest)| rest.rsplit_once("\n```"))
        .expect("a block")
        .0;
    let mut merged: serde_json::Value = serde_json::from_str(json).expect("JSON");
    spoil(&mut merged, evil);
    merge.output = Some(format!("# Merged\n\n```json\n{merged}\n```\n"));
    for number in 1..=2 {
        step(data, &format!("verify/{number}")).output =
            Some(format!("### V1. correctness/B1: confirmed\n{evil}\n"));
    }
}

/// Puts a text into every claim, text, label and reason.
fn spoil(value: &mut serde_json::Value, evil: &str) {
    match value {
        serde_json::Value::Array(list) => list.iter_mut().for_each(|it| spoil(it, evil)),
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match key.as_str() {
                    "claim" | "text" | "label" | "why" | "path" | "cited" => *value = json!(evil),
                    "raw" => *value = json!([evil]),
                    _ => spoil(value, evil),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn what_is_hidden_in_text_is_written_out() {
    let text = "a\u{1b}[31mb \u{202e}c";
    let data = data(
        &spine(false).plan,
        &[("structure", text), ("behavior", "x")],
    );
    let said = all_text(&safe(&report::html(&data)));
    assert!(said.contains("a␛[31mb ⟨U+202E⟩c"));
}

#[test]
fn html_of_a_model_can_be_read_as_it_was_written() {
    let evil = "before <b onclick=\"x\">bold</b> after\n\n<div class=\"x\">\nblock\n</div>\n";
    let data = data(
        &spine(false).plan,
        &[("structure", evil), ("behavior", "x")],
    );
    let said = all_text(&safe(&report::html(&data)));
    assert!(said.contains("before <b onclick=\"x\">bold</b> after"));
    assert!(said.contains("<div class=\"x\">\nblock\n</div>"));
}

#[test]
fn addresses_that_are_no_links_can_be_read() {
    let text =
        "[click](javascript:alert(1)) ![alt](https://a.test/p.png) [fine](https://a.test/?a=1&b=2)";
    let data = data(
        &spine(false).plan,
        &[("structure", text), ("behavior", "x")],
    );
    let page = safe(&report::html(&data));
    let said = all_text(&page);
    assert!(said.contains("click (javascript:alert(1))"));
    assert!(said.contains("(image alt: https://a.test/p.png)"));
    let links = Selector::parse("#answer a").expect("a selector");
    let links: Vec<(Option<&str>, Option<&str>)> = page
        .select(&links)
        .map(|link| (link.attr("href"), link.attr("rel")))
        .collect();
    let rel = Some("noopener noreferrer nofollow");
    assert_eq!(links, [(Some("https://a.test/?a=1&b=2"), rel)]);
}

/// How deep the deepest element stands.
fn depth(page: &Html) -> usize {
    page.tree
        .nodes()
        .map(|node| node.ancestors().count())
        .max()
        .unwrap_or(0)
}

#[test]
fn ten_thousand_levels_are_flat_and_lose_nothing() {
    let levels = 10_000;
    let lists: String = (0..levels)
        .map(|level| format!("{}- x{level}\n", " ".repeat(2 * level % 4000)))
        .collect();
    for evil in [
        format!("{} deepest", ">".repeat(levels)),
        format!("{}deepest", "- ".repeat(levels)),
        format!("{}deepest", "1. ".repeat(levels)),
        format!("{}deepest{}", "*_".repeat(levels), "_*".repeat(levels)),
        format!(
            "{}deepest{}",
            "[".repeat(levels),
            "](http://a.test)".repeat(levels)
        ),
        format!("{}deepest", "<b>".repeat(levels)),
        format!("{lists}\ndeepest"),
        format!("{}\n\ndeepest", "> - ".repeat(levels)),
    ] {
        let data = data(
            &spine(false).plan,
            &[("structure", &evil), ("behavior", "x")],
        );
        let start = worked();
        let text = report::html(&data);
        let took = worked() - start;
        assert!(took < Duration::from_secs(20), "{:?}", &evil[..20]);
        let page = safe(&text);
        assert!(depth(&page) < 100, "{} levels", depth(&page));
        assert!(all_text(&page).contains("deepest"), "{:?}", &evil[..20]);
    }
}

#[test]
fn huge_outputs_take_linear_time_and_lose_nothing() {
    let shapes = [
        "é👩‍👩‍👧 mixed 中文 `RD1` src/a.rs:10 RD2 <b> & [x](http://a.test)\n",
        "### RD1. critical: x\n- y\n",
        "a:1",
        "` `` ``` RD1 ",
        "[a](<b",
        "![[",
        "*a_ ",
        "<!--",
        "|a",
        "a|b\n-|-\n",
        "&#x",
        "~~",
        "\\<",
        "> a\n",
        "<?",
        "[a]: b\n[a] ",
    ];
    let plan = spine(false).plan;
    let time = |shape: &str, bytes: usize| {
        let output = shape.repeat(bytes / shape.len()) + "\n\nthe very end";
        let outputs = [
            ("structure", output.as_str()),
            ("behavior", "b"),
            ("validation", "x"),
        ];
        let mut data = data(&plan, &outputs);
        step(&mut data, "structure").citations = Some(json!({"total": 1, "broken": ["z:1"]}));
        let start = Instant::now();
        let text = report::html(&data);
        let took = start.elapsed();
        assert_eq!(text.matches("the very end").count(), 1, "{shape:?}");
        took
    };
    for shape in shapes {
        let (small, large) = (time(shape, 50_000), time(shape, 800_000));
        // Sixteen times the text; a quadratic scan would take 256 times as long.
        let limit = (small * 80).max(Duration::from_secs(5));
        assert!(large <= limit, "{shape:?}: {small:?} and {large:?}");
    }
    time(shapes[0], 5_000_000);
}

proptest! {
    #![proptest_config(tried(200))]

    #[test]
    fn any_output_makes_a_safe_page(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "# ", "### RD1. critical: ", "## Deferred (YAGNI)\n", "```", "~~~", "\n", "\n\n", "text", "---", "===", "<!--", "-->",
            "    ", "> ", "- ", "1. ", "|", "|-|-|\n", "src/a.rs:9", "é", "\r", "\u{1}", "`", "\\", "*", "_", "~~", "[", "](", ")",
            "![", "<b ", "</p>", ">", "<script>", "\"", "javascript:", "https://a.test", "&lt;", "[ ] ", "\t", "\u{202e}",
        ]), 0..60),
        any in any::<String>(),
    ) {
        let output = pieces.concat() + &any + "\n\nunmistakable";
        let mut data = data(&spine(false).plan, &[("structure", &output), ("behavior", &any), ("validation", &output)]);
        step(&mut data, "structure").citations = Some(json!({"total": 2, "broken": ["src/a.rs:9"]}));
        data.run.question = any;
        let page = safe(&report::html(&data));
        prop_assert_eq!(all_text(&page).matches("unmistakable").count(), 2);
    }
}

proptest! {
    #![proptest_config(tried(40))]

    #[test]
    fn anything_in_any_place_is_text_and_nothing_else(
        pieces in prop::collection::vec(prop_oneof![
            3 => prop::sample::select(EVIL).prop_map(str::to_owned),
            1 => any::<String>(),
            1 => "[<>\"'&/=a-z \u{0}-\u{1f}`]{0,30}",
        ], 1..6),
        findings in any::<bool>(),
    ) {
        let evil = pieces.concat();
        let mut data = everywhere(&evil);
        if findings {
            data = reviewed();
            spoil_findings(&mut data, &evil);
        }
        let page = safe(&report::html(&data));
        let hidden = ['\u{1b}', '\u{0}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200b}'];
        prop_assert!(!all_text(&page).contains(hidden));
        // The same as JSON is whole, and says it as it came.
        let json = report::json(&data);
        let again: serde_json::Value = serde_json::from_str(&json.to_string()).expect("JSON");
        prop_assert_eq!(&again, &json);
        if !findings {
            prop_assert_eq!(again["run"]["question"].as_str(), Some(evil.as_str()));
        }
    }
}
