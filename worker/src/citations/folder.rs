//! Paths of a snapshot.

use std::collections::HashMap;
use std::io;
use std::path::{Component, Path, PathBuf};

/// How many different paths are looked up for one output; of those beyond nothing is known.
const MAX_LOOKUPS: usize = 20_000;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A regular file, with links resolved.
    File(PathBuf),
    /// A folder or something special.
    Other,
    Nothing,
    /// Not in the folder: absolute, climbing, or through a link that leads out.
    Outside,
}

/// A snapshot, and what was looked up in it.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    found: HashMap<String, Found>,
}

impl Folder {
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self {
            root,
            found: HashMap::new(),
        })
    }

    /// Whether a path names a file in here, or a folder if it ends with a slash.
    pub fn has(&mut self, path: &str) -> bool {
        match self.find(path) {
            Found::File(_) => true,
            Found::Other => path.ends_with('/'),
            Found::Nothing | Found::Outside => false,
        }
    }

    /// What a path relative to the folder names.
    pub fn find(&mut self, path: &str) -> Found {
        if let Some(found) = self.found.get(path) {
            return found.clone();
        }
        if self.found.len() >= MAX_LOOKUPS {
            return Found::Nothing;
        }
        let found = self.look(path);
        self.found.insert(path.to_owned(), found.clone());
        found
    }

    fn look(&self, path: &str) -> Found {
        let is_below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if path.starts_with("~/") || !Path::new(path).components().all(is_below) {
            return Found::Outside;
        }
        // What is not there, what cannot be a name and a link in a circle: there is no such file.
        let Ok(real) = self.root.join(path).canonicalize() else {
            return Found::Nothing;
        };
        if !real.starts_with(&self.root) {
            return Found::Outside;
        }
        match real.symlink_metadata() {
            Ok(about) if about.is_file() => Found::File(real),
            Ok(_) => Found::Other,
            Err(_) => Found::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_regular_files_inside_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let root = base.join("snapshot");
        std::fs::create_dir_all(root.join("src")).unwrap();
        std::fs::write(root.join("src/a.rs"), "a").unwrap();
        std::fs::write(base.join("secret.txt"), "s").unwrap();
        symlink("src/a.rs", root.join("inside.rs")).unwrap();
        symlink("../secret.txt", root.join("out.txt")).unwrap();
        symlink("..", root.join("up")).unwrap();
        symlink("circle.rs", root.join("circle.rs")).unwrap();
        let mut folder = Folder::open(&root).unwrap();
        let file = Found::File(root.join("src/a.rs"));
        for (path, wanted) in [
            ("src/a.rs", file.clone()),
            ("src/./a.rs", file.clone()),
            ("inside.rs", file),
            ("src", Found::Other),
            ("src/b.rs", Found::Nothing),
            ("src/a.rs/b", Found::Nothing),
            ("circle.rs", Found::Nothing),
            ("out.txt", Found::Outside),
            ("up/secret.txt", Found::Outside),
            ("../secret.txt", Found::Outside),
            ("src/../src/a.rs", Found::Outside),
            ("/etc/passwd", Found::Outside),
            ("~/a.rs", Found::Outside),
        ] {
            assert_eq!(folder.find(path), wanted, "{path}");
        }
        assert!(folder.has("src/a.rs") && folder.has("src/"));
        assert!(!folder.has("src") && !folder.has("src/b.rs") && !folder.has("up/"));
    }

    #[test]
    fn a_snapshot_that_is_gone_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Folder::open(&dir.path().join("gone")).is_err());
    }
}
