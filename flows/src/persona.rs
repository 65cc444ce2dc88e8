//! Personas: who an agent is. The body becomes the agent's system prompt.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, FlowError, choose};
use crate::name::is_id;

/// A persona, as read from its Markdown file or from a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persona {
    /// Its id.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// What its findings are numbered with (`S` for `S1`, `S2` …); empty when it numbers none.
    #[serde(default)]
    pub prefix: String,
    /// The system prompt, Markdown; may hold `{snapshot}`.
    pub body: String,
}

/// Where personas come from: the library, or the library and the rows of users.
pub trait Personas {
    /// The persona of this name.
    fn get(&self, name: &str) -> Option<Persona>;
    /// All names, sorted.
    fn names(&self) -> Vec<String>;
}

const KEYS: [&str; 3] = ["name", "description", "prefix"];

impl Persona {
    /// Reads front matter (`name`, `description`, `prefix`, one line each) and body.
    ///
    /// `file` is the file's name; a persona is named like its file. Errors are of the kinds
    /// `syntax`, `unknown_key`, `missing`, `duplicate_id`, `empty`, `bad_id`, `bad_prefix` and
    /// `name_mismatch`.
    pub fn parse(file: &str, text: &str) -> Result<Self, FlowError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (head, body) = split_front_matter(text).ok_or_else(|| {
            FlowError::new(ErrorKind::Syntax, file, "", "no front matter")
                .with_cure("begin with a line ---, then name, description and prefix, then ---")
        })?;
        let mut values: [Option<String>; 3] = [None, None, None];
        for line in head.lines().filter(|line| !line.trim().is_empty()) {
            let (key, value) = line.split_once(':').ok_or_else(|| {
                FlowError::new(ErrorKind::Syntax, file, "front matter", "no key in line")
                    .with_value(line)
                    .with_cure("write `key: value`, each on one line")
            })?;
            let key = key.trim();
            let slot = KEYS.iter().position(|known| *known == key).ok_or_else(|| {
                FlowError::new(ErrorKind::UnknownKey, file, key, "unknown key")
                    .with_value(key)
                    .with_cure(choose(key, KEYS))
            })?;
            if values[slot].is_some() {
                return Err(
                    FlowError::new(ErrorKind::DuplicateId, file, key, "key given twice")
                        .with_value(key)
                        .with_cure("keep one of the two lines"),
                );
            }
            values[slot] = Some(unquote(value.trim()).to_owned());
        }
        let [name, description, prefix] = values;
        let persona = Self {
            name: required(file, "name", name)?,
            description: required(file, "description", description)?,
            prefix: required(file, "prefix", prefix)?,
            body: required(file, "body", Some(body.trim().to_owned()))?,
        };
        persona.check(file)?;
        Ok(persona)
    }

    fn check(&self, file: &str) -> Result<(), FlowError> {
        if !is_id(&self.name) {
            return Err(
                FlowError::new(ErrorKind::BadId, file, "name", "not a name of a persona")
                    .with_value(&self.name)
                    .with_cure(
                        "use a to z, 0 to 9 and -, beginning with a letter, at most 40 characters",
                    ),
            );
        }
        if file
            .strip_suffix(".md")
            .is_some_and(|stem| stem != self.name)
        {
            return Err(FlowError::new(
                ErrorKind::NameMismatch,
                file,
                "name",
                "the file has another name than the persona",
            )
            .with_value(&self.name)
            .with_cure(format!(
                "rename the file to {}.md, or the persona",
                self.name
            )));
        }
        let capitals = self.prefix.bytes().all(|byte| byte.is_ascii_uppercase());
        if !capitals || self.prefix.len() > 4 {
            return Err(
                FlowError::new(ErrorKind::BadPrefix, file, "prefix", "not a prefix")
                    .with_value(&self.prefix)
                    .with_cure("use one to four capital letters"),
            );
        }
        Ok(())
    }
}

fn split_front_matter(text: &str) -> Option<(&str, &str)> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next()?;
    if first.trim_end() != "---" {
        return None;
    }
    let mut end = first.len();
    for line in lines {
        if line.trim_end() == "---" {
            return Some((&text[first.len()..end], &text[end + line.len()..]));
        }
        end += line.len();
    }
    None
}

fn unquote(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner;
        }
    }
    value
}

fn required(file: &str, key: &str, value: Option<String>) -> Result<String, FlowError> {
    match value {
        None => Err(
            FlowError::new(ErrorKind::Missing, file, key, "a persona needs this")
                .with_cure(format!("add a line `{key}: …` to the front matter")),
        ),
        Some(value) if value.is_empty() => Err(FlowError::new(
            ErrorKind::Empty,
            file,
            key,
            "a persona needs this, but it is empty",
        )
        .with_cure(format!("give the {key} a text"))),
        Some(value) => Ok(value),
    }
}
