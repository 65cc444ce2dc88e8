//! The crash test, short and from a fixed seed. It is a program with a server of its own, because it kills that.

use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use conductor_tests::harness::{processes, tools};

/// Its first eight seconds hold a fault of every kind.
const SEED: &str = "115674";
/// Starting, settling and ending included, beside other tests on a slow machine.
const LIMIT: Duration = Duration::from_secs(480);
const SETTLE: &str = "240";

/// A number of the table that the program prints: the first, second … after this name.
fn number(table: &str, name: &str, column: usize) -> u64 {
    let mut lines = table.lines().filter_map(|line| line.strip_prefix(name));
    let line = lines.next().unwrap_or_else(|| panic!("{name}: {table}"));
    let cell = line.split_whitespace().nth(column).unwrap_or_default();
    cell.parse().unwrap_or(0)
}

/// How many runs the table says have completed.
fn completed(table: &str) -> u64 {
    let runs = table.lines().find(|line| line.starts_with("runs "));
    let words: Vec<&str> = runs.unwrap_or_default().split_whitespace().collect();
    let at = words.iter().position(|word| word.starts_with("completed"));
    at.and_then(|at| words[at - 1].parse().ok()).unwrap_or(0)
}

#[test]
fn many_runs_survive_random_kills() {
    let logs = tools::repository_root().join("target/torture-short");
    let _ = std::fs::remove_dir_all(&logs);
    let torture = Command::new(env!("CARGO_BIN_EXE_torture"))
        .args(["--seed", SEED, "--minutes", "0.15", "--pause-ms", "500"])
        .args(["--runs-at-once", "2", "--settle", SETTLE, "--logs"])
        .arg(&logs)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let pid = torture.id().cast_signed();
    let (done, watched) = channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let late = watched.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout);
        // Interrupted, it cleans up after itself.
        late && processes::signal(pid, libc::SIGTERM)
    });
    let output = torture
        .wait_with_output()
        .expect("the program can be waited for");
    drop(done);
    let late = watchdog.join().expect("the watchdog does not panic");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(!late, "not over within {LIMIT:?}: {said}");
    assert!(output.status.success(), "{}: {said}", output.status);
    assert!(said.contains("clean: every run settled"), "{said}");
    // Clean because nothing was done would prove nothing.
    let killed = number(&said, "worker killed", 0) + number(&said, "child killed", 0);
    assert!(number(&said, "server killed", 0) >= 1, "{said}");
    assert!(killed >= 1, "{said}");
    assert!(number(&said, "all ", 0) > 4, "{said}");
    assert!(number(&said, "all ", 1) >= 1, "no task was hit: {said}");
    assert!(completed(&said) >= 1, "{said}");
}
