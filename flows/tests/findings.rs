//! Replies of reviewers as models write them: every finding is read, and nothing that is none.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::reviewers::{groups, options, reviewed, upstream};
use conductor_flows::findings::{Finding, MergeOptions, Parsed, merge, parse};
use conductor_flows::resolve::Upstream;
use serde::Deserialize;
use serde_json::json;

/// What is expected of one reply.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expected {
    /// `B1 critical src/a.rs:1-2 the claim`; `warning?` when it was not rated, `-` without a place.
    findings: Vec<String>,
    clean: bool,
    /// Texts that cannot be read, each on one line.
    raw: Vec<String>,
    yagni: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/findings")
}

fn reply(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.md"))).unwrap()
}

fn expected() -> BTreeMap<String, Expected> {
    let text = std::fs::read_to_string(folder().join("expected.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

fn line(finding: &Finding) -> String {
    let place = finding.place.as_ref().map_or("-".to_owned(), |it| {
        let last = if it.last == it.first {
            String::new()
        } else {
            format!("-{}", it.last)
        };
        format!("{}:{}{last}", it.path, it.first)
    });
    let id = finding.id.strip_prefix("correctness/").unwrap();
    let doubt = if finding.rated { "" } else { "?" };
    format!("{id} {}{doubt} {place} {}", finding.severity, finding.claim)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shown(parsed: &Parsed) -> Expected {
    Expected {
        findings: parsed.findings.iter().map(line).collect(),
        clean: parsed.clean,
        raw: parsed.raw.iter().map(|text| one_line(text)).collect(),
        yagni: parsed.yagni.as_deref().map(one_line),
    }
}

#[test]
fn each_reply_is_read_as_expected() {
    let mut wrong = Vec::new();
    for (name, expected) in expected() {
        let found = shown(&parse("correctness", "B", &reply(&name), None));
        if found != expected {
            wrong.push(format!("[{name}]\n{found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_reply_has_its_expectations() {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".md").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert_eq!(names, expected().keys().cloned().collect::<Vec<_>>());
    assert!(names.len() >= 25);
}

#[test]
fn ids_are_qualified_and_broken_citations_are_kept_with_their_finding() {
    let text = reviewed(&[
        ("B1", "critical", "src/a.rs:9", "see B2"),
        ("B2", "low", "src/b.rs:1", "x"),
    ]);
    let checked = json!({"total": 2, "broken": [{"cited": "src/a.rs:9", "why": "no such line"}]});
    let parsed = parse("correctness", "B", &text, Some(&checked));
    assert!(
        parsed.findings[0]
            .text
            .starts_with("### correctness/B1. critical: see correctness/B2")
    );
    assert_eq!(parsed.findings[0].broken[0].cited, "src/a.rs:9");
    assert!(parsed.findings[1].broken.is_empty());
}

#[test]
fn a_repeated_id_is_renamed_where_the_finding_begins() {
    let parsed = parse("correctness", "B", &reply("ids-missing-and-repeated"), None);
    let text = &parsed.findings[1].text;
    assert!(
        text.starts_with("### correctness/B3. critical")
            && text.contains("related to correctness/B1")
    );
}

#[test]
fn duplicates_of_different_steps_join_the_worst() {
    let a = reviewed(&[
        ("B1", "warning", "src/a.rs:10-12", "one"),
        ("B2", "warning", "src/a.rs:11", "two"),
        (
            "B3",
            "low",
            "src/x.rs:1",
            "the retry never ends for a final error",
        ),
    ]);
    let b = reviewed(&[
        ("B1", "critical", "src/a.rs:12", "three"),
        (
            "B2",
            "low",
            "src/y.rs:7",
            "The retry *never ends* for a final error.",
        ),
        ("B3", "low", "src/x.rs:100", "short claim"),
    ]);
    let c = reviewed(&[
        ("B1", "warning", "src/a.rs:1-400", "everything is wrong"),
        ("B2", "low", "src/z.rs:100", "short claim"),
    ]);
    let inputs = [upstream("a", &a), upstream("b", &b), upstream("c", &c)];
    let merged = merge(&inputs, &options(10, &[]));
    assert_eq!(
        groups(&merged),
        ["a/B2 a/B3+b/B2", "b/B1+a/B1 b/B3", "c/B1 c/B2"]
    );
}

#[test]
fn the_cap_cuts_the_mildest_but_never_exempt_ones() {
    let three = |file: &str| {
        let place = |line: u64| format!("{file}:{line}");
        reviewed(&[
            ("B1", "low", &place(1), "first"),
            ("B2", "critical", &place(100), "second"),
            ("B3", "warning", &place(200), "third"),
        ])
    };
    let inputs = [
        upstream("a", &three("src/a.rs")),
        upstream("security", &three("src/b.rs")),
        upstream(
            "c",
            &reviewed(&[
                ("B1", "critical", "src/b.rs:1", "x"),
                ("B2", "critical", "src/c.rs:1", "y"),
            ]),
        ),
    ];
    let merged = merge(&inputs, &options(1, &["security"]));
    assert_eq!(
        groups(&merged),
        ["a/B2", "security/B2 security/B3", "c/B1+security/B1"]
    );
    let cut: Vec<&str> = merged.cut.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(cut, ["a/B3", "a/B1", "c/B2"]);
    assert_eq!(merged.groups[0].label, "A");
}

#[test]
fn steps_without_findings_say_why() {
    let failed = Upstream {
        status: "failed".into(),
        error: Some("connection refused".into()),
        ..upstream("b", "partial")
    };
    let inputs = [
        upstream("a", "NO FINDINGS"),
        failed,
        upstream("c", " \n"),
        upstream("d", "something went on here"),
        upstream(
            "e",
            "## Findings\nNO FINDINGS\n## YAGNI notes\n- a second queue",
        ),
    ];
    let merged = merge(&inputs, &options(10, &[]));
    let clean: Vec<&str> = merged.clean.iter().map(|it| it.step.as_str()).collect();
    assert_eq!(clean, ["a", "e"]);
    let why: Vec<&str> = merged.missing.iter().map(|it| it.why.as_str()).collect();
    assert_eq!(
        why,
        [
            "failed: connection refused",
            "completed with an empty output"
        ]
    );
    assert_eq!(merged.groups[0].raw, ["something went on here"]);
    assert_eq!(merged.yagni[0].text, "- a second queue");
}

#[test]
fn a_remark_between_findings_is_no_unreadable_reply() {
    let reply = |first: &str| Upstream {
        step_id: "correctness".to_owned(),
        prefix: Some("B".to_owned()),
        status: "completed".to_owned(),
        output: Some(format!(
            "{first}\n\n### B1. critical: it never ends\n- Where: `src/a.rs:10`\n"
        )),
        ..Upstream::default()
    };
    let options = MergeOptions {
        cap: 10,
        exempt: Vec::new(),
    };
    let raw = |first: &str| {
        let merged = merge(&[reply(first)], &options);
        assert_eq!(merged.groups[0].findings.len(), 1, "{first}");
        merged.groups[0].raw.clone()
    };
    assert!(raw("Here is my review of the change:").is_empty());
    let garbled = "src/b.rs:7 |; the lock is held while it waits";
    assert_eq!(raw(garbled), [garbled]);
    let long = "A claim without a place goes on. ".repeat(20);
    assert_eq!(raw(&long).len(), 1, "long prose may hold findings");
    let headed = "### The connection pool is never closed on shutdown\n\
        When the signal handler runs, nobody drains the pool, so the process hangs.";
    assert_eq!(raw(headed).len(), 1);
    for short in [
        "Nobody closes the pool.",
        "- a second pool",
        "All of it is slow:\nvery",
    ] {
        assert_eq!(raw(short).len(), 1, "{short}");
    }
}
