//! The flows and personas that the library itself brings.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::definition::Definition;
use crate::error::FlowError;
use crate::persona::{Persona, Personas};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The launcher's order within the categories. A flow that is missing here comes last in its category.
const ORDER: [&str; 22] = [
    "research",
    "investigate",
    "architectural-analysis",
    "gap-analysis",
    "test-planning",
    "project-discovery",
    "issue-triage",
    "plan-a-feature",
    "plan-implementation",
    "plan-a-phased-build",
    "plan-work-items",
    "iterative-plan-review",
    "architectural-decision-record",
    "coding-standard",
    "runbook",
    "project-documentation",
    "stakeholder-summary",
    "code-review",
    "security-review",
    "resilience-review",
    "data-review",
    "ux-review",
];

fn place(flow: &str) -> usize {
    let listed = ORDER.iter().position(|name| *name == flow);
    listed.unwrap_or(ORDER.len())
}

/// The personas of the library.
#[derive(Debug)]
pub struct BuiltinPersonas(BTreeMap<String, Persona>);

impl BuiltinPersonas {
    /// All of them, sorted by name.
    pub fn all(&self) -> impl Iterator<Item = &Persona> {
        self.0.values()
    }
}

impl Personas for BuiltinPersonas {
    fn get(&self, name: &str) -> Option<Persona> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

struct Catalog {
    personas: BuiltinPersonas,
    flows: Vec<Definition>,
    problems: Vec<FlowError>,
}

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let mut problems = Vec::new();
    let mut personas = BTreeMap::new();
    for (file, text) in PERSONAS {
        match Persona::parse(file, text) {
            Ok(persona) => _ = personas.insert(persona.name.clone(), persona),
            Err(problem) => problems.push(problem),
        }
    }
    let personas = BuiltinPersonas(personas);
    let mut flows = Vec::new();
    for (file, text) in FLOWS {
        match Definition::from_toml(file, text, &personas) {
            Ok(flow) => flows.push(flow),
            Err(problem) => problems.push(problem),
        }
    }
    flows.sort_by_key(|flow| (flow.head().category, place(flow.name())));
    Catalog {
        personas,
        flows,
        problems,
    }
});

/// The flows of the library, in the launcher's order: by category, the usual ones first.
pub fn builtin_flows() -> &'static [Definition] {
    &CATALOG.flows
}

/// The flow of the library that has this name.
pub fn builtin_flow(name: &str) -> Option<&'static Definition> {
    CATALOG.flows.iter().find(|flow| flow.head().name == name)
}

/// The personas of the library.
pub fn builtin_personas() -> &'static BuiltinPersonas {
    &CATALOG.personas
}

/// What is wrong with the library's own files; such a file is left out of the catalog.
///
/// Always empty in a tested build.
pub fn builtin_problems() -> &'static [FlowError] {
    &CATALOG.problems
}

/// The candidates that `name` may have been meant to be, nearest first, at most three.
///
/// Case does not count. A candidate is near when few letters differ (one in three) or when one of
/// the two holds the other.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let name = name.trim().to_lowercase();
    if name.is_empty() || name.len() > 200 {
        return Vec::new();
    }
    let mut near: Vec<(usize, &str)> = Vec::new();
    for candidate in candidates {
        let lower = candidate.to_lowercase();
        let distance = strsim::damerau_levenshtein(&name, &lower);
        let longest = name.chars().count().max(lower.chars().count());
        let within =
            name.len() >= 3 && lower.contains(&name) || lower.len() >= 3 && name.contains(&lower);
        if within || distance <= (longest / 3).max(1) {
            near.push((distance, candidate));
        }
    }
    near.sort();
    near.dedup();
    near.into_iter()
        .take(3)
        .map(|(_, candidate)| candidate)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_are_near() {
        let names = [
            "research",
            "gap-analysis",
            "architectural-analysis",
            "runbook",
        ];
        assert_eq!(nearest("reserch", names), ["research"]);
        assert_eq!(nearest("Research", names), ["research"]);
        assert_eq!(
            nearest("analysis", names),
            ["gap-analysis", "architectural-analysis"]
        );
        assert!(nearest("qqqqqqqq", names).is_empty());
        assert!(nearest("", names).is_empty());
        let many = ["aaa1", "aaa2", "aaa3", "aaa4"];
        assert_eq!(nearest("aaa", many).len(), 3);
    }
}
