//! Removing a tree that was made read-only, or that a child left in whatever state: however deep, with few open files.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use super::beneath::Dir;

/// Names that are looked at together.
const SOME: usize = 4096;

/// Removes a folder and all that is in it; one that does not exist is no error. Links are removed, not followed.
///
/// # Errors
/// When something in it cannot be removed, or it is no folder.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let kind = match path.symlink_metadata() {
        Ok(about) => about.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if kind.is_symlink() {
        return fs::remove_file(path);
    }
    // Below it links are refused, also on the way.
    let real = path.canonicalize()?;
    fs::set_permissions(&real, Permissions::from_mode(0o700))?;
    empty(&Dir::open(&real)?)?;
    fs::remove_dir(&real)
}

/// A folder below another comes up beside that one before it is emptied: nothing is deep then.
fn empty(root: &Dir) -> io::Result<()> {
    let mut moved = 0;
    loop {
        let (entries, _) = root.entries(SOME)?;
        if entries.is_empty() {
            return Ok(());
        }
        for (name, kind) in entries {
            if kind == FileType::Directory {
                flatten(root, &name, &mut moved)?;
                rustix::fs::unlinkat(root.fd(), &name, AtFlags::REMOVEDIR)?;
            } else {
                rustix::fs::unlinkat(root.fd(), &name, AtFlags::empty())?;
            }
        }
    }
}

/// Empties a folder of the root into the root.
fn flatten(root: &Dir, name: &[u8], moved: &mut u64) -> io::Result<()> {
    let open_up =
        |at: &Dir, name: &[u8]| rustix::fs::chmodat(at.fd(), name, Mode::RWXU, AtFlags::empty());
    open_up(root, name)?;
    let folder = root.dir(name)?;
    loop {
        let (entries, _) = folder.entries(SOME)?;
        if entries.is_empty() {
            return Ok(());
        }
        for (name, kind) in entries {
            if kind != FileType::Directory {
                rustix::fs::unlinkat(folder.fd(), &name, AtFlags::empty())?;
                continue;
            }
            // To be moved, its own `..` has to be written.
            open_up(&folder, &name)?;
            loop {
                *moved += 1;
                let to = format!("moved-{moved}");
                match rustix::fs::renameat(folder.fd(), &name, root.fd(), to.as_bytes()) {
                    Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                    other => break other?,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_without_rights_are_removed_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        fs::create_dir_all(path.join("tree/a/b")).unwrap();
        fs::create_dir(path.join("kept")).unwrap();
        fs::write(path.join("tree/a/b/f"), "x").unwrap();
        std::os::unix::fs::symlink("../../kept", path.join("tree/a/link")).unwrap();
        for closed in ["tree/a/b", "tree/a", "tree"] {
            fs::set_permissions(path.join(closed), Permissions::from_mode(0o000)).unwrap();
        }
        remove_tree(&path.join("tree")).unwrap();
        remove_tree(&path.join("tree")).unwrap();
        assert!(path.join("kept").is_dir() && !path.join("tree").exists());
        std::os::unix::fs::symlink("kept", path.join("to-kept")).unwrap();
        remove_tree(&path.join("to-kept")).unwrap();
        assert!(path.join("kept").is_dir() && !path.join("to-kept").is_symlink());
        fs::write(path.join("file"), "x").unwrap();
        assert!(remove_tree(&path.join("file")).is_err());
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_removed_on_a_small_stack() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("tree");
        fs::create_dir(&path).unwrap();
        let mut at = Dir::open(&path).unwrap();
        // Names that it would give itself are in the way.
        for level in 0..2000 {
            let name = format!("moved-{}", level % 7);
            rustix::fs::mkdirat(at.fd(), &name, Mode::RWXU).unwrap();
            if level % 100 == 0 {
                rustix::fs::mkdirat(at.fd(), "beside", Mode::RWXU).unwrap();
            }
            at = at.dir(name.as_bytes()).unwrap();
        }
        drop(at);
        let removal = {
            let path = path.clone();
            let thread = std::thread::Builder::new().stack_size(128 << 10);
            thread.spawn(move || remove_tree(&path)).unwrap()
        };
        removal.join().unwrap().unwrap();
        assert!(!path.exists());
    }
}
