//! The steps of a run, or of a plan, and what they need: as Mermaid and as SVG.

mod layout;
mod mermaid;
mod svg;

use std::collections::BTreeMap;

pub use mermaid::{mermaid, mermaid_of_plan};
pub(crate) use svg::{STYLE, inline};
pub use svg::{svg, svg_of_plan};

use crate::name::parent_of_child;
use crate::plan::{Kind, Plan, Role};
use crate::report::{ReportData, ReportStep, duration};

/// More children than this are drawn as one node.
const MOST_CHILDREN: usize = 9;

/// What became of a step; decides its colour and its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// In a plan that nobody has launched.
    Planned,
    Completed,
    Skipped,
    Pending,
    Running,
    Cancelled,
    Failed,
}

impl State {
    /// The state of a status as rows have it.
    pub(crate) fn of(status: &str) -> Self {
        match status {
            "completed" => Self::Completed,
            "skipped" => Self::Skipped,
            "running" => Self::Running,
            "cancelled" => Self::Cancelled,
            "failed" => Self::Failed,
            _ => Self::Pending,
        }
    }

    /// The word for it in classes and in text.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Completed => "completed",
            Self::Skipped => "skipped",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// A character that tells states apart without colour.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::Planned | Self::Pending => "○",
            Self::Completed => "✓",
            Self::Skipped => "–",
            Self::Running => "▶",
            Self::Cancelled => "⊘",
            Self::Failed => "✕",
        }
    }
}

/// A box of the drawing.
#[derive(Debug)]
struct Node {
    /// The step's id; of many children `verify/1 … verify/100`.
    id: String,
    label: String,
    /// Its persona, or `code`.
    by: String,
    state: State,
    /// `completed`, or `97 completed, 3 failed`.
    outcome: String,
    /// How long it took, as people read it; may be empty.
    time: String,
    agent: bool,
    /// Whether it makes steps or stands for several.
    many: bool,
}

impl Node {
    /// `completed, 12.3 s`; of a planned step, who does it.
    fn words(&self) -> String {
        match (self.state, self.time.as_str()) {
            (State::Planned, _) => self.by.clone(),
            (_, "") => self.outcome.clone(),
            (_, time) => format!("{}, {time}", self.outcome),
        }
    }
}

/// Boxes and what points from one to another.
#[derive(Debug)]
struct Graph {
    title: String,
    nodes: Vec<Node>,
    /// From what is needed to who needs it, by place in `nodes`. Free of cycles.
    edges: Vec<(usize, usize)>,
    /// For each node, how many layers stand before it.
    layers: Vec<usize>,
}

impl Graph {
    fn of_run(data: &ReportData) -> Self {
        let title = format!("{}: run {}", data.run.flow_name, data.run.run_id);
        Self::new(title, &data.run.plan, Some(&data.steps))
    }

    fn of_plan(plan: &Plan) -> Self {
        let title = format!("{}, band {}", plan.flow, plan.band);
        Self::new(title, plan, None)
    }

    fn new(title: String, plan: &Plan, rows: Option<&[ReportStep]>) -> Self {
        let mut row_of: BTreeMap<&str, &ReportStep> = BTreeMap::new();
        let mut children: BTreeMap<&str, Vec<&ReportStep>> = BTreeMap::new();
        for row in rows.unwrap_or_default() {
            match parent_of_child(&row.step_id).filter(|id| plan.step(id).is_some()) {
                Some(parent) => children.entry(parent).or_default().push(row),
                None => _ = row_of.insert(&row.step_id, row),
            }
        }
        let mut nodes: Vec<Node> = Vec::new();
        let mut edges = Vec::new();
        // Where the edges that leave a step begin: at the step, or at its children.
        let mut ends: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for step in &plan.steps {
            let at = nodes.len();
            let row = row_of.remove(step.id.as_str());
            let mut node = match row {
                Some(row) => node(row),
                None => Node {
                    id: step.id.clone(),
                    label: step.label.clone(),
                    by: by(step.kind, step.persona.as_deref()),
                    state: rows.map_or(State::Planned, |_| State::Pending),
                    outcome: rows.map_or("planned", |_| "pending").to_owned(),
                    time: String::new(),
                    agent: step.kind == Kind::Agent,
                    many: false,
                },
            };
            node.many = step.role == Role::FanOut;
            if let (true, None, Some(persona)) = (node.many, rows, &step.persona) {
                node.by = format!("{persona}, one for each");
            }
            nodes.push(node);
            // Needs stand before who needs them, so a cycle cannot come in.
            for from in step.needs.iter().filter_map(|need| ends.get(need.as_str())) {
                edges.extend(from.iter().map(|from| (*from, at)));
            }
            let mut below = children.remove(step.id.as_str()).unwrap_or_default();
            below.sort_by_key(|row| (row.step_id.len(), &row.step_id));
            let last = nodes.len();
            if below.len() > MOST_CHILDREN {
                nodes.push(together(&below));
            } else {
                nodes.extend(below.into_iter().map(node_of_child));
            }
            edges.extend((last..nodes.len()).map(|child| (at, child)));
            let outgoing = if last == nodes.len() {
                vec![at]
            } else {
                (last..nodes.len()).collect()
            };
            ends.insert(&step.id, outgoing);
        }
        nodes.extend(row_of.into_values().map(node));
        edges.sort_unstable();
        edges.dedup();
        let layers = layers(nodes.len(), &edges);
        Self {
            title,
            nodes,
            edges,
            layers,
        }
    }

    /// The whole drawing in words, layer by layer.
    fn in_words(&self) -> String {
        let mut waves: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (node, layer) in self.nodes.iter().zip(&self.layers) {
            let words = format!("{} ({}): {}", node.label, node.id, node.words());
            waves.entry(*layer).or_default().push(words);
        }
        let waves: Vec<String> = waves
            .into_iter()
            .map(|(layer, nodes)| format!("Wave {}: {}.", layer + 1, nodes.join("; ")))
            .collect();
        waves.join(" ")
    }
}

fn by(kind: Kind, persona: Option<&str>) -> String {
    match persona {
        Some(persona) => persona.to_owned(),
        None => kind.as_str().to_owned(),
    }
}

fn node(row: &ReportStep) -> Node {
    Node {
        id: row.step_id.clone(),
        label: row.label.clone(),
        by: by(row.kind, row.persona.as_deref()),
        state: State::of(&row.status),
        outcome: row.status.clone(),
        time: duration(row.seconds),
        agent: row.kind == Kind::Agent,
        many: false,
    }
}

/// Children bear the label of their parent, so their number is what tells them apart.
fn node_of_child(row: &ReportStep) -> Node {
    let mut node = node(row);
    let number = row.step_id.rsplit('/').next().unwrap_or_default();
    if !node.label.ends_with(number) {
        node.label = format!("{} {number}", node.label);
    }
    node
}

/// One node for many children: `100 steps: 97 completed, 3 failed`.
fn together(rows: &[&ReportStep]) -> Node {
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    for row in rows {
        *counts.entry(State::of(&row.status)).or_default() += 1;
    }
    let outcome: Vec<String> = counts
        .iter()
        .map(|(state, count)| format!("{count} {}", state.word()))
        .collect();
    let first = rows.first().map_or("", |row| row.step_id.as_str());
    let last = rows.last().map_or("", |row| row.step_id.as_str());
    let longest =
        rows.iter()
            .filter_map(|row| row.seconds)
            .fold(None, |longest: Option<f64>, seconds| {
                Some(longest.map_or(seconds, |longest| longest.max(seconds)))
            });
    let time = duration(longest);
    Node {
        id: format!("{first} … {last}"),
        label: format!("{} steps", rows.len()),
        by: rows
            .first()
            .map_or(String::new(), |row| by(row.kind, row.persona.as_deref())),
        // The worst of them, because that is what must be seen.
        state: counts.keys().next_back().copied().unwrap_or(State::Pending),
        outcome: outcome.join(", "),
        time: if time.is_empty() {
            time
        } else {
            format!("up to {time}")
        },
        agent: true,
        many: true,
    }
}

/// For each node the length of the longest way to it. Edges lead to later nodes only.
fn layers(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut layers = vec![0; count];
    // Sorted by where they begin, so each beginning is final when it is read.
    for (from, to) in edges {
        layers[*to] = layers[*to].max(layers[*from] + 1);
    }
    layers
}
