//! Citations that were checked against the snapshot.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::citation::find;

/// What the check of one output's citations found.
///
/// The stored form is `{"total": 12, "broken": [{"cited": "src/a.rs:99", "why": "…"}]}`; an entry
/// of `broken` may also be the citation alone, or have `path` and `line`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Citations {
    /// How many citations were checked.
    pub total: usize,
    /// Those that do not hold.
    pub broken: Vec<Broken>,
}

/// A citation that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broken {
    /// As it stands in the output: `src/a.rs:99`.
    pub cited: String,
    /// What is wrong with it.
    #[serde(default)]
    pub why: Option<String>,
}

impl Citations {
    /// Reads the stored form; what cannot be read counts as nothing found.
    pub fn read(value: &Value) -> Self {
        let list = value.get("broken").and_then(Value::as_array);
        let broken: Vec<Broken> = list.into_iter().flatten().filter_map(broken).collect();
        let total = value.get("total").and_then(Value::as_u64).unwrap_or(0);
        let total = usize::try_from(total)
            .unwrap_or(usize::MAX)
            .max(broken.len());
        Self { total, broken }
    }
}

fn broken(value: &Value) -> Option<Broken> {
    if let Some(cited) = value.as_str() {
        return Some(Broken {
            cited: cited.to_owned(),
            why: None,
        });
    }
    let text = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| value.get(key)?.as_str())
            .map(str::to_owned)
    };
    let cited = text(&["cited", "citation", "text"]).or_else(|| {
        let line = value.get("line")?;
        Some(format!("{}:{}", text(&["path", "file"])?, line.as_u64()?))
    })?;
    Some(Broken {
        cited,
        why: text(&["why", "reason", "error"]),
    })
}

/// What stands behind a broken citation.
pub(super) const MARK: &str = " ⚠ broken citation";

/// Marks every place that cites one of `broken`. Linear in the text's length.
pub(super) fn mark(text: &str, broken: &[Broken]) -> String {
    let wanted: HashSet<&str> = broken.iter().map(|it| it.cited.as_str()).collect();
    if wanted.is_empty() {
        return text.to_owned();
    }
    let path = |cited: &str| {
        cited
            .split([':', '#'])
            .next()
            .unwrap_or("")
            .replace('\\', "")
    };
    let paths: HashSet<String> = wanted.iter().map(|cited| path(cited)).collect();
    let mut known = |path: &str| paths.contains(path);
    let mut out = String::with_capacity(text.len() + 1024);
    let mut copied = 0;
    for citation in find(text, &mut known) {
        if wanted.contains(citation.cited.as_ref()) {
            out.push_str(&text[copied..citation.span.end]);
            out.push_str(MARK);
            copied = citation.span.end;
        }
    }
    out.push_str(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_a_broken_citation_is_read() {
        let found = Citations::read(&json!({"total": 3, "broken": [
            "a.rs:1", {"cited": "b.rs:2", "why": "no such file"}, {"path": "c.rs", "line": 3}, 7]}));
        assert_eq!(found.total, 3);
        let cited: Vec<&str> = found.broken.iter().map(|it| it.cited.as_str()).collect();
        assert_eq!(cited, ["a.rs:1", "b.rs:2", "c.rs:3"]);
        assert_eq!(Citations::read(&json!("nonsense")), Citations::default());
    }

    #[test]
    fn only_the_cited_place_is_marked() {
        let broken = [Broken {
            cited: "src/a.rs:9".into(),
            why: None,
        }];
        let text = "`src/a.rs:9` and (src/a.rs:9) but x/src/a.rs:9, src/a.rs:99, src/a.rs:9-12\n\
                    ```\nsrc/a.rs:9\n```\n";
        let marked = mark(text, &broken);
        assert_eq!(marked.matches(MARK).count(), 2);
        assert_eq!(marked.replace(MARK, ""), text);
        assert!(marked.starts_with("`src/a.rs:9 ⚠ broken citation` and (src/a.rs:9 ⚠"));
    }

    #[test]
    fn every_form_is_marked_behind_the_whole_of_it() {
        let cited = ["src/a.rs#L9", "src/a.rs:9:5", "src/a.rs:7", "bin/run:3"];
        let broken = cited.map(|cited| Broken {
            cited: cited.into(),
            why: None,
        });
        let text = "src/a.rs#L9, src/a.rs:9:5 and `src/a.rs`, line 7 or `bin/run:3`";
        let marked = mark(text, &broken);
        assert_eq!(marked.matches(MARK).count(), 4);
        assert!(marked.contains("`src/a.rs`, line 7 ⚠") && marked.contains(":9:5 ⚠"));
    }

    #[test]
    fn a_line_of_colons_is_linear() {
        let text = "a:1".repeat(1_000_000);
        let broken = [Broken {
            cited: "z:1".into(),
            why: None,
        }];
        assert_eq!(mark(&text, &broken), text);
    }
}
