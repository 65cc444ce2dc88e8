//! Outputs put together for whoever reads them: prompts, folds, fields.

use crate::errors::internal;
use conductor_flows::findings::{MergeOptions, merge};
use conductor_flows::{Document, Material, Upstream, field, fields, fold, quoted_steps, resolve};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::Value;

/// The ids of the steps whose outputs a prompt template quotes.
#[pg_extern(name = "_prompt_quotes", immutable)]
fn prompt_quotes(template: &str) -> Vec<String> {
    quoted_steps(template)
}

/// A prompt with the outputs that it quotes put in, each cut to its share of `max_bytes`; see `conductor_flows`.
#[pg_extern(name = "_prompt_resolve", immutable)]
fn prompt_resolve(
    template: &str,
    steps: JsonB,
    outputs: Vec<Option<String>>,
    element: Option<JsonB>,
    documents: Option<JsonB>,
    max_bytes: i32,
) -> String {
    let upstream = upstream(steps, outputs);
    let documents: Vec<Document> =
        documents.map_or_else(Vec::new, |value| internal("documents", value.0));
    let material = Material {
        upstream: &upstream,
        element: element.as_ref().map(|value| &value.0),
        documents: &documents,
    };
    let budget = usize::try_from(max_bytes).unwrap_or(0);
    resolve(template, &material, budget)
}

/// The joined, verbatim outputs of the steps that a fold waits for.
#[pg_extern(name = "_fold", immutable)]
fn fold_outputs(steps: JsonB, outputs: Vec<Option<String>>) -> String {
    fold(&upstream(steps, outputs))
}

/// The findings of the steps that a merge waits for, joined; `options` is `{cap, exempt}` of its definition.
#[pg_extern(name = "_merge_findings", immutable)]
fn merge_findings(steps: JsonB, outputs: Vec<Option<String>>, options: JsonB) -> String {
    let options: MergeOptions = internal("merge options", options.0);
    merge(&upstream(steps, outputs), &options).to_output()
}

/// Steps and their outputs, which SQL hands over beside each other.
fn upstream(steps: JsonB, outputs: Vec<Option<String>>) -> Vec<Upstream> {
    let mut upstream: Vec<Upstream> = internal("upstream", steps.0);
    for (step, output) in upstream.iter_mut().zip(outputs) {
        step.output = output;
    }
    upstream
}

/// A top-level field of the JSON that an output is or ends in; null when there is none.
#[pg_extern(name = "_output_field", immutable)]
fn output_field(output: Option<&str>, name: Option<&str>) -> Option<JsonB> {
    let mut value = field(output?, name?)?;
    strip_nul(&mut value);
    Some(JsonB(value))
}

/// Whether a field of an output lets a conditional step run: present, and not false, null, zero or empty.
#[pg_extern(name = "_output_holds", immutable)]
fn output_holds(output: Option<&str>, name: Option<&str>) -> bool {
    matches!((output, name), (Some(output), Some(name)) if fields::holds(output, name))
}

/// PostgreSQL stores no NUL, and a model may write one into a list.
fn strip_nul(value: &mut Value) {
    match value {
        Value::String(text) => text.retain(|c| c != '\0'),
        Value::Array(list) => list.iter_mut().for_each(strip_nul),
        Value::Object(map) => {
            *map = std::mem::take(map)
                .into_iter()
                .map(|(key, mut value)| {
                    strip_nul(&mut value);
                    (key.replace('\0', ""), value)
                })
                .collect();
        }
        _ => {}
    }
}

/// Whether a JSON text can be read by the library and by workers: not nested too deeply, no number out of range.
#[pg_extern(name = "_json_readable", immutable)]
fn json_readable(json: &str) -> bool {
    serde_json::from_str::<Value>(json).is_ok()
}
