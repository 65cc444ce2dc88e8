//! One error for everything that can be wrong with a definition, a persona or a launch.

use std::borrow::Cow;
use std::fmt;

/// What is wrong, in a form that callers may match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The text is not TOML, or a persona has no front matter.
    Syntax,
    /// A key that nothing reads.
    UnknownKey,
    /// A key that must be there is not.
    Missing,
    /// A text or list that must hold something is empty.
    Empty,
    /// A value of another type than the key takes.
    WrongType,
    /// An id that does not match `^[a-z][a-z0-9-]{0,39}$`.
    BadId,
    /// The flow or persona is not named like its file.
    NameMismatch,
    /// A prefix that is not one to four capital letters.
    BadPrefix,
    /// A persona that does not exist.
    UnknownPersona,
    /// A step that does not exist in this flow.
    UnknownStep,
    /// Two steps with one id.
    DuplicateId,
    /// An id that the expansion of a spine takes for itself.
    ReservedId,
    /// Steps that need each other in a circle.
    Cycle,
    /// A band that does not exist.
    UnknownBand,
    /// A category that does not exist.
    UnknownCategory,
    /// A contract that does not exist.
    UnknownContract,
    /// A kind of code step that does not exist.
    UnknownCode,
    /// A join that does not exist.
    UnknownJoin,
    /// A `when` or `foreach` that is neither a launch fact nor `STEP.FIELD`.
    BadReference,
    /// A `when` or `foreach` that reads a step which need not have ended.
    ReferenceNotNeeded,
    /// Keys that exclude each other, or a step that is neither agent nor code.
    Conflict,
    /// A render step that something needs, or a second one.
    RenderNotLast,
    /// A number that is too small or too large.
    OutOfRange,
    /// Nothing of the flow runs with this launch.
    NothingToRun,
    /// The flow works on a document, and the launch has neither one nor files to find one in.
    NoDocument,
}

impl ErrorKind {
    /// A stable name, for rows and programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnknownKey => "unknown_key",
            Self::Missing => "missing",
            Self::Empty => "empty",
            Self::WrongType => "wrong_type",
            Self::BadId => "bad_id",
            Self::NameMismatch => "name_mismatch",
            Self::BadPrefix => "bad_prefix",
            Self::UnknownPersona => "unknown_persona",
            Self::UnknownStep => "unknown_step",
            Self::DuplicateId => "duplicate_id",
            Self::ReservedId => "reserved_id",
            Self::Cycle => "cycle",
            Self::UnknownBand => "unknown_band",
            Self::UnknownCategory => "unknown_category",
            Self::UnknownContract => "unknown_contract",
            Self::UnknownCode => "unknown_code",
            Self::UnknownJoin => "unknown_join",
            Self::BadReference => "bad_reference",
            Self::ReferenceNotNeeded => "reference_not_needed",
            Self::Conflict => "conflict",
            Self::RenderNotLast => "render_not_last",
            Self::OutOfRange => "out_of_range",
            Self::NothingToRun => "nothing_to_run",
            Self::NoDocument => "no_document",
        }
    }
}

/// What is wrong, where, with which value, and what to do about it.
///
/// Displays as a lower-case fragment: `unknown persona "x" in angles[2].persona of research.toml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FlowError(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    kind: ErrorKind,
    file: String,
    field: String,
    value: Option<String>,
    problem: String,
    cure: String,
}

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.problem)?;
        if let Some(value) = &self.0.value {
            write!(f, " {:?}", shortened(value))?;
        }
        write!(f, " in {}", self.place())
    }
}

impl FlowError {
    /// An error of `kind` at `field` of `file`; `problem` is a lower-case fragment without the value.
    pub fn new(kind: ErrorKind, file: &str, field: &str, problem: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            file: file.to_owned(),
            field: field.to_owned(),
            value: None,
            problem: problem.into(),
            cure: String::new(),
        }))
    }

    /// Adds the value that was found.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<String>) -> Self {
        self.0.value = Some(value.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_cure(mut self, cure: impl Into<String>) -> Self {
        self.0.cure = cure.into();
        self
    }

    /// The kind, to match on.
    pub fn error_kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The stable name of the kind, `unknown_persona` for example.
    pub fn kind(&self) -> &'static str {
        self.0.kind.as_str()
    }

    /// The file, or what stands for it when the definition did not come from one.
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// The field, `angles[2].persona` for example; empty when the whole file is meant.
    pub fn field(&self) -> &str {
        &self.0.field
    }

    /// What is wrong, a lower-case fragment without the value.
    pub fn problem(&self) -> &str {
        &self.0.problem
    }

    /// The value that was found there, if there was one.
    pub fn value(&self) -> Option<&str> {
        self.0.value.as_deref()
    }

    /// Field and file: `angles[2].persona of research.toml`.
    pub fn place(&self) -> String {
        if self.0.field.is_empty() {
            self.0.file.clone()
        } else {
            format!("{} of {}", shortened(&self.0.field), self.0.file)
        }
    }

    /// What to do about it, a lower-case fragment; never empty.
    pub fn cure(&self) -> &str {
        &self.0.cure
    }
}

/// What is quoted of a value or a key, in characters: it may be a whole file that lacks a quotation mark.
const QUOTED: usize = 300;

fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

/// The cure for an unknown name: the nearest ones, else all of them.
pub(crate) fn choose<'a>(value: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = crate::catalog::nearest(value, known.iter().copied());
    if !near.is_empty() {
        format!("did you mean {}?", near.join(" or "))
    } else if known.is_empty() {
        "there is none to choose from, remove it".to_owned()
    } else {
        format!("use one of {}", known.join(", "))
    }
}
