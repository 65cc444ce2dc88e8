//! Repositories by an enemy, and trees that are merely odd.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::fixture::{Place, Repo, Trap, bytes, fifo, photograph};
use crate::fuzz::tried;
use crate::ordinary::{request, take, try_take};

#[tokio::test]
async fn nothing_that_a_repository_names_runs_and_nothing_in_it_changes() {
    let trap = Trap::new();
    let root = trap.repo.path.clone();
    let before = photograph(&root);
    let mut request = request(&root);
    request.base = Some("HEAD~1".into());
    let taken = try_take(&request).await.unwrap();
    assert_eq!(trap.ran(), Vec::<String>::new());
    assert_eq!(before, photograph(&root));
    assert!(taken.snapshot.notes.is_empty(), "{}", taken.notes());
    assert_eq!(taken.read("code.rs"), "fn main() { changed() }\n");
    assert_eq!(taken.read("data.bin"), "changed data\n");
    assert_eq!(taken.read("new.txt"), "untracked\n");
    let diff = taken.read("_context/uncommitted.diff");
    assert!(
        diff.contains("+fn main() { changed() }") && diff.contains("+changed data"),
        "{diff}"
    );
    assert!(
        taken
            .read("_context/base.diff")
            .contains("+*.bin filter=long")
    );
    assert_eq!(taken.read("_context/log.txt").lines().count(), 2);
    // The traps are real: git itself steps into them.
    for name in ["code.rs", "data.bin", "notes.txt"] {
        trap.repo.write(
            name,
            "of another length, so that nobody can think it unchanged\n",
        );
    }
    for key in ["filter.long.required", "filter.lfs.required"] {
        trap.repo.configure(key, "false");
    }
    for args in [
        ["status"].as_slice(),
        &["diff", "HEAD"],
        &["diff", "--no-ext-diff", "HEAD"],
        &["add", "-u"],
    ] {
        trap.repo
            .try_git(&[["--work-tree=."].as_slice(), args].concat());
    }
    let ran = trap.ran();
    for name in [
        "included",
        "process",
        "lfs",
        "clean",
        "diff-driver",
        "textconv",
        "hook-post-index-change",
    ] {
        assert!(ran.iter().any(|r| r == name), "{name}: {ran:?}");
    }
}

#[tokio::test]
async fn fifos_sockets_and_sparse_giants_are_named_and_left_out() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("file", "x\n");
    repo.write("was-a-file", "x\n");
    repo.commit("first");
    fs::remove_file(repo.path.join("was-a-file")).unwrap();
    fifo(&repo.path.join("was-a-file"));
    fifo(&repo.path.join("fifo"));
    let _socket = UnixListener::bind(repo.path.join("socket")).unwrap();
    let giant = fs::File::create(repo.path.join("giant")).unwrap();
    giant.set_len(3 << 30).unwrap();
    let start = Instant::now();
    let taken = take(&repo.path).await;
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(taken.names(), ["file"]);
    let notes = taken.notes();
    assert!(notes.contains("larger than 16 MiB: giant"), "{notes}");
    assert!(
        notes.contains("nor links: was-a-file, fifo, socket"),
        "{notes}"
    );
}

#[tokio::test]
async fn a_fifo_where_git_reads_does_not_stop_anything() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("folder/file", "x\n");
    repo.write(".gitattributes", "* text\n");
    let commit = repo.commit("first");
    for name in [".gitignore", "folder/.gitignore", ".gitmodules", ".mailmap"] {
        fifo(&repo.path.join(name));
    }
    fs::remove_file(repo.path.join(".gitattributes")).unwrap();
    fifo(&repo.path.join(".gitattributes"));
    let _ = fs::remove_file(repo.path.join(".git/info/exclude"));
    fifo(&repo.path.join(".git/info/exclude"));
    fifo(&repo.path.join(".git/refs/heads/fifo"));
    fs::create_dir_all(repo.path.join(".git/objects/00")).unwrap();
    fifo(
        &repo
            .path
            .join(format!(".git/objects/00/{}", "0".repeat(38))),
    );
    fifo(&repo.path.join(".git/objects/pack/pack-x.idx"));
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), ["folder/file"]);
    assert_eq!(taken.snapshot.commit, Some(commit));
    for name in ["config", "HEAD"] {
        fs::remove_file(repo.path.join(".git").join(name)).unwrap();
        fifo(&repo.path.join(".git").join(name));
        let taken = take(&repo.path).await;
        assert_eq!(taken.names(), ["folder/file"]);
        assert!(
            taken.notes().contains("cannot be read: not a regular file"),
            "{}",
            taken.notes()
        );
    }
}

#[tokio::test]
async fn any_bytes_may_be_a_name() {
    let (_place, repo) = Place::with_repository(&[]);
    let odd: [&[u8]; 6] = [
        b"new\nline",
        b"quo\"te'",
        b"\x1b[31mred",
        b"not-utf8-\xff\xfe",
        b"-rf",
        " leading, gr\u{f6}\u{df}er \u{202e}".as_bytes(),
    ];
    for name in odd {
        repo.write(bytes(name), "tracked\n");
    }
    repo.commit("first");
    for name in odd {
        repo.write(bytes(name), "changed\n");
        repo.write(Path::new("untracked").join(bytes(name)), "x\n");
        std::os::unix::fs::symlink(
            "/out",
            repo.path
                .join("untracked")
                .join(bytes(&[name, b".l"].concat())),
        )
        .unwrap();
    }
    let taken = take(&repo.path).await;
    assert_eq!(taken.snapshot.files, 12);
    for name in odd {
        let copy = taken.snapshot.path.join(bytes(name));
        assert_eq!(fs::read_to_string(copy).unwrap(), "changed\n");
    }
    let texts = [taken.notes(), taken.read("_context/status.txt")];
    for text in texts {
        assert!(
            text.contains("new\\nline") && text.contains("not-utf8-\\xff\\xfe"),
            "{text}"
        );
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text}"
        );
    }
}

#[tokio::test]
async fn deep_nesting_ends_somewhere() {
    let (_place, repo) = Place::with_repository(&[]);
    let path = |levels: usize| format!("{}f", "d/".repeat(levels));
    repo.write(path(100), "x\n");
    repo.commit("first");
    repo.write(path(101), "x\n");
    repo.write(path(600), "x\n");
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), [path(101), path(100)]);
    assert!(taken.notes().contains("levels deep"), "{}", taken.notes());
}

#[tokio::test]
async fn unreadable_files_are_named() {
    if rustix::process::geteuid().is_root() {
        // Nothing is unreadable then.
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("closed", "x\n");
    repo.write("folder/f", "x\n");
    repo.write("open", "x\n");
    repo.git(&["add", "closed"]);
    let set = |name: &str, mode: u32| {
        fs::set_permissions(repo.path.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    set("closed", 0o000);
    set("folder", 0o000);
    let taken = take(&repo.path).await;
    set("folder", 0o700);
    assert_eq!(taken.names(), ["open"]);
    assert!(
        taken.notes().contains("unreadable: folder, closed"),
        "{}",
        taken.notes()
    );
    set("", 0o000);
    let error = try_take(&request(&repo.path))
        .await
        .map(|_| ())
        .unwrap_err();
    set("", 0o700);
    assert!(error.contains("right to read it"), "{error}");
}

#[tokio::test]
async fn commit_messages_cannot_send_terminal_codes() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.commit("red \u{1b}[31m\rforged line");
    let log = take(&repo.path).await.read("_context/log.txt");
    assert!(
        log.contains("forged line") && log.lines().count() == 1,
        "{log}"
    );
    assert!(!log.contains('\u{1b}') && !log.contains('\r'), "{log:?}");
}

/// Lines of ignore files and names that have something to do with each other.
fn rules() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "a", "b/", "/a", "a/b", "*.x", "!k.x", "!a", "a/*", "!a/b", "**/b", "a/**", "a/**/b",
        "[ab]", "?", "\\!a", "#a", "\\#a", "b ", "b\\ ", "/*", "!/c", "!c/", "*", "!*/", "a//b",
        "c/./a", "[!a]", "k*",
    ]);
    prop::collection::vec(line, 0..5).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(tried(48))]

    #[test]
    fn what_is_ignored_is_what_git_ignores(
        files in prop::collection::vec("(a/|b/|c/){0,3}(a|b|c|k\\.x|e\\.x|!a|#a|b )", 1..12),
        tracked in prop::collection::vec("(a/|b/){0,2}(k\\.x|c|t)", 0..4),
        top in rules(),
        below in rules(),
        exclude in rules(),
    ) {
        let (_place, repo) = Place::with_repository(&[]);
        for path in files.iter().chain(&tracked) {
            let path = repo.path.join(path);
            // One name may be a folder in one path and a file in another.
            if fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.is_dir() {
                fs::write(&path, "x").unwrap();
            }
        }
        for path in &tracked {
            let _ = repo.try_git(&["add", "-f", path]);
        }
        fs::write(repo.path.join(".gitignore"), top).unwrap();
        if repo.path.join("a").is_dir() {
            fs::write(repo.path.join("a/.gitignore"), below).unwrap();
        }
        fs::write(repo.path.join(".git/info/exclude"), exclude).unwrap();
        let expected = listed(&repo);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let taken = runtime.block_on(take(&repo.path));
        prop_assert_eq!(taken.names(), expected);
    }
}

fn listed(repo: &Repo) -> Vec<String> {
    let output = repo.try_git(&[
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let mut names: Vec<String> = output
        .stdout
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
        .map(|name| bytes(name).as_os_str().as_bytes())
        .map(|name| String::from_utf8(name.to_vec()).unwrap())
        .filter(|name| repo.path.join(name).is_file())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn ignore_rules_made_to_be_slow_are_not() {
    let (_place, repo) = Place::with_repository(&[]);
    let name = "a".repeat(250);
    let folders = "a/".repeat(60);
    let rules = [
        "*a".repeat(60) + "b",
        "**/a/".repeat(40) + "b",
        "[a-z]*".repeat(60) + "!",
    ];
    repo.write(".gitignore", rules.join("\n").repeat(20));
    for i in 0..20 {
        repo.write(format!("{name}{i}"), "x");
        repo.write(format!("{folders}{i}"), "x");
    }
    let start = Instant::now();
    let taken = take(&repo.path).await;
    assert_eq!(taken.snapshot.files, 41);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
}
