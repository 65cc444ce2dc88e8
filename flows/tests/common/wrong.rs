//! Definitions that are wrong, and what must be said about them.

use conductor_flows::FlowError;

use super::read;

pub const HEAD: &str = "name = \"x\"\ncategory = \"review\"\ndescription = \"A flow.\"\n";
pub const ANGLE: &str = "[[angles]]\nid = \"a\"\npersona = \"reader\"\nbrief = \"Read.\"\n";

/// Reads the text, which must fail, and compares kind, field and value.
#[track_caller]
pub fn fails(text: &str, kind: &str, field: &str, value: Option<&str>, cure: &str) -> FlowError {
    let error = read(text).expect_err("the definition is wrong");
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(error.field(), field, "{error}");
    assert_eq!(error.value(), value, "{error}");
    assert_eq!(error.file(), "x.toml");
    assert!(error.cure().contains(cure), "cure: {}", error.cure());
    assert!(error.to_string().contains("x.toml"), "{error}");
    error
}

pub fn spine(rest: &str) -> String {
    format!("{HEAD}{ANGLE}{rest}")
}
