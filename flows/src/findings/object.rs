//! Findings as JSON: an array, an object that holds one, or what is left of either.

use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::Severity;
use super::head::{head, tidy};
use super::names::Names;
use super::pieces::{Item, Piece};
use super::place::Spot;
use super::words::{Label, label, nothing, plain, rating};
use crate::text::strip_controls;

/// JSON with its keys in the order in which they were written.
#[derive(Debug)]
pub(super) enum Node {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Leaf(Value),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Node;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("JSON")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Node::Object(pairs))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = list.next_element()? {
                    nodes.push(node);
                }
                Ok(Node::Array(nodes))
            }
            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Leaf(Value::String(strip_controls(text))))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
                Ok(Node::Leaf(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
                Ok(Node::Leaf(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
                Ok(Node::Leaf(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
                Ok(Node::Leaf(value.into()))
            }
            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Leaf(Value::Null))
            }
        }
        from.deserialize_any(Reader)
    }
}

impl Node {
    /// A value as people read it.
    pub fn words(&self) -> String {
        match self {
            Node::Leaf(Value::String(text)) => text.clone(),
            Node::Leaf(Value::Null) => String::new(),
            Node::Leaf(value) => value.to_string(),
            Node::Array(list) => {
                let words: Vec<String> = list.iter().map(Node::words).collect();
                words.join("; ")
            }
            Node::Object(pairs) => {
                let words: Vec<String> = pairs
                    .iter()
                    .map(|(key, value)| format!("{}: {}", strip_controls(key), value.words()))
                    .collect();
                words.join(", ")
            }
        }
    }
}

/// Reads JSON as models write it; also returns what stands behind where it was cut off.
///
/// Line ends in strings and commas before brackets are mended, what was left open is closed.
pub(super) fn read(text: &str) -> Option<(Node, &str)> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    if let Ok(node) = serde_json::from_str(text) {
        return Some((node, ""));
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut open: Vec<char> = Vec::new();
    let mut good: Option<(usize, usize, Vec<char>)> = None;
    let (mut string, mut escaped, mut comma) = (false, false, None);
    for (at, c) in text.char_indices() {
        if string {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c => out.push(c),
            }
            string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '}' | ']' => {
                if let Some(comma) = comma.take() {
                    out.replace_range(comma..=comma, " ");
                }
                if open.pop() != Some(c) {
                    break;
                }
                out.push(c);
                if c == '}' && open.last() == Some(&']') && open.len() < 100 {
                    good = Some((at + 1, out.len(), open.clone()));
                }
                if open.is_empty() {
                    let rest = &text[at + 1..];
                    return serde_json::from_str(&out).ok().map(|node| (node, rest));
                }
                continue;
            }
            '{' => open.push('}'),
            '[' => open.push(']'),
            '"' => string = true,
            _ => {}
        }
        if c == ',' {
            comma = Some(out.len());
        } else if !c.is_whitespace() {
            comma = None;
        }
        out.push(c);
    }
    let (end, length, open) = good?;
    out.truncate(length);
    out.extend(open.iter().rev());
    let node = serde_json::from_str(&out).ok()?;
    Some((node, &text[end..]))
}

/// What JSON says of findings.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub pieces: Vec<Piece>,
    pub none: bool,
    pub yagni: Vec<String>,
    /// Its summaries.
    pub aside: Vec<String>,
    /// Whether it has an empty list.
    empty: bool,
}

/// The findings of a JSON text; `None` if it is none.
pub(super) fn findings(text: &str, names: &Names) -> Option<Found> {
    let (node, rest) = read(text)?;
    let mut found = Found::default();
    found.walk(node, None, names);
    let empty = found.pieces.is_empty();
    found.none |= empty && found.empty && rest.trim().is_empty();
    if rest.chars().any(char::is_alphanumeric) {
        found.pieces.push(Piece::Raw(rest.to_owned()));
    }
    Some(found)
}

impl Found {
    /// Whether it has a finding or notes, or says that there are none; else it is only code.
    pub fn says_something(&self) -> bool {
        let item = |it: &Piece| matches!(it, Piece::Item(_));
        self.none || !self.yagni.is_empty() || self.pieces.iter().any(item)
    }

    fn walk(&mut self, node: Node, hint: Option<Severity>, names: &Names) {
        match node {
            Node::Array(list) => {
                self.empty |= list.is_empty();
                for node in list {
                    self.walk(node, hint, names);
                }
            }
            Node::Object(pairs) => match item(&pairs, hint, names) {
                Some(item) => self.pieces.push(Piece::Item(item)),
                None => pairs
                    .into_iter()
                    .for_each(|pair| self.pair(pair, hint, names)),
            },
            Node::Leaf(Value::String(text)) if nothing(&text, true) => self.none = true,
            Node::Leaf(Value::String(text)) if !text.trim().is_empty() => {
                self.pieces.push(Piece::Raw(text));
            }
            Node::Leaf(_) => {}
        }
    }

    /// A key that holds no finding itself.
    fn pair(&mut self, (key, node): (String, Node), hint: Option<Severity>, names: &Names) {
        let key = plain(&key);
        if key.contains("yagni") {
            self.yagni.push(node.words());
            return;
        }
        match node {
            Node::Leaf(_) if ["summary", "overview"].contains(&key.as_str()) => {
                self.aside.push(node.words());
            }
            Node::Leaf(Value::String(text)) if !nothing(&text, true) && !text.trim().is_empty() => {
                self.pieces.push(Piece::Raw(format!("{key}: {text}")));
            }
            node => self.walk(node, rating(&key).or(hint), names),
        }
    }
}

/// The finding that an object is: one with a severity, an id of the step, or a claim and where or why.
/// What log lines and settings have (`name`, `level`, `message`) does not make one.
fn item(pairs: &[(String, Node)], hint: Option<Severity>, names: &Names) -> Option<Item> {
    let mut item = Item::default();
    let mut spot = Spot::default();
    let mut claim: Option<(u8, String)> = None;
    let mut marks = 0;
    let (mut sure, mut claimed, mut shown) = (hint.is_some(), false, false);
    for (key, node) in pairs {
        let key = plain(key);
        let Some(label) = label(&key) else {
            continue;
        };
        let shy = ["level", "name", "message", "text"].contains(&key.as_str());
        let leaf = matches!(node, Node::Leaf(_));
        let words = node.words();
        match label {
            Label::Id => {
                let id = names.id(words.trim());
                sure |= id.is_some();
                shown = true;
                item.id = item.id.or(id.map(|(id, _)| id));
                marks += 1;
            }
            Label::Severity => {
                item.severity = item.severity.or_else(|| rating(&words));
                sure |= leaf && !shy;
                shown |= leaf;
                marks += usize::from(leaf);
            }
            Label::Claim(rank) if leaf && !words.trim().is_empty() => {
                marks += usize::from(rank < 2);
                claimed |= !shy;
                sure |= rank < 2 && !shy && key != "title";
                if claim.as_ref().is_none_or(|it| rank < it.0) {
                    claim = Some((rank, words));
                }
            }
            Label::Place | Label::File | Label::Line | Label::LastLine => {
                marks += usize::from(leaf);
                shown = true;
                note(&mut spot, label, node);
            }
            Label::Detail if leaf => shown = true,
            _ => {}
        }
    }
    let holds = pairs.iter().any(|(_, node)| match node {
        Node::Array(list) => list.iter().any(|it| matches!(it, Node::Object(pairs) if {
            pairs.iter().any(|(key, _)| matches!(label(&plain(key)), Some(Label::Severity | Label::Claim(_))))
        })),
        _ => false,
    });
    let counts = sure || claimed && shown;
    if holds || !counts || marks == 0 || (claim.is_none() && marks < 2) {
        return None;
    }
    for (key, node) in pairs {
        writeln!(item.text, "- {}: {}", strip_controls(key), node.words())
            .expect("a string takes everything");
    }
    let claim = claim.map_or_else(String::new, |it| it.1);
    let begun = head(&claim, names);
    item.severity = item.severity.or(begun.severity).or(hint);
    item.id = item.id.or(begun.id);
    item.claim = match begun.claim.is_empty() {
        true => tidy(&claim),
        false => begun.claim,
    };
    item.place = spot.place(&item.text);
    Some(item)
}

/// Notes a place; one that is an object holds its file and line.
fn note(spot: &mut Spot, label: Label, node: &Node) {
    match node {
        Node::Object(pairs) => {
            for (key, node) in pairs {
                if let Some(label) = super::words::label(&plain(key)) {
                    spot.note(label, &node.words());
                }
            }
        }
        Node::Array(list) => list.iter().for_each(|node| match node {
            Node::Array(_) => {}
            node => note(spot, label, node),
        }),
        Node::Leaf(_) => spot.note(label, &node.words()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = Names {
        step: "correctness",
        prefix: "B",
    };

    fn claims(text: &str) -> Vec<String> {
        let found = findings(text, &NAMES).unwrap();
        let claim = |piece: &Piece| match piece {
            Piece::Item(item) => {
                format!("{:?} {}", item.severity.map(Severity::as_str), item.claim)
            }
            Piece::Raw(text) | Piece::Trail(text) => format!("raw {text}"),
        };
        found.pieces.iter().map(claim).collect()
    }

    #[test]
    fn arrays_objects_and_groups_are_read() {
        let one = "Some(\"critical\") x";
        for text in [
            r#"[{"id": "B1", "severity": "high", "claim": "x"}]"#,
            r#"{"findings": [{"severity": "Critical", "title": "x", "line": 3}], "summary": "s"}"#,
            r#"{"review": {"issues": {"critical": [{"description": "x", "file": "a.rs"}]}}}"#,
            r#"{"id": "B1", "priority": "P1", "message": "x"}"#,
            "[{\"id\": \"B1\", \"severity\": \"high\", \"claim\": \"x\",},]",
        ] {
            assert_eq!(claims(text), [one], "{text}");
        }
    }

    #[test]
    fn log_lines_and_settings_are_no_findings() {
        for text in [
            r#"{"name":"svc","level":"error","path":"/tmp/x","line":3}"#,
            r#"{"level":"error","message":"refused","path":"/tmp/x","line":3}"#,
            r#"[{"id": 7, "name": "svc", "level": "info"}]"#,
        ] {
            assert!(!findings(text, &NAMES).unwrap().says_something(), "{text}");
        }
        let text = r#"{"title": "x", "level": "high", "line": 3}"#;
        assert_eq!(claims(text), ["Some(\"critical\") x"]);
    }

    #[test]
    fn what_was_cut_off_is_read_as_far_as_it_goes() {
        let text =
            r#"{"findings": [{"id": "B1", "severity": "low", "claim": "x"}, {"id": "B2", "cla"#;
        assert_eq!(
            claims(text),
            ["Some(\"suggestion\") x", "raw , {\"id\": \"B2\", \"cla"]
        );
        let text = "[{\"severity\": \"low\", \"claim\": \"x\ny\"}]";
        assert_eq!(claims(text), ["Some(\"suggestion\") x y"]);
    }

    #[test]
    fn an_empty_list_says_that_there_are_none() {
        for text in [
            "[]",
            "{\"findings\": []}",
            "{\"findings\": \"NO FINDINGS\"}",
        ] {
            let found = findings(text, &NAMES).unwrap();
            assert!(found.none && found.pieces.is_empty(), "{text}");
        }
        assert!(findings("{broken", &NAMES).is_none());
        assert!(!findings("{\"retries\": 3}", &NAMES).unwrap().none);
    }

    #[test]
    fn deep_and_wide_brackets_are_linear() {
        for unit in ["[", "{", "[{\"a\":", "{}", "[{},", "\"", "{\"a\":\"\\"] {
            let _ = findings(&format!("[{}", unit.repeat(1_000_000 / unit.len())), &NAMES);
        }
    }
}
