//! The words of verdicts, as models write them.

use super::Outcome;
use super::words::plain;

/// The outcome that a text begins with. Words that sentences begin with, too, count only as a clause.
pub(super) fn outcome(text: &str) -> Option<Outcome> {
    let start: String = text.chars().take(60).collect();
    let lower = start.to_lowercase();
    // The form that was to be filled in.
    if ["confirmed", "refuted", "unproven"]
        .iter()
        .all(|it| lower.contains(it))
    {
        return None;
    }
    let ends = [
        ". ", ", ", ";", ":", "!", "(", "\n", "—", "–", " - ", "。", "，", "：",
    ];
    let clause = ends
        .iter()
        .filter_map(|it| start.find(it))
        .filter(|at| *at > 0)
        .min();
    let clause = &start[..clause.unwrap_or(start.len())];
    // A question is no verdict: `refuted? No`.
    if clause.contains(['?', '？']) {
        return None;
    }
    let words = plain(clause);
    let (found, rest) = begins(&words)?;
    // `bestätigt sich nicht`, `confirmed as false positive`.
    let turned = rest.trim_start_matches("as ").trim_start_matches("sich ");
    if turned.starts_with("not") || turned.starts_with("nicht") {
        return None;
    }
    if let Some((other, _)) = begins(turned)
        && other.1 != found.1
    {
        return None;
    }
    let surely = SURE.contains(&found.0) || !found.0.is_ascii();
    (surely || rest.is_empty() || goes_on(rest)).then_some(found.1)
}

/// Whether what follows an outcome gives its reason.
fn goes_on(rest: &str) -> bool {
    let reasons = ["with ", "as ", "but ", "by ", "because ", "durch ", "weil "];
    reasons.iter().any(|it| rest.starts_with(it))
}

/// The outcome that a sentence begins with, where only its reason follows: ``Refuted by `a.rs:3`.``
pub(super) fn reasoned(text: &str) -> Option<Outcome> {
    let words = plain(text);
    let rest = begins(&words)?.1;
    outcome(text).filter(|_| goes_on(rest))
}

/// Words that are a verdict whatever follows them.
const SURE: [&str; 17] = [
    "confirmed",
    "refuted",
    "unproven",
    "not confirmed",
    "not refuted",
    "rejected",
    "true positive",
    "false positive",
    "partly refuted",
    "partially refuted",
    "partly confirmed",
    "partially confirmed",
    "widerlegt",
    "nicht widerlegt",
    "teilweise widerlegt",
    "nicht bewiesen",
    "unbewiesen",
];

/// The outcome of a text that says nothing else: `Refuted (2)`, `Confirmed findings`.
pub(super) fn only_outcome(text: &str) -> Option<Outcome> {
    if text.len() > 120 {
        return None;
    }
    let words = plain(text);
    let (found, rest) = begins(&words)?;
    let beside = [
        "finding", "findings", "items", "issues", "claims", "verdict",
    ];
    let alone = |word: &str| beside.contains(&word) || word.bytes().all(|it| it.is_ascii_digit());
    rest.split_whitespace().all(alone).then_some(found.1)
}

/// The longest outcome at the beginning of plain words, and what follows it.
fn begins(words: &str) -> Option<(&'static (&'static str, Outcome), &str)> {
    let mut text = words;
    for opening in [
        "verdict ",
        "the ",
        "this ",
        "a ",
        "finding ",
        "claim ",
        "is ",
        "was ",
        "has been ",
    ] {
        text = text.strip_prefix(opening).unwrap_or(text);
    }
    let found = OUTCOMES.iter().filter_map(|it| {
        let rest = text.strip_prefix(it.0)?;
        // Chinese, Japanese and Korean do not part words.
        let unparted = it.0.starts_with(|c| c >= '\u{1100}');
        let whole = rest.is_empty() || rest.starts_with(' ') || unparted;
        whole.then_some((it, rest.trim_start()))
    });
    found.max_by_key(|(it, _)| it.0.len())
}

static OUTCOMES: [(&str, Outcome); 136] = {
    use Outcome::{Confirmed, Refuted, Unproven};
    [
        ("confirmed", Confirmed),
        ("confirm", Confirmed),
        ("stands", Confirmed),
        ("it stands", Confirmed),
        ("holds", Confirmed),
        ("it holds", Confirmed),
        ("upheld", Confirmed),
        ("valid", Confirmed),
        ("true", Confirmed),
        ("verified", Confirmed),
        ("correct", Confirmed),
        ("proven", Confirmed),
        ("proved", Confirmed),
        ("accepted", Confirmed),
        ("substantiated", Confirmed),
        ("bestätigt", Confirmed),
        ("confirmado", Confirmed),
        ("confirmada", Confirmed),
        ("confirmé", Confirmed),
        ("confirmée", Confirmed),
        ("подтверждено", Confirmed),
        ("подтверждён", Confirmed),
        ("确认", Confirmed),
        ("已确认", Confirmed),
        ("成立", Confirmed),
        ("确认成立", Confirmed),
        ("確認", Confirmed),
        ("확인", Confirmed),
        ("true positive", Confirmed),
        ("trifft zu", Confirmed),
        ("证实", Confirmed),
        ("已证实", Confirmed),
        ("属实", Confirmed),
        ("refuted", Refuted),
        ("refute", Refuted),
        ("rejected", Refuted),
        ("false", Refuted),
        ("false positive", Refuted),
        ("invalid", Refuted),
        ("not valid", Refuted),
        ("wrong", Refuted),
        ("incorrect", Refuted),
        ("not correct", Refuted),
        ("not true", Refuted),
        ("untrue", Refuted),
        ("dismissed", Refuted),
        ("disproved", Refuted),
        ("disproven", Refuted),
        ("debunked", Refuted),
        ("not a defect", Refuted),
        ("not a bug", Refuted),
        ("not a problem", Refuted),
        ("not an issue", Refuted),
        ("no defect", Refuted),
        ("does not stand", Refuted),
        ("does not hold", Refuted),
        ("doesn t stand", Refuted),
        ("doesn t hold", Refuted),
        ("falls", Refuted),
        ("widerlegt", Refuted),
        ("refutado", Refuted),
        ("refutada", Refuted),
        ("réfuté", Refuted),
        ("réfutée", Refuted),
        ("опровергнуто", Refuted),
        ("反驳", Refuted),
        ("已反驳", Refuted),
        ("驳回", Refuted),
        ("不成立", Refuted),
        ("推翻", Refuted),
        ("반박", Refuted),
        ("trifft nicht zu", Refuted),
        ("nicht haltbar", Refuted),
        ("falsch", Refuted),
        ("确认不成立", Refuted),
        ("未成立", Refuted),
        ("不属实", Refuted),
        ("误报", Refuted),
        ("被反驳", Refuted),
        ("unproven", Unproven),
        ("unproved", Unproven),
        ("not proven", Unproven),
        ("not proved", Unproven),
        ("not confirmed", Unproven),
        ("not refuted", Unproven),
        ("not verified", Unproven),
        ("unverified", Unproven),
        ("unconfirmed", Unproven),
        ("uncertain", Unproven),
        ("unclear", Unproven),
        ("undecided", Unproven),
        ("undetermined", Unproven),
        ("inconclusive", Unproven),
        ("unknown", Unproven),
        ("plausible", Unproven),
        ("partially confirmed", Unproven),
        ("partly confirmed", Unproven),
        ("cannot be verified", Unproven),
        ("unbewiesen", Unproven),
        ("no probado", Unproven),
        ("non prouvé", Unproven),
        ("не доказано", Unproven),
        ("未证实", Unproven),
        ("无法确认", Unproven),
        ("partially refuted", Unproven),
        ("partly refuted", Unproven),
        ("partly true", Unproven),
        ("partially true", Unproven),
        ("partly correct", Unproven),
        ("partially correct", Unproven),
        ("partly valid", Unproven),
        ("partially valid", Unproven),
        ("cannot be confirmed", Unproven),
        ("could not be confirmed", Unproven),
        ("could not be verified", Unproven),
        ("not reproduced", Unproven),
        ("nicht bestätigt", Unproven),
        ("nicht widerlegt", Unproven),
        ("nicht bewiesen", Unproven),
        ("nicht belegt", Unproven),
        ("teilweise bestätigt", Unproven),
        ("teilweise widerlegt", Unproven),
        ("unklar", Unproven),
        ("未确认", Unproven),
        ("未確認", Unproven),
        ("未被证实", Unproven),
        ("未验证", Unproven),
        ("尚未证实", Unproven),
        ("尚未确认", Unproven),
        ("无法证实", Unproven),
        ("無法證實", Unproven),
        ("无法验证", Unproven),
        ("无法确定", Unproven),
        ("不能确认", Unproven),
        ("部分确认", Unproven),
        ("部分成立", Unproven),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_with_their_negations() {
        use Outcome::{Confirmed, Refuted, Unproven};
        for (text, wanted) in [
            ("confirmed", Some(Confirmed)),
            ("**Stands** with corrections", Some(Confirmed)),
            ("is confirmed: the lock is missing", Some(Confirmed)),
            ("not confirmed", Some(Unproven)),
            ("Not a defect.", Some(Refuted)),
            ("does not hold", Some(Refuted)),
            ("False positive", Some(Refuted)),
            ("uncertain", Some(Unproven)),
            ("不成立", Some(Refuted)),
            ("已确认：锁不存在", Some(Confirmed)),
            ("True positive: no lock", Some(Confirmed)),
            ("a true positive", Some(Confirmed)),
            ("widerlegt durch `src/page.rs:3`", Some(Refuted)),
            ("nicht bestätigt", Some(Unproven)),
            ("nicht widerlegt, aber unklar", Some(Unproven)),
            ("未确认", Some(Unproven)),
            ("无法证实：没有测试", Some(Unproven)),
            ("确认不成立", Some(Refuted)),
            ("partly refuted by `src/page.rs:3`", Some(Unproven)),
            ("partially confirmed: one path only", Some(Unproven)),
            ("refuted? No", None),
            ("bestätigt sich nicht", None),
            ("confirmed as false positive", None),
            ("confirmed|refuted|unproven", None),
            ("holdsomething", None),
            ("", None),
        ] {
            assert_eq!(outcome(text), wanted, "{text}");
        }
    }
}
