//! Graphs in the language of Mermaid.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Graph, Node, State};
use crate::plan::Plan;
use crate::report::{ReportData, put};
use crate::text::one_line;

/// The steps of a run, with outcome and time, as a Mermaid flow chart.
pub fn mermaid(data: &ReportData) -> String {
    chart(&Graph::of_run(data))
}

/// The steps of a plan that nobody has launched, as a Mermaid flow chart.
pub fn mermaid_of_plan(plan: &Plan) -> String {
    chart(&Graph::of_plan(plan))
}

/// Ids of nodes are numbers of ours, so that no name of a step is a word of the language.
fn chart(graph: &Graph) -> String {
    let mut out = String::from("flowchart LR\n");
    for (number, node) in graph.nodes.iter().enumerate() {
        let (open, close) = shape(node);
        let label = [node.label.as_str(), &words(node)]
            .map(|line| label(line, 80))
            .join("<br>");
        put!(
            out,
            "    n{number}{open}\"{label}\"{close}:::{}",
            node.state.word()
        );
    }
    for (from, to) in &graph.edges {
        put!(out, "    n{from} --> n{to}");
    }
    let states: BTreeSet<State> = graph.nodes.iter().map(|node| node.state).collect();
    for state in states {
        put!(out, "    classDef {} {}", state.word(), style(state));
    }
    out
}

fn words(node: &Node) -> String {
    match node.state {
        State::Planned => node.words(),
        state => format!("{} {}", state.mark(), node.words()),
    }
}

fn shape(node: &Node) -> (&'static str, &'static str) {
    match (node.many, node.agent) {
        (true, _) => ("[[", "]]"),
        (false, true) => ("[", "]"),
        (false, false) => ("([", "])"),
    }
}

/// Lines only: fill and text are the theme's, so they fit light and dark.
fn style(state: State) -> &'static str {
    match state {
        State::Planned => "stroke:#6b7280",
        State::Completed => "stroke:#2e7d4f,stroke-width:2px",
        State::Skipped => "stroke:#6b7280,stroke-dasharray:2 3",
        State::Pending => "stroke:#6b7280,stroke-dasharray:6 3",
        State::Running => "stroke:#2563c9,stroke-width:3px",
        State::Cancelled => "stroke:#a15c00,stroke-width:2px,stroke-dasharray:6 3",
        State::Failed => "stroke:#c62f2f,stroke-width:4px",
    }
}

/// A text in a quoted label: one line, and whatever could mean something is an entity.
fn label(text: &str, max: usize) -> String {
    let line = one_line(text, max);
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let inside = |other: Option<&char>| other.is_some_and(|c| c.is_alphanumeric());
        let plain = match c {
            ' ' | ',' => true,
            // At the beginning of a line, or before a blank, these would make a list.
            '.' | '-' | '/' => inside(Some(&before)) && inside(chars.peek()),
            c if c.is_ascii() => c.is_ascii_alphanumeric(),
            c => c.is_alphanumeric() || "…–⊘✓✕▶○".contains(c),
        };
        if plain {
            out.push(c);
        } else {
            write!(out, "#{};", u32::from(c)).expect("a string takes everything");
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::label;

    #[test]
    fn labels_cannot_leave_their_quotes() {
        assert_eq!(label("a\"] --> b", 80), "a#34;#93; #45;#45;#62; b");
        assert_eq!(label("%%{init: {}}%%", 80).find(['%', '{', '}']), None);
        assert_eq!(label("#quot;", 80), "#35;quot#59;");
        assert_eq!(label("1. end\nsubgraph", 80), "1#46; end subgraph");
        assert_eq!(
            label("data-flow, 12.3 s, verify/2", 80),
            "data-flow, 12.3 s, verify/2"
        );
        assert_eq!(label("\u{202e}é中", 80), "#8238;é中");
        assert_eq!(label("`x` <b>", 80), "#96;x#96; #60;b#62;");
    }
}
