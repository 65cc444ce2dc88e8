//! Outputs joined without a model.

use crate::qualify::qualify;
use crate::resolve::Upstream;
use crate::text::one_line;

/// Joins full outputs, verbatim but for finding ids, which are qualified by step. Each stands under
/// a heading of its own; inputs without output are named with their status and error.
pub fn fold(inputs: &[Upstream]) -> String {
    let size: usize = inputs
        .iter()
        .map(|up| up.output.as_deref().map_or(0, str::len) + 200)
        .sum();
    let mut out = String::with_capacity(size);
    for up in inputs {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str("# ");
        let label = one_line(&up.label, 120);
        if !label.is_empty() && label != up.step_id {
            out.push_str(&label);
            out.push(' ');
        }
        out.push_str(&format!("(`{}`)", one_line(&up.step_id, 80)));
        let Some(output) = up.said() else {
            out.push_str(&format!(": {}\n", up.silence()));
            continue;
        };
        out.push_str("\n\n");
        out.push_str(&qualify(
            &up.step_id,
            up.prefix.as_deref().unwrap_or(""),
            output,
        ));
        if !out.ends_with('\n') {
            out.push('\n');
        }
    }
    out
}
