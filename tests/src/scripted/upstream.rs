//! Items of earlier steps that a prompt quotes, the lines they cite, and the element of a fan-out.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// One quoted item: its qualified id, what its heading says, the places it cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub id: String,
    pub title: String,
    pub places: Vec<Place>,
    /// Whether it says of itself that it has a single source.
    pub single_source: bool,
}

/// A cited line, with the words quoted beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: String,
    pub line: usize,
    pub words: Option<String>,
}

/// The findings of one reviewer, as the element of a verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub items: Vec<Item>,
    /// How many texts it holds that could not be read as findings.
    pub raw: usize,
}

static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^#{1,6}\s+`?([a-z][a-z0-9-]*(?:/\d+)?/[A-Z]{1,4}\d+)`?[.:]?\s*(.*)$")
        .expect("the pattern is a constant")
});

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"`([A-Za-z0-9_.][A-Za-z0-9_./-]*):(\d{1,7})(?:-\d{1,7})?`(?: "([^"\n]+)")?"#)
        .expect("the pattern is a constant")
});

static ID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#""id": "([^"\\]+)""#).expect("the pattern is a constant"));

/// The items whose headings stand in a prompt, in order, each id once.
pub fn items(prompt: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut open = false;
    for line in prompt.lines() {
        if let Some(heading) = HEADING.captures(line) {
            open = items.iter().all(|item| item.id != heading[1]);
            if open {
                items.push(Item::new(&heading[1], &heading[2]));
            }
        } else if line.starts_with('#') {
            open = false;
        } else if let Some(item) = items.last_mut().filter(|_| open) {
            item.read(line);
        }
    }
    items
}

/// The element of a verifier, where the prompt has one that is a group of findings. One that was cut
/// is no JSON any more: then the ids that are left.
pub fn group(prompt: &str) -> Option<Group> {
    let (_, rest) = prompt.split_once("\n# Your element\n")?;
    let section = rest.split("\n# ").next().unwrap_or(rest);
    let json = &section[section.find('{')?..];
    let whole = serde_json::Deserializer::from_str(json)
        .into_iter::<Value>()
        .next();
    let Some(Ok(group)) = whole else {
        let ids = ID.captures_iter(json).map(|found| Item::new(&found[1], ""));
        let items: Vec<Item> = ids.collect();
        return (!items.is_empty()).then_some(Group { items, raw: 0 });
    };
    let findings = group["findings"].as_array()?;
    Some(Group {
        items: findings.iter().filter_map(finding).collect(),
        raw: group["raw"].as_array().map_or(0, Vec::len),
    })
}

fn finding(finding: &Value) -> Option<Item> {
    let claim = finding["claim"].as_str().unwrap_or_default();
    let mut item = Item::new(finding["id"].as_str()?, claim);
    item.read(finding["text"].as_str().unwrap_or_default());
    let place = &finding["place"];
    if let (Some(path), Some(line)) = (place["path"].as_str(), place["first"].as_u64())
        && !item.places.iter().any(|known| known.path == path)
    {
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        item.places.push(Place {
            path: path.into(),
            line,
            words: None,
        });
    }
    Some(item)
}

impl Item {
    fn new(id: &str, title: &str) -> Self {
        Self {
            id: id.into(),
            title: title.trim().into(),
            places: Vec::new(),
            single_source: false,
        }
    }

    /// Takes the places of a text. A place named twice keeps the words it was quoted with.
    fn read(&mut self, text: &str) {
        self.single_source |= text.contains("single-source");
        for found in PLACE.captures_iter(text) {
            let Ok(line) = found[2].parse() else { continue };
            let path = found[1].to_owned();
            let words = found.get(3).map(|words| words.as_str().to_owned());
            let known = self
                .places
                .iter_mut()
                .find(|place| place.path == path && place.line == line);
            match known {
                Some(place) => place.words = place.words.take().or(words),
                None => self.places.push(Place { path, line, words }),
            }
        }
    }

    /// The step that it comes from.
    pub fn step(&self) -> &str {
        self.id.rsplit_once('/').map_or("", |(step, _)| step)
    }
}

/// Two items of different steps that cite the same line.
pub struct Conflict<'a> {
    pub one: &'a Item,
    pub other: &'a Item,
    pub place: &'a Place,
}

/// The step of a spine that builds on the others, so that its items are no second opinion.
const SYNTHESIS: &str = "synthesis";

/// Items of different angles that cite the same line and say different things of it, one pair a line.
pub fn conflicts(items: &[Item]) -> Vec<Conflict<'_>> {
    let mut found: Vec<Conflict> = Vec::new();
    let angles: Vec<&Item> = items
        .iter()
        .filter(|item| item.step() != SYNTHESIS)
        .collect();
    for (at, one) in angles.iter().enumerate() {
        for other in &angles[at + 1..] {
            let same = |a: &&Place| {
                let again = |b: &Place| a.path == b.path && a.line == b.line;
                other.places.iter().any(again)
                    && !found
                        .iter()
                        .any(|known| known.place.path == a.path && known.place.line == a.line)
            };
            if one.step() == other.step() || one.title == other.title {
                continue;
            }
            if let Some(place) = one.places.iter().find(same) {
                found.push(Conflict { one, other, place });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_qualified_items_with_their_places() {
        let prompt = "### structure/S1. Two owners\n- Evidence: `src/a.rs:12` \"x y\"\n\
                      ## Next\n`late.rs:1`\n### verify/2/V1. again\n### structure/S1. twice\n`b.rs:9`\n";
        let items = items(prompt);
        assert_eq!(items.len(), 2);
        assert_eq!(
            (items[0].id.as_str(), items[0].step()),
            ("structure/S1", "structure")
        );
        assert_eq!(items[0].title, "Two owners");
        let place = &items[0].places[0];
        assert_eq!((place.path.as_str(), place.line), ("src/a.rs", 12));
        assert_eq!(place.words.as_deref(), Some("x y"));
        assert_eq!(
            (items[1].id.as_str(), items[1].step()),
            ("verify/2/V1", "verify/2")
        );
        assert!(items[1].places.is_empty());
    }

    #[test]
    fn plain_ids_of_a_reply_form_are_no_items() {
        assert!(items("### S1. <the defect>\n- `<path>:<line>`").is_empty());
    }

    fn element(group: &str) -> String {
        format!(
            "# Your part: V\n\nx\n\n# Your element\n\nYours.\n\n```\n{group}\n```\n\n# Contracts\n\n{{"
        )
    }

    #[test]
    fn a_group_of_findings_is_read_whole_or_by_the_ids_that_are_left_of_it() {
        let whole = r#"{"step": "tests", "label": "Tests", "raw": ["?"], "findings": [{"id": "tests/T1", "claim": "c",
            "text": "- Where: `a.rs:3-4`\n- Evidence (codebase): `a.rs:3` \"fn a\"", "place": {"path": "a.rs", "first": 3, "last": 4}}]}"#;
        let read = group(&element(whole)).unwrap();
        assert_eq!(read.raw, 1);
        assert_eq!(
            read.items[0].places.len(),
            1,
            "one place, named three times"
        );
        assert_eq!(read.items[0].places[0].words.as_deref(), Some("fn a"));
        let cut = "{\n  \"findings\": [\n    {\n      \"id\": \"tests/T1\",\n      \"claim";
        assert_eq!(group(&element(cut)).unwrap().items[0].id, "tests/T1");
        assert_eq!(group(&element("just a name")), None);
        assert_eq!(group("# Your part: V"), None);
    }

    #[test]
    fn two_steps_that_say_different_things_of_one_line_are_in_conflict() {
        let prompt = "### synthesis/SA1. None\n`x.rs:1`\n### a/S1. One\n`x.rs:1`\n### a/S2. Two\n`x.rs:1`\n### b/B1. Three\n`x.rs:1`\n### b/B2. One\n`x.rs:2`\n";
        let items = items(prompt);
        let found = conflicts(&items);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].one.id.as_str(), found[0].other.id.as_str()),
            ("a/S1", "b/B1")
        );
    }
}
