//! Repositories to take, photographs to compare, and the traps of an enemy.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub fn git_program() -> PathBuf {
    which::which("git").expect("these tests need git")
}

/// A folder that is gone afterwards, by its real path.
pub struct Place {
    _dir: TempDir,
    pub path: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        Self { _dir: dir, path }
    }

    /// A place with an empty repository in its folder `repo`.
    pub fn with_repository(options: &[&str]) -> (Self, Repo) {
        let place = Self::new();
        let repo = Repo::init(&place.path.join("repo"), options);
        (place, repo)
    }
}

impl Drop for Place {
    /// An ordinary user cannot remove what is read-only.
    fn drop(&mut self) {
        let mut left = vec![self.path.clone()];
        while let Some(folder) = left.pop() {
            let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    left.push(entry.path());
                }
            }
        }
    }
}

/// A repository and its work tree.
#[derive(Clone)]
pub struct Repo {
    pub path: PathBuf,
}

impl Repo {
    pub fn init(path: &Path, options: &[&str]) -> Self {
        fs::create_dir_all(path).unwrap();
        let repo = Self {
            path: path.to_owned(),
        };
        let args = [["init", "-q", "-b", "main"].as_slice(), options].concat();
        repo.git(&args);
        repo
    }

    /// Runs git as its owner would; it must succeed. Returns what it printed, trimmed.
    pub fn git(&self, args: &[&str]) -> String {
        let output = self.try_git(args);
        assert!(
            output.status.success(),
            "git {args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn try_git(&self, args: &[&str]) -> Output {
        Command::new(git_program())
            .args(args)
            .current_dir(&self.path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.path)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", "protocol.file.allow")
            .env("GIT_CONFIG_VALUE_0", "always")
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.org")
            .env("GIT_AUTHOR_DATE", "2024-05-01T12:00:00Z")
            .env("GIT_COMMITTER_NAME", "C")
            .env("GIT_COMMITTER_EMAIL", "c@example.org")
            .env("GIT_COMMITTER_DATE", "2024-05-01T12:00:00Z")
            .output()
            .unwrap()
    }

    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Commits all that is there and returns the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn configure(&self, key: &str, value: &str) {
        self.git(&["config", key, value]);
    }
}

pub fn fifo(path: &Path) {
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

/// All that a changed file would betray: type and rights, owner, links, size, inode, times but atime, content.
pub type Photograph = BTreeMap<PathBuf, (u32, u64, u64, u64, [i64; 4], Vec<u8>)>;

pub fn photograph(root: &Path) -> Photograph {
    let mut photo = Photograph::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let facts = fs::symlink_metadata(&path).unwrap();
        let content = if facts.is_symlink() {
            fs::read_link(&path)
                .unwrap()
                .into_os_string()
                .into_encoded_bytes()
        } else if facts.is_file() && facts.len() < 1 << 20 {
            fs::read(&path).unwrap_or_default()
        } else {
            Vec::new()
        };
        if facts.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        let times = [
            facts.mtime(),
            facts.mtime_nsec(),
            facts.ctime(),
            facts.ctime_nsec(),
        ];
        let (mode, links) = (facts.mode(), facts.nlink());
        photo.insert(
            path,
            (mode, links, facts.len(), facts.ino(), times, content),
        );
    }
    photo
}

/// Files and links below a folder with their content; folders are not listed.
pub fn files(root: &Path) -> BTreeMap<String, String> {
    photograph(root)
        .into_iter()
        .filter(|(path, _)| path.is_symlink() || path.is_file())
        .map(|(path, facts)| {
            let name = path.strip_prefix(root).unwrap().as_os_str();
            (
                String::from_utf8_lossy(name.as_bytes()).into_owned(),
                String::from_utf8_lossy(&facts.5).into_owned(),
            )
        })
        .collect()
}

/// Names of a snapshot's files, `_context` left out.
pub fn names(root: &Path) -> Vec<String> {
    let names = files(root).into_keys();
    names
        .filter(|name| !name.starts_with("_context/"))
        .collect()
}

pub fn bytes(text: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(text))
}

/// A repository with uncommitted changes in which everything that git can be made to run leaves a canary.
pub struct Trap {
    pub place: Place,
    pub repo: Repo,
}

impl Trap {
    pub fn new() -> Self {
        let (place, repo) = Place::with_repository(&[]);
        let trap = Self { place, repo };
        let repo = &trap.repo;
        repo.write("code.rs", "fn main() {}\n");
        repo.write("data.bin", "data\n");
        repo.write("notes.txt", "notes\n");
        repo.commit("first");
        repo.write(
            ".gitattributes",
            "*.rs filter=evil diff=evil merge=evil\n*.bin filter=long\n*.txt filter=lfs diff=evil text eol=crlf\n",
        );
        repo.write(
            ".gitmodules",
            format!(
                "[submodule \"x\"]\n\tpath = x\n\turl = ext::{0}\n\tupdate = !{0}\n",
                trap.script("module")
            ),
        );
        repo.commit("second");
        repo.write("code.rs", "fn main() { changed() }\n");
        repo.write("data.bin", "changed data\n");
        repo.write("new.txt", "untracked\n");
        repo.git(&["add", "data.bin"]);
        trap.arm();
        trap
    }

    /// A program that leaves a canary and passes its input on.
    fn script(&self, name: &str) -> String {
        let path = self.place.path.join(format!("trap-{name}"));
        let canaries = self.canaries();
        fs::create_dir_all(&canaries).unwrap();
        let text = format!(
            "#!/bin/sh\ntouch '{}'\ncat\n",
            canaries.join(name).display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn canaries(&self) -> PathBuf {
        self.place.path.join("canaries")
    }

    /// What ran.
    pub fn ran(&self) -> Vec<String> {
        let entries = fs::read_dir(self.canaries()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    fn arm(&self) {
        let repo = &self.repo;
        let hooks = repo.path.join("hooks");
        for hook in [
            "post-index-change",
            "pre-commit",
            "post-checkout",
            "fsmonitor-watchman",
            "reference-transaction",
        ] {
            for folder in [repo.path.join(".git/hooks"), hooks.clone()] {
                fs::create_dir_all(&folder).unwrap();
                fs::copy(self.script(&format!("hook-{hook}")), folder.join(hook)).unwrap();
            }
        }
        let mut included = String::new();
        let set = |key: &str, value: &str| repo.configure(key, value);
        for (key, name) in [
            ("core.fsmonitor", "fsmonitor"),
            ("filter.evil.clean", "clean"),
            ("filter.evil.smudge", "smudge"),
            ("filter.long.process", "process"),
            ("filter.lfs.process", "lfs"),
            ("filter.lfs.clean", "lfs-clean"),
            ("diff.evil.textconv", "textconv"),
            ("diff.evil.command", "diff-driver"),
            ("diff.external", "external-diff"),
            ("merge.evil.driver", "merge"),
            ("core.pager", "pager"),
            ("pager.log", "pager-log"),
            ("core.editor", "editor"),
            ("core.sshCommand", "ssh"),
            ("core.askPass", "askpass"),
            ("core.alternateRefsCommand", "alternate-refs"),
            ("credential.helper", "credential"),
            ("gpg.program", "gpg"),
            ("uploadpack.packObjectsHook", "pack-objects"),
        ] {
            set(key, &self.script(name));
        }
        for verb in ["log", "diff", "ls-files", "rev-parse", "config", "version"] {
            set(
                &format!("alias.{verb}"),
                &format!("!{}", self.script("alias")),
            );
        }
        for key in [
            "filter.long.required",
            "filter.lfs.required",
            "log.showSignature",
        ] {
            set(key, "true");
        }
        included.push_str(&format!(
            "[core]\n\tfsmonitor = {}\n",
            self.script("included")
        ));
        repo.write("included.config", &included);
        set(
            "include.path",
            repo.path.join("included.config").to_str().unwrap(),
        );
        set(
            "remote.origin.url",
            &format!("ext::{}", self.script("remote")),
        );
        set("remote.origin.promisor", "true");
        set("core.hooksPath", hooks.to_str().unwrap());
        set(
            "core.attributesFile",
            repo.path.join(".gitattributes").to_str().unwrap(),
        );
        // Last: git itself then no longer finds the work tree.
        set("core.worktree", "/");
    }
}
