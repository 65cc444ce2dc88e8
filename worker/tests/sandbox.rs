//! The sandbox holds, seen from outside: by its probe, and by what a confined process can still do.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use conductor_worker::sandbox::{
    Check, EXIT_UNAVAILABLE, Field, HELPER_PREFIX, Policy, Probe, Sandbox,
};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

const HELPER: &str = env!("CARGO_BIN_EXE_conductor");

fn probe(sandbox: &Sandbox) -> Probe {
    let scratch = tempfile::tempdir().unwrap();
    sandbox.probe(scratch.path()).unwrap()
}

#[test]
fn what_this_kernel_offers_refuses_everything_it_must() {
    let sandbox = Sandbox::detect(Some(Path::new(HELPER))).unwrap();
    let probe = probe(&sandbox);
    assert_eq!(probe.failures().collect::<Vec<_>>(), Vec::<&_>::new());
}

#[test]
fn bubblewrap_refuses_everything_it_must() {
    let sandbox = Sandbox::bubblewrap(Some(Path::new(HELPER))).unwrap();
    let probe = probe(&sandbox);
    assert_eq!(probe.failures().collect::<Vec<_>>(), Vec::<&_>::new());
}

/// Lets a command start where the kernel takes no filter of system calls.
fn without_filters(command: &mut Command) {
    let refused = [(libc::SYS_seccomp, Vec::new())].into_iter().collect();
    let (allow, refuse) = (
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EINVAL as u32),
    );
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(refused, allow, refuse, arch).unwrap();
    let filter = BpfProgram::try_from(filter).unwrap();
    let apply = move || seccompiler::apply_filter(&filter).map_err(std::io::Error::other);
    // SAFETY: the filter was made before; applying it takes no lock.
    unsafe { command.pre_exec(apply) };
}

#[test]
fn where_the_kernel_takes_no_filter_nothing_starts_and_the_reason_is_told() {
    for sandbox in both() {
        let dir = tempfile::tempdir().unwrap();
        let folder = std::fs::canonicalize(dir.path()).unwrap();
        let (stdin, made) = (folder.join("stdin"), folder.join("made"));
        std::fs::write(&stdin, "").unwrap();
        let touch = std::fs::canonicalize(which::which("touch").unwrap()).unwrap();
        let policy = Policy {
            write: vec![folder.clone()],
            execute: vec![touch.clone()],
            cwd: folder,
            stdin,
            ..Policy::default()
        };
        let start = |command: &mut Command| {
            let child = command.spawn().unwrap();
            child.wait_with_output().unwrap()
        };
        let mut command = sandbox.command(&policy, &touch, &[&made]).unwrap();
        without_filters(&mut command);
        let ended = start(&mut command);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(EXIT_UNAVAILABLE), "{said}");
        assert!(
            said.starts_with(HELPER_PREFIX) && said.contains("no filter of system calls"),
            "{said}"
        );
        assert!(!made.exists());
        // With filters the same command does its work.
        let mut command = sandbox.command(&policy, &touch, &[&made]).unwrap();
        let mut child = command.spawn().unwrap();
        let leash = child.stdin.take();
        assert!(child.wait().unwrap().success() && made.exists());
        drop(leash);
    }
}

#[test]
fn doctor_says_that_the_kernel_takes_no_filter() {
    let dir = tempfile::tempdir().unwrap();
    let mut doctor = Command::new(HELPER);
    doctor
        .args(["doctor", "--database", "postgres://127.0.0.1:1/none"])
        .arg("--state-dir")
        .arg(dir.path());
    without_filters(&mut doctor);
    let told = doctor.output().unwrap();
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(!told.status.success());
    let line = said.lines().find(|line| line.contains("sandbox")).unwrap();
    assert!(
        line.contains("takes no filter of system calls") && line.contains("CONFIG_SECCOMP_FILTER"),
        "{said}"
    );
}

/// Whatever a check of the probe needs to fail is there when nothing confines.
#[test]
fn without_a_sandbox_every_attempt_of_the_probe_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::detect(Some(Path::new(HELPER))).unwrap();
    let field = Field::lay_out(dir.path(), &sandbox).unwrap();
    let mut unconfined = Command::new(HELPER);
    unconfined
        .args(field.arguments().unwrap())
        .current_dir(dir.path().join("jobs/own"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let checks = field.judge(&mut unconfined).unwrap();
    let held: Vec<&Check> = checks
        .iter()
        .filter(|check| check.ok && check.detail != "allowed")
        .collect();
    assert_eq!(held, Vec::<&Check>::new());
}

/// A confined shell that starts one process in a session of its own and forgets another one, and then does `last`.
struct Escape {
    helper: std::process::Child,
    /// The argument by which both are known.
    mark: String,
    _dir: tempfile::TempDir,
}

impl Escape {
    fn start(sandbox: &Sandbox, last: &str) -> Escape {
        let dir = tempfile::tempdir().unwrap();
        let folder = std::fs::canonicalize(dir.path()).unwrap();
        let stdin = folder.join("stdin");
        std::fs::write(&stdin, "").unwrap();
        let programs = ["sh", "setsid", "sleep"].map(|name| {
            let found = which::which(name).unwrap();
            std::fs::canonicalize(found).unwrap()
        });
        // Nobody else sleeps for just so long.
        let mark = format!("1000.{}", std::process::id()) + &fastrand::u32(..).to_string();
        let [sh, setsid, sleep] = programs.clone().map(|path| path.display().to_string());
        let script = format!("{setsid} {sleep} {mark} & ({sleep} {mark} &)\n{last}")
            .replace("SLEEP", &sleep);
        let policy = Policy {
            read: vec![folder.clone()],
            write: vec![folder.clone()],
            execute: programs.to_vec(),
            cwd: folder,
            stdin,
            ..Policy::default()
        };
        let mut command = sandbox
            .command(&policy, Path::new(&sh), &["-c", &script])
            .unwrap();
        let helper = command.spawn().unwrap();
        Escape {
            helper,
            mark,
            _dir: dir,
        }
    }

    fn alive(&self) -> usize {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let sleeps = |process: &std::fs::DirEntry| {
            let command = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
            words.len() == 3 && words[1] == self.mark.as_bytes()
        };
        processes.filter(sleeps).count()
    }

    #[track_caller]
    fn until_alive(&self, count: usize) {
        let end = Instant::now() + Duration::from_secs(5);
        while self.alive() != count {
            assert!(Instant::now() < end, "{} live, not {count}", self.alive());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn whoever_leaves_the_group_is_ended_when_the_worker_lets_go() {
    for sandbox in both() {
        let mut escape = Escape::start(&sandbox, "SLEEP 1000");
        escape.until_alive(2);
        drop(escape.helper.stdin.take());
        escape.until_alive(0);
        escape.helper.wait().unwrap();
    }
}

#[test]
fn whoever_leaves_the_group_is_ended_with_the_child() {
    for sandbox in both() {
        let mut escape = Escape::start(&sandbox, "SLEEP 0.2; exit 7");
        // Waiting would let go of it.
        let leash = escape.helper.stdin.take();
        assert_eq!(escape.helper.wait().unwrap().code(), Some(7));
        escape.until_alive(0);
        drop(leash);
    }
}

fn both() -> [Sandbox; 2] {
    let helper = Some(Path::new(HELPER));
    [Sandbox::detect(helper), Sandbox::bubblewrap(helper)].map(Result::unwrap)
}
