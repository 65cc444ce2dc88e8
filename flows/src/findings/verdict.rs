//! What the verifiers said, applied to the findings: each of them gets one outcome and its reason.

use std::collections::HashMap;

use super::merge::normal;
use super::ruling::{Ruling, rulings};
use super::{Finding, Group, Judged, Merged, Outcome, RawText, Review, Severity, Verifier};
use crate::text::one_line;

/// Applies what the verifiers said to the merged findings.
///
/// The verifier with the number n judges the n-th group, from 1. A finding is unproven, and says
/// why, when its verifier did not run, failed, gave no outcome for its id, or gave two that
/// contradict each other. A finding that was joined with another shares its outcome, unless a verdict
/// of its own differs, or the other one was refuted and makes another claim: then it is listed by
/// itself. Its verdict counts for the one that leads only where both make the same claim and nothing
/// is said of that. Never panics, whatever was written.
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
    review.judged.sort_by_key(|it| (it.outcome, it.severity()));
    review
}

fn said<'a>(verifier: &Verifier<'a>) -> Option<&'a str> {
    verifier.output.filter(|it| !it.trim().is_empty())
}

fn judge_group(review: &mut Review, group: &Group, verifier: Option<&Verifier>) {
    let by = verifier.map(|it| it.step_id.to_owned());
    let rulings = verifier.and_then(said).map(|output| rulings(output, group));
    for finding in &group.findings {
        let why = match (verifier, &rulings) {
            (Some(verifier), Some(rulings)) => {
                review.judged.extend(ruled(finding, verifier, rulings));
                continue;
            }
            (Some(verifier), None) => silence(verifier),
            (None, _) => "no verifier ran for it".to_owned(),
        };
        review.judged.push(unproven(finding.clone(), why));
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

fn unproven(finding: Finding, because: String) -> Judged {
    Judged {
        finding,
        outcome: Outcome::Unproven,
        because,
        by: None,
        severity: None,
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

/// A finding with those joined that share its outcome, and the others of them.
fn ruled(finding: &Finding, verifier: &Verifier, rulings: &HashMap<String, Ruling>) -> Vec<Judged> {
    let step = verifier.step_id;
    let clear = |it: &Finding| rulings.get(&it.id).filter(|it| !it.outcomes.is_empty());
    let mut lead = finding.clone();
    let joined = std::mem::take(&mut lead.joined);
    let claim = normal(&lead.claim);
    let alike = |it: &Finding| normal(&it.claim) == claim;
    let of_joined = || joined.iter().filter(|it| alike(it)).find_map(clear);
    let judged = match clear(&lead).or_else(of_joined) {
        Some(ruling) => told(lead, ruling, step),
        None => {
            let mut because = format!("{step} gave no verdict on it");
            if let Some(ruling) = rulings.get(&lead.id) {
                because.push_str(":\n\n");
                because.push_str(&ruling.words);
            }
            unproven(lead, because)
        }
    };
    let mut all = vec![judged];
    for other in joined {
        let outcome = all[0].outcome;
        match clear(&other).map(|ruling| told(other.clone(), ruling, step)) {
            Some(own) if own.outcome != outcome => all.push(own),
            None if outcome == Outcome::Refuted && !alike(&other) => {
                let id = &finding.id;
                let why = format!("its duplicate {id} was refuted; nobody judged this one");
                all.push(unproven(other, why));
            }
            _ => all[0].finding.joined.push(other),
        }
    }
    all
}

/// A finding as a ruling has it.
fn told(finding: Finding, ruling: &Ruling, step: &str) -> Judged {
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
    let differs = |it: &Severity| !finding.rated || *it != finding.severity;
    Judged {
        severity: ruling.severity.filter(differs),
        finding,
        outcome,
        because,
        by: Some(step.to_owned()),
    }
}
