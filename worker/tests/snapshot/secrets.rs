//! A repository cannot make the worker read what belongs to somebody else.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fixture::{Place, Repo, files, photograph};
use crate::ordinary::{Taken, take};

const SECRET: &str = "the victim's secret";

/// A repository of somebody else on the same machine.
fn victim(place: &Place) -> Repo {
    let victim = Repo::init(&place.path.join("victim"), &[]);
    victim.write("secret", format!("{SECRET}\n"));
    victim.commit(SECRET);
    victim
}

fn assert_no_secret(taken: &Taken) {
    for (name, content) in files(&taken.snapshot.path) {
        assert!(!content.contains(SECRET), "{name}: {content}");
    }
    assert!(!taken.notes().contains(SECRET), "{}", taken.notes());
}

fn attacker(place: &Place) -> Repo {
    let attacker = Repo {
        path: place.path.join("attacker"),
    };
    attacker.write("a", "x\n");
    attacker
}

#[tokio::test]
async fn a_git_file_or_link_to_a_foreign_repository_is_not_believed() {
    let place = Place::new();
    let theirs = victim(&place).path.join(".git");
    let attacker = attacker(&place);
    attacker.write(".git", format!("gitdir: {}\n", theirs.display()));
    let taken = take(&attacker.path).await;
    assert!(
        taken.notes().contains("does not name it back"),
        "{}",
        taken.notes()
    );
    assert_no_secret(&taken);

    fs::remove_file(attacker.path.join(".git")).unwrap();
    std::os::unix::fs::symlink(&theirs, attacker.path.join(".git")).unwrap();
    let taken = take(&attacker.path).await;
    assert!(taken.notes().contains("symbolic link"), "{}", taken.notes());
    assert_no_secret(&taken);
}

#[tokio::test]
async fn a_forged_linked_work_tree_does_not_borrow_a_foreign_store() {
    let place = Place::new();
    let victim = victim(&place);
    let commit = victim.git(&["rev-parse", "HEAD"]);
    let attacker = attacker(&place);
    let forged = place.path.join("forged/worktrees/x");
    fs::create_dir_all(&forged).unwrap();
    attacker.write(".git", format!("gitdir: {}\n", forged.display()));
    fs::write(forged.join("HEAD"), format!("{commit}\n")).unwrap();
    let back = attacker.path.join(".git");
    fs::write(forged.join("gitdir"), format!("{}\n", back.display())).unwrap();
    let common = victim.path.join(".git");
    fs::write(forged.join("commondir"), format!("{}\n", common.display())).unwrap();
    let taken = take(&attacker.path).await;
    assert_eq!(taken.snapshot.commit, None);
    assert!(
        taken.notes().contains("not where git puts one"),
        "{}",
        taken.notes()
    );
    assert_no_secret(&taken);
}

#[tokio::test]
async fn objects_are_not_borrowed_from_a_foreign_store() {
    let place = Place::new();
    let victim = victim(&place);
    let commit = victim.git(&["rev-parse", "HEAD"]);
    let store = victim.path.join(".git/objects");
    let forge = |name: &str| {
        let repo = Repo::init(&place.path.join(name), &[]);
        repo.write("a", "x\n");
        repo.write(".git/refs/heads/main", format!("{commit}\n"));
        repo
    };

    let alternates = forge("alternates");
    alternates.write(
        ".git/objects/info/alternates",
        format!("{}\n", store.display()),
    );
    // It works for git itself, so this is what has to be refused.
    assert_eq!(alternates.git(&["log", "--format=%s"]), SECRET);
    let taken = take(&alternates.path).await;
    assert!(
        taken.notes().contains("objects/info/alternates"),
        "{}",
        taken.notes()
    );
    assert!(
        taken.notes().contains("HEAD's commit is not in"),
        "{}",
        taken.notes()
    );
    assert_no_secret(&taken);

    let link = forge("link");
    let objects = link.path.join(".git/objects");
    fs::remove_dir_all(&objects).unwrap();
    std::os::unix::fs::symlink(&store, &objects).unwrap();
    assert_eq!(link.git(&["log", "--format=%s"]), SECRET);
    let taken = take(&link.path).await;
    assert!(
        taken.notes().contains("object store cannot be opened"),
        "{}",
        taken.notes()
    );
    assert_no_secret(&taken);

    let parts = forge("parts");
    for entry in fs::read_dir(&store).unwrap() {
        let name = entry.unwrap().file_name();
        let ours = parts.path.join(".git/objects").join(&name);
        let _ = fs::remove_dir_all(&ours);
        std::os::unix::fs::symlink(store.join(&name), ours).unwrap();
    }
    assert_eq!(parts.git(&["log", "--format=%s"]), SECRET);
    assert_no_secret(&take(&parts.path).await);
}

#[tokio::test]
async fn names_in_a_forged_index_do_not_climb() {
    let place = Place::new();
    fs::write(place.path.join("secret"), SECRET).unwrap();
    let repo = Repo::init(&place.path.join("repo"), &[]);
    // Without a checksum the names can be changed in place.
    repo.configure("index.skipHash", "true");
    repo.write("xx/secret", "x\n");
    repo.write("xgit/config", "x\n");
    for name in ["aaaa/config", "aetc/passwd", "git_1/hooks", "gitdot/hook"] {
        repo.write(name, "x\n");
    }
    repo.write("z", "x\n");
    repo.commit("first");
    let index = repo.path.join(".git/index");
    let mut content = fs::read(&index).unwrap();
    for (from, to) in [
        ("xx/secret", "../secret"),
        ("xgit/conf", ".git/conf"),
        ("aaaa/config", ".GIT/config"),
        ("aetc/passwd", "/etc/passwd"),
        ("git_1/hooks", "GIT~1/hooks"),
        ("gitdot/hook", ".git. /hook"),
    ] {
        let (from, to) = (from.as_bytes(), to.as_bytes());
        let at = content.windows(from.len()).position(|w| w == from).unwrap();
        content[at..at + to.len()].copy_from_slice(to);
    }
    // The cache of trees would say otherwise, and is optional.
    let tree = content.windows(4).position(|w| w == b"TREE").unwrap();
    content[tree..tree + 4].copy_from_slice(b"ZZZZ");
    fs::write(&index, content).unwrap();
    // As if the forged names were there to be copied.
    repo.write("GIT~1/hooks", "x\n");
    repo.write(".git. /hook", "x\n");
    let taken = take(&repo.path).await;
    assert_eq!(
        taken.names(),
        [
            "aaaa/config",
            "aetc/passwd",
            "git_1/hooks",
            "gitdot/hook",
            "xgit/config",
            "xx/secret",
            "z"
        ]
    );
    let notes = taken.notes();
    assert!(
        notes.contains("no paths inside the tree: ../secret, /etc/passwd"),
        "{notes}"
    );
    assert!(
        notes.contains(
            "files of version control: .GIT/config, .git. /hook, .git/config, GIT~1/hooks"
        ),
        "{notes}"
    );
    assert_no_secret(&taken);
}

#[tokio::test]
async fn links_that_lead_out_are_left_out() {
    let place = Place::new();
    fs::create_dir(place.path.join("outside")).unwrap();
    fs::write(place.path.join("outside/secret"), SECRET).unwrap();
    let repo = Repo::init(&place.path.join("repo"), &[]);
    let outside = place.path.join("outside");
    repo.write("a/b/c/file", "x\n");
    for (link, target) in [
        ("inside", "a/b"),
        ("a/b/up", "../../a/b/c/file"),
        ("dangling", "no/such/file"),
        ("a/b/c/top", "../../.."),
        ("absolute", outside.to_str().unwrap()),
        ("climbing", "../outside/secret"),
        // Both names and bytes stay inside when read as text, but the way leads over `top`.
        ("a/b/c/over-a-link", "top/../outside/secret"),
        ("a/passes", "b/c/../../../../outside"),
    ] {
        repo.link(link, target);
    }
    assert_eq!(
        fs::read_to_string(repo.path.join("a/b/c/over-a-link")).unwrap(),
        SECRET
    );
    // Tracked as a folder with a file, then replaced by a link to the outside.
    repo.write("swapped/secret", "x\n");
    repo.commit("first");
    fs::remove_dir_all(repo.path.join("swapped")).unwrap();
    repo.link("swapped", "../outside");
    let taken = take(&repo.path).await;
    assert_eq!(
        taken.names(),
        ["a/b/c/file", "a/b/c/top", "a/b/up", "dangling", "inside"]
    );
    assert_no_secret(&taken);
    let notes = taken.notes();
    for link in [
        "absolute",
        "climbing",
        "a/b/c/over-a-link",
        "a/passes",
        "swapped",
    ] {
        assert!(notes.contains(link), "{link}: {notes}");
    }
}

#[tokio::test]
async fn a_link_swapped_in_at_any_moment_leads_nowhere() {
    let place = Place::new();
    let outside = place.path.join("outside");
    fs::create_dir(&outside).unwrap();
    for i in 0..50 {
        fs::write(outside.join(format!("f{i}")), SECRET).unwrap();
    }
    let repo = Repo::init(&place.path.join("repo"), &[]);
    for i in 0..50 {
        repo.write(format!("folder/f{i}"), "x\n");
    }
    repo.commit("first");
    let (folder, aside) = (repo.path.join("folder"), place.path.join("aside"));
    let done = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (done, outside) = (done.clone(), outside.clone());
        std::thread::spawn(move || swap(&folder, &aside, &outside, &done))
    };
    for _ in 0..30 {
        assert_no_secret(&take(&repo.path).await);
    }
    done.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
}

/// Puts a link in the folder's place and the folder back, again and again.
fn swap(folder: &Path, aside: &PathBuf, outside: &Path, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        fs::rename(folder, aside).unwrap();
        std::os::unix::fs::symlink(outside, folder).unwrap();
        fs::remove_file(folder).unwrap();
        fs::rename(aside, folder).unwrap();
    }
}

#[tokio::test]
async fn a_foreign_repository_stays_as_it_was() {
    let place = Place::new();
    let victim = victim(&place);
    let before = photograph(&victim.path);
    let attacker = attacker(&place);
    attacker.write(
        ".git",
        format!("gitdir: {}\n", victim.path.join(".git").display()),
    );
    take(&attacker.path).await;
    assert_eq!(before, photograph(&victim.path));
}
