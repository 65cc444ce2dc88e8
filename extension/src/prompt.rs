//! Outputs put together for whoever reads them: prompts, folds, fields.

use crate::errors::internal;
use conductor_flows::{Upstream, field, fields, fold, quoted_steps, resolve};
use pgrx::JsonB;
use pgrx::prelude::*;

/// The ids of the steps whose outputs a prompt template quotes.
#[pg_extern(name = "_prompt_quotes", immutable)]
fn prompt_quotes(template: &str) -> Vec<String> {
    quoted_steps(template)
}

/// A prompt with the outputs that it quotes put in, each cut to its share of `max_bytes`; see `conductor_flows`.
#[pg_extern(name = "_prompt_resolve", immutable)]
fn prompt_resolve(
    template: &str,
    upstream: JsonB,
    element: Option<JsonB>,
    max_bytes: i32,
) -> String {
    let upstream: Vec<Upstream> = internal("upstream", upstream.0);
    let budget = usize::try_from(max_bytes).unwrap_or(0);
    resolve(
        template,
        &upstream,
        element.map(|value| value.0).as_ref(),
        budget,
    )
}

/// The joined, verbatim outputs of the steps that a fold waits for.
#[pg_extern(name = "_fold", immutable)]
fn fold_outputs(upstream: JsonB) -> String {
    let upstream: Vec<Upstream> = internal("upstream", upstream.0);
    fold(&upstream)
}

/// A top-level field of the JSON that an output is or ends in; null when there is none.
#[pg_extern(name = "_output_field", immutable)]
fn output_field(output: Option<&str>, name: Option<&str>) -> Option<JsonB> {
    field(output?, name?).map(JsonB)
}

/// Whether a field of an output lets a conditional step run: present, and not false, null, zero or empty.
#[pg_extern(name = "_output_holds", immutable)]
fn output_holds(output: Option<&str>, name: Option<&str>) -> bool {
    matches!((output, name), (Some(output), Some(name)) if fields::holds(output, name))
}
