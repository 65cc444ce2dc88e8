//! The findings of all reviewers: duplicates joined, what is above the cap cut, nothing lost.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::parse::{is_remark, parse};
use super::{Advice, Finding, Group, MergeOptions, Merged, Parsed, Silent};
use crate::resolve::Upstream;
use crate::text::one_line;

/// Ranges of more lines overlap with too much to mean the same.
const WIDEST: u64 = 25;
/// Shorter claims, in characters, say too little to mean the same in two files.
const TELLING: usize = 24;
/// How many findings are compared with one at the same lines, or with the same claim.
const MOST_COMPARED: usize = 64;

/// Merges the findings of all reviewers.
///
/// Findings of different steps are joined when they point to overlapping lines of one file (ranges
/// of more than 25 lines do not count) or make the same claim; a claim of less than 24 characters
/// counts only if no other file is named. The most severe, and then the first in the order of the
/// inputs, leads; others join it alone, never each other, and never two of one step. Then each step
/// keeps its worst findings up to the cap. Those of exempt steps, and those joined with one of them,
/// count against the cap but are never cut. Deterministic; near-linear in the number of findings.
pub fn merge(inputs: &[Upstream], options: &MergeOptions) -> Merged {
    let mut merged = Merged {
        cap: options.cap,
        ..Merged::default()
    };
    let mut read: Vec<(&Upstream, Parsed)> = Vec::new();
    for up in inputs {
        let said = up.said().filter(|_| up.status == "completed");
        let Some(output) = said else {
            merged.missing.push(silent(up, why(up)));
            continue;
        };
        let prefix = up.prefix.as_deref().unwrap_or("");
        let mut parsed = parse(&up.step_id, prefix, output, up.citations.as_ref());
        if let Some(text) = parsed.yagni.take() {
            let Silent { step, label, .. } = silent(up, String::new());
            merged.yagni.push(Advice { step, label, text });
        }
        if parsed.clean {
            merged.clean.push(silent(up, String::new()));
        } else if parsed.findings.is_empty() && parsed.raw.is_empty() {
            let why = "put out nothing but control characters".to_owned();
            merged.missing.push(silent(up, why));
        } else {
            read.push((up, parsed));
        }
    }
    let findings: Vec<Vec<Finding>> = read
        .iter_mut()
        .map(|(_, parsed)| std::mem::take(&mut parsed.findings))
        .collect();
    let exempt: Vec<bool> = read
        .iter()
        .map(|(up, _)| options.exempt.contains(&up.step_id))
        .collect();
    // Between findings that were read, "Here is my review:" is no reply that could not be.
    let found: Vec<bool> = findings.iter().map(|list| !list.is_empty()).collect();
    let leads = join(findings);
    for (step, leads) in leads.into_iter().enumerate() {
        let safe = |lead: &Lead| lead.steps.iter().any(|step| exempt[*step]);
        let room = options
            .cap
            .saturating_sub(leads.iter().filter(|it| safe(it)).count());
        let mut taken = 0;
        let mut kept = Vec::new();
        for lead in leads {
            if safe(&lead) {
                kept.push(lead.finding);
            } else if taken < room {
                taken += 1;
                kept.push(lead.finding);
            } else {
                merged.cut.push(lead.finding);
            }
        }
        let (up, parsed) = &mut read[step];
        let mut raw = std::mem::take(&mut parsed.raw);
        if found[step] {
            let prefix = up.prefix.as_deref().unwrap_or("");
            raw.retain(|text| !is_remark(&up.step_id, prefix, text));
        }
        if !kept.is_empty() || !raw.is_empty() {
            let Silent { step, label, .. } = silent(up, String::new());
            let findings = kept;
            merged.groups.push(Group {
                step,
                label,
                findings,
                raw,
            });
        }
    }
    merged
}

fn silent(up: &Upstream, why: String) -> Silent {
    let label = match one_line(&up.label, 120) {
        label if label.is_empty() => up.step_id.clone(),
        label => label,
    };
    Silent {
        step: up.step_id.clone(),
        label,
        why,
    }
}

/// Why a step has nothing to say: `failed: connection refused`.
fn why(up: &Upstream) -> String {
    match up.ending() {
        ending if ending == "completed" => up.silence(),
        ending => ending,
    }
}

/// A finding that others may join.
struct Lead {
    finding: Finding,
    /// The steps whose findings it holds, its own first.
    steps: Vec<usize>,
}

/// Where leads are looked up.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Claim(String),
    /// A file, and which stretch of it.
    Lines(String, u64),
}

/// Joins duplicates; the leads of each step, worst first.
fn join(findings: Vec<Vec<Finding>>) -> Vec<Vec<Lead>> {
    let steps = findings.len();
    let mut all: Vec<(usize, Finding)> = Vec::new();
    for (step, findings) in findings.into_iter().enumerate() {
        all.extend(findings.into_iter().map(|finding| (step, finding)));
    }
    // Stable: within a severity the order of steps and findings stays.
    all.sort_by_key(|(_, finding)| finding.severity);
    let mut leads: Vec<(usize, Lead)> = Vec::with_capacity(all.len());
    let mut index: HashMap<Key, Vec<usize>> = HashMap::new();
    for (step, finding) in all {
        let keys = keys(&finding);
        let near = keys.iter().filter_map(|key| Some((key, index.get(key)?)));
        let found = near
            .filter_map(|(key, near)| {
                let near = near.iter().take(MOST_COMPARED).copied();
                near.filter(|at| !leads[*at].1.steps.contains(&step))
                    .find(|at| same(key, &leads[*at].1.finding, &finding))
            })
            .min();
        match found {
            Some(at) => {
                let lead = &mut leads[at].1;
                lead.steps.push(step);
                lead.finding.joined.push(finding);
            }
            None => {
                for key in keys {
                    index.entry(key).or_default().push(leads.len());
                }
                leads.push((
                    step,
                    Lead {
                        finding,
                        steps: vec![step],
                    },
                ));
            }
        }
    }
    let mut out: Vec<Vec<Lead>> = (0..steps).map(|_| Vec::new()).collect();
    for (step, lead) in leads {
        out[step].push(lead);
    }
    for leads in &mut out {
        leads.sort_by_key(|lead| (lead.finding.severity, Reverse(lead.finding.rated)));
    }
    out
}

fn keys(finding: &Finding) -> Vec<Key> {
    let mut keys = Vec::new();
    let claim = normal(&finding.claim);
    if !claim.is_empty() {
        keys.push(Key::Claim(claim));
    }
    if let Some(place) = &finding.place
        && place.last - place.first < WIDEST
    {
        for stretch in place.first / WIDEST..=place.last / WIDEST {
            keys.push(Key::Lines(place.path.clone(), stretch));
        }
    }
    keys
}

/// Whether two findings that share a key mean the same.
fn same(key: &Key, one: &Finding, other: &Finding) -> bool {
    match (key, &one.place, &other.place) {
        (Key::Lines(..), Some(one), Some(other)) => {
            one.first <= other.last && other.first <= one.last
        }
        (Key::Lines(..), _, _) => false,
        (Key::Claim(claim), Some(one), Some(other)) => {
            one.path == other.path || claim.chars().count() >= TELLING
        }
        (Key::Claim(_), _, _) => true,
    }
}

/// A claim in lower case, letters and digits only, one blank between words.
pub(super) fn normal(claim: &str) -> String {
    let lower = claim.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}
