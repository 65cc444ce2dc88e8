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
    let words = plain(&start[..clause.unwrap_or(start.len())]);
    let (found, rest) = begins(&words)?;
    let surely = [
        "confirmed",
        "refuted",
        "unproven",
        "not confirmed",
        "rejected",
    ]
    .contains(&found.0)
        || !found.0.is_ascii();
    let ended = rest.is_empty()
        || ["with ", "as ", "but ", "by "]
            .iter()
            .any(|it| rest.starts_with(it));
    (surely || ended).then_some(found.1)
}

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
        let whole = rest.is_empty() || rest.starts_with(' ') || !it.0.is_ascii();
        whole.then_some((it, rest.trim_start()))
    });
    found.max_by_key(|(it, _)| it.0.len())
}

static OUTCOMES: [(&str, Outcome); 91] = {
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
            ("confirmed|refuted|unproven", None),
            ("holdsomething", None),
            ("", None),
        ] {
            assert_eq!(outcome(text), wanted, "{text}");
        }
    }
}
