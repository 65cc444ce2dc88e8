//! What several tests need.
#![allow(dead_code, reason = "every test file uses a part of it")]

pub mod fuzz;
pub mod pages;
pub mod random;
pub mod reports;
pub mod reviewers;
pub mod wrong;

use conductor_flows::{
    Band, Definition, Document, Expansion, FlowError, Launch, Material, Persona, Personas,
    Upstream, expand, resolve,
};
use serde_json::Value;

/// Three personas, none of them from the library.
pub struct Few;

impl Personas for Few {
    fn get(&self, name: &str) -> Option<Persona> {
        let prefix = match name {
            "reader" => "RD",
            "writer" => "W",
            "adversarial-validator" => "V",
            _ => return None,
        };
        Some(Persona {
            name: name.to_owned(),
            description: format!("the {name}"),
            prefix: prefix.to_owned(),
            body: format!("You are the {name}. Files stand in {{snapshot}}."),
        })
    }

    fn names(&self) -> Vec<String> {
        ["adversarial-validator", "reader", "writer"]
            .map(str::to_owned)
            .to_vec()
    }
}

pub fn launch(band: Band) -> Launch<'static> {
    Launch {
        question: "Is the retry path safe?",
        band,
        fast: false,
        project: Some("shop"),
        base: None,
        documents: &[],
    }
}

pub fn documents() -> &'static [Document] {
    static DOCUMENTS: std::sync::LazyLock<Vec<Document>> = std::sync::LazyLock::new(|| {
        vec![Document {
            name: "notes.md".to_owned(),
            text: "Retry three times.".to_owned(),
        }]
    });
    &DOCUMENTS
}

/// Reads a definition named `x` with the three personas.
pub fn read(text: &str) -> Result<Definition, FlowError> {
    Definition::from_toml("x.toml", text, &Few)
}

pub fn read_json(value: &Value) -> Result<Definition, FlowError> {
    Definition::from_json("x", value, &Few)
}

pub fn expanded(definition: &Definition, launch: &Launch) -> Expansion {
    expand(definition, launch, &Few).expect("the definition expands")
}

/// The prompt template of a step.
pub fn template<'a>(expansion: &'a Expansion, step: &str) -> &'a str {
    let step = expansion.plan.step(step).expect("the step is in the plan");
    &expansion.texts[step.prompt_hash.as_ref().expect("an agent has a prompt")]
}

/// A template with outputs and an element put in.
pub fn put(
    template: &str,
    upstream: &[Upstream],
    element: Option<&Value>,
    max_bytes: usize,
) -> String {
    let material = Material {
        upstream,
        element,
        documents: &[],
    };
    resolve(template, &material, max_bytes)
}

/// A general flow from the lines of its steps.
pub fn general(steps: &str) -> String {
    format!("name = \"x\"\ncategory = \"review\"\ndescription = \"A flow.\"\n{steps}")
}

/// An agent step in TOML; `more` are further lines.
pub fn agent(id: &str, more: &str) -> String {
    format!("[[steps]]\nid = \"{id}\"\npersona = \"reader\"\nbrief = \"Read.\"\n{more}\n")
}

/// A code step in TOML; `more` are further lines.
pub fn code(id: &str, code: &str, more: &str) -> String {
    format!("[[steps]]\nid = \"{id}\"\ncode = \"{code}\"\n{more}\n")
}
