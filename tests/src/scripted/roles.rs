//! Recognises a persona by its system prompt, and knows what it would look for.

/// A built-in persona, as far as the scripted model must know it.
#[derive(Debug, PartialEq, Eq)]
pub struct Role {
    pub name: &'static str,
    /// What its finding ids begin with.
    pub prefix: &'static str,
    /// Words that make a file or a line worth its attention.
    pub interests: &'static [&'static str],
}

const fn role(
    name: &'static str,
    prefix: &'static str,
    interests: &'static [&'static str],
) -> Role {
    Role {
        name,
        prefix,
        interests,
    }
}

/// The personas, by name.
pub const ROLES: [Role; 23] = [
    role(
        "adversarial-security-analyst",
        "SEC",
        &[
            "grant", "auth", "password", "token", "unsafe", "sandbox", "allow",
        ],
    ),
    role(
        "adversarial-validator",
        "V",
        &["test", "assert", "must", "never"],
    ),
    role(
        "behavioral-analyst",
        "B",
        &["error", "state", "result", "status", "trigger", "advance"],
    ),
    role(
        "codebase-explorer",
        "D",
        &["main", "lib", "mod", "config", "model"],
    ),
    role(
        "concurrency-analyst",
        "C",
        &["lock", "lease", "async", "claim", "mutex", "transaction"],
    ),
    role("content-auditor", "CA", &["readme", "doc", "md"]),
    role(
        "data-engineer",
        "DE",
        &["sql", "table", "schema", "index", "constraint", "migration"],
    ),
    role(
        "devops-engineer",
        "DOR",
        &["makefile", "ci", "service", "script", "setup", "toml"],
    ),
    role(
        "edge-case-explorer",
        "EC",
        &["limit", "max", "parse", "empty", "bound"],
    ),
    role(
        "evidence-based-investigator",
        "E",
        &["error", "fail", "test", "log"],
    ),
    role("gap-analyzer", "GAP", &["readme", "plan", "design", "todo"]),
    role(
        "information-architect",
        "IA",
        &["readme", "doc", "md", "index"],
    ),
    role(
        "junior-developer",
        "JD",
        &["readme", "main", "config", "assume"],
    ),
    role(
        "on-call-engineer",
        "OCE",
        &["timeout", "retry", "backoff", "error", "limit"],
    ),
    role(
        "project-manager",
        "PM",
        &["readme", "plan", "flow", "scope"],
    ),
    role(
        "project-scanner",
        "PS",
        &["toml", "json", "makefile", "readme", "config"],
    ),
    role(
        "research-analyst",
        "RA",
        &["readme", "design", "option", "doc"],
    ),
    role("risk-analyst", "R", &["risk", "error", "limit", "fail"]),
    role(
        "software-architect",
        "SA",
        &["lib", "mod", "interface", "layer", "api"],
    ),
    role(
        "structural-analyst",
        "S",
        &["lib", "mod", "use", "import", "module"],
    ),
    role(
        "system-architect",
        "SYS",
        &["worker", "server", "service", "connection", "boundary"],
    ),
    role("test-engineer", "T", &["test", "spec", "assert", "fixture"]),
    role(
        "user-experience-designer",
        "UX",
        &["error", "hint", "message", "help", "page"],
    ),
];

/// Where in a system prompt a persona says who it is.
const OPENING: usize = 600;

/// The built-in persona that a system prompt belongs to: the one it names first, else the one whose
/// finding ids its form shows.
pub fn recognise(system: &str) -> Option<&'static Role> {
    named(system).or_else(|| {
        let shown = |role: &&Role| system.contains(&format!("\n### {}1. ", role.prefix));
        ROLES.iter().find(shown)
    })
}

fn named(system: &str) -> Option<&'static Role> {
    let opening: String = system.chars().take(OPENING).collect();
    let opening = words(&opening);
    ROLES
        .iter()
        .filter_map(|role| {
            let at = opening.find(&words(role.name))?;
            Some((at, std::cmp::Reverse(role.name.len()), role))
        })
        .min_by_key(|(at, length, _)| (*at, *length))
        .map(|(_, _, role)| role)
}

/// Whether a system prompt is that of the persona of this name, built in or not.
pub fn speaks_as(system: &str, name: &str) -> bool {
    match named(system) {
        Some(role) => role.name == name,
        None => {
            words(system).contains(&words(name))
                || recognise(system).is_some_and(|role| role.name == name)
        }
    }
}

/// Lower case, with one blank for whatever is between two words.
fn words(text: &str) -> String {
    let parts: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
        .collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::form::Piece;

    #[test]
    fn recognises_the_persona_that_is_named_first() {
        let system = "# Structural analyst\n\nYou are … what the software architect needs.";
        assert_eq!(recognise(system).unwrap().name, "structural-analyst");
        assert_eq!(
            recognise("You are an evidence-based investigator.")
                .unwrap()
                .prefix,
            "E"
        );
        assert_eq!(recognise("You remember things."), None);
    }

    #[test]
    fn every_persona_of_the_project_is_recognised_and_shows_a_form() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../personas");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let body = text.splitn(3, "---\n").nth(2).unwrap();
            let role = recognise(body).unwrap_or_else(|| panic!("{name} is not recognised"));
            assert_eq!(role.name, name);
            let id = format!("{}1.", role.prefix);
            let form = crate::scripted::form::parse(body);
            let item = |piece: &Piece| matches!(piece, Piece::Item { title, .. } if title.starts_with(&id));
            assert!(form.iter().any(item), "{name} shows no item {id}");
            seen += 1;
        }
        assert_eq!(seen, ROLES.len());
    }

    #[test]
    fn a_persona_of_ones_own_is_matched_by_its_text() {
        assert!(speaks_as("You are the Shop Keeper of us.", "shop-keeper"));
        assert!(!speaks_as("You are the risk analyst.", "shop-keeper"));
    }

    #[test]
    fn no_two_roles_share_a_prefix() {
        let mut prefixes: Vec<_> = ROLES.iter().map(|role| role.prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        assert_eq!(prefixes.len(), ROLES.len());
    }
}
