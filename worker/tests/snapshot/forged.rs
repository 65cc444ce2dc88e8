//! What an enemy may put into `.git` itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fixture::{Photograph, Place, Repo, files, photograph};
use crate::ordinary::{Taken, request, take, try_take};

const SECRET: &str = "the victim's secret";

fn victim(place: &Place) -> Repo {
    let victim = Repo::init(&place.path.join("victim"), &[]);
    victim.write("secret", format!("{SECRET}\n"));
    victim.commit(SECRET);
    victim
}

#[track_caller]
fn assert_no_secret(taken: &Taken) {
    for (name, content) in files(&taken.snapshot.path) {
        assert!(!content.contains(SECRET), "{name}: {content}");
    }
    assert!(!taken.notes().contains(SECRET), "{}", taken.notes());
}

#[tokio::test]
async fn files_that_lead_to_another_repository_lead_nowhere() {
    let place = Place::new();
    let victim = victim(&place);
    let (git, store) = (victim.path.join(".git"), victim.path.join(".git/objects"));
    let commit = victim.git(&["rev-parse", "HEAD"]);
    let forge = |name: &str| {
        let repo = Repo::init(&place.path.join(name), &[]);
        repo.write("a", "x\n");
        repo.write(".git/refs/heads/main", format!("{commit}\n"));
        repo
    };
    let common = forge("common");
    common.write(".git/commondir", format!("{}\n", git.display()));
    assert_eq!(
        common.git(&["log", "--format=%s"]),
        SECRET,
        "it works for git itself"
    );

    let http = forge("http");
    http.write(
        ".git/objects/info/http-alternates",
        format!("file://{}\n", store.display()),
    );

    let refs = forge("refs");
    fs::remove_dir_all(refs.path.join(".git/refs")).unwrap();
    std::os::unix::fs::symlink(git.join("refs"), refs.path.join(".git/refs")).unwrap();

    let head = forge("head");
    fs::remove_file(head.path.join(".git/HEAD")).unwrap();
    std::os::unix::fs::symlink(git.join("HEAD"), head.path.join(".git/HEAD")).unwrap();

    let index = forge("index");
    std::os::unix::fs::symlink(git.join("index"), index.path.join(".git/index")).unwrap();

    let climbing = forge("climbing");
    climbing.write(
        ".git/HEAD",
        "ref: refs/../../../victim/.git/refs/heads/main\n",
    );

    let config = forge("config");
    config.write(
        ".git/config",
        format!(
            "[core]\n\tworktree = {0}\n[include]\n\tpath = {1}/config\n[extensions]\n\tworktreeConfig = true\n",
            victim.path.display(),
            git.display()
        ),
    );
    config.write(
        ".git/config.worktree",
        format!("[core]\n\tworktree = {}\n", victim.path.display()),
    );

    let before = photograph(&victim.path);
    for repo in [&common, &http, &refs, &head, &index, &climbing, &config] {
        let taken = take(&repo.path).await;
        assert_no_secret(&taken);
        assert_eq!(taken.names(), ["a"], "{}", repo.path.display());
        assert_eq!(taken.snapshot.commit, None, "{}", repo.path.display());
    }
    assert_same(&before, &photograph(&victim.path));
}

#[tokio::test]
async fn a_store_swapped_for_a_link_at_any_moment_is_not_read() {
    let place = Place::new();
    let victim = victim(&place);
    let commit = victim.git(&["rev-parse", "HEAD"]);
    let store = victim.path.join(".git/objects");
    let repo = Repo::init(&place.path.join("repo"), &[]);
    repo.write("a", "x\n");
    let own = repo.commit("first");
    repo.write(".git/refs/heads/main", format!("{commit}\n"));
    repo.write(".git/refs/heads/own", format!("{own}\n"));
    // The names of the victim's folders are there, so that each is linked.
    for entry in fs::read_dir(&store).unwrap() {
        let _ = fs::create_dir(
            repo.path
                .join(".git/objects")
                .join(entry.unwrap().file_name()),
        );
    }
    let (objects, aside) = (repo.path.join(".git/objects"), place.path.join("aside"));
    let done = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (done, store) = (done.clone(), store.clone());
        std::thread::spawn(move || {
            let pause = std::time::Duration::from_millis(3);
            while !done.load(Ordering::Relaxed) {
                fs::rename(&objects, &aside).unwrap();
                std::os::unix::fs::symlink(&store, &objects).unwrap();
                std::thread::sleep(pause);
                fs::remove_file(&objects).unwrap();
                fs::rename(&aside, &objects).unwrap();
                std::thread::sleep(pause);
            }
        })
    };
    for _ in 0..12 {
        if let Ok(taken) = try_take(&request(&repo.path)).await {
            assert_no_secret(&taken);
        }
    }
    done.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
}

#[tokio::test]
async fn extensions_of_the_index_run_nothing() {
    let (place, repo) = Place::with_repository(&[]);
    let (canary, monitor) = (place.path.join("canary"), place.path.join("monitor"));
    let text = format!(
        "#!/bin/sh\ntouch '{}'\nprintf 'token\\0'\n",
        canary.display()
    );
    fs::write(&monitor, text).unwrap();
    fs::set_permissions(&monitor, fs::Permissions::from_mode(0o755)).unwrap();
    repo.write("code.rs", "fn main() {}\n");
    repo.write("new/untracked", "x\n");
    repo.git(&["add", "code.rs"]);
    repo.git(&["commit", "-q", "-m", "first"]);
    repo.configure("core.fsmonitor", monitor.to_str().unwrap());
    // The index itself says then that a monitor is to be asked, and that untracked files are cached.
    repo.git(&["update-index", "--force-untracked-cache"]);
    repo.git(&["update-index", "--fsmonitor"]);
    repo.git(&["status"]);
    repo.git(&["update-index", "--split-index"]);
    repo.write("code.rs", "fn main() { changed() }\n");
    let all = |at: &Path| -> Vec<u8> {
        let names = fs::read_dir(at).unwrap().map(|it| it.unwrap().path());
        let indexes = names.filter(|it| it.to_string_lossy().contains("index"));
        indexes
            .filter(|it| it.is_file())
            .flat_map(|it| fs::read(it).unwrap())
            .collect()
    };
    let content = all(&repo.path.join(".git"));
    for extension in [b"FSMN", b"UNTR", b"link"] {
        let found = content.windows(4).any(|it| it == extension);
        assert!(found, "{}", String::from_utf8_lossy(extension));
    }
    fs::remove_file(&canary).expect("git itself ran it");
    let before = photograph(&repo.path);
    let taken = take(&repo.path).await;
    assert!(!canary.exists());
    assert_same(&before, &photograph(&repo.path));
    assert_eq!(taken.snapshot.notes, Vec::<String>::new());
    let diff = taken.read("_context/uncommitted.diff");
    assert!(diff.contains("+fn main() { changed() }"), "{diff}");
}

/// Says which files differ, where the whole photographs would fill the screen.
#[track_caller]
fn assert_same(before: &Photograph, after: &Photograph) {
    let differ = |it: &&std::path::PathBuf| before.get(*it) != after.get(*it);
    let all: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let changed: Vec<_> = all.into_iter().filter(differ).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[tokio::test]
async fn a_sparse_index_is_read_and_what_it_leaves_out_is_not_deleted() {
    let (_place, repo) = Place::with_repository(&[]);
    for name in ["in/a", "out/b", "out/deep/c", "top"] {
        repo.write(name, "x\n");
    }
    repo.commit("first");
    repo.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    assert!(!repo.path.join("out/b").exists());
    let index = fs::read(repo.path.join(".git/index")).unwrap();
    assert!(index.windows(4).any(|it| it == b"sdir"));
    repo.write("in/a", "changed\n");
    let before = photograph(&repo.path);
    let taken = take(&repo.path).await;
    assert_same(&before, &photograph(&repo.path));
    assert_eq!(taken.names(), ["in/a", "top"]);
    let status = taken.read("_context/status.txt");
    assert!(status.ends_with("\n\nmodified    in/a\n"), "{status}");
}

#[tokio::test]
async fn grafts_replacements_and_attributes_of_the_store_change_nothing() {
    let (place, repo) = Place::with_repository(&[]);
    repo.write("a", "one\n");
    let first = repo.commit("first");
    repo.write("a", "two\n");
    let second = repo.commit("second");
    let forged = repo.git(&["commit-tree", "-m", "forged", &format!("{second}^{{tree}}")]);
    repo.git(&["replace", &second, &forged]);
    repo.write(".git/info/grafts", format!("{second}\n"));
    repo.configure(
        "filter.evil.clean",
        &format!("touch {}/canary", place.path.display()),
    );
    repo.configure(
        "diff.evil.textconv",
        &format!("touch {}/canary;", place.path.display()),
    );
    repo.write(".git/info/attributes", "* filter=evil diff=evil\n");
    repo.write("a", "three\n");
    let before = photograph(&repo.path);
    let taken = take(&repo.path).await;
    assert_same(&before, &photograph(&repo.path));
    assert!(!place.path.join("canary").exists());
    assert_eq!(taken.snapshot.commit, Some(second));
    let log = taken.read("_context/log.txt");
    assert!(
        log.contains("A: second\n") && log.contains("A: first\n"),
        "{log}"
    );
    assert!(
        !log.contains("forged") && log.contains(&first[..7]),
        "{log}"
    );
    assert!(taken.read("_context/uncommitted.diff").contains("+three\n"));
}

#[tokio::test]
async fn broken_packs_and_objects_cost_the_history_and_not_the_files() {
    let (_place, repo) = Place::with_repository(&[]);
    for i in 0..30 {
        repo.write(format!("f{i}"), format!("{i}\n").repeat(200));
    }
    repo.commit("first");
    repo.git(&["gc", "-q"]);
    let packs = repo.path.join(".git/objects/pack");
    let pack = |ending: &str| {
        let mut names = fs::read_dir(&packs).unwrap().map(|it| it.unwrap().path());
        names
            .find(|it| it.extension().is_some_and(|it| it == ending))
            .unwrap()
    };
    repo.write("f1", "changed\n");
    let (pack, idx) = (pack("pack"), pack("idx"));
    let (whole, index) = (fs::read(&pack).unwrap(), fs::read(&idx).unwrap());
    let set = |path: &Path, content: &[u8]| {
        fs::remove_file(path).unwrap();
        fs::write(path, content).unwrap();
    };
    let mut flipped = whole.clone();
    for at in (12..flipped.len()).step_by(7) {
        flipped[at] ^= 0x55;
    }
    let mut lying = index.clone();
    // Offsets far behind the end of the pack.
    let end = lying.len() - 40;
    lying[end - 4 * 30..end].fill(0x7f);
    for (pack_is, idx_is) in [
        (&whole[..whole.len() / 2], &index[..]),
        (&flipped, &index),
        (b"PACK\0\0\0\x02\xff\xff\xff\xff".as_slice(), &index),
        (&whole, &lying),
        (&whole, b"\xfftOc\0\0\0\x02"),
        (b"", b""),
    ] {
        set(&pack, pack_is);
        set(&idx, idx_is);
        let taken = take(&repo.path).await;
        assert_eq!(taken.snapshot.files, 30, "{}", taken.notes());
        assert_eq!(taken.read("f1"), "changed\n");
    }
    set(&pack, &whole);
    set(&idx, &index);
    let taken = take(&repo.path).await;
    assert!(taken.snapshot.notes.is_empty(), "{}", taken.notes());
}

#[tokio::test]
async fn strange_refs_are_data() {
    let (_place, repo) = Place::with_repository(&[]);
    repo.write("a", "x\n");
    let commit = repo.commit("first");
    let zeros = "0".repeat(40);
    let packed = format!(
        "# pack-refs with: peeled fully-peeled sorted \n{commit} refs/heads/../../../../etc/passwd\n\
         {commit} refs/heads/a b\n{zeros} refs/heads/\u{1b}[31m\n^{zeros}\nno hash at all\n{commit} HEAD\n\
         {commit} refs/heads/{}\n{commit}",
        "x/".repeat(3000)
    );
    repo.write(".git/packed-refs", packed);
    repo.write(".git/refs/heads/loop", "ref: refs/heads/loop\n");
    repo.write(".git/refs/heads/-option", format!("{commit}\n"));
    repo.write(".git/refs/heads/x.lock", format!("{commit}\n"));
    repo.write(".git/shallow", "not a hash\n");
    let before = photograph(&repo.path);
    let mut request = request(&repo.path);
    for base in [
        "loop",
        "-option",
        "refs/heads/loop",
        "x/x",
        "HEAD@{0}",
        "HEAD^{/first}",
        "@{-1}",
    ] {
        request.base = Some(base.into());
        let taken = try_take(&request).await.unwrap();
        assert_eq!(taken.names(), ["a"], "{}", taken.notes());
        assert!(!taken.notes().contains('\u{1b}'), "{:?}", taken.notes());
    }
    assert_same(&before, &photograph(&repo.path));
}

#[tokio::test]
async fn an_index_of_garbage_is_an_index_of_nothing() {
    let (_place, repo) = Place::with_repository(&[]);
    for i in 0..5 {
        repo.write(format!("f{i}"), "x\n");
    }
    repo.commit("first");
    let index = repo.path.join(".git/index");
    let whole = fs::read(&index).unwrap();
    let mut giant_count = whole.clone();
    giant_count[8..12].fill(0xff);
    let mut version = whole.clone();
    version[7] = 9;
    for content in [
        &whole[..whole.len() / 2],
        &whole[..12],
        &giant_count,
        &version,
        b"DIRC",
        b"",
    ] {
        fs::write(&index, content).unwrap();
        let taken = take(&repo.path).await;
        assert_eq!(
            taken.names(),
            ["f0", "f1", "f2", "f3", "f4"],
            "{}",
            taken.notes()
        );
    }
    // A giant without content costs nobody anything.
    fs::File::create(&index).unwrap().set_len(3 << 30).unwrap();
    let taken = take(&repo.path).await;
    assert_eq!(taken.snapshot.files, 5);
    assert!(
        taken.notes().contains("its index cannot be read: larger"),
        "{}",
        taken.notes()
    );
}
