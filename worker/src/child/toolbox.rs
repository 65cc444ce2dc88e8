//! What children share and may only read: a search tool and a warm compile cache.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::{ChildError, Qwen, io_error};
use crate::snapshot::remove_tree;

/// Agents see what is in the snapshot: dot files, and files that an ignore file in it names.
const RIPGREP_RC: &str = "--hidden\n--no-ignore\n";

/// Run before qwen. Node queues what a pipe does not take at once, and what is queued is lost when qwen exits: the end
/// of any answer larger than the pipe. Written blocking, nothing is lost, and a slow reader slows the child down.
const PRELOAD: &str = "process.stdout._handle.setBlocking(true);\n";

const COMPILED: &str = "compiled-";
const UNFINISHED: &str = "unfinished-";

/// A folder of the worker that every child may read.
#[derive(Debug, Clone)]
pub struct Toolbox {
    dir: PathBuf,
    cache: PathBuf,
    /// Programs that a child may run besides node.
    programs: Vec<PathBuf>,
    ripgrep: bool,
}

impl Toolbox {
    /// Lays the toolbox out in `dir`, which is made if missing and kept between starts: ripgrep as qwen brings it (its
    /// package lost the execute bit), or the system's ripgrep or grep.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn prepare(qwen: &Qwen, dir: &Path) -> Result<Toolbox, ChildError> {
        let make = |path: &Path| fs::create_dir_all(path).map_err(io_error("make", path));
        make(dir)?;
        let dir = fs::canonicalize(dir).map_err(io_error("find", dir))?;
        let bin = dir.join("bin");
        // Compiled code is good for one version only.
        let cache = dir.join(format!(
            "{COMPILED}qwen-{}-node-{}",
            qwen.version, qwen.node_version
        ));
        forget_others(&dir, &cache, &bin);
        make(&bin)?;
        make(&cache)?;
        for (name, content) in [("ripgreprc", RIPGREP_RC), ("preload.cjs", PRELOAD)] {
            write_whole(&dir.join(name), content)?;
        }
        let (search, ripgrep) = search_tool(qwen, &bin)?;
        // Programs are looked for by a shell.
        let programs = [Some(PathBuf::from("/bin/sh")), search]
            .into_iter()
            .flatten()
            .collect();
        Ok(Toolbox {
            dir,
            cache,
            programs,
            ripgrep,
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn path_variable(&self) -> PathBuf {
        self.dir.join("bin")
    }

    pub(super) fn ripgrep_rc(&self) -> PathBuf {
        self.dir.join("ripgreprc")
    }

    pub(super) fn preload(&self) -> PathBuf {
        self.dir.join("preload.cjs")
    }

    pub(super) fn has_ripgrep(&self) -> bool {
        self.ripgrep
    }

    pub(super) fn programs(&self) -> &[PathBuf] {
        &self.programs
    }

    pub(super) fn compile_cache(&self) -> &Path {
        &self.cache
    }
}

/// Removes what was compiled for other versions, and what a killed process did not finish.
fn forget_others(dir: &Path, cache: &Path, bin: &Path) {
    let of = |folder: &Path, begin: &str| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let theirs = |e: &fs::DirEntry| e.file_name().to_string_lossy().starts_with(begin);
        entries.filter(theirs).map(|e| e.path()).collect()
    };
    let old = of(dir, COMPILED).into_iter().filter(|path| path != cache);
    let removed = old.map(|path| (remove_tree(&path), path));
    let unfinished = [dir, bin].into_iter().flat_map(|dir| of(dir, UNFINISHED));
    let unfinished = unfinished.map(|path| (fs::remove_file(&path), path));
    for (result, path) in removed.chain(unfinished) {
        if let Err(error) = result {
            tracing::warn!(path = %path.display(), %error, "what is of no use any more could not be removed");
        }
    }
}

/// The tool's own path, and whether it is ripgrep.
fn search_tool(qwen: &Qwen, bin: &Path) -> Result<(Option<PathBuf>, bool), ChildError> {
    let arch = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    };
    let bundled = qwen.package.join(format!("vendor/ripgrep/{arch}-linux/rg"));
    if bundled.is_file() {
        let copy = bin.join("rg");
        install(&bundled, &copy)?;
        return Ok((Some(copy), true));
    }
    for (name, ripgrep) in [("rg", true), ("grep", false)] {
        let Some(found) = which::which(name)
            .ok()
            .and_then(|p| fs::canonicalize(p).ok())
        else {
            continue;
        };
        let link = bin.join(name);
        let _ = fs::remove_file(&link);
        symlink(&found, &link).map_err(io_error("link", &link))?;
        return Ok((Some(found), ripgrep));
    }
    Ok((None, false))
}

/// Children start while this is looked at again: what one of them reads is never empty or cut.
fn write_whole(path: &Path, content: &str) -> Result<(), ChildError> {
    if fs::read(path).is_ok_and(|found| found == content.as_bytes()) {
        return Ok(());
    }
    let fresh = unfinished(path);
    let written = fs::write(&fresh, content).and_then(|()| fs::rename(&fresh, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&fresh);
        io_error("write", path)(error)
    })
}

/// A name that [`forget_others`] knows.
fn unfinished(path: &Path) -> PathBuf {
    path.with_file_name(format!("{UNFINISHED}{}", uuid::Uuid::new_v4()))
}

/// Copies a program unless it is there already; never replaces one that may be running in place.
fn install(from: &Path, to: &Path) -> Result<(), ChildError> {
    let same =
        |a: &Path, b: &Path| Some(fs::metadata(a).ok()?.len() == fs::metadata(b).ok()?.len());
    if same(from, to) == Some(true) {
        return Ok(());
    }
    let fresh = unfinished(to);
    fs::copy(from, &fresh).map_err(io_error("copy", from))?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o555))
        .map_err(io_error("make executable", &fresh))?;
    fs::rename(&fresh, to).map_err(io_error("install", to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_other_versions_left_is_forgotten_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let (dir, bin) = (place.path(), place.path().join("bin"));
        let cache = dir.join("compiled-qwen-2-node-22");
        for folder in [&cache, &dir.join("compiled-qwen-1-node-22/x64"), &bin] {
            fs::create_dir_all(folder).unwrap();
        }
        for file in [
            "preload.cjs",
            "bin/rg",
            "bin/unfinished-5f0c",
            "unfinished-77ab",
            "compiled-qwen-1-node-22/x64/code",
        ] {
            fs::write(dir.join(file), "").unwrap();
        }
        forget_others(dir, &cache, &bin);
        let names = |folder: &Path| {
            let mut names: Vec<_> = fs::read_dir(folder)
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(
            names(dir),
            ["bin", "compiled-qwen-2-node-22", "preload.cjs"]
        );
        assert_eq!(names(&bin), ["rg"]);
    }

    #[test]
    fn what_a_child_may_be_reading_is_replaced_whole_and_only_when_it_differs() {
        use std::os::unix::fs::MetadataExt;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("preload.cjs");
        let written = |content| {
            write_whole(&path, content).unwrap();
            let inode = fs::metadata(&path).unwrap().ino();
            (inode, fs::read_to_string(&path).unwrap())
        };
        let first = written("one");
        assert_eq!(written("one"), first);
        let reading = fs::File::open(&path).unwrap();
        let second = written("another");
        assert_eq!(second.1, "another");
        assert_ne!(second.0, first.0);
        assert_eq!(std::io::read_to_string(reading).unwrap(), "one");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
