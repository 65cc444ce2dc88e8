//! Removing a tree that was made read-only, or that a child left in whatever state.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode};

use super::beneath::Dir;

/// Removes a folder and all that is in it; one that does not exist is no error. Links are removed, not followed.
///
/// # Errors
/// When something in it cannot be removed, or a folder on the way to it is a symbolic link.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
        other => return other,
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    open_up(&Dir::open(path)?)?;
    fs::remove_dir_all(path)
}

/// Gives the owner back what it takes to empty every folder below this one.
fn open_up(folder: &Dir) -> io::Result<()> {
    for (name, kind) in folder.entries(usize::MAX)?.0 {
        if kind == FileType::Directory {
            rustix::fs::chmodat(folder.fd(), &name, Mode::RWXU, AtFlags::empty())?;
            open_up(&folder.dir(&name)?)?;
        }
    }
    Ok(())
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
    }
}
