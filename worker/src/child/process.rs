//! A process under way: its output read, its group ended.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, Interest};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::time::{Instant, timeout, timeout_at};

use crate::events::Exit;
use crate::text::Tail;

/// Once the leader is gone its group is killed, and what it had written is read for this long at most.
const DRAIN: Duration = Duration::from_secs(2);

/// A helper whose leash is let go kills all that it started within this time, also what has left the group.
const SWEEP: Duration = Duration::from_secs(1);

/// After a KILL only the kernel can hold a process up.
const REAP: Duration = Duration::from_secs(10);

const CHUNK_BYTES: usize = 64 * 1024;
const STDERR_BYTES: usize = 8 * 1024;

/// A child under way. Dropping it kills what it started; that blocks for a moment.
#[derive(Debug)]
pub struct Child {
    process: tokio::process::Child,
    group: Pid,
    exited: AsyncFd<OwnedFd>,
    stdout: Option<ChildStdout>,
    stderr: Arc<Mutex<Tail>>,
    stderr_done: tokio::task::JoinHandle<()>,
    /// While this is open the helper lets the child live.
    leash: Option<ChildStdin>,
    buffer: Box<[u8]>,
    drain_until: Option<Instant>,
    exit: Option<Exit>,
}

impl Child {
    /// Starts a helper's command, which leads a process group and has all three pipes.
    pub(super) fn spawn(command: std::process::Command) -> io::Result<Child> {
        let mut command = tokio::process::Command::from(command);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let group = process
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let group = group.ok_or(io::ErrorKind::NotFound)?;
        let exited = pidfd_open(group, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(|fd| {
                // SAFETY: the descriptor is owned by what is registered, and stays the same as long as that lives.
                unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }
                    .map_err(io::Error::from)
            })
            .inspect_err(|_| {
                let _ = kill_process_group(group, Signal::KILL);
            })?;
        let stderr = Arc::new(Mutex::new(Tail::new(STDERR_BYTES)));
        let stderr_done = tokio::spawn(keep_tail(process.stderr.take(), Arc::clone(&stderr)));
        Ok(Child {
            group,
            exited,
            stdout: process.stdout.take(),
            stderr,
            stderr_done,
            leash: process.stdin.take(),
            process,
            buffer: vec![0; CHUNK_BYTES].into(),
            drain_until: None,
            exit: None,
        })
    }

    /// Its process id, which is its group's as well.
    pub fn pid(&self) -> u32 {
        self.group.as_raw_nonzero().get().unsigned_abs()
    }

    /// The next bytes of standard output, None at its end. May be dropped and called again without losing any. Not
    /// calling it slows the child down.
    ///
    /// # Errors
    /// When the pipe fails.
    pub async fn read(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(stdout) = &mut self.stdout else {
            return Ok(None);
        };
        loop {
            let read = if let Some(until) = self.drain_until {
                match timeout_at(until, stdout.read(&mut self.buffer)).await {
                    Ok(read) => read?,
                    // Someone outside the group holds the pipe.
                    Err(_) => 0,
                }
            } else {
                tokio::select! {
                    biased;
                    read = stdout.read(&mut self.buffer) => read?,
                    gone = self.exited.readable() => {
                        gone?.retain_ready();
                        let _ = kill_process_group(self.group, Signal::KILL);
                        self.drain_until = Some(Instant::now() + DRAIN);
                        continue;
                    }
                }
            };
            if read == 0 {
                self.stdout = None;
                return Ok(None);
            }
            return Ok(Some(&self.buffer[..read]));
        }
    }

    /// Ends the process group: TERM, `grace`, the leash, KILL; what it still prints is thrown away. Returns how it ended, the
    /// same again when called again.
    pub async fn end(&mut self, grace: Duration) -> Exit {
        if self.exit.is_none() {
            let _ = kill_process_group(self.group, Signal::TERM);
            if timeout(grace, self.run_out()).await.is_err() {
                // The helper can reach what has left the group; killed itself, it could not.
                self.leash = None;
                if timeout(SWEEP, self.run_out()).await.is_err() {
                    let _ = kill_process_group(self.group, Signal::KILL);
                }
            }
        }
        self.wait().await
    }

    /// Throws output away until the leader is gone: a child that is blocked writing sees no signal.
    async fn run_out(&mut self) {
        while let Ok(Some(_)) = self.read().await {}
        let _ = self.exited.readable().await;
    }

    /// Waits for the end, to be called when `read` returned None, and kills what is left of the group.
    pub async fn wait(&mut self) -> Exit {
        if let Some(exit) = &self.exit {
            return exit.clone();
        }
        self.stdout = None;
        let _ = self.exited.readable().await;
        // Before the leader is reaped nobody else can have its number.
        let _ = kill_process_group(self.group, Signal::KILL);
        let status = timeout(REAP, self.process.wait())
            .await
            .ok()
            .and_then(Result::ok);
        if timeout(DRAIN, &mut self.stderr_done).await.is_err() {
            self.stderr_done.abort();
        }
        let exit = self.exit_from(status);
        self.exit = Some(exit.clone());
        exit
    }

    fn exit_from(&self, status: Option<ExitStatus>) -> Exit {
        Exit {
            code: status.and_then(|s| s.code()),
            signal: status.and_then(|s| s.signal()),
            stderr: self
                .stderr
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .text(),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.leash = None;
            let limit = Timespec::try_from(SWEEP).ok();
            let gone = PollFd::new(self.exited.get_ref(), PollFlags::IN);
            let _ = poll(&mut [gone], limit.as_ref());
            let _ = kill_process_group(self.group, Signal::KILL);
        }
        self.stderr_done.abort();
    }
}

async fn keep_tail(pipe: Option<ChildStderr>, tail: Arc<Mutex<Tail>>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        tail.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Child {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", script]).process_group(0);
        Child::spawn(command).unwrap()
    }

    async fn all(child: &mut Child) -> String {
        let mut text = Vec::new();
        while let Some(bytes) = timeout(LIMIT, child.read())
            .await
            .expect("output ends")
            .unwrap()
        {
            text.extend_from_slice(bytes);
        }
        String::from_utf8(text).unwrap()
    }

    async fn until_gone(child: &Child) {
        let gone = async {
            while someone_lives(child) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LIMIT, gone).await.expect("the group is gone");
    }

    /// Somebody of the group is alive; who is dead may still wait to be reaped by process 1.
    fn someone_lives(child: &Child) -> bool {
        let alive = |pid: &str| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let mut fields = stat.rsplit_once(") ")?.1.split(' ');
            let (state, group) = (fields.next()?, fields.nth(1)?);
            Some(state != "Z" && group == child.pid().to_string())
        };
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|p| p.file_name().into_string().ok())
            .any(|pid| alive(&pid) == Some(true))
    }

    #[tokio::test]
    async fn output_exit_code_and_the_end_of_stderr_are_kept() {
        let mut child = shell(
            "printf 'one\\ntwo'; head -c 10000 /dev/zero | tr '\\0' x >&2; echo last >&2; exit 7",
        );
        assert_eq!(all(&mut child).await, "one\ntwo");
        let exit = child.wait().await;
        assert_eq!(
            (exit.code, exit.signal, exit.stderr.len()),
            (Some(7), None, STDERR_BYTES)
        );
        assert!(exit.stderr.ends_with("xxlast\n"));
        assert_eq!(child.wait().await, exit);
        assert_eq!(child.end(LIMIT).await, exit);
    }

    #[tokio::test]
    async fn what_the_leader_leaves_behind_is_killed_and_holds_nothing_up() {
        let mut child = shell("sleep 1000 & echo started");
        assert_eq!(all(&mut child).await, "started\n");
        assert_eq!(child.wait().await.code, Some(0));
        until_gone(&child).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_outside_the_group_cannot_hold_the_output_open_for_long() {
        let mut child = shell("setsid sleep 20 & echo started");
        assert_eq!(child.read().await.unwrap(), Some(&b"started\n"[..]));
        assert_eq!(child.read().await.unwrap(), None);
        // A stopped clock jumps over every wait, that for the exit's report too.
        assert!(matches!(child.wait().await.code, Some(0) | None));
    }

    #[tokio::test]
    async fn a_polite_end_is_enough_for_who_obeys() {
        let mut child = shell("trap 'exit 130' TERM; echo ready; while :; do sleep 0.01; done");
        assert_eq!(
            timeout(LIMIT, child.read()).await.unwrap().unwrap(),
            Some(&b"ready\n"[..])
        );
        assert_eq!(child.end(LIMIT).await.code, Some(130));
        until_gone(&child).await;
    }

    #[tokio::test]
    async fn who_ignores_the_polite_end_is_killed_with_its_group() {
        let mut child =
            shell("trap '' TERM; sleep 1000 & echo ready; while :; do sleep 0.01; done");
        assert_eq!(
            timeout(LIMIT, child.read()).await.unwrap().unwrap(),
            Some(&b"ready\n"[..])
        );
        let ended = timeout(LIMIT, child.end(Duration::from_millis(50))).await;
        assert_eq!(ended.expect("it is killed").signal, Some(9));
        until_gone(&child).await;
    }

    #[tokio::test]
    async fn who_ignores_the_polite_end_is_first_let_go() {
        // As a helper does, which then ends what a signal to the group would not reach.
        let mut child = shell("trap '' TERM; echo ready; read line; exit 9");
        assert_eq!(
            timeout(LIMIT, child.read()).await.unwrap().unwrap(),
            Some(&b"ready\n"[..])
        );
        let ended = timeout(LIMIT, child.end(Duration::from_millis(50))).await;
        let exit = ended.expect("it is let go");
        assert_eq!((exit.code, exit.signal), (Some(9), None));
    }

    #[tokio::test]
    async fn who_is_dropped_is_first_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("swept");
        let script = format!("echo ready; read line; echo > {}", file.display());
        let mut child = shell(&script);
        assert!(
            timeout(LIMIT, child.read())
                .await
                .unwrap()
                .unwrap()
                .is_some()
        );
        drop(child);
        assert!(file.exists(), "killed before it could sweep");
    }

    #[tokio::test]
    async fn a_child_blocked_writing_is_ended() {
        let mut child = shell(
            "trap 'exit 130' TERM; while :; do echo 0123456789012345678901234567890123456789; done",
        );
        assert!(
            timeout(LIMIT, child.read())
                .await
                .unwrap()
                .unwrap()
                .is_some()
        );
        assert_eq!(child.end(LIMIT).await.code, Some(130));
    }

    #[tokio::test]
    async fn dropping_a_child_kills_its_group() {
        let mut child = shell("sleep 1000 & echo ready; wait");
        assert!(
            timeout(LIMIT, child.read())
                .await
                .unwrap()
                .unwrap()
                .is_some()
        );
        let gone = pidfd_open(child.group, PidfdFlags::empty()).unwrap();
        drop(child);
        let gone = unsafe { AsyncFd::register_with_interest(gone, Interest::READABLE) }.unwrap();
        let _guard = timeout(LIMIT, gone.readable())
            .await
            .expect("it is killed")
            .unwrap();
    }
}
