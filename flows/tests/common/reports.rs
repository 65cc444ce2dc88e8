//! Report data as SQL would hand it over.

use conductor_flows::{Band, Expansion, Launch, Plan, ReportData};
use serde_json::{Value, json};

use super::{expanded, launch, read};

const SPINE: &str = r#"
name = "x"
category = "analysis"
description = "A flow."
contracts = ["evidence", "yagni"]
next = "research"
[[angles]]
id = "structure"
persona = "reader"
brief = "Read."
[[angles]]
id = "behavior"
label = "Behavior at run time"
persona = "reader"
brief = "Read."
"#;

const SYNTHESIZER: &str =
    "[synthesizer]\nlabel = \"Recommendations\"\npersona = \"writer\"\nbrief = \"Write.\"\n";

pub fn spine(synthesizer: bool) -> Expansion {
    let text = format!("{SPINE}{}", if synthesizer { SYNTHESIZER } else { "" });
    let launch = Launch {
        question: QUESTION,
        ..launch(Band::Medium)
    };
    expanded(&read(&text).unwrap(), &launch)
}

const QUESTION: &str = "Is the retry path safe?\nIt's `retry()` that worries me.";

/// A run that completed, of which every step has `outputs`.
pub fn data(plan: &Plan, outputs: &[(&str, &str)]) -> ReportData {
    let steps: Vec<Value> = plan
        .steps
        .iter()
        .enumerate()
        .map(|(i, step)| {
            let output = outputs
                .iter()
                .find(|(id, _)| *id == step.id)
                .map(|(_, output)| *output);
            let agent = step.persona.is_some();
            json!({
                "step_id": step.id, "label": step.label, "kind": step.kind, "role": step.role,
                "persona": step.persona, "prefix": step.prefix, "status": "completed",
                "attempts": if agent { 1 } else { 0 },
                "seconds": if agent { 12.34 + 30.0 * i as f64 } else { 0.002 },
                "tokens": if agent { 1500 * (i + 1) } else { 0 },
                "output": output, "error": null, "citations": null,
            })
        })
        .collect();
    serde_json::from_value(json!({
        "run": {
            "run_id": 12, "flow_name": plan.flow, "band": plan.band, "fast": plan.fast,
            "status": "completed", "model": "scripted-model", "question": QUESTION,
            "project": "shop", "commit": "8e9c377b1f0d4c5a9e7b", "tree_digest": "ab12cd34ef567890aa",
            "snapshot_notes": ["2 submodules listed and skipped"], "launched_by": "maria",
            "created_at": "2026-01-02T03:04:05.678+00:00", "ended_at": "2026-01-02T03:07:17.1+00:00",
            "wall_seconds": 191.5, "input_tokens": 123_456, "output_tokens": 7890,
            "citations_total": 0, "citations_broken": 0, "error": null, "plan": plan,
        },
        "steps": steps,
    }))
    .expect("SQL hands it over like this")
}

/// The step of this id, to be changed.
pub fn step<'a>(data: &'a mut ReportData, id: &str) -> &'a mut conductor_flows::ReportStep {
    data.steps
        .iter_mut()
        .find(|step| step.step_id == id)
        .expect("the step is there")
}

pub const STRUCTURE: &str = "# Summary\n\nTwo modules know each other's insides.\n\n## Findings\n\n\
### RD1. The cart reaches into the store\n- Evidence (codebase): `src/cart.rs:10` \"store.rows\"\n\
- See also RD2 and `RD2`, but not `RD2.rs`.\n\n### RD2. Prices are computed twice\n- Evidence (none)\n\n\
## Deferred (YAGNI)\n- A plugin system. Why: nobody asked. Reopens when: a second store appears.\n";

pub const BEHAVIOR: &str = "Retry\n=====\n\n- RD1: the retry loop has no limit, `src/retry.rs:99`.\n\n\
```rust\n# not a heading\nfn retry() {}\n```\n";

pub const SYNTHESIS: &str = "## State\n\nIt holds but for the loop (behavior/RD1).\n\n## Recommendations\n\n\
### W1. Bound the loop\nAnswers behavior/RD1; cite `src/retry.rs:99`.\n\n## Deferred (YAGNI)\n\
- Back-off with jitter. Why: gate 2. Reopens when: a measurement asks for it. Source: W1.\n";

pub const VALIDATION: &str = "## Verdict\nstands with corrections: the loop has no limit.\n\n\
## Counter-evidence\n### V1. behavior/RD1: confirmed\n- Evidence (codebase): `src/retry.rs:9` \"loop {\"\n\n\
Confidence: medium\n\n## Remains open\n- Whether the store retries as well.\n";
