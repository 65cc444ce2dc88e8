//! Names with a fixed set of values, and the form of ids.

/// A value outside its set; holds what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {value:?}, known are {known}")]
pub struct UnknownName {
    /// What kind of name it should have been, `band` for example.
    pub what: &'static str,
    /// What was given.
    pub value: String,
    /// The names that exist, joined for reading.
    pub known: String,
}

macro_rules! names {
    ($(#[$doc:meta])* $type:ident, $what:literal, $($(#[$vdoc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $type { $($(#[$vdoc])* #[serde(rename = $name)] $variant),+ }

        impl $type {
            /// All values, in order.
            pub const ALL: &'static [$type] = &[$($type::$variant),+];
            /// What such a value is called in messages.
            pub const WHAT: &'static str = $what;

            /// The name as it is written in definitions and rows.
            pub const fn as_str(self) -> &'static str {
                match self { $($type::$variant => $name),+ }
            }

            /// The names of all values, in order.
            pub fn names() -> impl Iterator<Item = &'static str> {
                Self::ALL.iter().map(|value| value.as_str())
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::name::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| $crate::name::UnknownName {
                    what: $what,
                    value: text.to_owned(),
                    known: Self::names().collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}
pub(crate) use names;

names! {
    /// How much a run looks at: an angle runs when the run's band is at least the angle's.
    Band, "band",
    /// The default.
    Small = "small",
    Medium = "medium",
    Large = "large",
}

names! {
    /// Where a launcher shows a flow, in the launcher's order.
    Category, "category",
    Analysis = "analysis",
    Discovery = "discovery",
    Planning = "planning",
    Authoring = "authoring",
    Review = "review",
}

names! {
    /// A discipline that is added to prompts: a text for those who produce, one for those who review.
    /// The order is the order in prompts.
    Contract, "contract",
    /// Every item has a source of a trust class.
    Evidence = "evidence",
    /// Every item is needed, or deferred in the open.
    Yagni = "yagni",
}

names! {
    /// What is known at launch and may stand in a `when`.
    Fact, "launch fact",
    /// The run has a project.
    Project = "project",
    /// Documents were provided.
    Documents = "documents",
    /// A base revision to compare with was given.
    Base = "base",
}

/// Longest id, in characters.
pub const ID_LENGTH: usize = 40;

/// Whether `text` is an id of a flow, a step or a persona: `^[a-z][a-z0-9-]{0,39}$`.
pub fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes.first(), Some(b'a'..=b'z'))
        && bytes.len() <= ID_LENGTH
        && bytes
            .iter()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Splits `STEP.FIELD`; `None` when it does not have that form.
///
/// A field is a name of letters, digits and underscores that does not begin with a digit.
pub fn field_reference(text: &str) -> Option<(&str, &str)> {
    let (step, field) = text.split_once('.')?;
    let first = field.bytes().next()?;
    let well_formed = (first.is_ascii_alphabetic() || first == b'_')
        && field
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_id(step) && well_formed).then_some((step, field))
}

/// The step of which `id` is a fan-out child: `verify` for `verify/2`, `None` for anything else.
pub fn parent_of_child(id: &str) -> Option<&str> {
    let (parent, number) = id.rsplit_once('/')?;
    let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    numbered.then_some(parent)
}

/// The number of a fan-out's child: 2 for `verify/2`, `None` for anything else.
pub fn child_number(id: &str) -> Option<usize> {
    let parent = parent_of_child(id)?;
    id[parent.len() + 1..].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_ordered_and_read_back() {
        assert!(Band::Small < Band::Medium && Band::Medium < Band::Large);
        for band in Band::ALL {
            assert_eq!(band.to_string().parse::<Band>().as_ref(), Ok(band));
        }
        let error = "huge".parse::<Band>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown band \"huge\", known are small, medium, large"
        );
    }

    #[test]
    fn ids_have_one_form() {
        for good in ["a", "code-review", "x9", &"a".repeat(40)] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "9a", "A", "a_b", "a/1", "ä", "-a", &"a".repeat(41)] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn field_references_name_a_step_and_a_field() {
        assert_eq!(field_reference("merge.groups"), Some(("merge", "groups")));
        for bad in ["project", "a.", ".b", "a.b.c", "a.1", "A.b", "a.b-c"] {
            assert_eq!(field_reference(bad), None, "{bad}");
        }
    }

    #[test]
    fn children_know_their_parent() {
        assert_eq!(parent_of_child("verify/12"), Some("verify"));
        for other in ["verify", "verify/", "verify/a", "verify/1a"] {
            assert_eq!(parent_of_child(other), None);
        }
    }
}
