//! A folder down to content, mode and time of change, and what differs between two looks at it.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file larger than this is known by its size and by what it takes of the disk.
const LARGE: u64 = 64 << 20;

/// Everything below a folder, by relative path, whatever bytes stand in it; the folder itself is `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(BTreeMap<PathBuf, Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    mode: u32,
    owner: (u32, u32),
    changed: (i64, i64),
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Folder,
    File(Vec<u8>),
    Large { bytes: u64, blocks: u64 },
    Link(PathBuf),
    Other,
}

impl Tree {
    /// Reads a folder; links are not followed.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut entries = BTreeMap::new();
        let mut open = vec![PathBuf::from(".")];
        while let Some(name) = open.pop() {
            let path = folder.join(&name);
            let meta = std::fs::symlink_metadata(&path)?;
            let content = if meta.is_dir() {
                for entry in std::fs::read_dir(&path)? {
                    open.push(name.join(entry?.file_name()));
                }
                Content::Folder
            } else if meta.is_symlink() {
                Content::Link(std::fs::read_link(&path)?)
            } else if meta.is_file() && meta.len() > LARGE {
                let (bytes, blocks) = (meta.len(), meta.blocks());
                Content::Large { bytes, blocks }
            } else if meta.is_file() {
                Content::File(std::fs::read(&path)?)
            } else {
                Content::Other
            };
            let entry = Entry {
                mode: meta.mode(),
                owner: (meta.uid(), meta.gid()),
                changed: (meta.mtime(), meta.mtime_nsec()),
                content,
            };
            entries.insert(name, entry);
        }
        Ok(Self(entries))
    }

    /// One line for each path that is new, gone or different; none if nothing was touched.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let paths: std::collections::BTreeSet<&PathBuf> =
            self.0.keys().chain(later.0.keys()).collect();
        paths
            .into_iter()
            .filter_map(|path| {
                let what = match (self.0.get(path), later.0.get(path)) {
                    (Some(before), Some(after)) if before == after => return None,
                    (Some(before), Some(after)) => before.differs(after),
                    (Some(_), None) => "gone",
                    _ => "new",
                };
                Some(format!("{}: {what}", path.display()))
            })
            .collect()
    }
}

impl Entry {
    fn differs(&self, after: &Self) -> &'static str {
        if self.content != after.content {
            "other content"
        } else if self.mode != after.mode || self.owner != after.owner {
            "other mode or owner"
        } else {
            "other time"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn sees_content_mode_time_and_what_comes_and_goes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["same", "content", "mode", "time", "gone"] {
            std::fs::write(at(name), "x").unwrap();
        }
        let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"o\xffd\n");
        std::fs::write(folder.path().join(odd), "x").unwrap();
        let large = std::fs::File::create(at("large")).unwrap();
        large.set_len(LARGE + 1).unwrap();
        let before = Tree::read(folder.path()).unwrap();
        assert_eq!(before.changes(&before), [""; 0]);
        std::fs::write(at("content"), "y").unwrap();
        std::fs::set_permissions(at("mode"), PermissionsExt::from_mode(0o600)).unwrap();
        let file = std::fs::File::options()
            .write(true)
            .open(at("time"))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        std::fs::remove_file(at("gone")).unwrap();
        std::fs::write(at("new"), "").unwrap();
        std::fs::write(folder.path().join(odd), "y").unwrap();
        large.set_len(LARGE + 2).unwrap();
        let changes = before.changes(&Tree::read(folder.path()).unwrap());
        let expected = [
            ".: other time",
            "./content: other content",
            "./gone: gone",
            "./large: other content",
            "./mode: other mode or owner",
            "./new: new",
            "./o\u{fffd}d\n: other content",
            "./time: other time",
        ];
        assert_eq!(changes, expected);
    }
}
