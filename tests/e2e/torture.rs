//! The crash test, short and from a fixed seed. It is a program with a server of its own, because it kills that.

use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use conductor_tests::harness::processes;

/// Its first seconds hold a fault of nearly every kind, the server killed among them.
const SEED: &str = "765";
/// Starting, settling and ending included.
const LIMIT: Duration = Duration::from_secs(150);

#[test]
fn many_runs_survive_random_kills() {
    let torture = Command::new(env!("CARGO_BIN_EXE_torture"))
        .args(["--seed", SEED, "--minutes", "0.15", "--pause-ms", "500"])
        .args(["--runs-at-once", "2", "--settle", "90"])
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
}
