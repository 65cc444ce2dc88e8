//! A snapshot while open files run out. A program of its own with one test, because the limit is the whole process's.

use std::fs;
use std::path::Path;
use std::process::Command;

use conductor_worker::snapshot::{Limits, Request, Snapshots};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn git(repository: &Path, args: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    let mut command = Command::new("git");
    command.current_dir(repository).args(identity).args(args);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = command.output().expect("git starts");
    assert!(output.status.success(), "git {args:?}: {output:?}");
}

/// A repository with something at every place where a snapshot looks.
fn repository(path: &Path) {
    for folder in ["src/deep/down", "below"] {
        fs::create_dir_all(path.join(folder)).unwrap();
    }
    let files = [
        (".gitignore", "secret.txt\n"),
        ("below/.gitignore", "private\n"),
        ("src/lib.rs", "// one\n"),
        ("src/deep/down/lib.rs", "// two\n"),
        ("below/kept", "three\n"),
    ];
    for (name, text) in files {
        fs::write(path.join(name), text).unwrap();
    }
    git(path, &["init", "-q", "-b", "main"]);
    git(path, &["add", "."]);
    git(path, &["commit", "-q", "-m", "first"]);
    for ignored in ["secret.txt", "below/private"] {
        fs::write(path.join(ignored), "not for agents\n").unwrap();
    }
    fs::write(path.join("src/deep/new.rs"), "// untracked\n").unwrap();
}

/// Lets this process open so many files more than it has open now.
fn leave(spare: i64) {
    let used = fs::read_dir("/proc/self/fd").unwrap().count() as i64 - 1;
    let current = Some((used + spare) as u64);
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// From now on this kernel has no openat2, as an old one.
fn take_openat2_away() {
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let (load, equal) = (
        libc::BPF_LD | libc::BPF_W | libc::BPF_ABS,
        libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
    );
    let answer = libc::BPF_RET | libc::BPF_K;
    let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let mut steps = [
        // The number of the call comes first.
        step(load, 0, 0, 0),
        step(equal, 0, 1, libc::SYS_openat2 as u32),
        step(answer, 0, 0, refused),
        step(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: the filter and its steps outlive the calls, which only read them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let (mode, flags) = (
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_TSYNC,
        );
        assert_eq!(
            libc::syscall(libc::SYS_seccomp, mode, flags, &raw const filter),
            0
        );
        let none = std::ptr::null::<u8>();
        assert_eq!(libc::syscall(libc::SYS_openat2, 0, none, none, 0), -1);
    }
    let error = std::io::Error::last_os_error();
    assert_eq!(error.raw_os_error(), Some(libc::ENOSYS));
}

#[tokio::test]
async fn a_snapshot_that_ran_out_of_open_files_is_none_and_every_other_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let roots = ["repository", "plain"].map(|name| path.join(name));
    fs::create_dir(&roots[0]).unwrap();
    repository(&roots[0]);
    // Git takes more files than reading does, and there is no git here.
    fs::create_dir_all(roots[1].join("src/deep")).unwrap();
    fs::write(roots[1].join("src/deep/kept"), "four\n").unwrap();
    for with_openat2 in [true, false] {
        if !with_openat2 {
            take_openat2_away();
        }
        for root in &roots {
            take_with_few_files(&path.join("snapshots"), root).await;
        }
    }
}

async fn take_with_few_files(folder: &Path, root: &Path) {
    let request = Request {
        root: Some(root.to_owned()),
        base: None,
        documents: Vec::new(),
        limits: Limits::default(),
    };
    let git = which::which("git").unwrap();
    let snapshots = Snapshots::new(folder, &git).unwrap();
    let whole = snapshots.get(1000, &request).await.unwrap();
    let before = getrlimit(Resource::Nofile);
    let (mut short, mut taken) = (0, 0);
    for spare in 0..40 {
        // Each looks for git itself.
        let snapshots = Snapshots::new(folder, &git).unwrap();
        leave(spare);
        let outcome = snapshots.get(spare, &request).await;
        setrlimit(Resource::Nofile, before).unwrap();
        match outcome {
            Err(error) => {
                let text = error.to_string();
                assert!(
                    error.is_ours() && text.contains("Too many open files"),
                    "{spare}: {text}"
                );
                short += 1;
            }
            Ok(snapshot) => {
                assert_eq!(
                    snapshot.tree_digest, whole.tree_digest,
                    "{spare}: {:?}",
                    snapshot.notes
                );
                assert_eq!(snapshot.commit, whole.commit, "{spare}");
                assert_eq!(snapshot.notes, whole.notes, "{spare}");
                taken += 1;
            }
        }
        snapshots.remove(spare).await.unwrap();
    }
    assert!(
        short >= 3 && taken >= 3,
        "{short} ran short, {taken} were taken"
    );
    let left: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["run-1000"], "what was taken half is removed");
    snapshots.remove(1000).await.unwrap();
}
