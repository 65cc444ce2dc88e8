//! From a flow's name to the plan that a run pins.

use crate::errors::{internal, raise, refuse};
use crate::version::warn_of_another_schema;
use conductor_flows::command::Command;
use conductor_flows::{
    Band, Definition, Document, Launch, Persona, Personas, builtin_flow, builtin_flows,
    builtin_personas, expand, nearest,
};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde::Deserialize;
use serde_json::json;

/// The library's personas and those of users, who cannot take a built-in name.
struct AllPersonas(Vec<Persona>);

impl AllPersonas {
    fn read(users: JsonB) -> Self {
        Self(internal("personas", users.0))
    }
}

impl Personas for AllPersonas {
    fn get(&self, name: &str) -> Option<Persona> {
        builtin_personas()
            .get(name)
            .or_else(|| self.0.iter().find(|p| p.name == name).cloned())
    }

    fn names(&self) -> Vec<String> {
        let mut names = builtin_personas().names();
        names.extend(self.0.iter().map(|p| p.name.clone()));
        names
    }
}

/// What a launch says beside the flow's name; made by `flow_launch`.
#[derive(Deserialize)]
struct Request {
    question: String,
    band: Option<String>,
    fast: bool,
    project: Option<String>,
    base: Option<String>,
    documents: Vec<Document>,
}

/// Expands a flow for a launch: `{"plan": …, "texts": {hash: body}}`.
///
/// `definition` is the user's own flow of that name, if there is one. Raises 42704 for an unknown flow, with the
/// nearest names, and 22023 for an unknown band or a definition that does not hold any more. Warns when the schema is of
/// another version than the library.
#[pg_extern(name = "_flow_expand", stable)]
fn flow_expand(
    flow: Option<&str>,
    definition: Option<JsonB>,
    personas: JsonB,
    launch: JsonB,
) -> JsonB {
    warn_of_another_schema();
    let name = flow.unwrap_or("null");
    let personas = AllPersonas::read(personas);
    let request: Request = internal("launch", launch.0);
    let own;
    let definition = match (builtin_flow(name), definition) {
        (Some(builtin), _) => builtin,
        (None, Some(JsonB(value))) => {
            own = Definition::from_json("the definition", &value, &personas)
                .unwrap_or_else(|error| raise(&error));
            &own
        }
        (None, None) => unknown_flow(name),
    };
    let band = request.band.as_deref().unwrap_or("small");
    let band: Band = band.parse().unwrap_or_else(|_| {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "no such band",
            &format!("band: {band}"),
            "choose small, medium or large",
        )
    });
    let launch = Launch {
        question: &request.question,
        band,
        fast: request.fast,
        project: request.project.as_deref(),
        base: request.base.as_deref(),
        documents: &request.documents,
    };
    let expansion = expand(definition, &launch, &personas).unwrap_or_else(|error| raise(&error));
    JsonB(json!(expansion))
}

fn unknown_flow(name: &str) -> ! {
    let mut names: Vec<String> = builtin_flows()
        .iter()
        .map(|flow| flow.name().to_owned())
        .collect();
    Spi::connect(|client| {
        let own = client.select("select name from conductor.flow_definitions", None, &[]);
        for row in own.into_iter().flatten() {
            names.extend(row.get::<String>(1).ok().flatten());
        }
    });
    let near = nearest(name, names.iter().map(String::as_str));
    let hint = if near.is_empty() {
        "flow_catalog() lists the flows".to_owned()
    } else {
        format!(
            "did you mean {}? flow_catalog() lists the flows",
            near.join(" or ")
        )
    };
    refuse(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        "no such flow",
        &format!("flow: {name}"),
        &hint,
    )
}

/// Checks the JSON form of a user's flow and returns it normalised. Raises 22023 with the field, or 42704 for an
/// unknown persona.
#[pg_extern(name = "_flow_validate", stable)]
fn flow_validate(definition: JsonB, personas: JsonB) -> JsonB {
    let personas = AllPersonas::read(personas);
    match Definition::from_json("the definition", &definition.0, &personas) {
        Ok(definition) => JsonB(definition.to_json()),
        Err(error) => raise(&error),
    }
}

/// At most three of `names` that are near to `name`, nearest first.
#[pg_extern(name = "_nearest", immutable)]
fn nearest_names(name: &str, names: Vec<String>) -> SetOfIterator<'static, String> {
    let near: Vec<String> = nearest(name, names.iter().map(String::as_str))
        .into_iter()
        .map(str::to_owned)
        .collect();
    SetOfIterator::new(near)
}

/// Parses `/flow NAME [--band B] [--fast] focus…` into `{flow, band, fast, question}`; raises 42601 for anything else.
#[pg_extern(name = "_command_parse", immutable)]
fn command_parse(command: Option<&str>) -> JsonB {
    match Command::parse(command.unwrap_or("null")) {
        Ok(Command {
            flow,
            band,
            fast,
            question,
        }) => JsonB(json!({"flow": flow, "band": band, "fast": fast, "question": question})),
        Err(error) => refuse(
            PgSqlErrorCode::ERRCODE_SYNTAX_ERROR,
            "not a flow command",
            &error.to_string(),
            "write /flow NAME [--band small|medium|large] [--fast] focus…",
        ),
    }
}
