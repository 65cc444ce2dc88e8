//! What reviewers reply, and how it is merged.

use conductor_flows::findings::{Finding, MergeOptions, Merged};
use conductor_flows::resolve::Upstream;

pub fn upstream(step: &str, output: &str) -> Upstream {
    Upstream {
        step_id: step.to_owned(),
        label: step.to_uppercase(),
        prefix: Some("B".to_owned()),
        status: "completed".to_owned(),
        output: Some(output.to_owned()),
        ..Upstream::default()
    }
}

/// A reply in the form that is asked for: id, severity, place and claim of each finding.
pub fn reviewed(findings: &[(&str, &str, &str, &str)]) -> String {
    let mut text = String::from("## Findings\n");
    for (id, severity, place, claim) in findings {
        text.push_str(&format!(
            "### {id}. {severity}: {claim}\n- Where: `{place}`\n\n"
        ));
    }
    text
}

pub fn options(cap: usize, exempt: &[&str]) -> MergeOptions {
    let exempt = exempt.iter().map(|step| (*step).to_owned()).collect();
    MergeOptions { cap, exempt }
}

/// The findings of each group, with those that joined them.
pub fn groups(merged: &Merged) -> Vec<String> {
    let ids = |findings: &[Finding]| -> String {
        let shown = findings.iter().map(|it| match &it.joined[..] {
            [] => it.id.clone(),
            joined => {
                let joined: Vec<&str> = joined.iter().map(|it| it.id.as_str()).collect();
                format!("{}+{}", it.id, joined.join("+"))
            }
        });
        shown.collect::<Vec<_>>().join(" ")
    };
    merged.groups.iter().map(|it| ids(&it.findings)).collect()
}
