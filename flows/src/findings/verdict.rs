//! What the verifiers said, applied to the findings: each of them gets one outcome and its reason.

use std::collections::HashMap;

use super::ruling::{Ruling, rulings};
use super::{Finding, Group, Judged, Merged, Outcome, RawText, Review, Verifier};
use crate::text::one_line;

/// Applies what the verifiers said to the merged findings.
///
/// The verifier with the number n judges the n-th group, from 1. A finding is unproven, and says
/// why, when its verifier did not run, failed, gave no outcome for its id, or gave two that
/// contradict each other. What is said of a finding that was joined counts for the one that leads
/// only where nothing is said of that. Never panics, whatever was written.
pub fn judge(merged: &Merged, verifiers: &[Verifier]) -> Review {
    let mut review = Review {
        merged: merged.clone(),
        verified: verifiers.iter().any(|it| said(it).is_some()),
        ..Review::default()
    };
    let mut by_number: HashMap<usize, &Verifier> = HashMap::new();
    for verifier in verifiers {
        let known = by_number.entry(verifier.number).or_insert(verifier);
        if said(known).is_none() && said(verifier).is_some() {
            *known = verifier;
        }
    }
    for (at, group) in merged.groups.iter().enumerate() {
        let verifier = by_number.get(&(at + 1)).copied();
        judge_group(&mut review, group, verifier);
    }
    // Stable: within outcome and severity the order of groups stays.
    review
        .judged
        .sort_by_key(|it| (it.outcome, it.finding.severity));
    review
}

fn said<'a>(verifier: &Verifier<'a>) -> Option<&'a str> {
    verifier.output.filter(|it| !it.trim().is_empty())
}

fn judge_group(review: &mut Review, group: &Group, verifier: Option<&Verifier>) {
    let by = verifier.map(|it| it.step_id.to_owned());
    let rulings = verifier.and_then(said).map(|output| rulings(output, group));
    for finding in &group.findings {
        let judged = match (verifier, &rulings) {
            (Some(verifier), Some(rulings)) => ruled(finding, verifier, rulings),
            (Some(verifier), None) => unproven(finding, silence(verifier)),
            (None, _) => unproven(finding, "no verifier ran for it".to_owned()),
        };
        review.judged.push(judged);
    }
    for text in &group.raw {
        review.raw.push(RawText {
            step: group.step.clone(),
            label: group.label.clone(),
            text: text.clone(),
            by: by.clone(),
        });
    }
}

fn unproven(finding: &Finding, because: String) -> Judged {
    Judged {
        finding: finding.clone(),
        outcome: Outcome::Unproven,
        because,
        by: None,
    }
}

fn silence(verifier: &Verifier) -> String {
    let step = verifier.step_id;
    match verifier.why.as_deref().map(|why| one_line(why, 300)) {
        Some(why) if !why.is_empty() => format!("{step} did not judge it: {why}"),
        _ if verifier.output.is_some() => format!("{step} did not judge it: its output is empty"),
        _ => format!("{step} did not judge it"),
    }
}

fn ruled(finding: &Finding, verifier: &Verifier, rulings: &HashMap<String, Ruling>) -> Judged {
    let step = verifier.step_id;
    let clear = |ruling: &&Ruling| !ruling.outcomes.is_empty();
    let own = rulings.get(&finding.id).filter(clear);
    let of_joined = || {
        let joined = finding.joined.iter();
        joined.filter_map(|it| rulings.get(&it.id)).find(clear)
    };
    let Some(ruling) = own.or_else(of_joined) else {
        let mut because = format!("{step} gave no verdict on it");
        if let Some(ruling) = rulings.get(&finding.id) {
            because.push_str(":\n\n");
            because.push_str(&ruling.words);
        }
        return unproven(finding, because);
    };
    let (outcome, because) = match ruling.outcomes[..] {
        [outcome] => (outcome, ruling.words.clone()),
        _ => {
            let all: Vec<&str> = ruling.outcomes.iter().map(|it| it.as_str()).collect();
            let all = all.join(", then ");
            let words = &ruling.words;
            (
                Outcome::Unproven,
                format!("{step} contradicts itself ({all}):\n\n{words}"),
            )
        }
    };
    Judged {
        finding: finding.clone(),
        outcome,
        because,
        by: Some(step.to_owned()),
    }
}
