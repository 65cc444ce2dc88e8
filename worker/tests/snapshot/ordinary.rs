//! What a person sees in their work tree is what is in the snapshot.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use conductor_worker::snapshot::{Document, Limits, Request, Snapshot, Snapshots};

use crate::fixture::{Place, files, git_program, names, photograph};

pub fn request(root: &Path) -> Request {
    Request {
        root: Some(root.to_owned()),
        base: None,
        documents: Vec::new(),
        limits: Limits::default(),
    }
}

/// A taken snapshot; its folder is gone with it.
pub struct Taken {
    _state: Place,
    pub snapshot: Snapshot,
}

impl Taken {
    pub fn read(&self, path: &str) -> String {
        let content = fs::read(self.snapshot.path.join(path));
        String::from_utf8_lossy(&content.unwrap_or_else(|e| panic!("{path}: {e}"))).into_owned()
    }

    pub fn names(&self) -> Vec<String> {
        names(&self.snapshot.path)
    }

    pub fn notes(&self) -> String {
        self.snapshot.notes.join("\n")
    }

    pub fn has(&self, path: &str) -> bool {
        self.snapshot.path.join(path).symlink_metadata().is_ok()
    }
}

pub async fn try_take(request: &Request) -> Result<Taken, String> {
    let state = Place::new();
    let snapshots = Snapshots::new(&state.path.join("snapshots"), &git_program()).unwrap();
    match snapshots.get(1, request).await {
        Ok(snapshot) => Ok(Taken {
            snapshot: (*snapshot).clone(),
            _state: state,
        }),
        Err(error) => Err(error.to_string()),
    }
}

pub async fn take(root: &Path) -> Taken {
    try_take(&request(root)).await.unwrap()
}

#[tokio::test]
async fn a_work_tree_is_copied_as_it_is_seen() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("kept", "kept\n");
    repo.write("edited", "before\n");
    repo.write("staged", "before\n");
    repo.write("removed", "gone soon\n");
    repo.write("moved", "a text that is long enough to be recognised\n");
    repo.write("deep/er/file", "deep\n");
    repo.write("run.sh", "#!/bin/sh\n");
    repo.link("link", "deep/er");
    repo.write(".gitignore", "*.log\n/target/\n");
    repo.write("tracked.log", "tracked although ignored\n");
    repo.git(&["add", "-f", "tracked.log"]);
    let run = repo.path.join("run.sh");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    let commit = repo.commit("first");
    repo.write("edited", "after\n");
    repo.write("staged", "after\n");
    repo.git(&["add", "staged"]);
    fs::remove_file(repo.path.join("removed")).unwrap();
    repo.git(&["mv", "moved", "renamed"]);
    repo.write("new", "untracked\n");
    repo.write("noise.log", "ignored\n");
    repo.write("target/out", "ignored\n");
    fs::create_dir(repo.path.join("empty")).unwrap();
    let before = photograph(&repo.path);

    let taken = take(&repo.path).await;

    assert_eq!(before, photograph(&repo.path));
    let snapshot = &taken.snapshot;
    assert_eq!(snapshot.commit.as_deref(), Some(commit.as_str()));
    assert_eq!(snapshot.notes, Vec::<String>::new());
    assert_eq!(
        taken.names(),
        [
            ".gitignore",
            "deep/er/file",
            "edited",
            "kept",
            "link",
            "new",
            "renamed",
            "run.sh",
            "staged",
            "tracked.log"
        ]
    );
    assert_eq!(snapshot.files, 10);
    assert_eq!(taken.read("edited"), "after\n");
    assert_eq!(taken.read("staged"), "after\n");
    assert_eq!(
        fs::read_link(snapshot.path.join("link")).unwrap(),
        Path::new("deep/er")
    );
    let total: usize = files(&repo.path)
        .iter()
        .filter(|(name, _)| taken.names().contains(name))
        .map(|(_, content)| content.len())
        .sum();
    assert_eq!(snapshot.bytes, total as u64);
    assert_eq!(
        taken.read("_context/status.txt"),
        format!(
            "work tree against HEAD {commit} (branch main)\n\
             what git ignores is neither listed here nor part of this copy\n\n\
             modified    edited\n\
             deleted     removed\n\
             renamed     moved -> renamed\n\
             modified    staged\n\
             untracked   new\n"
        )
    );
    assert_eq!(
        snapshot.changes.as_deref(),
        Some("changes: 4 files uncommitted, 1 file new")
    );
    let changes = taken.read("_context/changes.md");
    assert!(
        changes.contains("There are changes.")
            && changes.contains("- renamed     moved -> renamed\n"),
        "{changes}"
    );
    let diff = taken.read("_context/uncommitted.diff");
    for line in [
        "+after\n",
        "-before\n",
        "-gone soon\n",
        "rename to renamed\n",
    ] {
        assert!(diff.contains(line), "{line}: {diff}");
    }
    assert!(
        !diff.contains("untracked") && !diff.contains("kept"),
        "{diff}"
    );
    assert_eq!(
        taken.read("_context/log.txt"),
        format!("{} 2024-05-01 A: first\n", &commit[..7])
    );
}

#[tokio::test]
async fn nobody_may_write_and_nobody_else_may_read() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("a/file", "x");
    repo.write("run", "x");
    fs::set_permissions(repo.path.join("run"), fs::Permissions::from_mode(0o775)).unwrap();
    repo.commit("first");
    let taken = take(&repo.path).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let tree = &taken.snapshot.path;
    for (path, expected) in [
        ("", 0o555),
        ("a", 0o555),
        ("a/file", 0o444),
        ("run", 0o555),
        ("_context", 0o555),
        ("_context/log.txt", 0o444),
    ] {
        assert_eq!(mode(&tree.join(path)), expected, "{path}");
    }
    assert_eq!(mode(tree.parent().unwrap()), 0o700);
    assert_eq!(mode(tree.parent().unwrap().parent().unwrap()), 0o700);
}

#[tokio::test]
async fn the_digest_says_whether_two_trees_are_the_same() {
    let (place, repo) = Place::with_repository(&[]);
    repo.write("a", "one\n");
    repo.write("b/c", "two\n");
    let commit = repo.commit("first");
    let digest = take(&repo.path).await.snapshot.tree_digest;
    assert_eq!(digest.len(), 64);
    assert_eq!(take(&repo.path).await.snapshot.tree_digest, digest);

    let copy = crate::fixture::Repo::init(&place.path.join("copy"), &[]);
    copy.write("b/c", "two\n");
    copy.write("a", "one\n");
    let of_copy = take(&copy.path).await.snapshot;
    assert_eq!(
        (of_copy.tree_digest, of_copy.commit),
        (digest.clone(), None)
    );

    repo.git(&["commit", "-q", "--allow-empty", "-m", "nothing changed"]);
    let later = take(&repo.path).await.snapshot;
    assert_eq!(later.tree_digest, digest);
    assert_ne!(later.commit, Some(commit));

    repo.write("untracked", "");
    let more = take(&repo.path).await.snapshot.tree_digest;
    assert_ne!(more, digest);
    fs::set_permissions(repo.path.join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_ne!(take(&repo.path).await.snapshot.tree_digest, more);
}

#[tokio::test]
async fn a_base_gives_what_head_has_more() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("a", "one\n");
    let fork = repo.commit("first");
    repo.git(&["checkout", "-q", "-b", "topic"]);
    repo.write("b", "on the topic\n");
    repo.commit("second");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("c", "on main\n");
    repo.commit("third");
    repo.git(&["pack-refs", "--all"]);
    repo.git(&["checkout", "-q", "topic"]);
    let mut request = request(&repo.path);
    request.base = Some("main".into());
    let taken = try_take(&request).await.unwrap();
    let diff = taken.read("_context/base.diff");
    assert!(
        diff.contains("+on the topic\n") && !diff.contains("on main\n"),
        "{diff}"
    );
    assert!(
        diff.contains(&format!("from where they parted, {fork}")),
        "{diff}"
    );

    assert_eq!(
        taken.snapshot.changes.as_deref(),
        Some("changes: 1 file since main")
    );
    assert!(taken.read("_context/changes.md").contains(
        "## Committed since main\n\nThe lines are in `_context/base.diff`.\n\n- added       b\n"
    ));

    request.base = Some(fork[..10].into());
    let taken = try_take(&request).await.unwrap();
    assert!(taken.read("_context/base.diff").contains("+on the topic\n"));

    let canary = repo.path.join("canary");
    for unknown in [
        "no-such-branch",
        &format!("--output={}", canary.display()),
        "a..b",
        "",
    ] {
        request.base = Some(unknown.into());
        let taken = try_take(&request).await.unwrap();
        assert!(
            taken.notes().contains("names no commit"),
            "{}",
            taken.notes()
        );
        assert!(!taken.has("_context/base.diff") && taken.has("_context/log.txt"));
        let changes = taken.snapshot.changes.clone().unwrap_or_default();
        assert!(changes.contains("names no commit"), "{changes}");
    }
    assert!(!canary.exists());
}

#[tokio::test]
async fn documents_come_with_or_without_a_repository() {
    let document = |name: &str, text: &str| Document {
        name: name.into(),
        text: text.into(),
    };
    let request = Request {
        root: None,
        base: None,
        documents: vec![
            document("spec.md", "first"),
            document("../spec.md", "second"),
            document("spec.md", "third"),
        ],
        limits: Limits::default(),
    };
    let taken = try_take(&request).await.unwrap();
    assert_eq!(taken.names(), Vec::<String>::new());
    assert_eq!(taken.read("_context/documents/spec.md"), "first");
    assert_eq!(taken.read("_context/documents/_spec.md"), "second");
    assert_eq!(taken.read("_context/documents/spec-2.md"), "third");
    assert_eq!(
        (taken.snapshot.files, taken.snapshot.commit.clone()),
        (0, None)
    );
    assert!(taken.snapshot.notes.is_empty());
}

#[tokio::test]
async fn a_context_of_the_projects_own_gives_way() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("_context/log.txt", "forged\n");
    repo.write("src/_context/log.txt", "theirs\n");
    repo.commit("first");
    repo.write("_context/other", "untracked\n");
    let taken = take(&repo.path).await;
    assert!(!taken.has("_context/other"));
    assert!(taken.read("_context/log.txt").ends_with("A: first\n"));
    assert_eq!(taken.read("src/_context/log.txt"), "theirs\n");
    assert!(
        taken.notes().contains("_context of the project's own"),
        "{}",
        taken.notes()
    );
    assert_eq!(taken.read("_context/notes.txt").trim(), taken.notes());
    let status = taken.read("_context/status.txt");
    assert!(!status.contains("deleted"), "{status}");
}

#[tokio::test]
async fn what_was_left_out_is_not_called_deleted() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("big", "x".repeat(2000));
    repo.write("small", "x\n");
    repo.link("out", "/etc/passwd");
    repo.commit("first");
    repo.write("small", "y\n");
    let mut request = request(&repo.path);
    request.limits.max_file_bytes = 1000;
    let taken = try_take(&request).await.unwrap();
    assert_eq!(taken.names(), ["small"]);
    let status = taken.read("_context/status.txt");
    assert!(status.ends_with("\n\nmodified    small\n"), "{status}");
    assert!(!taken.read("_context/uncommitted.diff").contains("big"));
    assert!(
        taken.notes().contains("larger than 1000 bytes: big"),
        "{}",
        taken.notes()
    );
}

#[tokio::test]
async fn limits_on_number_and_bytes_prefer_what_is_tracked() {
    let (_place, repo) = Place::with_repository(&[]);
    for name in ["t1", "t2"] {
        repo.write(name, "1234567890");
    }
    repo.commit("first");
    for name in ["a1", "a2", "a3"] {
        repo.write(name, "1234567890");
    }
    let mut request = request(&repo.path);
    request.limits.max_files = 3;
    let taken = try_take(&request).await.unwrap();
    assert_eq!(taken.names(), ["a1", "t1", "t2"]);
    assert!(
        taken.notes().contains("over the limit of 3 files: a2, a3"),
        "{}",
        taken.notes()
    );
    request.limits.max_files = 100;
    request.limits.max_total_bytes = 45;
    let taken = try_take(&request).await.unwrap();
    assert_eq!((taken.snapshot.files, taken.snapshot.bytes), (4, 40));
    assert!(
        taken
            .notes()
            .contains("over the limit of 45 bytes in all: a3"),
        "{}",
        taken.notes()
    );
}

#[tokio::test]
async fn a_huge_difference_is_cut_and_says_so() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("a", "before\n");
    repo.commit("first");
    repo.write("a", "a line of text\n".repeat(700_000));
    let taken = take(&repo.path).await;
    let diff = taken.read("_context/uncommitted.diff");
    assert!(diff.len() < 9 << 20, "{}", diff.len());
    assert!(
        diff.ends_with(" bytes are kept]\n"),
        "{}",
        &diff[diff.len() - 100..]
    );
}

#[tokio::test]
async fn the_original_decides_what_is_changed_where_bytes_were_filtered() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.configure("filter.upper.clean", "tr a-z A-Z");
    repo.configure("filter.upper.smudge", "tr A-Z a-z");
    repo.write(".gitattributes", "*.up filter=upper\n*.win text eol=crlf\n");
    repo.write("a.up", "text\n");
    repo.write("b.win", "one\r\ntwo\r\n");
    repo.commit("first");
    // An index as old as its files is doubted; this one is not.
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    for name in ["a.up", "b.win", ".gitattributes"] {
        let file = fs::File::options()
            .write(true)
            .open(repo.path.join(name))
            .unwrap();
        file.set_modified(old).unwrap();
    }
    repo.git(&["status"]);
    let taken = take(&repo.path).await;
    assert_eq!(taken.read("a.up"), "text\n");
    let status = taken.read("_context/status.txt");
    assert!(status.ends_with("nothing is changed\n"), "{status}");
}
