//! What reviewers and verifiers write in these tests.

use conductor_tests::scripted::{Reply, Rule, Script};

/// A reply in the findings form.
pub fn review(findings: &[String]) -> String {
    let found = match findings {
        [] => "NO FINDINGS\n".to_owned(),
        some => some.join("\n"),
    };
    format!("## Summary\nReviewed the tree. This is what there is.\n\n## Findings\n{found}")
}

/// One finding of such a reply.
pub fn finding(id: &str, severity: &str, claim: &str, place: &str, words: &str) -> String {
    format!(
        "### {id}. {severity}: {claim}\n- Where: `{place}`\n- Evidence (codebase): `{place}` \"{words}\"\n\
         - Consequence: somebody notices\n- Fix: mend that line\n"
    )
}

/// A verifier's reply with these verdicts.
pub fn verdicts(of: &[(&str, &str)]) -> String {
    let items = of.iter().enumerate().map(|(at, (id, outcome))| {
        format!("### V{}. {id}: {outcome}\n- Claim: as it says\n- Evidence (codebase): `shop/orders.py:17` \"if amount < 0:\"\n- Consequence: as said\n\n", at + 1)
    });
    let items: String = items.collect();
    format!(
        "## Verdict\nstands with corrections: it was read.\n\n## Counter-evidence\n{items}Confidence: high\n\n## Remains open\n- nothing\n"
    )
}

/// Reviewers that answer in the findings form, as a table, as a list, in no form at all, at too great a
/// length, and with nothing.
pub fn seeded() -> Script {
    let correctness = review(&[
        finding(
            "B1",
            "critical",
            "A customer named O'Hara breaks the query",
            "shop/orders.py:8",
            "SELECT id, total FROM orders WHERE customer",
        ),
        finding(
            "B2",
            "warning",
            "The average of no orders divides by zero",
            "shop/orders.py:13",
            "/ len(orders)",
        ),
        finding(
            "B3",
            "critical",
            "A negative amount lowers the total",
            "shop/orders.py:19",
            "+= amount",
        ),
    ]);
    let structure = "## Summary\nReviewed the tree.\n\n## Findings\n\
        1. **warning** `README.md:3` \"leases are free of charge\": the README promises what no code does.\n";
    let security = "## Summary\nReviewed the tree.\n\n## Findings\n\
        | id | severity | where | finding |\n|---|---|---|---|\n\
        | SEC1 | critical | `shop/orders.py:8` | Whoever chooses the customer's name injects SQL |\n\
        | SEC2 | suggestion | `shop/orders.py:4` | Billing is told without encryption |\n";
    let garbled = "The whole thing with billing smells, line twenty-three or so. Nobody waits for ever, \
        except this one does, and the night will be long for the person on call.\n";
    let lines = [1, 2, 4, 5, 8, 9, 10, 11, 14, 15, 16, 17];
    let words = [
        "first",
        "second",
        "fourth",
        "fifth",
        "eighth",
        "ninth",
        "tenth",
        "eleventh",
        "later",
        "last but two",
        "last but one",
        "last",
    ];
    let concurrency: Vec<String> = lines
        .iter()
        .zip(words)
        .enumerate()
        .map(|(at, (line, word))| {
            let severity = if *line == 15 { "critical" } else { "suggestion" };
            let place = format!("shop/stock.py:{line}");
            format!("### C{}. {severity}: The {word} line has two actors\n- Where: `{place}`\n- Fix: take the locks in one order\n", at + 1)
        })
        .collect();
    let says = |persona: &str, text: &str| Rule::persona(persona, [Reply::text(text)]);
    let judged = verdicts(&[
        ("correctness/B1", "confirmed"),
        ("correctness/B2", "confirmed"),
        ("correctness/B3", "refuted"),
    ]);
    Script::of([
        says("behavioral-analyst", &correctness),
        says("structural-analyst", structure),
        says("adversarial-security-analyst", security),
        says("on-call-engineer", garbled),
        says("concurrency-analyst", &review(&concurrency)),
        says("test-engineer", &review(&[])),
        says("adversarial-validator", &judged).contains("\"step\": \"correctness\""),
    ])
}
