//! What verifiers say of findings, and what becomes of them.

mod common;

use common::reviewers::{groups, options, reviewed, upstream};
use conductor_flows::findings::{Outcome, Severity, Verifier, judge, merge};

/// Three findings at one place, the last two joined with the first, judged by one output.
fn judged_joined(output: &str) -> Vec<String> {
    let one = |id: &str, severity: &str, place: &str, claim: &str| {
        upstream(
            if id.starts_with('S') {
                "security"
            } else {
                "correctness"
            },
            &reviewed(&[(id, severity, place, claim)]),
        )
    };
    let mut inputs = [
        one(
            "B1",
            "critical",
            "src/queue.rs:42-60",
            "claim reads without a lock",
        ),
        one(
            "SEC1",
            "critical",
            "src/queue.rs:59",
            "user input reaches the query",
        ),
        one(
            "S1",
            "warning",
            "src/queue.rs:58",
            "SQL text is built by hand",
        ),
    ];
    inputs[1].prefix = Some("SEC".to_owned());
    inputs[2].prefix = Some("S".to_owned());
    inputs[2].step_id = "structure".to_owned();
    let merged = merge(&inputs, &options(10, &[]));
    assert_eq!(
        groups(&merged),
        ["correctness/B1+security/SEC1+structure/S1"]
    );
    let verifier = Verifier {
        step_id: "verify/1",
        number: 1,
        output: Some(output),
        why: None,
    };
    let review = judge(&merged, &[verifier]);
    let shown = review.judged.iter().map(|it| {
        let joined: String = it
            .finding
            .joined
            .iter()
            .map(|it| format!("+{}", it.id))
            .collect();
        format!("{}{joined} {} {}", it.finding.id, it.outcome, it.severity())
    });
    shown.collect()
}

#[test]
fn a_joined_finding_keeps_a_verdict_of_its_own() {
    let refuted = "### V1. correctness/B1: refuted\n\n### V2. security/SEC1: confirmed\n";
    assert_eq!(
        judged_joined(refuted),
        [
            "security/SEC1 confirmed critical",
            "structure/S1 unproven warning",
            "correctness/B1 refuted critical"
        ]
    );
    assert_eq!(
        judged_joined("### V1. B1: confirmed\n### V2. SEC1: refuted\n"),
        [
            "correctness/B1+structure/S1 confirmed critical",
            "security/SEC1 refuted critical"
        ]
    );
    assert_eq!(
        judged_joined("### V1. S1: confirmed\n- Severity: suggestion\n"),
        [
            "structure/S1 confirmed suggestion",
            "correctness/B1+security/SEC1 unproven critical"
        ]
    );
    assert_eq!(
        judged_joined("### V1. B1: confirmed\n### V2. SEC1: confirmed\n"),
        ["correctness/B1+security/SEC1+structure/S1 confirmed critical"]
    );
}

/// Three findings of one step, judged by one output.
fn judged(output: &str) -> Vec<String> {
    let text = reviewed(&[
        ("B1", "critical", "src/a.rs:1", "one"),
        ("B2", "warning", "src/b.rs:1", "two"),
        ("B3", "low", "src/c.rs:1", "three"),
    ]);
    let merged = merge(&[upstream("correctness", &text)], &options(10, &[]));
    let verifier = Verifier {
        step_id: "verify/1",
        number: 1,
        output: Some(output),
        why: None,
    };
    let review = judge(&merged, &[verifier]);
    let mut all: Vec<String> = review
        .judged
        .iter()
        .map(|it| {
            format!(
                "{} {}",
                it.finding.id.trim_start_matches("correctness/"),
                it.outcome
            )
        })
        .collect();
    all.sort();
    all
}

#[test]
fn verdicts_are_read_in_many_dresses() {
    let wanted = ["B1 confirmed", "B2 refuted", "B3 unproven"];
    for output in [
        "## Verdict\nstands with corrections: fine.\n\n## Counter-evidence\n\
         ### V1. correctness/B1: confirmed\n- Claim: x\n### V2. correctness/B2: refuted\n- Claim: B1 again\n\
         ### V3. correctness/B3: unproven\n\nConfidence: high\n",
        "### V1. `correctness/B1` — stands\n### V2. `B2` — not a defect\n### V3. `B3` — uncertain\n",
        "### B1\n**Verdict**: Confirmed. Read again.\n### B2\n**Verdict**: refuted\n### B3\n**Verdict**: inconclusive\n",
        "| id | claim | verdict | why |\n|---|---|---|---|\n| B1 | x | confirmed | ok |\n\
         | correctness/B2 | x | Rejected | no |\n| B3 | x | not proven | ? |\n",
        "| V1 | correctness/B1 | CONFIRMED |\n| V2 | correctness/B2 | REFUTED |\n| V3 | correctness/B3 | UNPROVEN |\n",
        "- **correctness/B1**: confirmed, the guard is missing\n- **correctness/B2**: false positive\n- B3: unclear\n",
        "1. B1 (confirmed): x\n2. B2 (refuted): y\n3. B3 (unproven): z\n",
        "## Confirmed\n- B1\n\n## Refuted\n- B2: the caller checks\n\n## Unproven\n- B3\n",
        "Confirmed: B1\nRefuted: B2\nUnproven: B3\n",
        "```json\n[{\"id\": \"correctness/B1\", \"verdict\": \"confirmed\", \"reason\": \"x\"},\n\
         {\"id\": \"B2\", \"verdict\": \"refuted\"}, {\"id\": \"B3\", \"verdict\": \"unproven\"}]\n```\n",
        "{\"correctness/B1\": \"confirmed\", \"correctness/B2\": {\"verdict\": \"refuted\"}, \"B3\": \"unsure\"}",
        "### V1. B1: the lock is missing (confirmed)\n### V2. B2: two — refuted\n### V3. B3: three\n- Outcome: unproven\n",
        "```markdown\n### V1. B1: confirmed\n### V2. B2: refuted\n### V3. B3: unproven\n```\n",
        "### V1. correctness/B1：确认\n### V2. correctness/B2：不成立\n### V3. correctness/B3：未证实\n",
        "B1: confirmed\r\nB2: refuted\r\n",
        "- B1 - True positive: no lock\n- B2: widerlegt durch `src/page.rs:3`\n- B3: nicht bestätigt\n",
        "Confirmed: B1\nRefuted: B2 – `src/page.rs:3` shows the bound.\nUnproven: B3.\n",
        "### B1: 确认\n### B2: 误报\n### B3: 未确认\n",
        "B1: confirmed\nB2: refuted\nB3: partly refuted by `src/page.rs:3`\n",
        "### V1. B1: confirmed\n- B2: refuted by line 9? No\n- Conclusion: refuted? No\n- Outcome: unproven\n\
         > B3: refuted\n\n### V2. B2: refuted\n| B3 | confirmed |\n```json\n{\"B3\": \"confirmed\"}\n```\n",
        "> ### B3: confirmed\n> - B1: refuted\n- > Refuted: B3\n\n- B1: confirmed\n  - Conclusion: refuted? No\n\
         - B2: refuted\n  > Verdict: confirmed\n",
        "### B1\n**Verdict**: confirmed\n- B3: refuted by line 9? No\n### B2\n**Verdict**: refuted\n",
    ] {
        assert_eq!(judged(output), wanted, "{output}");
    }
    assert_eq!(
        judged("### V1. B1, B2 and correctness/B3: confirmed\n"),
        ["B1 confirmed", "B2 confirmed", "B3 confirmed"]
    );
}

#[test]
fn what_is_no_verdict_leaves_findings_unproven() {
    let unproven = ["B1 unproven", "B2 unproven", "B3 unproven"];
    for output in [
        "## Verdict\nstands: B1 and the others survive.\n",
        "### V1. B1: confirmed\n### V2. B1: refuted\n",
        "### V1. B1: confirmed|refuted|unproven\n",
        "### V1. other/B1: confirmed\n",
        "### V1. B1: holds the lock too long\n",
        "B1 could not be confirmed.\n",
        "garbled ### B1 | | ``` confirmed",
        "",
    ] {
        assert_eq!(judged(output), unproven, "{output}");
    }
}

#[test]
fn an_unproven_finding_says_why() {
    let text = reviewed(&[("B1", "low", "a.rs:1", "x")]);
    let inputs = [upstream("a", &text), upstream("b", "prose only")];
    let merged = merge(&inputs, &options(10, &[]));
    let because = |output, why: Option<&str>| {
        let why = why.map(str::to_owned);
        let review = judge(
            &merged,
            &[Verifier {
                step_id: "verify/1",
                number: 1,
                output,
                why,
            }],
        );
        review.judged[0].because.clone()
    };
    assert_eq!(
        because(None, Some("failed: 500")),
        "verify/1 did not judge it: failed: 500"
    );
    assert_eq!(
        because(Some("nothing"), None),
        "verify/1 gave no verdict on it"
    );
    let both = because(Some("B1: refuted, guarded\n\nB1: confirmed"), None);
    assert!(
        both.starts_with("verify/1 contradicts itself (refuted, then confirmed):")
            && both.contains("guarded")
    );
    let none = judge(&merged, &[]);
    assert_eq!(none.judged[0].because, "no verifier ran for it");
    assert!(!none.verified && none.raw[0].by.is_none() && none.raw[0].step == "b");
    let second = Verifier {
        step_id: "verify/2",
        number: 2,
        output: Some("read it"),
        why: None,
    };
    let review = judge(&merged, &[second]);
    assert!(review.verified && review.raw[0].by.as_deref() == Some("verify/2"));
}

#[test]
fn findings_are_ordered_by_outcome_and_severity() {
    let text = reviewed(&[
        ("B1", "low", "a.rs:1", "one"),
        ("B2", "critical", "b.rs:1", "two"),
        ("B3", "critical", "c.rs:1", "three"),
        ("B4", "warning", "d.rs:1", "four"),
    ]);
    let merged = merge(&[upstream("a", &text)], &options(10, &[]));
    let output = "B1: confirmed\nB2: refuted\nB4: confirmed\n";
    let verifier = Verifier {
        step_id: "verify/1",
        number: 1,
        output: Some(output),
        why: None,
    };
    let review = judge(&merged, &[verifier]);
    let ids: Vec<&str> = review
        .judged
        .iter()
        .map(|it| it.finding.id.as_str())
        .collect();
    assert_eq!(ids, ["a/B4", "a/B1", "a/B3", "a/B2"]);
    assert_eq!(review.judged[0].by.as_deref(), Some("verify/1"));
    assert_eq!(review.judged[0].outcome, Outcome::Confirmed);
    assert_eq!(review.judged[0].finding.severity, Severity::Warning);
}

#[test]
fn a_verifier_may_correct_the_severity() {
    let text = reviewed(&[
        ("B1", "critical", "a.rs:1", "one"),
        ("B2", "warning", "b.rs:1", "two"),
        ("B3", "low", "c.rs:1", "three"),
    ]);
    let merged = merge(&[upstream("a", &text)], &options(10, &[]));
    let output = "### V1. B1: confirmed\n- Severity: critical → suggestion, one line\n\
        ### V2. B2: confirmed\n- Severity: warning\n> - Severity: critical\n\
        ### V3. B3: confirmed\n- **Severity**: should be critical (was low)\n";
    let verifier = Verifier {
        step_id: "verify/1",
        number: 1,
        output: Some(output),
        why: None,
    };
    let review = judge(&merged, &[verifier]);
    let shown: Vec<_> = review
        .judged
        .iter()
        .map(|it| (it.finding.id.as_str(), it.severity))
        .collect();
    use Severity::{Critical, Suggestion};
    assert_eq!(
        shown,
        [
            ("a/B3", Some(Critical)),
            ("a/B2", None),
            ("a/B1", Some(Suggestion))
        ]
    );
    assert_eq!(review.judged[1].severity(), Severity::Warning);
    let kept = serde_json::to_value(&review).unwrap();
    assert_eq!(kept["judged"][0]["severity"], "critical");
    assert!(kept["judged"][1].get("severity").is_none());
}
