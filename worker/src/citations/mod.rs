//! Whether the lines that an output cites are there: each is looked up in the snapshot that was read.

mod content;
mod folder;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use conductor_flows::citation::{self, Citation};
use serde_json::{Value, json};

use content::Content;
use folder::{Folder, Found};

/// More citations than any report needs.
pub const MAX_CITATIONS: usize = 2000;
/// How many bytes of cited files are read for one output.
const MAX_READ: u64 = 256 << 20;

/// One citation, however often the text repeats it.
struct Entry<'t> {
    citation: Citation<'t>,
    /// Each of its quotes once.
    quotes: Vec<&'t str>,
    verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Holds,
    Broken(String),
    /// Reading it would have been too much, or failed.
    Unchecked,
}

/// What one output cites, and what of it does not hold, as `task_finish` takes it:
/// `{"total": 12, "broken": [{"cited": "src/a.rs:99", "why": "the file has 40 lines"}]}`.
///
/// `folder` is the snapshot, and `max_file_bytes` the size of the largest file in it that is read.
/// A citation counts once, however often it is repeated. When not all could be checked (at most
/// [`MAX_CITATIONS`]), `note` says so and `total` counts those that were.
///
/// # Errors
/// When the snapshot cannot be reached.
pub fn check(text: &str, folder: &Path, max_file_bytes: u64) -> io::Result<Value> {
    let mut folder = Folder::open(folder)?;
    let (mut entries, mut all) = collect(text, &mut folder);
    judge(&mut entries, &mut folder, max_file_bytes);
    let before = entries.len();
    entries.retain(|entry| entry.verdict != Verdict::Unchecked);
    all &= entries.len() == before;
    let broken: Vec<Value> = entries
        .iter()
        .filter_map(|entry| match &entry.verdict {
            Verdict::Broken(why) => Some(json!({"cited": entry.citation.cited, "why": why})),
            _ => None,
        })
        .collect();
    let mut found = json!({"total": entries.len(), "broken": broken});
    if !all {
        found["note"] = json!(format!(
            "not every citation was checked: at most {MAX_CITATIONS}, and {} MiB of files",
            MAX_READ >> 20
        ));
    }
    Ok(found)
}

/// The citations of a text, and whether these are all.
fn collect<'t>(text: &'t str, folder: &mut Folder) -> (Vec<Entry<'t>>, bool) {
    let mut entries: Vec<Entry> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut quotes: HashSet<(usize, &str)> = HashSet::new();
    let mut known = |path: &str| folder.has(path);
    for mut citation in citation::find(text, &mut known) {
        let quote = citation.quote.take();
        let at = match places.get(citation.cited.as_ref()) {
            Some(at) => *at,
            None if entries.len() == MAX_CITATIONS => return (entries, false),
            None => {
                places.insert(citation.cited.clone().into_owned(), entries.len());
                entries.push(Entry {
                    citation,
                    quotes: Vec::new(),
                    verdict: Verdict::Holds,
                });
                entries.len() - 1
            }
        };
        if let Some(quote) = quote
            && !quotes.contains(&(at, quote))
        {
            if quotes.len() == MAX_CITATIONS {
                return (entries, false);
            }
            quotes.insert((at, quote));
            entries[at].quotes.push(quote);
        }
    }
    (entries, true)
}

fn judge(entries: &mut [Entry], folder: &mut Folder, max_file_bytes: u64) {
    let mut files: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new();
    let mut missing = Vec::new();
    for (at, entry) in entries.iter_mut().enumerate() {
        let broken = |why: &str| Verdict::Broken(why.to_owned());
        match folder.find(&entry.citation.path) {
            Found::File(file) => files.entry(file).or_default().push(at),
            Found::Outside => entry.verdict = broken("outside the project"),
            Found::Other => entry.verdict = broken("not a file"),
            Found::Nothing => {
                entry.verdict = broken("no such file");
                missing.push(at);
            }
        }
    }
    for at in missing {
        if let Some(file) = abbreviated(&entries[at].citation.path, files.keys()) {
            files.entry(file).or_default().push(at);
        }
    }
    let mut left = MAX_READ;
    for (file, cited) in files {
        let content = Content::read(&file, max_file_bytes.min(left));
        left -= content.as_ref().map_or(0, Content::size);
        let claims = cited
            .iter()
            .map(|at| (&entries[*at].citation, entries[*at].quotes.as_slice()));
        let verdicts = match content {
            Ok(content) => content.judge(&claims.collect::<Vec<_>>()),
            Err(_) => vec![Verdict::Unchecked; cited.len()],
        };
        for (at, verdict) in cited.into_iter().zip(verdicts) {
            entries[at].verdict = verdict;
        }
    }
}

/// The one file, of those cited by their whole path, that a shortened path can mean: who has written
/// `src/runner/attend.rs:10` goes on with `attend.rs:20`.
fn abbreviated<'a>(path: &str, files: impl Iterator<Item = &'a PathBuf>) -> Option<PathBuf> {
    let mut fitting = files.filter(|file| file.ends_with(path));
    let file = fitting.next()?;
    fitting.next().is_none().then(|| file.clone())
}
