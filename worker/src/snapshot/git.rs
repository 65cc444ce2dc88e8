//! Running git so that nothing but git runs: absolute path, cleared environment, private folders, bounded output and
//! time, confined by the kernel where it can.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, setrlimit};

use super::SnapshotError;
use super::jail::{self, Reach};
use super::notes::shown;
use super::shared::Stop;
use super::short;
use super::still::Still;

/// How often a waiting thread looks whether the run is over.
const LOOK: Duration = Duration::from_millis(200);
const MAX_COMPLAINT_BYTES: usize = 4096;
/// How long git may take to say its version.
const START_LIMIT: Duration = Duration::from_secs(20);
/// A hostile pack may claim any size.
const MAX_MEMORY_BYTES: u64 = 8 << 30;

/// The program, once it was seen to start.
#[derive(Debug, Clone)]
pub(super) struct Git {
    program: PathBuf,
    confined: bool,
}

/// One call.
pub(super) struct Call<'a> {
    pub args: Vec<&'a [u8]>,
    /// Private `GIT_DIR`; git writes in its folder only.
    pub git_dir: &'a Path,
    pub work_tree: &'a Path,
    /// Object store of the repository.
    pub objects: Option<&'a super::beneath::Dir>,
    pub input: Option<File>,
    pub max_output: usize,
    pub timeout: Duration,
}

#[derive(Debug)]
pub(super) struct Output {
    pub bytes: Vec<u8>,
    /// There was more than the limit; git was ended there.
    pub cut: bool,
}

/// Why a call has no result.
#[derive(Debug)]
pub(super) enum GitError {
    /// git said no, broke or took too long; a fragment for a note.
    Failed(String),
    /// The run is over.
    Stopped(SnapshotError),
}

impl Git {
    /// Sees whether git starts, and whether it does so when confined. `scratch` is a folder of ours. What fails now and
    /// may not fail later is an error: without its confinement git would run as long as this process does.
    pub fn find(program: &Path, scratch: &Path, stop: &Stop) -> Result<Git, SnapshotError> {
        let mut reasons = Vec::new();
        let begin = Instant::now();
        for confined in [true, false] {
            let git = Git {
                program: program.to_owned(),
                confined,
            };
            let call = Call {
                args: vec![b"version"],
                git_dir: scratch,
                work_tree: scratch,
                objects: None,
                input: None,
                max_output: MAX_COMPLAINT_BYTES,
                timeout: START_LIMIT,
            };
            match git.run(call, stop) {
                Ok(_) => {
                    if let Some(reason) = reasons.first() {
                        tracing::warn!(program = %program.display(), reason, "git does not start confined by the kernel: it runs without");
                    }
                    return Ok(git);
                }
                Err(GitError::Stopped(error)) => return Err(error),
                Err(GitError::Failed(reason)) => reasons.push(reason),
            }
            short::check(scratch)?;
            if begin.elapsed() >= START_LIMIT {
                break;
            }
        }
        Err(SnapshotError::ours(format!(
            "git does not start as {}: {} (install git, or start the worker with a PATH that has it)",
            program.display(),
            reasons.pop().unwrap_or_default()
        )))
    }

    #[cfg(test)]
    pub fn assume(program: PathBuf, confined: bool) -> Git {
        Git { program, confined }
    }

    #[cfg(test)]
    pub fn is_confined(&self) -> bool {
        self.confined
    }

    /// Runs one call to its end.
    pub fn run(&self, mut call: Call, stop: &Stop) -> Result<Output, GitError> {
        let mut command = self.command(&mut call).map_err(GitError::Failed)?;
        let child = command
            .spawn()
            .map_err(short::noticed)
            .map_err(|error| GitError::Failed(format!("it cannot be started: {error}")))?;
        // Closes our copy of the ruleset.
        drop(command);
        let ended = Running {
            child,
            deadline: Instant::now() + call.timeout,
        }
        .finish(call.max_output, call.timeout, stop);
        if let Err(GitError::Failed(_)) = &ended {
            short::look_for_room(call.git_dir);
        }
        ended
    }

    fn command(&self, call: &mut Call) -> Result<Command, String> {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", call.git_dir)
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_DIR", call.git_dir)
            .env("GIT_WORK_TREE", call.work_tree)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_PAGER", "")
            .current_dir(call.work_tree)
            .arg("--no-pager")
            .args(call.args.iter().map(|arg| os(arg)))
            .stdin(call.input.take().map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let rules = self.rules(call)?;
        let still = self.confined.then(Still::new);
        let limits = move || {
            set_limit(Resource::Core, 0)?;
            set_limit(Resource::As, MAX_MEMORY_BYTES)?;
            if let Some(still) = &still {
                still.enter()?;
            }
            match &rules {
                Some(rules) => jail::enter(rules),
                None => Ok(()),
            }
        };
        // SAFETY: only system calls, no allocation and no locks between fork and exec.
        unsafe { command.pre_exec(limits) };
        Ok(command)
    }

    fn rules(&self, call: &Call) -> Result<Option<OwnedFd>, String> {
        if !self.confined {
            return Ok(None);
        }
        let reach = Reach {
            write: vec![call.git_dir],
            read: vec![call.work_tree],
            read_open: call.objects.iter().map(|dir| dir.fd()).collect(),
        };
        jail::build(&self.program, &reach)
            .map_err(|error| format!("it cannot be confined: {error}"))
    }
}

fn set_limit(what: Resource, most: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    match setrlimit(what, limit) {
        // A lower hard limit is in force already.
        Err(rustix::io::Errno::PERM) => Ok(()),
        other => Ok(other?),
    }
}

fn os(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

/// A child that is ended when it is dropped.
struct Running {
    child: Child,
    deadline: Instant,
}

impl Running {
    fn finish(mut self, max: usize, limit: Duration, stop: &Stop) -> Result<Output, GitError> {
        let broken =
            |error: io::Error| GitError::Failed(format!("its output cannot be read: {error}"));
        let mut out = self
            .child
            .stdout
            .take()
            .map(|pipe| Pipe::new(pipe.into(), max));
        let mut err = self
            .child
            .stderr
            .take()
            .map(|pipe| Pipe::new(pipe.into(), MAX_COMPLAINT_BYTES));
        while let (Some(o), Some(e)) = (&mut out, &mut err) {
            if o.cut || (o.ended && e.ended) {
                break;
            }
            stop.check().map_err(GitError::Stopped)?;
            if Instant::now() >= self.deadline {
                return Err(GitError::Failed(format!(
                    "git took longer than {} s",
                    limit.as_secs()
                )));
            }
            wait([o, e]).map_err(broken)?;
        }
        let (out, err) = (out.unwrap_or_default(), err.unwrap_or_default());
        if out.cut {
            return Ok(Output {
                bytes: out.bytes,
                cut: true,
            });
        }
        let status = self.child.wait().map_err(broken)?;
        if status.success() {
            return Ok(Output {
                bytes: out.bytes,
                cut: false,
            });
        }
        let first = err.bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        Err(GitError::Failed(
            match (first.is_empty(), status.signal()) {
                (false, _) => format!("git: {}", shown(first)),
                (true, Some(signal)) => format!("git ended by signal {signal}"),
                (true, None) => format!("git ended with {status}"),
            },
        ))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait()
            && let Some(pid) = Pid::from_raw(self.child.id() as i32)
        {
            let _ = kill_process_group(pid, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

#[derive(Default)]
struct Pipe {
    pipe: Option<File>,
    bytes: Vec<u8>,
    max: usize,
    cut: bool,
    ended: bool,
}

impl Pipe {
    fn new(pipe: OwnedFd, max: usize) -> Self {
        Self {
            pipe: Some(pipe.into()),
            max,
            ..Self::default()
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(());
        };
        let mut buffer = [0; 64 << 10];
        match pipe.read(&mut buffer) {
            Ok(0) => {
                self.ended = true;
                self.pipe = None;
            }
            Ok(count) => {
                let room = self.max - self.bytes.len();
                self.bytes.extend_from_slice(&buffer[..count.min(room)]);
                self.cut |= count > room;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Waits a moment for either pipe and reads what is there.
fn wait(pipes: [&mut Pipe; 2]) -> io::Result<()> {
    let ready: Vec<bool> = {
        let mut fds = Vec::new();
        for file in pipes.iter().filter_map(|p| p.pipe.as_ref()) {
            fds.push(PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN));
        }
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: LOOK.subsec_nanos().into(),
        };
        match poll(&mut fds, Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        fds.iter().map(|fd| !fd.revents().is_empty()).collect()
    };
    let open = pipes.into_iter().filter(|p| p.pipe.is_some());
    for (pipe, ready) in open.zip(ready) {
        if ready {
            pipe.read()?;
        }
    }
    Ok(())
}
