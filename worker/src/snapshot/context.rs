//! `_context/`: what agents would ask git for if they had it, and what the launcher provided.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::disk::{failed, make_private};
use super::{Document, SnapshotError};

const MAX_DOCUMENT_BYTES: usize = 16 << 20;
const MAX_NAME_BYTES: usize = 100;

/// Writes the folder's files.
pub(super) struct Context {
    dir: PathBuf,
}

impl Context {
    /// Makes the folder `dir`.
    pub fn new(dir: PathBuf) -> Result<Self, SnapshotError> {
        make_private(&dir)?;
        Ok(Self { dir })
    }

    pub fn path(&self) -> &std::path::Path {
        &self.dir
    }

    /// Writes one file; its name is new and safe.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), SnapshotError> {
        let path = self.dir.join(name);
        let mut options = OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(&path)
            .and_then(|mut file| file.write_all(content))
            .map_err(|error| failed("write", &path, &error))
    }

    /// Provided documents, each under a name of its own that is safe as a file name.
    pub fn documents(&self, documents: &[Document]) -> Result<(), SnapshotError> {
        if documents.is_empty() {
            return Ok(());
        }
        make_private(&self.dir.join("documents"))?;
        let mut taken = HashSet::new();
        for document in documents {
            let name = unique(&file_name(&document.name), &mut taken);
            let text = document.text.as_bytes();
            let cut = text.len() > MAX_DOCUMENT_BYTES;
            let text = &text[..text.len().min(MAX_DOCUMENT_BYTES)];
            self.write(&format!("documents/{name}"), &bounded(text, cut))?;
        }
        Ok(())
    }
}

/// The text as it is, or cut at a line's end with a line that says so.
pub(super) fn bounded(text: &[u8], cut: bool) -> Vec<u8> {
    if !cut {
        return text.to_vec();
    }
    let end = text
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(text.len(), |i| i + 1);
    let mut kept = text[..end].to_vec();
    if !kept.ends_with(b"\n") {
        kept.push(b'\n');
    }
    kept.extend(format!("[cut here: only the first {end} bytes are kept]\n").bytes());
    kept
}

/// The name as one that is safe in any folder: no separators, no control characters, no dot in front, not too long.
fn file_name(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| match c {
            '.' | '-' | '_' => c,
            c if c.is_alphanumeric() => c,
            _ => '_',
        })
        .collect();
    let safe = safe.trim_start_matches('.');
    if safe.is_empty() {
        return "document".to_owned();
    }
    if safe.len() <= MAX_NAME_BYTES {
        return safe.to_owned();
    }
    let (stem, ending) = split(safe);
    let ending = if ending.len() > 16 { "" } else { ending };
    let end = stem.floor_char_boundary(MAX_NAME_BYTES - ending.len());
    format!("{}{ending}", &stem[..end])
}

/// `a.md` again is `a-2.md`, also where names differ in case only.
fn unique(name: &str, taken: &mut HashSet<String>) -> String {
    let (stem, ending) = split(name);
    let mut candidate = name.to_owned();
    let mut count = 1;
    while !taken.insert(candidate.to_lowercase()) {
        count += 1;
        candidate = format!("{stem}-{count}{ending}");
    }
    candidate
}

fn split(name: &str) -> (&str, &str) {
    name.rfind('.')
        .filter(|dot| *dot > 0)
        .map_or((name, ""), |dot| name.split_at(dot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_names_become_safe_and_unique() {
        assert_eq!(file_name("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(file_name("Größe 1.md"), "Größe_1.md");
        assert_eq!(file_name("..."), "document");
        assert_eq!(file_name("a\nb\u{1b}.txt"), "a_b_.txt");
        let long = file_name(&format!("{}.md", "ä".repeat(200)));
        assert!(long.len() <= MAX_NAME_BYTES && long.ends_with("ä.md"));
        let mut taken = HashSet::new();
        let names = ["a.md", "A.md", "a.md", "b"].map(|name| unique(name, &mut taken));
        assert_eq!(names, ["a.md", "A-2.md", "a-3.md", "b"]);
    }

    #[test]
    fn what_is_cut_says_so_after_a_whole_line() {
        assert_eq!(bounded(b"a\nb", false), b"a\nb");
        let cut = String::from_utf8(bounded(b"a\nbc", true)).unwrap();
        assert_eq!(cut, "a\n[cut here: only the first 2 bytes are kept]\n");
    }
}
