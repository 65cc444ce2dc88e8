//! Checks on the graph of a general flow.

use std::collections::{BTreeMap, BTreeSet};

use super::general::{Code, GROUPS, Step, Work};
use super::read::Table;
use crate::error::{ErrorKind, FlowError, choose};
use crate::name::field_reference;

/// Unknown needs, cycles, and references to steps that need not have ended.
pub(super) fn check(entries: &[Table], steps: &[Step]) -> Result<(), FlowError> {
    let index: BTreeMap<&str, usize> = steps
        .iter()
        .enumerate()
        .map(|(i, step)| (step.id.as_str(), i))
        .collect();
    for (i, step) in steps.iter().enumerate() {
        let mut seen = BTreeSet::new();
        for (n, need) in step.needs.iter().enumerate() {
            let key = format!("needs[{n}]");
            if !index.contains_key(need.as_str()) {
                let others = steps
                    .iter()
                    .map(|other| other.id.as_str())
                    .filter(|id| *id != step.id);
                return Err(entries[i]
                    .error(ErrorKind::UnknownStep, &key, "unknown step")
                    .with_value(need)
                    .with_cure(choose(need, others)));
            }
            if !seen.insert(need) {
                return Err(entries[i]
                    .error(ErrorKind::DuplicateId, &key, "needed twice")
                    .with_value(need)
                    .with_cure("name each step once"));
            }
        }
    }
    if let Some(cycle) = cycle(steps, &index) {
        let first = cycle[0];
        let mut names: Vec<&str> = cycle.iter().map(|i| steps[*i].id.as_str()).collect();
        names.push(names[0]);
        return Err(entries[first]
            .error(
                ErrorKind::Cycle,
                "needs",
                "these steps need each other in a circle:",
            )
            .with_value(names.join(" → "))
            .with_cure("remove one of these needs"));
    }
    for (entry, step) in entries.iter().zip(steps) {
        for (key, reference) in [("when", &step.when), ("foreach", &step.foreach)] {
            if let Some(reference) = reference.as_deref().and_then(field_reference) {
                check_reference(entry, key, reference, step, steps, &index)?;
            }
        }
    }
    Ok(())
}

fn check_reference(
    entry: &Table,
    key: &str,
    (source, field): (&str, &str),
    step: &Step,
    steps: &[Step],
    index: &BTreeMap<&str, usize>,
) -> Result<(), FlowError> {
    let before = ancestors(step, steps, index);
    let Some(found) = index.get(source) else {
        return Err(entry
            .error(ErrorKind::UnknownStep, key, "unknown step")
            .with_value(source)
            .with_cure(choose(source, before)));
    };
    if !before.contains(source) {
        return Err(entry
            .error(
                ErrorKind::ReferenceNotNeeded,
                key,
                "it reads a step that it does not need:",
            )
            .with_value(source)
            .with_cure(format!("add {source:?} to needs")));
    }
    let merges = matches!(
        steps[*found].work,
        Work::Code {
            code: Code::MergeFindings,
            ..
        }
    );
    if merges && field != GROUPS {
        return Err(entry
            .error(
                ErrorKind::BadReference,
                key,
                "merged findings have no field",
            )
            .with_value(field)
            .with_cure(format!("read {source}.{GROUPS}")));
    }
    if steps[*found].foreach.is_some() {
        return Err(entry
            .error(
                ErrorKind::BadReference,
                key,
                "a step with foreach has no output of its own:",
            )
            .with_value(source)
            .with_cure("read a field of the step before it, or of a step that joins its outputs"));
    }
    Ok(())
}

/// All steps that have settled whenever `step` starts.
fn ancestors<'a>(
    step: &'a Step,
    steps: &'a [Step],
    index: &BTreeMap<&str, usize>,
) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = step.needs.iter().map(String::as_str).collect();
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(steps[index[id]].needs.iter().map(String::as_str));
        }
    }
    found
}

/// A cycle, each step once, in the order of "is needed by"; needs no recursion.
fn cycle(steps: &[Step], index: &BTreeMap<&str, usize>) -> Option<Vec<usize>> {
    let mut blocked: BTreeSet<usize> = (0..steps.len()).collect();
    loop {
        let free: Vec<usize> = blocked
            .iter()
            .copied()
            .filter(|i| {
                !steps[*i]
                    .needs
                    .iter()
                    .any(|need| blocked.contains(&index[need.as_str()]))
            })
            .collect();
        if free.is_empty() {
            break;
        }
        for i in free {
            blocked.remove(&i);
        }
    }
    // Every step left needs another that is left: walking back must come around.
    let mut path: Vec<usize> = Vec::new();
    let mut at = *blocked.first()?;
    loop {
        if let Some(start) = path.iter().position(|seen| *seen == at) {
            let mut cycle = path.split_off(start);
            cycle.reverse();
            let smallest = cycle.iter().enumerate().min_by_key(|(_, step)| **step)?.0;
            cycle.rotate_left(smallest);
            return Some(cycle);
        }
        path.push(at);
        at = steps[at]
            .needs
            .iter()
            .map(|need| index[need.as_str()])
            .find(|need| blocked.contains(need))?;
    }
}
