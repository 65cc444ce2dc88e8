//! The flows that are played, and what their agents reply.

use serde_json::{Value, json};

/// A flow and how it is launched.
#[derive(Debug, Clone)]
pub struct Workload {
    /// As people read it.
    pub name: &'static str,
    pub flow: String,
    pub band: &'static str,
    /// What is defined for it; None for a flow that is built in.
    pub definition: Option<Value>,
    /// Bytes of each agent's output.
    pub output_bytes: usize,
    /// How many elements the reply of the step `list` has, for a flow with a fan-out.
    pub elements: usize,
}

const OUTPUT_BYTES: usize = 4096;

fn step(id: &str, needs: &[&str]) -> Value {
    json!({"id": id, "persona": "codebase-explorer", "brief": "Look at it.", "needs": needs})
}

fn defined(name: &'static str, steps: Vec<Value>) -> Workload {
    let flow = format!("bench-{name}");
    let definition = json!({
        "name": flow, "category": "analysis", "description": "Measured.", "contracts": [], "steps": steps});
    Workload {
        name,
        flow,
        band: "small",
        definition: Some(definition),
        output_bytes: OUTPUT_BYTES,
        elements: 0,
    }
}

/// Four agents: one, then two at once, then one that joins them.
pub fn diamond() -> Workload {
    defined(
        "diamond",
        vec![
            step("a", &[]),
            step("b", &["a"]),
            step("c", &["a"]),
            step("d", &["b", "c"]),
        ],
    )
}

/// Two agents at once.
pub fn pair() -> Workload {
    defined("pair", vec![step("a", &[]), step("b", &[])])
}

/// So many agents at once, for those who let them stream.
pub fn streaming(agents: usize) -> Workload {
    let ids: Vec<String> = (0..agents).map(|n| format!("agent-{n}")).collect();
    defined("streaming", ids.iter().map(|id| step(id, &[])).collect())
}

/// Agents one after the other.
pub fn chain(length: usize) -> Workload {
    let ids: Vec<String> = (0..length).map(|n| format!("s{n}")).collect();
    let steps = (0..length).map(|n| match n {
        0 => step(&ids[n], &[]),
        _ => step(&ids[n], &[&ids[n - 1]]),
    });
    defined("chain", steps.collect())
}

/// One agent that lists, one for each element, one that joins them.
pub fn fan_out(width: usize) -> Workload {
    let mut each = step("each", &["list"]);
    each["foreach"] = json!("list.parts");
    let flow = defined(
        "fan-out",
        vec![step("list", &[]), each, step("sum", &["each"])],
    );
    Workload {
        elements: width,
        ..flow
    }
}

/// Three angles, a fold, a synthesizer, a validator and the report: a flow that is built in.
pub fn spine() -> Workload {
    Workload {
        flow: "coding-standard".into(),
        band: "large",
        definition: None,
        ..defined("spine", Vec::new())
    }
}

/// Words that a reply is made of; what is said matters to nobody here, that it compresses like prose does.
const WORDS: [&str; 16] = [
    "the",
    "retry",
    "path",
    "reads",
    "a",
    "lease",
    "before",
    "it",
    "writes",
    "and",
    "keeps",
    "what",
    "was",
    "found",
    "in",
    "src/lib.rs:42",
];

/// A text of so many bytes that differs with the seed.
pub fn prose(bytes: usize, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        text.push_str(WORDS[random.usize(..WORDS.len())]);
        text.push(if random.u8(..12) == 0 { '\n' } else { ' ' });
    }
    text.truncate(bytes - 1);
    text.push('.');
    text
}

impl Workload {
    /// What the agent of a step replies.
    pub fn reply(&self, step_id: &str, seed: u64) -> String {
        let text = prose(self.output_bytes, seed);
        if step_id != "list" {
            return text;
        }
        let parts: Vec<usize> = (1..=self.elements).collect();
        format!("{text}\n```json\n{}\n```\n", json!({"parts": parts}))
    }
}
