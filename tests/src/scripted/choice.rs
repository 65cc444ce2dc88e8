//! Which files are most worth reading.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::analyst::Situation;
use super::evidence;

/// The two to four files most worth reading, out of what was listed and found.
pub fn chosen_files(situation: &Situation, snapshot: &str) -> Vec<String> {
    let hits = evidence::hits(situation.talk);
    let mut files = evidence::listed(situation.talk, snapshot);
    files.extend(hits.keys().cloned());
    files.extend(situation.changed.keys().cloned());
    files.sort();
    files.dedup();
    let mut ranked: Vec<(Reverse<usize>, u64, String)> = files
        .into_iter()
        .filter_map(|file| {
            let score = file_worth(&file, situation, &hits)?;
            Some((Reverse(score), evidence::mix(situation.seed, &file), file))
        })
        .collect();
    ranked.sort();
    let most = if situation.fast { 2 } else { 4 };
    ranked
        .into_iter()
        .take(most)
        .map(|(_, _, file)| file)
        .collect()
}

/// None for what holds no text to cite.
fn file_worth(file: &str, situation: &Situation, hits: &BTreeMap<String, usize>) -> Option<usize> {
    let lower = file.to_lowercase();
    let extension = lower
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    let hidden = lower.split('/').any(|part| {
        part.starts_with('.') || ["_context", "node_modules", "target", "vendor"].contains(&part)
    });
    let binary = [
        "png", "jpg", "jpeg", "gif", "ico", "pdf", "zip", "gz", "so", "a", "o", "bin", "woff",
        "woff2", "lock", "min.js", "map", "jsonl", "svg",
    ];
    if hidden || binary.contains(&extension) || lower.ends_with("-lock.json") {
        return None;
    }
    let source = [
        "rs", "py", "ts", "tsx", "js", "go", "java", "c", "h", "cpp", "rb", "sql", "sh", "kt",
        "swift", "php", "cs", "ex", "scala",
    ];
    let prose = ["md", "rst", "txt", "adoc", "toml", "yml", "yaml"];
    let kind = match extension {
        extension if source.contains(&extension) => 4,
        extension if prose.contains(&extension) => 2,
        _ => 1,
    };
    let named = situation
        .keywords
        .iter()
        .filter(|word| lower.contains(*word))
        .count();
    let interests = situation.role.map_or(&[][..], |role| role.interests);
    let interesting = interests
        .iter()
        .filter(|word| lower.contains(*word))
        .count();
    let found = hits.get(file).copied().unwrap_or(0).min(3);
    let changed = usize::from(situation.changed.contains_key(file));
    Some(kind + 4 * named + 2 * interesting.min(2) + 2 * found + 50 * changed)
}
