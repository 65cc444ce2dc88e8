//! Checks on what texts for models say.

use std::collections::BTreeSet;

/// Tools that an agent in read-only mode has not got, or shall not be sent to.
const TOOLS: [&str; 12] = [
    "run_shell_command",
    "write_file",
    "`edit`",
    "`replace`",
    "`shell`",
    "`bash`",
    "web_fetch",
    "web_search",
    "save_memory",
    "todo_write",
    "ask_user",
    "exit_plan_mode",
];

/// Words that are an order to change or to start something where a clause begins with them.
const ACTS: [&str; 14] = [
    "run",
    "execute",
    "edit",
    "create",
    "save",
    "install",
    "modify",
    "delete",
    "compile",
    "deploy",
    "implement",
    "download",
    "rewrite",
    "refactor",
];

/// The same, but also the names of things: orders only before one of [`OBJECTS`].
const NOUNS: [&str; 7] = [
    "build", "patch", "commit", "push", "launch", "fetch", "apply",
];
const OBJECTS: [&str; 8] = ["the", "it", "this", "that", "a", "an", "all", "everything"];

/// What "ask" is followed by where it sends somebody to people.
const PEOPLE: [&str; 12] = [
    "the", "a", "an", "them", "him", "her", "for", "back", "somebody", "someone", "people", "users",
];

/// What a read-only agent cannot write.
const PRODUCTS: [&str; 10] = [
    "file",
    "files",
    "test",
    "tests",
    "code",
    "script",
    "patch",
    "disk",
    "function",
    "migration",
];

/// The clauses of a text that order what an agent in read-only mode cannot do.
pub fn told_to_act(text: &str) -> Vec<String> {
    let mut hits: Vec<String> = TOOLS
        .iter()
        .filter(|tool| text.contains(*tool))
        .map(|tool| (*tool).to_owned())
        .collect();
    for line in text.lines() {
        let line: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let line = line.as_str();
        let clauses = line.split_inclusive(['.', ':', ';', '?', '!', ',', '(']);
        hits.extend(
            clauses
                .filter(|clause| orders(clause, line))
                .map(str::to_owned),
        );
    }
    hits
}

fn orders(clause: &str, line: &str) -> bool {
    // A quotation's end goes on with the sentence around it, and a slot of a form asks for words.
    if clause.trim_start().starts_with(['"', '<']) {
        return false;
    }
    let words = words(clause);
    let mut words: &[String] = &words;
    while words
        .first()
        .is_some_and(|it| it.parse::<u32>().is_ok() || it == "then" || it == "please")
    {
        words = &words[1..];
    }
    let Some((first, rest)) = words.split_first() else {
        return false;
    };
    match first.as_str() {
        "ask" => rest.first().is_some_and(|it| PEOPLE.contains(&it.as_str())),
        "write" => rest
            .iter()
            .take(5)
            .any(|it| PRODUCTS.contains(&it.as_str())),
        // Alone between signs it is one word of a list.
        act if ACTS.contains(&act) => !rest.is_empty() && starts_a_sentence(clause, line),
        act => {
            let object = rest
                .first()
                .is_some_and(|it| OBJECTS.contains(&it.as_str()));
            NOUNS.contains(&act) && object && starts_a_sentence(clause, line)
        }
    }
}

/// Whether a clause follows more than a comma, behind which "create" is mostly one word of a list,
/// or says "then".
fn starts_a_sentence(clause: &str, line: &str) -> bool {
    let at = clause.as_ptr() as usize - line.as_ptr() as usize;
    let before = line[..at].trim_end();
    let clause = clause.trim_start();
    !before.ends_with([',', '(']) || clause.starts_with("then ") || clause.starts_with("please ")
}

/// How much of the shorter text stands in the other, as the share of its pairs of words: 0 to 1.
pub fn likeness(one: &str, other: &str) -> f64 {
    let pairs = |text: &str| -> BTreeSet<(String, String)> {
        let words = words(text);
        let pairs = words.windows(2);
        pairs
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect()
    };
    let (one, other) = (pairs(one), pairs(other));
    let least = one.len().min(other.len()).max(1);
    let common = one.intersection(&other).count();
    // Texts have far fewer pairs than a float has exact integers.
    f64::from(u32::try_from(common).unwrap()) / f64::from(u32::try_from(least).unwrap())
}

/// Lower-case words, without signs.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
