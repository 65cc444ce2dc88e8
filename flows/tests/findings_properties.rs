//! Findings in whatever text: nothing panics, nothing is lost, time stays linear.

#[path = "common/fuzz.rs"]
mod fuzz;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use conductor_flows::fields::elements;
use conductor_flows::findings::{
    Finding, Judged, MergeOptions, Merged, Outcome, Parsed, Verifier, judge, merge, parse,
};
use conductor_flows::resolve::Upstream;
use conductor_flows::text::strip_controls;
use fuzz::tried;
use proptest::prelude::*;
use serde_json::json;

/// Text with everything in it that has a meaning somewhere.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "## Findings\n",
        "## Summary\n",
        "## YAGNI notes\n",
        "## Critical\n",
        "### ",
        "# ",
        "**",
        "**B1. critical: x**\n",
        "### B1. critical: the lock\n",
        "### B2 (warning) x\n",
        "B1",
        "B2: ",
        "B3",
        "x/B1",
        "- ",
        "* ",
        "1. ",
        "12) ",
        "  - ",
        "> ",
        "|",
        "|---|---|\n",
        "| id | severity | claim |\n|---|---|---|\n",
        "| B4 | high | x |\n",
        "critical",
        "warning: ",
        "[HIGH] ",
        "(low)",
        "Severity: high\n",
        "- Where: `src/a.rs:10`\n",
        "src/a.rs:10-20",
        "NO FINDINGS",
        "none",
        "\n",
        "\n",
        "\n\n",
        "```",
        "```json\n",
        "```markdown\n",
        "~~~\n",
        "`",
        "{",
        "}",
        "[",
        "]",
        "\"id\": \"B1\", ",
        "\"severity\": \"low\", ",
        "{\"findings\": [",
        "{\"claim\": \"x\"}",
        "\"",
        ",",
        ":",
        "：",
        "—",
        " - ",
        "严重：",
        "1、",
        "é",
        "🔴",
        "👩‍👩‍👧",
        "\u{0}",
        "\u{1}",
        "\r",
        "\r\n",
        "\t",
        "\u{2028}",
        "\u{1b}[31m",
        "<think>",
        "</think>",
        "\\",
        "words of a claim",
        "confirmed",
        "refuted",
        "### V1. B1: confirmed\n",
        "Verdict: refuted\n",
        "x/B2, x/B3",
        "### V2. s1/B1: confirmed\n",
        "### V3. s2/B1: unproven\n",
        "s0/B1: refuted\n",
        "- Severity: low\n",
        "## Conclusion\n",
        "**YAGNI notes**\n",
        "I traced it, but ",
        "### A claim of its own\nwith words\n",
        "9999999999999999999999",
    ]);
    let any = prop_oneof![8 => pieces.prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec(any, 0..50).prop_map(|pieces| pieces.concat())
}

/// Whether a line has words, and is more than a heading or markup.
fn says_something(line: &str) -> bool {
    let text = line.trim();
    text.chars().any(char::is_alphanumeric)
}

/// Every text that came out of a reply.
fn kept(parsed: &Parsed) -> String {
    let texts = parsed.findings.iter().map(|it| it.text.as_str());
    texts
        .chain(parsed.raw.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("\n")
}

fn upstream(step: &str, output: &str) -> Upstream {
    Upstream {
        step_id: step.to_owned(),
        prefix: Some("B".to_owned()),
        status: "completed".to_owned(),
        output: Some(output.to_owned()),
        ..Upstream::default()
    }
}

/// How often each id stands anywhere in what was merged.
fn ids<'a>(findings: impl Iterator<Item = &'a Finding>) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for finding in findings {
        for id in finding.joined.iter().chain([finding]).map(|it| &it.id) {
            *found.entry(id.clone()).or_default() += 1;
        }
    }
    found
}

/// A finding in one of the forms that models use, and words of it that must not be lost.
fn finding() -> impl Strategy<Value = (usize, String)> {
    (0usize..6, "[a-z]{4,9} [a-z]{4,9} [a-z]{4,9}")
}

proptest! {
    #![proptest_config(tried(1500))]

    #[test]
    fn a_reply_is_findings_or_clean_or_raw(text in hostile()) {
        let parsed = parse("x", "B", &text, None);
        let said = strip_controls(&text);
        let empty = parsed.findings.is_empty() && parsed.raw.is_empty();
        prop_assert!(!empty || parsed.clean || said.trim().is_empty());
        prop_assert!(!parsed.clean || parsed.findings.is_empty());
        let all = ids(parsed.findings.iter());
        prop_assert!(all.len() == parsed.findings.len(), "{:?}", all);
        prop_assert!(all.keys().all(|id| id.starts_with("x/B")));
        for finding in &parsed.findings {
            prop_assert!(!finding.claim.contains('\n') && !finding.text.is_empty());
            if let Some(place) = &finding.place {
                prop_assert!(place.first >= 1 && place.last >= place.first);
            }
        }
    }

    #[test]
    fn no_line_below_the_heading_is_lost(
        findings in prop::collection::vec(finding(), 1..6),
        noise in prop::collection::vec("[a-z]{5} [a-z]{5,9}", 0..3),
        blank in any::<bool>(),
    ) {
        let mut text = String::from("## Summary\nTwo words.\n\n## Findings\n");
        for (at, (form, claim)) in findings.iter().enumerate() {
            let n = at + 1;
            text.push_str(&match form {
                0 => format!("### B{n}. critical: {claim}\n- Where: `src/a.rs:{n}`\n- Fix: none\n"),
                1 => format!("**B{n} (high)** {claim}\nat src/b.rs:{n}\n"),
                2 => format!("- **[Minor]** {claim}\n  more of {claim}\n"),
                3 => format!("| id | severity | claim |\n|---|---|---|\n| B{n} | low | {claim} |\n"),
                4 => format!("### {claim}\nsome words\n"),
                _ => format!("{n}. {claim} in `src/c.rs:{n}`\n"),
            });
            if blank {
                text.push('\n');
            }
            if let Some(noise) = noise.get(at) {
                text.push_str(&format!("{noise}\n\n"));
            }
        }
        let parsed = parse("x", "B", &text, None);
        let kept = kept(&parsed);
        let below = text.split("## Findings\n").nth(1).unwrap();
        for line in below.lines().filter(|line| says_something(line)) {
            let qualified = line.trim().replace("B", "x/B");
            prop_assert!(kept.contains(line.trim()) || kept.contains(&qualified), "{line:?} of {text}");
        }
    }

    #[test]
    fn whatever_stands_before_them_findings_in_their_form_are_found(
        before in hostile(),
        claims in prop::collection::vec("[a-z]{4,9} [a-z]{4,9} [a-z]{4,9}", 1..5),
        behind in prop::sample::select(vec!["", "\n## Conclusion\nThat is all.\n", "\n## YAGNI notes\n- none\n"]),
    ) {
        // Inside an open fence, a list of JSON or thoughts, a heading is none.
        let before = before.replace(['`', '~', '{', '[', '<'], "");
        let findings: String = claims
            .iter()
            .enumerate()
            .map(|(at, claim)| format!("### B{}. warning: {claim}\n- Where: `src/z.rs:{}`\n- Why: {claim}\n\n", at + 700, at + 1))
            .collect();
        let text = format!("{before}\n\n## Findings\n\n{findings}{behind}");
        let parsed = parse("x", "B", &text, None);
        prop_assert!(!parsed.clean);
        for (at, claim) in claims.iter().enumerate() {
            let id = format!("x/B{}", at + 700);
            let found: Vec<_> = parsed.findings.iter().filter(|it| it.id == id).collect();
            prop_assert!(found.len() == 1, "{id} {} times in {text:?}", found.len());
            prop_assert!(found[0].claim.contains(claim.as_str()), "{:?}", found[0]);
            prop_assert!(found[0].text.contains(&format!("- Why: {claim}")), "{:?}", found[0]);
        }
    }

    #[test]
    fn judging_joined_findings_names_each_once(
        places in prop::collection::vec((1u64..6, 0u64..4), 4),
        verdicts in prop::collection::vec((0usize..4, 0usize..4), 0..8),
    ) {
        let inputs: Vec<Upstream> = places
            .iter()
            .enumerate()
            .map(|(at, (first, more))| {
                let place = format!("src/a.rs:{first}-{}", first + more);
                let claim = if *more == 0 { "the same".to_owned() } else { format!("claim {at}") };
                upstream(&format!("s{at}"), &format!("### B1. low: {claim}\n- Where: `{place}`\n"))
            })
            .collect();
        let merged = merge(&inputs, &MergeOptions { cap: 9, exempt: Vec::new() });
        let words = ["confirmed", "refuted", "unproven", "no word"];
        let output: String = verdicts
            .iter()
            .map(|(at, word)| format!("### s{at}/B1: {}\n", words[*word]))
            .collect();
        let steps: Vec<String> = (1..=merged.groups.len()).map(|n| format!("verify/{n}")).collect();
        let verifiers: Vec<Verifier> = steps
            .iter()
            .enumerate()
            .map(|(at, step)| Verifier { step_id: step, number: at + 1, output: Some(&output), why: None })
            .collect();
        let review = judge(&merged, &verifiers);
        let found = ids(review.judged.iter().map(|it| &it.finding));
        prop_assert_eq!(found.len(), 4);
        prop_assert!(found.values().all(|count| *count == 1), "{:?}", found);
        // A verdict of its own is never lost in that of another.
        for it in &review.judged {
            let said = |id: &str| -> Vec<usize> {
                let of = verdicts.iter().filter(|(at, word)| *word < 3 && id == format!("s{at}/B1"));
                of.map(|(_, word)| *word).collect()
            };
            for other in &it.finding.joined {
                let said = said(&other.id);
                let all = said.iter().all(|word| words[*word] == it.outcome.as_str());
                prop_assert!(all || it.outcome == Outcome::Unproven, "{} {said:?}", other.id);
            }
        }
    }

    #[test]
    fn merging_and_judging_lose_no_finding(
        replies in prop::collection::vec(hostile(), 1..4),
        verdicts in prop::collection::vec(hostile(), 0..4),
        cap in 1usize..4,
        exempt in any::<bool>(),
    ) {
        let inputs: Vec<Upstream> =
            replies.iter().enumerate().map(|(at, text)| upstream(&format!("s{at}"), text)).collect();
        let exempt = if exempt { vec!["s0".to_owned()] } else { Vec::new() };
        let options = MergeOptions { cap, exempt };
        let merged = merge(&inputs, &options);
        prop_assert_eq!(&merged, &merge(&inputs, &options));
        let parsed: Vec<Parsed> =
            inputs.iter().map(|up| parse(&up.step_id, "B", up.output.as_deref().unwrap(), None)).collect();
        let wanted = ids(parsed.iter().flat_map(|it| &it.findings));
        let going = merged.groups.iter().flat_map(|it| &it.findings);
        prop_assert_eq!(ids(going.chain(&merged.cut)), wanted);
        let raw: usize = merged.groups.iter().map(|it| it.raw.len()).sum();
        for (input, read) in inputs.iter().zip(&parsed).filter(|(_, read)| !read.clean) {
            let group = merged.groups.iter().find(|it| it.step == input.step_id);
            let kept = group.map_or(&[][..], |it| &it.raw);
            // A short remark beside findings is none of its own.
            let short = |text: &str| text.trim().lines().count() == 1 && text.chars().count() <= 110;
            let marked = |text: &str| ["#", "|", "- ", "* "].iter().any(|it| text.trim_start().starts_with(it));
            let must = |text: &&String| read.findings.is_empty() || !short(text) || marked(text);
            let must: Vec<&String> = read.raw.iter().filter(must).collect();
            prop_assert!(must.iter().all(|text| kept.contains(text)), "{must:?} of {kept:?}");
            prop_assert!(kept.iter().all(|text| read.raw.contains(text)));
        }

        let out = merged.to_output();
        let again = Merged::from_output(&out);
        prop_assert_eq!(again.as_ref(), Some(&merged));
        let groups = elements(&out, "groups").unwrap();
        prop_assert_eq!(json!(groups), json!(merged.groups));

        let steps: Vec<String> = (1..=verdicts.len()).map(|n| format!("verify/{n}")).collect();
        let verifiers: Vec<Verifier> = verdicts
            .iter()
            .enumerate()
            .map(|(at, text)| Verifier { step_id: &steps[at], number: at + 1, output: Some(text), why: None })
            .collect();
        let review = judge(&merged, &verifiers);
        let going = ids(merged.groups.iter().flat_map(|it| &it.findings));
        prop_assert_eq!(ids(review.judged.iter().map(|it| &it.finding)), going);
        prop_assert!(review.judged.is_sorted_by_key(|it| (it.outcome, it.severity())));
        let known = |it: &Judged| it.finding.joined.iter().all(|it| it.joined.is_empty());
        prop_assert!(review.judged.iter().all(known));
        let reasons = review.judged.iter().all(|it| !it.because.is_empty());
        prop_assert!(reasons && review.raw.len() == raw);
    }
}

#[test]
fn huge_and_hostile_replies_take_linear_time() {
    for unit in [
        "|",
        "`",
        "#",
        "*",
        "-",
        "> ",
        "[",
        "{",
        "(",
        "B1 ",
        "**B1",
        "B1.",
        "critical ",
        "a:1",
        "|-",
        "\\|",
        "| B1 | high | x |\n",
        "- B1. critical: x\n",
        "### B1. critical: x\n",
        "```\n",
        "```json\n[{\n",
        "## Findings\n",
        "{\"a\":",
        "\"severity\"",
        "<think>",
        "(critical",
        " — ",
        "B1, ",
        "confirmed: B1 ",
        "NO FINDINGS\n- x\n",
        "### a\nb c\n",
        "## Findings\n### a\nb\n### Conclusion\nc\n",
        "x (y) `",
        "### B1: confirmed\n- Severity: low\n",
    ] {
        let text = unit.repeat(5_000_000 / unit.len());
        let start = Instant::now();
        let inputs = [upstream("s0", &text)];
        let merged = merge(
            &inputs,
            &MergeOptions {
                cap: 3,
                exempt: Vec::new(),
            },
        );
        let verifier = Verifier {
            step_id: "verify/1",
            number: 1,
            output: Some(&text),
            why: None,
        };
        let review = judge(&merged, &[verifier]);
        assert!(
            review
                .judged
                .iter()
                .all(|it| it.outcome != Outcome::Refuted)
        );
        let took = start.elapsed();
        // Some seconds at most; what is not linear takes many minutes.
        assert!(took < Duration::from_secs(40), "{unit:?} took {took:?}");
    }
}

#[test]
fn thousands_of_equal_findings_merge_in_near_linear_time() {
    let finding = |at: usize| {
        format!(
            "### B{}. warning: the lock is lost\n- Where: `a.rs:{}`\n",
            at % 9999,
            at % 7 + 1
        )
    };
    let text: String = (0..20_000).map(finding).collect();
    let inputs: Vec<Upstream> = (0..4)
        .map(|at| upstream(&format!("s{at}"), &text))
        .collect();
    let start = Instant::now();
    let merged = merge(
        &inputs,
        &MergeOptions {
            cap: 10,
            exempt: Vec::new(),
        },
    );
    let took = start.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    let going = merged.groups.iter().flat_map(|it| &it.findings);
    assert_eq!(ids(going.chain(&merged.cut)).len(), 80_000);
}
