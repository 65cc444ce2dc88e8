//! Copying what names commits: HEAD, packed and loose refs, the edge of a shallow clone. Data only, checked line by
//! line where git would otherwise follow it.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::FileType;

use super::beneath::Dir;
use super::repository::Repository;

const MAX_REF_BYTES: u64 = 4096;
const MAX_PACKED_BYTES: u64 = 128 << 20;
const MAX_DEPTH: usize = 32;
const MAX_LOOSE: usize = 100_000;

/// Why the refs were not copied.
pub(super) enum Trouble {
    /// The repository's are not what we know.
    Theirs(String),
    /// Ours cannot be written.
    Ours(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Ours(error)
    }
}

/// Copies them into the private folder `to`. Returns the branch that HEAD names, if it names one.
pub(super) fn copy(from: &Repository, to: &Path) -> Result<Option<String>, Trouble> {
    let head = from
        .git_dir
        .read(b"HEAD", MAX_REF_BYTES)
        .map_err(|error| Trouble::Theirs(format!("its HEAD cannot be read: {error}")))?;
    if !is_ref(&head) {
        return Err(Trouble::Theirs("its HEAD is in a form unknown here".into()));
    }
    fs::write(to.join("HEAD"), &head)?;
    for name in ["packed-refs", "shallow"] {
        match from.common.read(name.as_bytes(), MAX_PACKED_BYTES) {
            Ok(content) => fs::write(to.join(name), content)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Trouble::Theirs(format!(
                    "its {name} cannot be read: {error}"
                )));
            }
        }
    }
    let refs = to.join("refs");
    fs::create_dir(&refs)?;
    let mut left = MAX_LOOSE;
    if let Ok(theirs) = from.common.dir(b"refs") {
        loose(&theirs, &refs, MAX_DEPTH, &mut left)?;
    }
    let branch = head.strip_prefix(b"ref: refs/heads/");
    Ok(branch.map(|name| super::notes::shown(name.trim_ascii_end())))
}

fn loose(from: &Dir, to: &Path, depth: usize, left: &mut usize) -> io::Result<()> {
    let Ok((entries, _)) = from.entries(*left) else {
        return Ok(());
    };
    *left -= entries.len();
    for (name, kind) in entries {
        let target = to.join(std::ffi::OsStr::from_bytes(&name));
        if kind == FileType::Directory && depth > 0 {
            if let Ok(below) = from.dir(&name) {
                fs::create_dir(&target)?;
                loose(&below, &target, depth - 1, left)?;
            }
        } else if kind == FileType::RegularFile
            && let Ok(content) = from.read(&name, MAX_REF_BYTES)
            && is_ref(&content)
        {
            fs::write(target, content)?;
        }
    }
    Ok(())
}

/// A hash, or the name of another ref.
fn is_ref(content: &[u8]) -> bool {
    let line = content.trim_ascii_end();
    let is_hash = matches!(line.len(), 40 | 64) && line.iter().all(u8::is_ascii_hexdigit);
    is_hash
        || line
            .strip_prefix(b"ref: refs/")
            .is_some_and(|name| !name.is_empty() && !name.iter().any(u8::is_ascii_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hashes_and_names_of_refs_are_refs() {
        assert!(is_ref(format!("{}\n", "a".repeat(40)).as_bytes()));
        assert!(is_ref(&[b'0'; 64]));
        assert!(is_ref(b"ref: refs/heads/main\n"));
        for bad in [
            b"ref: ../../x".as_slice(),
            b"",
            b"abc",
            b"ref: refs/",
            b"ref: refs/a\nb",
        ] {
            assert!(!is_ref(bad));
        }
    }
}
