//! Trees made to exhaust, to change while they are read, or to tell that they were read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use conductor_worker::snapshot::remove_tree;
use rustix::fs::{CWD, FileType, Mode, OFlags, mkdirat, mknodat, openat};

use crate::fixture::{Place, Repo, photograph};
use crate::ordinary::{request, take, try_take};

#[tokio::test]
async fn a_tracked_path_of_hundreds_of_levels_is_left_out() {
    let (_place, repo) = Place::with_repository(&[]);
    let path = |levels: usize| format!("{}f", "d/".repeat(levels));
    repo.write(path(127), "x\n");
    repo.write(path(300), "x\n");
    repo.commit("first");
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), [path(127)]);
    assert!(
        taken.notes().contains("128 levels deep"),
        "{}",
        taken.notes()
    );
    let status = taken.read("_context/status.txt");
    assert!(status.ends_with("nothing is changed\n"), "{status}");
}

#[tokio::test]
async fn a_tree_deeper_than_any_path_is_read_as_far_as_it_may_be() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("file", "x\n");
    repo.commit("first");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = openat(CWD, &repo.path, flags, Mode::empty()).unwrap();
    for _ in 0..1500 {
        mkdirat(&at, "deep", Mode::RWXU).unwrap();
        at = openat(&at, "deep", flags, Mode::empty()).unwrap();
    }
    drop(at);
    let taken = take(&repo.path).await;
    // Nobody but us removes such a tree.
    remove_tree(&repo.path.join("deep")).unwrap();
    assert_eq!(taken.names(), ["file"]);
    assert!(taken.notes().contains("levels deep"), "{}", taken.notes());
}

#[tokio::test]
async fn paths_that_are_too_long_are_named_and_left_out() {
    let (_place, repo) = Place::with_repository(&[]);
    let long = format!("{}/", "x".repeat(250)).repeat(13);
    repo.write("file", "x\n");
    repo.commit("first");
    repo.write(format!("{long}{}", "y".repeat(100)), "x\n");
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), ["file"]);
    assert!(
        taken.notes().contains("paths too long: xxx"),
        "{}",
        taken.notes()
    );
}

#[tokio::test]
async fn devices_are_never_opened() {
    if !rustix::process::geteuid().is_root() {
        // Nobody else can make one.
        return;
    }
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("tracked", "x\n");
    repo.commit("first");
    fs::remove_file(repo.path.join("tracked")).unwrap();
    // One gives zeros for ever, the other one rewinds a tape when it is opened.
    for (name, device) in [("zero", (1, 5)), ("tape", (9, 0)), ("tracked", (1, 5))] {
        let device = rustix::fs::makedev(device.0, device.1);
        let mode = Mode::from_raw_mode(0o644);
        mknodat(
            CWD,
            repo.path.join(name),
            FileType::CharacterDevice,
            mode,
            device,
        )
        .unwrap();
    }
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), Vec::<String>::new());
    assert!(
        taken.notes().contains("nor links: tracked, tape, zero"),
        "{}",
        taken.notes()
    );
}

#[tokio::test]
async fn names_that_look_alike_are_several_files() {
    let (_place, repo) = Place::with_repository(&[]);
    let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}");
    for (name, text) in [(composed, "1"), (decomposed, "2"), ("A", "3"), ("a", "4")] {
        repo.write(name, text);
    }
    repo.git(&["add", "A", composed]);
    fs::hard_link(repo.path.join("a"), repo.path.join("b")).unwrap();
    let before = photograph(&repo.path);
    let taken = take(&repo.path).await;
    assert_eq!(before, photograph(&repo.path));
    assert_eq!(taken.names(), ["A", "a", "b", decomposed, composed]);
    let read = [composed, decomposed, "A", "a", "b"].map(|name| taken.read(name));
    assert_eq!(read, ["1", "2", "3", "4", "4"]);
    let copy = fs::metadata(taken.snapshot.path.join("b")).unwrap();
    assert_eq!(copy.nlink(), 1, "a copy of its own");
}

#[tokio::test]
async fn files_that_change_while_they_are_read_are_bounded_and_told_by_the_digest() {
    let (place, repo) = Place::with_repository(&[]);
    for i in 0..40 {
        repo.write(format!("f{i}"), "x");
    }
    repo.commit("first");
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (done, root) = (done.clone(), repo.path.clone());
        std::thread::spawn(move || restless(&root, &done))
    };
    let mut request = request(&repo.path);
    request.limits.max_file_bytes = 300_000;
    for round in 0..8 {
        let taken = try_take(&request).await.unwrap();
        let copy = Repo {
            path: place.path.join(format!("copy-{round}")),
        };
        fs::create_dir(&copy.path).unwrap();
        let mut bytes = 0;
        for name in taken.names() {
            let from = taken.snapshot.path.join(&name);
            let about = fs::symlink_metadata(&from).unwrap();
            assert!(about.is_file() && about.len() <= 300_000, "{name}");
            bytes += about.len();
            fs::copy(&from, copy.path.join(&name)).unwrap();
        }
        assert_eq!(bytes, taken.snapshot.bytes);
        // The same bytes once more, from a place where nothing changes.
        let again = take(&copy.path).await;
        assert_eq!(again.snapshot.tree_digest, taken.snapshot.tree_digest);
    }
    done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
}

/// Lets files grow, shrink, vanish and become folders and links, again and again.
fn restless(root: &Path, done: &AtomicBool) {
    let large = vec![b'y'; 250_000];
    let mut round = 0;
    while !done.load(Ordering::Relaxed) {
        round += 1;
        let path = root.join(format!("f{}", round * 7 % 40));
        let _ = match round % 6 {
            0 => fs::remove_file(&path),
            1 => fs::create_dir(&path),
            2 => fs::remove_dir(&path),
            3 => std::os::unix::fs::symlink("/etc/passwd", &path),
            4 => fs::remove_file(&path).and_then(|()| fs::write(&path, &large)),
            _ => fs::File::options()
                .append(true)
                .open(&path)
                .and_then(|mut file| {
                    use std::io::Write;
                    file.write_all(&large)
                }),
        };
    }
}

#[tokio::test]
async fn rules_that_cannot_be_read_are_named() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("a/.gitignore", format!("secret\n{}", "#\n".repeat(600_000)));
    repo.write("a/secret", "x\n");
    let taken = take(&repo.path).await;
    // Nothing is known to be ignored then, which a person has to know.
    assert!(
        taken
            .notes()
            .contains("ignore rules that cannot be read or are larger than 1 MiB: a/.gitignore"),
        "{}",
        taken.notes()
    );
}

/// When a file or folder was last read.
fn read_at(path: &Path) -> (i64, i64) {
    let about = fs::symlink_metadata(path).unwrap();
    (about.atime(), about.atime_nsec())
}

#[tokio::test]
async fn nobody_can_see_that_a_file_of_ones_own_was_read() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("src/a", "x\n");
    repo.write(".gitignore", "*.log\n");
    repo.commit("first");
    repo.write("src/new", "x\n");
    let watched: Vec<PathBuf> = [
        "",
        "src",
        "src/a",
        "src/new",
        ".gitignore",
        ".git",
        ".git/HEAD",
        ".git/config",
        ".git/index",
        ".git/refs",
        ".git/refs/heads",
        ".git/refs/heads/main",
        ".git/objects",
    ]
    .iter()
    .map(|name| repo.path.join(name))
    .collect();
    // A time of reading that is older than that of the last change is renewed by any reading.
    let past = SystemTime::now() - Duration::from_secs(3600);
    let past = past.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    for path in &watched {
        let time = rustix::fs::Timespec {
            tv_sec: past.as_secs() as _,
            tv_nsec: 0,
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: rustix::fs::Timespec {
                tv_sec: 0,
                tv_nsec: rustix::fs::UTIME_OMIT,
            },
        };
        rustix::fs::utimensat(CWD, path, &times, rustix::fs::AtFlags::empty()).unwrap();
    }
    let before: Vec<_> = watched.iter().map(|path| read_at(path)).collect();
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), [".gitignore", "src/a", "src/new"]);
    for (path, before) in watched.iter().zip(before) {
        assert_eq!(read_at(path), before, "{}", path.display());
    }
}

#[tokio::test]
async fn thousands_of_links_folders_and_odd_objects_end_in_time() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("file", "x\n");
    repo.commit("first");
    for i in 0..3000 {
        repo.link(&format!("links/{i}"), "../../../../../etc/passwd");
        fs::create_dir_all(repo.path.join(format!("empty/{i}"))).unwrap();
    }
    // A ring of links, and one that names itself.
    repo.link("ring/a", "b");
    repo.link("ring/b", "a");
    repo.link("ring/c", "c/c");
    let began = Instant::now();
    let taken = take(&repo.path).await;
    assert_eq!(taken.names(), ["file", "ring/a", "ring/b", "ring/c"]);
    assert!(taken.notes().contains("and 2990 more"), "{}", taken.notes());
    assert!(
        began.elapsed() < Duration::from_secs(60),
        "{:?}",
        began.elapsed()
    );
}
