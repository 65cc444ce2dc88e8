//! The report as a page: compared with the files in `golden/`, and what every page has.
//! `UPDATE_GOLDEN=1 cargo test` writes those anew.

mod common;

use std::path::Path;

use common::pages::{failed, reviewed, synthesized};
use conductor_flows::{ReportData, report};
use scraper::{ElementRef, Html, Selector};

#[track_caller]
fn golden(name: &str, data: &ReportData) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let page = report::html(data);
    // Style and script are files of their own, and their hashes follow from them.
    let page = without(&page, "<style>", "</style>");
    let page = without(&page, "<script>", "</script>");
    let found = without(&page, "http-equiv=\"Content-Security-Policy\"", ">");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).expect("the folder is there");
    }
    let wanted = std::fs::read_to_string(&path).expect("the golden file is there");
    assert!(found == wanted, "{name} has changed");
}

/// The text with what stands between the first `from` and the next `to` left out.
fn without(text: &str, from: &str, to: &str) -> String {
    let (before, rest) = text.split_once(from).expect("every page has it");
    let (_, after) = rest.split_once(to).expect("it ends");
    format!("{before}{from}…{to}{after}")
}

fn page(data: &ReportData) -> Html {
    Html::parse_document(&report::html(data))
}

fn all<'a>(page: &'a Html, what: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(what).expect("a selector"))
        .collect()
}

fn text(element: &ElementRef) -> String {
    let text: String = element.text().collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn texts(page: &Html, what: &str) -> Vec<String> {
    all(page, what).iter().map(text).collect()
}

#[test]
fn pages_are_as_they_were() {
    golden("with-synthesizer.html", &synthesized());
    golden("failed-run.html", &failed());
    golden("review.html", &reviewed());
}

#[test]
fn the_parts_stand_in_the_order_of_the_markdown() {
    let page = page(&synthesized());
    let titles = texts(&page, "main > section > h2");
    let wanted = [
        "Validation",
        "Answer",
        "Deferred (YAGNI)",
        "Steps",
        "Outputs behind the report",
        "Citations",
        "Next",
    ];
    assert_eq!(titles, wanted);
    let contents: Vec<&str> = all(&page, "nav a")
        .iter()
        .filter_map(|link| link.attr("href"))
        .collect();
    let sections: Vec<String> = all(&page, "main > section")
        .iter()
        .filter_map(|section| Some(format!("#{}", section.attr("id")?)))
        .collect();
    assert_eq!(contents, sections);
}

#[test]
fn every_citation_can_be_seen() {
    let page = page(&synthesized());
    let cited = texts(&page, "#answer .cite");
    assert_eq!(cited, ["src/retry.rs:99"]);
    assert_eq!(
        texts(&page, "#answer .cite.broken + .flag"),
        ["⚠ broken citation"]
    );
    let rows = texts(&page, "#citations tbody tr");
    assert_eq!(
        rows,
        [
            "structure10",
            "synthesis31 src/retry.rs:99 ⚠ broken citation: the file has 40 lines"
        ]
    );
}

#[test]
fn items_of_outputs_are_findings_with_what_validators_said_of_them() {
    let page = page(&synthesized());
    let found: Vec<(&str, &str, &str)> = all(&page, "article")
        .iter()
        .map(|it| {
            let data = |key: &str| it.attr(key).unwrap_or("");
            (data("data-step"), data("data-id"), data("data-outcome"))
        })
        .collect();
    let wanted = [
        ("synthesis", "synthesis/W1", "none"),
        ("structure", "structure/RD1", "none"),
        ("structure", "structure/RD2", "none"),
    ];
    assert_eq!(found, wanted);
    let mut data = synthesized();
    let said = "## Counter-evidence\n### V1. structure/RD2: refuted\n- x\n\nConfidence: low\n";
    common::reports::step(&mut data, "validation").output = Some(said.into());
    let page = self::page(&data);
    assert_eq!(
        texts(&page, "article[data-outcome='refuted'] > h6"),
        ["structure/RD2. Prices are computed twice ✕ refuted"]
    );
    let choices = texts(&page, "#filters fieldset label");
    assert_eq!(choices, ["refuted 1", "not judged 2"]);
}

#[test]
fn a_review_shows_findings_by_severity_and_counts_what_was_refuted() {
    let page = page(&reviewed());
    let titles = texts(&page, "#findings h3");
    assert_eq!(titles[0], "Critical (2)");
    assert_eq!(
        titles[1..],
        [
            "Unproven (1)",
            "Could not be read as findings",
            "Over the cap (1)",
            "Refuted (1)"
        ]
    );
    let ids: Vec<&str> = all(&page, "#findings article")
        .iter()
        .filter_map(|it| it.attr("data-id"))
        .collect();
    assert_eq!(
        ids,
        [
            "correctness/B1",
            "security/SEC1",
            "correctness/B3",
            "correctness/B4"
        ]
    );
    assert_eq!(
        texts(&page, "#advice li"),
        ["A plugin system. Why: nobody asked."]
    );
    let status = texts(&page, "#filters .count");
    assert_eq!(status, ["4 of 4 findings"]);
    assert!(texts(&page, "#validation p")[0].starts_with("The findings were given to verifiers"));
}

#[test]
fn without_script_everything_is_there_and_the_controls_are_not() {
    for data in [synthesized(), failed(), reviewed()] {
        let page = page(&data);
        let hidden: Vec<&str> = all(&page, "[hidden]")
            .iter()
            .map(|it| it.value().name())
            .collect();
        assert!(
            hidden.iter().all(|name| ["form", "button"].contains(name)),
            "{hidden:?}"
        );
        assert!(all(&page, "article[hidden], section[hidden]").is_empty());
    }
}

#[test]
fn a_partial_report_says_so_first() {
    let page = page(&failed());
    let notice = texts(&page, "header .notice");
    assert_eq!(
        notice,
        [
            "This run failed: step synthesis failed: no answer <for> 90 s This report is partial: nothing in it is a \
          validated answer."
        ]
    );
    assert!(all(&page, "main h2").iter().all(|it| text(it) != "Answer"));
}

#[test]
fn headings_never_skip_a_level_downwards_and_landmarks_are_named() {
    for data in [synthesized(), failed(), reviewed()] {
        let page = page(&data);
        let levels: Vec<u8> = all(&page, "h1, h2, h3, h4, h5, h6")
            .iter()
            .map(|it| it.value().name().as_bytes()[1] - b'0')
            .collect();
        assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
        assert!(
            levels.windows(2).all(|pair| pair[1] <= pair[0] + 1),
            "{levels:?}"
        );
        for what in ["header", "nav[aria-label]", "main", "svg title", "svg desc"] {
            assert!(!all(&page, what).is_empty(), "{what}");
        }
        for section in all(&page, "main > section") {
            let name = section
                .attr("aria-labelledby")
                .expect("a section has a name");
            assert_eq!(all(&page, &format!("h2#{name}")).len(), 1);
        }
    }
}
