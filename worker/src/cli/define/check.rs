//! The checks themselves: those of the library, and that names do not meet.

use std::collections::BTreeMap;

use conductor_flows::definition::locate::{self, Place};
use conductor_flows::{
    Definition, ErrorKind, FlowError, Persona, Personas, builtin_flow, builtin_personas,
};

use super::files::{File, Form};
use crate::cli::people::Client;
use crate::db::Failure;

/// Personas that neither the library nor a file holds.
#[derive(Debug)]
pub enum Elsewhere {
    /// No database was named.
    NotNamed,
    /// What is wrong does not depend on it.
    NotAsked,
    /// It does not answer; the reason.
    Silent(String),
    Defined(BTreeMap<String, Persona>),
}

/// What the files hold. Numbers are positions in the list of files.
#[derive(Debug, Default)]
pub struct Checked {
    pub personas: Vec<(usize, Persona)>,
    pub flows: Vec<(usize, Definition)>,
    pub wrong: Vec<Wrong>,
    /// Every persona that the flows may name.
    pub known: Known,
}

/// An error of a file.
#[derive(Debug)]
pub struct Wrong {
    pub file: usize,
    pub error: FlowError,
    pub place: Option<Place>,
    /// The persona that is missing would be in this file, which is wrong itself.
    pub broken: Option<usize>,
}

impl Wrong {
    /// Whether a persona of the server may mend it.
    pub fn wants_persona(&self) -> bool {
        self.error.error_kind() == ErrorKind::UnknownPersona
    }
}

impl Checked {
    /// Whether a flow names a persona that was not found.
    pub fn wants_personas(&self) -> bool {
        self.wrong.iter().any(Wrong::wants_persona)
    }

    fn wrong(&mut self, file: usize, error: FlowError, files: &[File]) {
        let text = &files[file].text;
        let place = match files[file].form {
            Form::Flow => locate::in_definition(text, &error),
            Form::Persona => locate::in_persona(text, &error),
        };
        let stem = |file: &File| file.name.strip_suffix(".md").map(str::to_owned);
        let broken = self
            .wrong
            .iter()
            .map(|wrong| wrong.file)
            .find(|other| stem(&files[*other]).as_deref() == error.value())
            .filter(|_| error.error_kind() == ErrorKind::UnknownPersona);
        self.wrong.push(Wrong {
            file,
            error,
            place,
            broken,
        });
    }
}

/// Personas of the library, of files and of the server.
#[derive(Debug, Default, Clone)]
pub struct Known(BTreeMap<String, Persona>);

impl Personas for Known {
    fn get(&self, name: &str) -> Option<Persona> {
        self.0
            .get(name)
            .cloned()
            .or_else(|| builtin_personas().get(name))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .0
            .keys()
            .cloned()
            .chain(builtin_personas().names())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// Checks all files, the personas first; reports the first error of each.
pub fn check(files: &[File], elsewhere: &Elsewhere) -> Checked {
    let mut checked = Checked::default();
    if let Elsewhere::Defined(personas) = elsewhere {
        checked.known.0.clone_from(personas);
    }
    let of_form = |form| {
        files
            .iter()
            .enumerate()
            .filter(move |(_, file)| file.form == form)
    };
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (at, file) in of_form(Form::Persona) {
        let persona = Persona::parse(&file.name, &file.text).and_then(|persona| {
            let builtin = builtin_personas().get(&persona.name).is_some();
            free(
                "persona",
                &persona.name,
                builtin,
                at,
                file,
                &mut seen,
                files,
            )?;
            Ok(persona)
        });
        match persona {
            Ok(persona) => {
                checked
                    .known
                    .0
                    .insert(persona.name.clone(), persona.clone());
                checked.personas.push((at, persona));
            }
            Err(error) => checked.wrong(at, error, files),
        }
    }
    seen.clear();
    for (at, file) in of_form(Form::Flow) {
        let flow = Definition::from_toml(&file.name, &file.text, &checked.known).and_then(|flow| {
            let builtin = builtin_flow(flow.name()).is_some();
            free("flow", flow.name(), builtin, at, file, &mut seen, files)?;
            Ok(flow)
        });
        match flow {
            Ok(flow) => checked.flows.push((at, flow)),
            Err(error) => checked.wrong(at, error, files),
        }
    }
    checked
}

/// Refuses a name that the library or another file has.
fn free(
    what: &str,
    name: &str,
    builtin: bool,
    at: usize,
    file: &File,
    seen: &mut BTreeMap<String, usize>,
    files: &[File],
) -> Result<(), FlowError> {
    let error =
        |kind, problem: String| FlowError::new(kind, &file.name, "name", problem).with_value(name);
    if builtin {
        let problem = format!("a built-in {what} has this name:");
        return Err(error(ErrorKind::ReservedId, problem)
            .with_cure(format!("give the {what} another name")));
    }
    if let Some(other) = seen.insert(name.to_owned(), at) {
        let problem = format!("{} has the same name:", files[other].shown);
        return Err(error(ErrorKind::ReservedId, problem).with_cure("leave one of the two out"));
    }
    Ok(())
}

/// The personas that users have defined on the server.
pub async fn defined(client: &mut Client) -> Result<Elsewhere, Failure> {
    let rows = client
        .rows(
            "select name, description, prefix, body from conductor.personas where not builtin",
            &[],
        )
        .await?;
    let mut personas = BTreeMap::new();
    for row in rows {
        let persona = Persona {
            name: row.try_get(0)?,
            description: row.try_get(1)?,
            prefix: row.try_get(2)?,
            body: row.try_get(3)?,
        };
        personas.insert(persona.name.clone(), persona);
    }
    Ok(Elsewhere::Defined(personas))
}
