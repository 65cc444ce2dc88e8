//! The kinds of folders that a project's root may be.

use std::fs;
use std::path::Path;

use conductor_worker::snapshot::Snapshots;

use crate::fixture::{Place, Repo, photograph};
use crate::ordinary::{request, take, try_take};

#[tokio::test]
async fn a_subfolder_of_a_repository_is_all_there_is() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write(".gitignore", "build/\n/shop/secret\n");
    repo.write("shop/.gitignore", "*.tmp\n");
    repo.write("shop/src/a", "one\n");
    repo.write("other/b", "one\n");
    let first = repo.commit("about the shop");
    repo.write("other/b", "two\n");
    repo.commit("about others");
    repo.write("shop/src/a", "two\n");
    repo.write("other/b", "three\n");
    for name in [
        "shop/new",
        "shop/build/x",
        "shop/secret",
        "shop/src/y.tmp",
        "other/new",
    ] {
        repo.write(name, "x");
    }
    let mut request = request(&repo.path.join("shop"));
    request.base = Some(first.clone());
    let before = photograph(&repo.path);
    let taken = try_take(&request).await.unwrap();
    assert_eq!(before, photograph(&repo.path));
    assert_eq!(taken.names(), [".gitignore", "new", "src/a"]);
    let status = taken.read("_context/status.txt");
    assert!(
        status.ends_with("\n\nmodified    src/a\nuntracked   new\n"),
        "{status}"
    );
    let diff = taken.read("_context/uncommitted.diff");
    assert!(
        diff.contains("a/src/a") && diff.contains("+two") && !diff.contains("three"),
        "{diff}"
    );
    assert!(!taken.read("_context/base.diff").contains("two"));
    let log = taken.read("_context/log.txt");
    assert!(
        log.contains("about the shop") && !log.contains("about others"),
        "{log}"
    );
}

#[tokio::test]
async fn a_folder_that_the_repository_above_ignores_is_read_by_itself() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write(".gitignore", "*\n");
    repo.write("project/src/a", "one\n");
    repo.git(&["commit", "-q", "--allow-empty", "-m", "first"]);
    let taken = take(&repo.path.join("project")).await;
    assert_eq!(taken.names(), ["src/a"]);
    assert!(
        taken.notes().contains("ignores this folder"),
        "{}",
        taken.notes()
    );
}

#[tokio::test]
async fn a_plain_folder_is_copied_and_said_to_be_one() {
    let place = Place::new();
    let folder = Repo {
        path: place.path.join("folder"),
    };
    folder.write("a", "x");
    folder.write("b/c.log", "x");
    folder.write(".gitignore", "*.log\n");
    folder.write(".hg/store", "x");
    let nested = Repo::init(&folder.path.join("nested"), &[]);
    nested.write(".gitignore", "target\n");
    nested.write("target/x", "x");
    nested.write("src", "x");
    let mut request = request(&folder.path);
    request.base = Some("main".into());
    let taken = try_take(&request).await.unwrap();
    assert_eq!(taken.snapshot.commit, None);
    assert_eq!(
        taken.names(),
        [
            ".gitignore",
            "a",
            "b/c.log",
            "nested/.gitignore",
            "nested/src"
        ]
    );
    assert!(
        taken.notes().contains("not a git repository"),
        "{}",
        taken.notes()
    );
    assert!(
        taken.notes().contains("no commit to compare"),
        "{}",
        taken.notes()
    );
    assert!(!taken.has("_context/log.txt"));
}

#[tokio::test]
async fn a_branch_without_commits_has_files_and_no_commit() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("staged", "x\n");
    repo.git(&["add", "staged"]);
    repo.write("untracked", "x\n");
    let taken = take(&repo.path).await;
    assert_eq!(taken.snapshot.commit, None);
    assert_eq!(taken.names(), ["staged", "untracked"]);
    assert_eq!(taken.read("_context/log.txt"), "no commits yet\n");
    let status = taken.read("_context/status.txt");
    assert!(
        status.ends_with("added       staged\nuntracked   untracked\n"),
        "{status}"
    );
    assert!(taken.read("_context/uncommitted.diff").contains("+x\n"));
    assert!(taken.snapshot.notes.is_empty(), "{}", taken.notes());

    let (_place, empty) = Place::with_repository(&[]);
    let taken = take(&empty.path).await;
    assert_eq!((taken.snapshot.files, taken.notes()), (0, String::new()));
}

#[tokio::test]
async fn a_sha256_repository_is_read() {
    let (_place, repo) = Place::with_repository(&["--object-format=sha256"]);
    repo.write("a", "one\n");
    let commit = repo.commit("first");
    repo.write("a", "two\n");
    let taken = take(&repo.path).await;
    assert_eq!(commit.len(), 64);
    assert_eq!(taken.snapshot.commit, Some(commit));
    assert!(taken.read("_context/uncommitted.diff").contains("+two\n"));
}

#[tokio::test]
async fn an_unknown_format_is_read_as_a_plain_folder_with_its_ignore_rules() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("a", "one\n");
    repo.write(".gitignore", "target\n");
    repo.write("target/x", "x");
    repo.commit("first");
    repo.configure("core.repositoryFormatVersion", "1");
    repo.configure("extensions.refStorage", "reftable");
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), [".gitignore", "a"]);
    assert_eq!(taken.snapshot.commit, None);
    assert!(
        taken.notes().contains("refstorage=reftable"),
        "{}",
        taken.notes()
    );
    repo.write(".git/index", "broken");
    repo.write(".git/config", "");
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), [".gitignore", "a"]);
    assert!(
        taken.notes().contains("read as a plain folder"),
        "{}",
        taken.notes()
    );
}

#[tokio::test]
async fn a_linked_work_tree_has_its_own_head_and_index() {
    let (place, repo) = Place::with_repository(&[]);
    repo.write("a", "one\n");
    repo.commit("first");
    let linked = Repo {
        path: place.path.join("linked"),
    };
    repo.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "side",
        linked.path.to_str().unwrap(),
    ]);
    linked.write("b", "side\n");
    let commit = linked.commit("on the side");
    linked.write("a", "two\n");
    fs::write(repo.path.join(".git/info/exclude"), "hidden\n").unwrap();
    linked.write("hidden", "x");
    let before = photograph(&place.path);
    let taken = take(&linked.path).await;
    assert_eq!(before, photograph(&place.path));
    assert_eq!(taken.snapshot.commit, Some(commit));
    assert_eq!(taken.names(), ["a", "b"]);
    assert!(taken.read("_context/status.txt").contains("(branch side)"));
    assert!(taken.read("_context/uncommitted.diff").contains("+two\n"));
    assert!(taken.snapshot.notes.is_empty(), "{}", taken.notes());
}

#[tokio::test]
async fn submodules_and_repositories_inside_are_named_and_left_out() {
    let (place, repo) = Place::with_repository(&[]);
    let library = Repo::init(&place.path.join("library"), &[]);
    library.write("l", "x\n");
    library.commit("first");
    repo.write("a", "x\n");
    repo.git(&["submodule", "--quiet", "add", "../library", "lib/one"]);
    repo.commit("first");
    Repo::init(&repo.path.join("nested"), &[]).write("n", "x\n");
    repo.write("lib/one/l", "changed\n");
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), [".gitmodules", "a"]);
    let notes = taken.notes();
    assert!(notes.contains("submodules: lib/one"), "{notes}");
    assert!(
        notes.contains("repositories inside this one: nested"),
        "{notes}"
    );
    assert!(
        taken
            .read("_context/status.txt")
            .ends_with("nothing is changed\n")
    );

    let taken = take(&repo.path.join("lib/one")).await;
    assert_eq!(taken.names(), ["l"]);
    assert!(
        taken
            .read("_context/uncommitted.diff")
            .contains("+changed\n")
    );
    assert!(taken.snapshot.notes.is_empty(), "{}", taken.notes());
}

#[tokio::test]
async fn packed_shallow_split_and_conflicted_repositories_are_read() {
    let (place, repo) = Place::with_repository(&[]);
    repo.write("a", "one\n");
    repo.commit("first");
    repo.git(&["checkout", "-q", "-b", "topic"]);
    repo.write("a", "topic\n");
    repo.commit("on the topic");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("a", "main\n");
    repo.write("b", "b\n");
    let commit = repo.commit("on main");
    let url = format!("file://{}", repo.path.display());
    let shallow = Repo {
        path: place.path.join("shallow"),
    };
    repo.git(&[
        "clone",
        "-q",
        "--depth=1",
        &url,
        shallow.path.to_str().unwrap(),
    ]);
    let taken = take(&shallow.path).await;
    assert_eq!(taken.read("_context/log.txt").lines().count(), 1);
    assert!(taken.snapshot.notes.is_empty(), "{}", taken.notes());

    repo.git(&["gc", "-q"]);
    repo.git(&["update-index", "--split-index"]);
    assert!(!repo.try_git(&["merge", "topic"]).status.success());
    repo.write("c", "c\n");
    repo.git(&["add", "c"]);
    repo.git(&["update-index", "--split-index"]);
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), ["a", "b", "c"]);
    assert_eq!(taken.snapshot.commit, Some(commit));
    assert!(taken.read("a").contains("<<<<<<<"));
    assert!(taken.snapshot.notes.is_empty(), "{}", taken.notes());
}

#[tokio::test]
async fn roots_that_cannot_be_read_are_refused_with_a_cure() {
    let (place, repo) = Place::with_repository(&[]);
    repo.write("a", "x\n");
    repo.commit("first");
    let bare = Repo::init(&place.path.join("bare.git"), &["--bare"]);
    std::os::unix::fs::symlink(&repo.path, place.path.join("link")).unwrap();
    for (root, expected) in [
        (place.path.join("missing"), "does not exist"),
        (repo.path.join("a"), "is no folder"),
        (place.path.join("link"), "symbolic link"),
        (bare.path, "bare repository"),
        (repo.path.join(".git/hooks"), "inside a .git folder"),
    ] {
        let Err(error) = try_take(&request(&root)).await else {
            panic!("{} was taken", root.display());
        };
        assert!(
            error.contains(expected) && error.contains(root.to_str().unwrap()),
            "{error}"
        );
    }
}

#[tokio::test]
async fn git_is_needed_for_repositories_only() {
    let (place, repo) = Place::with_repository(&[]);
    repo.write("a", "x\n");
    let missing = Path::new("/nonexistent/git");
    let snapshots = Snapshots::new(&place.path.join("state"), missing).unwrap();
    let error = snapshots.get(1, &request(&repo.path)).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/git"), "{error}");
    assert!(error.to_string().contains("install git"), "{error}");
    fs::remove_dir_all(repo.path.join(".git")).unwrap();
    assert_eq!(
        snapshots.get(1, &request(&repo.path)).await.unwrap().files,
        1
    );
}

#[tokio::test]
async fn root_reads_the_repository_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can give files away.
        return;
    }
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("a", "one\n");
    let commit = repo.commit("first");
    repo.write("a", "two\n");
    for path in photograph(&repo.path).into_keys() {
        std::os::unix::fs::lchown(path, Some(65534), Some(65534)).unwrap();
    }
    // Git itself does not trust it.
    assert!(!repo.try_git(&["status"]).status.success());
    let taken = take(&repo.path).await;
    assert_eq!(taken.snapshot.commit, Some(commit));
    assert!(taken.read("_context/uncommitted.diff").contains("+two\n"));
    assert!(taken.snapshot.notes.is_empty(), "{}", taken.notes());
}
