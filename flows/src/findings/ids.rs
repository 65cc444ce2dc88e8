//! The ids by which a verifier speaks of the findings of its group.

use std::collections::HashMap;

use super::Group;
use super::lines::unmarked;

/// The ids that a verifier may use.
pub(super) struct Ids {
    /// Id, qualified or not, to the one of the finding.
    known: HashMap<String, String>,
}

impl Ids {
    pub fn new(group: &Group) -> Self {
        let mut known: HashMap<String, String> = HashMap::new();
        let joined = group.findings.iter().flat_map(|it| &it.joined);
        for finding in group.findings.iter().chain(joined) {
            known.insert(finding.id.clone(), finding.id.clone());
            if let Some((_, local)) = finding.id.rsplit_once('/') {
                // Of equal ones the first counts: the group's own step.
                known
                    .entry(local.to_owned())
                    .or_insert_with(|| finding.id.clone());
            }
        }
        Self { known }
    }

    /// The ids that stand one after the other at the beginning of a text, and what follows them.
    pub fn leading<'t>(&self, text: &'t str) -> (Vec<String>, &'t str) {
        let mut found = Vec::new();
        let mut rest = text;
        loop {
            let start = rest
                .trim_start_matches(|c: char| c.is_whitespace() || "*_`[](),;&+、，".contains(c));
            let start = match start.strip_prefix("and ") {
                Some(after) if !found.is_empty() => after.trim_start_matches(['`', '*', ' ']),
                _ => start,
            };
            let length = start
                .find(|c: char| !(c.is_ascii_alphanumeric() || "/-_".contains(c)))
                .unwrap_or(start.len());
            let word = start[..length].trim_end_matches(['-', '/']);
            match self.known.get(word) {
                Some(id) => {
                    found.push(id.clone());
                    rest = &start[word.len()..];
                }
                None => return (found, rest),
            }
        }
    }

    /// Ids at the beginning of a line, behind its marks and the verifier's own number.
    pub fn of_line<'t>(&self, line: &'t str) -> (Vec<String>, &'t str) {
        let text = unmarked(line);
        let (found, rest) = self.leading(text);
        if !found.is_empty() {
            return (found, rest);
        }
        let bare = text.trim_start_matches(['*', '_', '[', '`']);
        for word in [
            "Finding ", "finding ", "Issue ", "Item ", "ID: ", "Id: ", "id: ",
        ] {
            if let Some(rest) = bare.strip_prefix(word) {
                return self.leading(rest);
            }
        }
        let rest = bare.strip_prefix('V').unwrap_or("");
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=4).contains(&digits) {
            let rest = rest[digits..]
                .trim_start_matches(|c: char| c.is_whitespace() || ".:)]*_`-–—(".contains(c));
            let rest = rest.strip_prefix("Finding ").unwrap_or(rest);
            return self.leading(rest);
        }
        (Vec::new(), text)
    }
}
