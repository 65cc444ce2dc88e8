//! Strict reading of a table: every error names file, field, value and cure.

use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::{ErrorKind, FlowError, choose};
use crate::name::{Band, Category, Contract, is_id};
use crate::persona::Personas;

/// How many angles or steps a flow has at most. What is checked, ordered and written into prompts grows with its square.
const MOST_ENTRIES: usize = 1000;

/// A table of a definition and where it stands.
pub(super) struct Table<'a> {
    pub file: &'a str,
    path: String,
    map: &'a Map<String, Value>,
}

/// A set of names that a field chooses from.
pub(super) trait Choice: FromStr + Sized {
    fn known() -> Vec<&'static str>;
    fn what() -> &'static str;
}

macro_rules! choice {
    ($($type:ty),+) => { $(impl Choice for $type {
        fn known() -> Vec<&'static str> { Self::names().collect() }
        fn what() -> &'static str { Self::WHAT }
    })+ };
}
choice!(Band, Category, Contract, super::Code, crate::plan::Join);

impl<'a> Table<'a> {
    /// The whole definition.
    pub fn root(file: &'a str, value: &'a Value) -> Result<Self, FlowError> {
        let map = value.as_object().ok_or_else(|| {
            FlowError::new(ErrorKind::WrongType, file, "", "a definition is a table")
                .with_value(type_name(value))
                .with_cure("give an object with name, category, description and angles or steps")
        })?;
        Ok(Self {
            file,
            path: String::new(),
            map,
        })
    }

    /// The full name of a field of this table: `angles[2].persona`.
    pub fn field(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub fn error(&self, kind: ErrorKind, key: &str, problem: impl Into<String>) -> FlowError {
        FlowError::new(kind, self.file, &self.field(key), problem)
    }

    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Refuses keys that nothing reads.
    pub fn only(&self, known: &[&[&str]]) -> Result<(), FlowError> {
        let known: Vec<&str> = known.iter().flat_map(|keys| keys.iter().copied()).collect();
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(self
                .error(ErrorKind::UnknownKey, key, "unknown key")
                .with_value(key)
                .with_cure(choose(key, known))),
        }
    }

    fn wrong_type(&self, key: &str, wanted: &str, value: &Value) -> FlowError {
        self.error(
            ErrorKind::WrongType,
            key,
            format!("this takes {wanted}, not"),
        )
        .with_value(type_name(value))
        .with_cure(format!("give {wanted}"))
    }

    /// A text without surrounding blanks; it must not be empty where it stands.
    pub fn text(&self, key: &str) -> Result<Option<String>, FlowError> {
        let Some(value) = self.map.get(key) else {
            return Ok(None);
        };
        let text = value
            .as_str()
            .ok_or_else(|| self.wrong_type(key, "a text", value))?;
        let text = crate::text::strip_controls(text.trim());
        if text.is_empty() {
            return Err(self
                .error(ErrorKind::Empty, key, "this is empty")
                .with_cure(format!(
                    "write the {key}, or leave the key out if it is optional"
                )));
        }
        Ok(Some(text))
    }

    /// True or false; false when it is not there.
    pub fn flag(&self, key: &str) -> Result<bool, FlowError> {
        match self.map.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong_type(key, "true or false", other)),
        }
    }

    /// A whole number from 1 to `most`.
    pub fn count(&self, key: &str, most: usize) -> Result<Option<usize>, FlowError> {
        let Some(value) = self.map.get(key) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|it| usize::try_from(it).ok());
        match number {
            Some(number) if (1..=most).contains(&number) => Ok(Some(number)),
            _ if value.is_number() => Err(self
                .error(ErrorKind::OutOfRange, key, "out of range")
                .with_value(value.to_string())
                .with_cure(format!("use a whole number from 1 to {most}"))),
            _ => Err(self.wrong_type(key, "a number", value)),
        }
    }

    /// A text that must be there.
    pub fn required_text(&self, key: &str) -> Result<String, FlowError> {
        self.text(key)?.ok_or_else(|| {
            self.error(ErrorKind::Missing, key, format!("no {key}"))
                .with_cure(format!("add {key} = \"…\""))
        })
    }

    pub fn id(&self, key: &str) -> Result<String, FlowError> {
        let id = self.required_text(key)?;
        if is_id(&id) {
            return Ok(id);
        }
        Err(self
            .error(ErrorKind::BadId, key, "not an id")
            .with_value(id)
            .with_cure("use a to z, 0 to 9 and -, beginning with a letter, at most 40 characters"))
    }

    fn choice<T: Choice>(&self, kind: ErrorKind, key: &str, text: &str) -> Result<T, FlowError> {
        text.parse().map_err(|_| {
            self.error(kind, key, format!("unknown {}", T::what()))
                .with_value(text)
                .with_cure(choose(text, T::known()))
        })
    }

    pub fn name<T: Choice>(&self, kind: ErrorKind, key: &str) -> Result<Option<T>, FlowError> {
        let text = self.text(key)?;
        text.map(|text| self.choice(kind, key, &text)).transpose()
    }

    pub fn required_name<T: Choice>(&self, kind: ErrorKind, key: &str) -> Result<T, FlowError> {
        self.required_text(key)?;
        Ok(self.name(kind, key)?.expect("it was there a line ago"))
    }

    pub fn names<T: Choice>(&self, kind: ErrorKind, key: &str) -> Result<Vec<T>, FlowError> {
        let texts = self.texts(key)?;
        let named = texts.iter().enumerate();
        named
            .map(|(i, text)| self.choice(kind, &format!("{key}[{i}]"), text))
            .collect()
    }

    /// A list of texts; absent is empty.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, FlowError> {
        let Some(value) = self.map.get(key) else {
            return Ok(Vec::new());
        };
        let list = value
            .as_array()
            .ok_or_else(|| self.wrong_type(key, "a list of texts", value))?;
        let named = list.iter().enumerate();
        named
            .map(|(i, entry)| {
                let text = entry.as_str().map(str::to_owned);
                text.ok_or_else(|| self.wrong_type(&format!("{key}[{i}]"), "a text", entry))
            })
            .collect()
    }

    /// A table below this one.
    pub fn table(&self, key: &str) -> Result<Option<Table<'a>>, FlowError> {
        let Some(value) = self.map.get(key) else {
            return Ok(None);
        };
        let map = value
            .as_object()
            .ok_or_else(|| self.wrong_type(key, "a table", value))?;
        Ok(Some(Table {
            file: self.file,
            path: self.field(key),
            map,
        }))
    }

    /// A list of tables below this one, at least one.
    pub fn tables(&self, key: &str) -> Result<Vec<Table<'a>>, FlowError> {
        let value = self.map.get(key).unwrap_or(&Value::Null);
        let list = value
            .as_array()
            .ok_or_else(|| self.wrong_type(key, "a list of tables", value))?;
        if list.is_empty() {
            return Err(self
                .error(ErrorKind::Empty, key, format!("no {key}"))
                .with_cure(format!("add [[{key}]] with id, persona and brief")));
        }
        if list.len() > MOST_ENTRIES {
            return Err(self
                .error(ErrorKind::OutOfRange, key, format!("too many {key}:"))
                .with_value(list.len().to_string())
                .with_cure(format!(
                    "use at most {MOST_ENTRIES}; a step with foreach runs once for each element of a list"
                )));
        }
        let named = list.iter().enumerate();
        named
            .map(|(i, entry)| {
                let key = format!("{key}[{i}]");
                let map = entry
                    .as_object()
                    .ok_or_else(|| self.wrong_type(&key, "a table", entry))?;
                Ok(Table {
                    file: self.file,
                    path: self.field(&key),
                    map,
                })
            })
            .collect()
    }

    /// The name of a persona that exists.
    pub fn persona(&self, key: &str, personas: &dyn Personas) -> Result<String, FlowError> {
        let name = self.required_text(key)?;
        self.known_persona(key, &name, personas)?;
        Ok(name)
    }

    pub fn known_persona(
        &self,
        key: &str,
        name: &str,
        personas: &dyn Personas,
    ) -> Result<(), FlowError> {
        if personas.get(name).is_some() {
            return Ok(());
        }
        let known = personas.names();
        Err(self
            .error(ErrorKind::UnknownPersona, key, "unknown persona")
            .with_value(name)
            .with_cure(choose(name, known.iter().map(String::as_str))))
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
