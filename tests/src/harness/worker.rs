//! The program `conductor`: the daemon under test, and the commands that people type.

use std::fs::File;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use super::shortage::{self, SmallDisk};
use super::{cluster, processes, tools};

/// What a worker is started with.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Address of the database.
    pub database: String,
    /// Address of the model.
    pub model_url: String,
    /// What opens the model.
    pub key: String,
    /// How talkative the program is; its own default where this is empty.
    pub log_level: String,
    /// State, home and log stand here.
    pub folder: PathBuf,
    /// Root below which it serves projects.
    pub allowed: PathBuf,
    pub slots: u32,
    /// Under which the worker announces itself.
    pub name: String,
    pub qwen: PathBuf,
    /// In the place of the state folder.
    pub disk: Option<SmallDisk>,
    pub open_files: Option<u64>,
    /// What else is in its environment.
    pub variables: Vec<(String, String)>,
    /// In the place of the tools' own.
    pub programs: Option<Programs>,
}

/// Programs that another user may run, and that user; it may have no name.
#[derive(Debug, Clone)]
pub struct Programs {
    pub conductor: PathBuf,
    pub node: PathBuf,
    pub user: u32,
}

/// A running daemon. Killed, with what it started, when dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    log: PathBuf,
}

impl Environment {
    /// The program with everything in its environment that a command needs, and nothing of ours.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let found = |found: Result<PathBuf, tools::Missing>| {
            found.unwrap_or_else(|missing| panic!("{missing}"))
        };
        let (program, node) = match &self.programs {
            Some(given) => (given.conductor.clone(), given.node.clone()),
            None => (found(tools::conductor()), found(tools::node())),
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.folder.join("home"))
            .env("CONDUCTOR_DATABASE_URL", &self.database)
            .env("CONDUCTOR_STATE_DIR", self.state())
            .env("CONDUCTOR_ALLOW_ROOT", &self.allowed)
            .env("CONDUCTOR_SLOTS", self.slots.to_string())
            .env("CONDUCTOR_QWEN", &self.qwen)
            .env("CONDUCTOR_NODE", node)
            .env("CONDUCTOR_WORKER_NAME", &self.name)
            .env("OPENAI_BASE_URL", &self.model_url)
            .env("OPENAI_API_KEY", &self.key)
            .env("CONDUCTOR_LOG", &self.log_level)
            .envs(self.variables.iter().cloned())
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        if let Some(given) = &self.programs {
            command.uid(given.user).gid(given.user);
        }
        if let Some(most) = self.open_files {
            shortage::limit_open_files(&mut command, most);
        }
        command
    }

    /// Lets a user of this number run everything: the worker's folders become theirs, and they get programs that they can
    /// reach, wherever ours are. For root only.
    pub fn hand_over(&mut self, user: u32) {
        let folder = self.folder.join("programs");
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let copy = |from: &Path, name: &str| {
            let to = folder.join(name);
            let mut copy = Command::new("cp");
            let copied = copy.args(["-R", "--reflink=auto"]).arg(from).arg(&to);
            assert!(copied.status().is_ok_and(|status| status.success()));
            to
        };
        let program = tools::conductor().unwrap_or_else(|missing| panic!("{missing}"));
        let node = tools::node().unwrap_or_else(|missing| panic!("{missing}"));
        let qwen = self.qwen.canonicalize().expect("qwen is there");
        let package = qwen.parent().expect("a file has a folder");
        self.qwen = copy(package, "qwen").join("cli.js");
        self.programs = Some(Programs {
            conductor: copy(&program, "conductor"),
            node: copy(&node.canonicalize().expect("node is there"), "node"),
            user,
        });
        for name in ["home", "state"] {
            chown(self.folder.join(name), Some(user), Some(user)).expect("root may give away");
        }
    }

    /// Runs a command to its end and returns what it said. Panics if it takes longer than `limit`.
    pub fn run(&self, arguments: &[&str], limit: Duration) -> Output {
        let child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let pid = child.id().cast_signed();
        let (done, watch) = std::sync::mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            let late = watch.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
            late && processes::signal(pid, libc::SIGKILL)
        });
        let output = child
            .wait_with_output()
            .expect("the program can be waited for");
        drop(done);
        let late = watchdog.join().expect("the watchdog does not panic");
        assert!(
            !late,
            "conductor {arguments:?} took longer than {limit:?}: {output:?}"
        );
        output
    }

    /// Starts the daemon; what it says is appended to its log.
    pub fn start(&self) -> Worker {
        let log = self.log();
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("the worker's log can be written");
        let errors = file.try_clone().expect("a file can be cloned");
        let mut command = self.command(&["worker"]);
        if let Some(disk) = &self.disk {
            shortage::give_disk(&mut command, &self.state(), disk, None);
        }
        let started = command.stdout(file).stderr(errors).spawn();
        let child = started.unwrap_or_else(|error| match self.disk {
            Some(_) => panic!("{error}: {}", shortage::NO_DISK),
            None => panic!("the worker cannot be started: {error}"),
        });
        Worker { child, log }
    }

    /// The worker's own folder.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Where the daemon's words are kept.
    pub fn log(&self) -> PathBuf {
        self.folder.join("worker.log")
    }
}

impl Worker {
    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Kills it as the machine would: at once, and without telling it.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end and waits; none if it has not ended when `limit` has passed.
    pub fn terminate(&mut self, limit: Duration) -> Option<ExitStatus> {
        processes::signal(self.pid(), libc::SIGTERM);
        self.wait(limit)
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            if Instant::now() > end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The end of its log.
    pub fn words(&self) -> String {
        cluster::tail(&self.log, 6_000)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processes that a daemon has started, and theirs, with their groups.
pub fn children(folder: &Path, worker: i32) -> Vec<processes::Process> {
    let all = processes::of_folder(folder);
    all.into_iter()
        .filter(|process| process.pid != worker)
        .collect()
}
