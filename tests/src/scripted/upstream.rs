//! Items of earlier steps that a prompt quotes, and the lines they cite.

use std::sync::LazyLock;

use regex::Regex;

/// One quoted item: its qualified id, what its heading says, the places it cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub id: String,
    pub title: String,
    pub places: Vec<(String, usize)>,
}

static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^#{1,6}\s+`?([a-z][a-z0-9-]*(?:/\d+)?/[A-Z]{1,4}\d+)`?[.:]?\s*(.*)$")
        .expect("the pattern is a constant")
});

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"`([A-Za-z0-9_.][A-Za-z0-9_./-]*):(\d{1,7})`").expect("the pattern is a constant")
});

/// The items whose headings stand in a prompt, in order, each id once.
pub fn items(prompt: &str) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let mut open = false;
    for line in prompt.lines() {
        if let Some(heading) = HEADING.captures(line) {
            open = items.iter().all(|item| item.id != heading[1]);
            if open {
                items.push(Item {
                    id: heading[1].into(),
                    title: heading[2].trim().into(),
                    places: Vec::new(),
                });
            }
        } else if line.starts_with('#') {
            open = false;
        } else if let Some(item) = items.last_mut().filter(|_| open) {
            item.places.extend(places(line));
        }
    }
    items
}

/// The places that a text cites as `path:line`.
fn places(text: &str) -> Vec<(String, usize)> {
    PLACE
        .captures_iter(text)
        .filter_map(|found| Some((found[1].to_owned(), found[2].parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_qualified_items_with_their_places() {
        let prompt = "### structure/S1. Two owners\n- Evidence: `src/a.rs:12` \"x\"\n\
                      ## Next\n`late.rs:1`\n### verify/2/V1. again\n### structure/S1. twice\n`b.rs:9`\n";
        let items = items(prompt);
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].id, "structure/S1");
        assert_eq!(items[0].title, "Two owners");
        assert_eq!(items[0].places, [("src/a.rs".to_owned(), 12)]);
        assert_eq!(items[1].id, "verify/2/V1");
        assert!(items[1].places.is_empty());
    }

    #[test]
    fn plain_ids_of_a_reply_form_are_no_items() {
        assert!(items("### S1. <the defect>\n- `<path>:<line>`").is_empty());
    }
}
