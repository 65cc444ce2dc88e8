//! Random flows, all of them valid: every step needs only earlier ones.

use conductor_flows::Band;
use serde_json::{Value, json};

/// What a generated step is made from; numbers are reduced to what is possible where they are used.
#[derive(Debug, Clone)]
pub struct Seed {
    /// One bit for each earlier step: whether it is needed.
    pub needs: u16,
    pub any: bool,
    /// 0 to 2, more counts as 2.
    pub band: u8,
    /// 0 a fold, 1 a fan-out, 2 a validator, 3 the report if the step is the last; else an agent.
    pub kind: u8,
    /// Which of the steps before it `when` and `foreach` read.
    pub source: usize,
    /// 0 a field `flag`, 1 and 2 a fact of the launch; else no condition.
    pub when: u8,
}

/// The JSON form of a flow named `x`, of the personas `reader` and `adversarial-validator`.
pub fn definition(seeds: &[Seed], reversed: bool) -> Value {
    let mut steps: Vec<Value> = Vec::new();
    let mut before: Vec<Vec<usize>> = Vec::new();
    let mut fans: Vec<bool> = Vec::new();
    for (i, seed) in seeds.iter().enumerate() {
        let needs: Vec<usize> = (0..i).filter(|n| seed.needs >> (n % 16) & 1 == 1).collect();
        let mut ancestors = needs.clone();
        ancestors.extend(needs.iter().flat_map(|need| before[*need].clone()));
        ancestors.sort_unstable();
        ancestors.dedup();
        let readable: Vec<usize> = ancestors.iter().copied().filter(|a| !fans[*a]).collect();
        let source = (!readable.is_empty()).then(|| readable[seed.source % readable.len()]);
        let mut step = json!({
            "id": format!("s{i}"),
            "needs": needs.iter().map(|n| format!("s{n}")).collect::<Vec<_>>(),
            "join": if seed.any { "any" } else { "all" },
            "band": Band::ALL[usize::from(seed.band).min(2)].as_str(),
        });
        let code = match seed.kind {
            0 if !needs.is_empty() => Some("fold"),
            3 if i + 1 == seeds.len() && i > 0 => Some("render"),
            _ => None,
        };
        if let Some(code) = code {
            step["code"] = json!(code);
        } else {
            let judges = seed.kind == 2;
            step["persona"] = json!(if judges {
                "adversarial-validator"
            } else {
                "reader"
            });
            step["brief"] = json!("Read.");
        }
        let fan = seed.kind == 1 && source.is_some();
        if let Some(source) = source.filter(|_| fan) {
            step["foreach"] = json!(format!("s{source}.list"));
        }
        match (source, seed.when) {
            (Some(source), 0) => step["when"] = json!(format!("s{source}.flag")),
            (_, 1) => step["when"] = json!("project"),
            (_, 2) => step["when"] = json!("documents"),
            _ => {}
        }
        fans.push(fan);
        before.push(ancestors);
        steps.push(step);
    }
    if reversed {
        steps.reverse();
    }
    json!({"name": "x", "category": "review", "description": "A flow.", "steps": steps})
}
