//! One number for all that a snapshot holds.

use sha2::{Digest, Sha256};

/// A file or link as it was copied.
#[derive(Debug)]
pub(super) struct Entry {
    pub path: Vec<u8>,
    pub kind: Kind,
    /// sha256 of the content, or of a link's target.
    pub content: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Executable,
    Link,
}

impl Kind {
    fn mode(self) -> &'static [u8; 6] {
        match self {
            Kind::Plain => b"100644",
            Kind::Executable => b"100755",
            Kind::Link => b"120000",
        }
    }
}

/// sha256, hex, over path, mode and content of all entries in the order of their paths.
pub(super) fn tree(mut entries: Vec<Entry>) -> String {
    entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let mut hash = Sha256::new();
    for entry in &entries {
        hash.update((entry.path.len() as u64).to_le_bytes());
        hash.update(&entry.path);
        hash.update(entry.kind.mode());
        hash.update(entry.content);
    }
    hex(&hash.finalize())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: Kind, content: u8) -> Entry {
        Entry {
            path: path.into(),
            kind,
            content: [content; 32],
        }
    }

    #[test]
    fn the_order_of_copying_does_not_matter_and_everything_else_does() {
        let (a, b) = (|| entry("a", Kind::Plain, 1), || entry("b", Kind::Plain, 2));
        let base = tree(vec![a(), b()]);
        assert_eq!(base, tree(vec![b(), a()]));
        assert_ne!(base, tree(vec![a()]));
        assert_ne!(base, tree(vec![a(), entry("b", Kind::Executable, 2)]));
        assert_ne!(base, tree(vec![a(), entry("b", Kind::Plain, 3)]));
        assert_ne!(base, tree(vec![a(), entry("c", Kind::Plain, 2)]));
        assert_eq!(base.len(), 64);
    }
}
