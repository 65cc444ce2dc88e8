//! Tests that each wall around git holds alone: our configuration without the kernel's help, and the other way round.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::git::{Call, Git, GitError};
use super::jail::{self, Reach};
use super::notes::Notes;
use super::shared::Stop;
use super::short;
use super::take::{Taking, Tools};
use super::{Limits, Request};

#[path = "../../tests/snapshot/fixture.rs"]
#[allow(dead_code, reason = "shared with the integration tests")]
mod fixture;

use fixture::{Place, Trap, git_program, photograph};

#[test]
fn without_the_kernels_help_nothing_of_the_repository_runs() {
    let trap = Trap::new();
    let state = Place::new();
    let request = Request {
        root: Some(trap.repo.path.clone()),
        base: Some("HEAD~1".into()),
        documents: Vec::new(),
        limits: Limits::default(),
    };
    let before = photograph(&trap.repo.path);
    let taking = Taking {
        request: &request,
        tools: &Tools::with(Git::assume(git_program(), false)),
        stop: &Stop::default(),
        here: &state.path,
        notes: Notes::default(),
    };
    let taken = taking.run(&state.path).unwrap();
    assert_eq!(trap.ran(), Vec::<String>::new());
    assert_eq!(before, photograph(&trap.repo.path));
    assert_eq!(taken.notes, Vec::<String>::new());
    let diff = fs::read_to_string(state.path.join("tree/_context/uncommitted.diff")).unwrap();
    assert!(diff.contains("+fn main() { changed() }"), "{diff}");
}

fn run(confined: bool, here: &Path, args: &[&str]) -> bool {
    let call = Call {
        args: args.iter().map(|arg| arg.as_bytes()).collect(),
        git_dir: here,
        work_tree: here,
        objects: None,
        input: None,
        max_output: 4096,
        timeout: Duration::from_secs(20),
    };
    match Git::assume(git_program(), confined).run(call, &Stop::default()) {
        Ok(_) => true,
        Err(GitError::Failed(_)) => false,
        Err(GitError::Stopped(error)) => panic!("{error}"),
    }
}

fn has_landlock() -> bool {
    let rules = jail::build(&git_program(), &Reach::default());
    rules.unwrap().is_some()
}

#[test]
fn the_kernel_keeps_git_from_reading_writing_and_starting_what_is_not_its_own() {
    if !has_landlock() {
        return;
    }
    let (here, outside) = (Place::new(), Place::new());
    let secret = outside.path.join("secret");
    fs::write(&secret, "[a]\n\tb = c\n").unwrap();
    let secret = secret.to_str().unwrap().to_owned();
    let target = outside.path.join("target");
    let canary = outside.path.join("canary");
    let alias = format!("alias.x=!touch '{}'", canary.display());
    let read = ["config", "--file", &secret, "--list"];
    let write = ["config", "--file", target.to_str().unwrap(), "a.b", "c"];
    let start = ["-c", &alias, "x"];
    for args in [read.as_slice(), &write, &start] {
        assert!(!run(true, &here.path, args), "{args:?}");
    }
    assert!(!target.exists() && !canary.exists());
    assert!(run(
        true,
        &here.path,
        &["config", "--file", "own", "a.b", "c"]
    ));
    // Without it all of that works, so it was the kernel.
    for args in [read.as_slice(), &write, &start] {
        assert!(run(false, &here.path, args), "{args:?}");
    }
    assert!(target.exists() && canary.exists());
}

/// A program in front of git, as some systems have it; it cannot start git when it is confined.
fn wrapper(here: &Path) -> std::path::PathBuf {
    let path = here.join("wrapper");
    let text = format!("#!/bin/sh\nexec '{}' \"$@\"\n", git_program().display());
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_passing_shortage_does_not_take_the_confinement_from_git() {
    let here = Place::new();
    let (wrapper, stop) = (wrapper(&here.path), Stop::default());
    short::begin();
    let found = Git::find(&wrapper, &here.path, &stop).unwrap();
    assert!(!found.is_confined() || !has_landlock());
    if has_landlock() {
        short::notice(&rustix::io::Errno::MFILE.into());
        let error = Git::find(&wrapper, &here.path, &stop).unwrap_err();
        assert!(error.is_ours(), "{error}");
        assert!(error.to_string().contains("Too many open files"), "{error}");
    }
    let found = Git::find(&git_program(), &here.path, &stop).unwrap();
    assert!(found.is_confined());
}

#[test]
fn a_call_that_takes_too_long_or_says_too_much_is_ended() {
    let here = Place::new();
    fs::write(here.path.join("large"), "[a]\n\tb = c\n".repeat(10_000)).unwrap();
    let (endless, _open) = std::io::pipe().unwrap();
    let call = |args: Vec<&'static [u8]>, input: Option<File>| Call {
        args,
        git_dir: &here.path,
        work_tree: &here.path,
        objects: None,
        input,
        max_output: 1000,
        timeout: Duration::from_millis(500),
    };
    let git = Git::assume(git_program(), false);
    let list = vec![b"config".as_slice(), b"--file", b"large", b"--list"];
    let output = git.run(call(list, None), &Stop::default()).unwrap();
    assert!(output.cut && output.bytes.len() == 1000);
    let wait = vec![b"hash-object".as_slice(), b"--stdin"];
    let input = Some(File::from(OwnedFd::from(endless)));
    let Err(GitError::Failed(reason)) = git.run(call(wait, input), &Stop::default()) else {
        panic!("it was not ended");
    };
    assert!(reason.contains("took longer"), "{reason}");
}
