//! A private PostgreSQL server for this test program, stopped when the program ends, however it ends:
//! what a killed program leaves behind is removed by the next one.

use std::fs::File;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use super::shortage::{self, SmallDisk};
use super::{ports, processes, tools};

const PREFIX: &str = "conductor-e2e-";

/// Names a file of SQL that is run in each database in which the version under test was installed: a mutant.
pub const AFTER_INSTALL: &str = "CONDUCTOR_AFTER_INSTALL";
/// What is said when that cannot be run: no test says so.
pub const NOT_MADE: &str = "the mutant cannot be made";

/// A server with its own data folder, socket folder and port.
pub struct Cluster {
    pub(super) folder: PathBuf,
    pub(super) programs: PathBuf,
    pub(super) port: u16,
    postmaster: Mutex<Option<Child>>,
    databases: AtomicU32,
}

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
/// Held as long as this program lives; says that its folder is not left over.
static OWNER: OnceLock<File> = OnceLock::new();

/// What the server is given besides its folder, if anything.
static DISK: OnceLock<SmallDisk> = OnceLock::new();
/// Whether it keeps what it has promised when the machine fails, as a server of people's does. Tests need not wait for it.
static DURABLE: OnceLock<()> = OnceLock::new();

/// What the server of a test is started with: as little as possible goes on by itself, and nothing waits for a disk.
const FOR_TESTS: &[&str] = &[
    "fsync=off",
    "full_page_writes=off",
    // For standbys that are being made: a checkpoint beside it would remove what they are about to ask for.
    "wal_keep_size=128MB",
    "max_connections=60",
    "shared_buffers=64MB",
];
/// What a server that is measured is started with: every commit is on the disk, and no checkpoint comes between.
const FOR_MEASURING: &[&str] = &[
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_connections=200",
    "shared_buffers=1GB",
    "checkpoint_timeout=1d",
    "max_wal_size=24GB",
];

/// Ends the server when the program exits. A static is never dropped.
extern "C" fn at_exit() {
    if let Some(cluster) = CLUSTER.get() {
        super::standby::stop_all();
        cluster.stop();
        let _ = std::fs::remove_dir_all(&cluster.folder);
    }
}

impl Cluster {
    /// The server of this test program; started by whoever asks first.
    pub fn shared() -> &'static Self {
        CLUSTER.get_or_init(|| {
            sweep(&std::env::temp_dir());
            let cluster = Self::create().unwrap_or_else(|error| panic!("no server: {error}"));
            // SAFETY: the handler is a plain function that lives as long as the program.
            unsafe { libc::atexit(at_exit) };
            cluster.start();
            cluster
        })
    }

    /// The server of this program, to be measured: it waits for its disk. To be asked for before [`Cluster::shared`] is.
    pub fn durable() -> &'static Self {
        DURABLE.get_or_init(|| ());
        Self::shared()
    }

    /// The server of this test program, which has a small disk as well. To be asked for before [`Cluster::shared`] is.
    pub fn with_disk(bytes: u64) -> &'static Self {
        let full = false;
        DISK.get_or_init(|| SmallDisk { bytes, full });
        Self::shared()
    }

    /// The small disk, as the server sees it and as we do.
    pub fn disk(&self) -> (PathBuf, PathBuf) {
        let folder = self.folder.join("disk");
        let server = self.lock().as_ref().map(Child::id);
        let seen = shortage::seen_by(server.expect("the server runs").cast_signed(), &folder);
        (folder, seen)
    }

    /// A folder that this test program may use, removed when it ends.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn create() -> io::Result<Self> {
        let programs = tools::postgres_programs().map_err(io::Error::other)?;
        let (folder, owner) = claim_folder(&std::env::temp_dir())?;
        let _ = OWNER.set(owner);
        let cluster = Self::in_folder(folder, programs)?;
        let data = cluster.folder.join("data");
        let out = cluster
            .program("initdb")
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
            ])
            .args(["--no-sync", "--no-instructions", "--pgdata"])
            .arg(&data)
            .output()?;
        if out.status.success() {
            return Ok(cluster);
        }
        Err(io::Error::other(
            String::from_utf8_lossy(&out.stderr).into_owned(),
        ))
    }

    /// A server without data yet, which gets folders and a port.
    pub(super) fn in_folder(folder: PathBuf, programs: PathBuf) -> io::Result<Self> {
        for name in ["data", "socket", "disk"] {
            let folder = folder.join(name);
            std::fs::create_dir(&folder)?;
            std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700))?;
            if let Some((user, group)) = server_user() {
                std::os::unix::fs::chown(&folder, Some(user), Some(group))?;
            }
        }
        let port = ports::reserve()?;
        Ok(Self {
            folder,
            programs,
            port,
            postmaster: Mutex::default(),
            databases: AtomicU32::new(0),
        })
    }

    /// A program of the server, as the user that it may run as. A backtrace in the environment would
    /// reach clients in DETAIL.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = self.program_as_is(name);
        if let Some((user, group)) = server_user() {
            command.uid(user).gid(group);
        }
        command
    }

    fn program_as_is(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .current_dir(&self.folder)
            .env_remove("RUST_BACKTRACE")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    /// Starts the server, again if it was stopped, and waits until it answers.
    pub fn start(&self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("server.log"))
            .expect("the server's log can be written");
        let errors = log.try_clone().expect("a file can be cloned");
        let mut command = match DISK.get() {
            None => self.program("postgres"),
            Some(disk) => {
                let mut command = self.program_as_is("postgres");
                shortage::give_disk(&mut command, &self.folder.join("disk"), disk, server_user());
                command
            }
        };
        command.arg("-D").arg(self.folder.join("data"));
        command.arg("-k").arg(self.folder.join("socket"));
        for setting in [
            &format!("port={}", self.port),
            "listen_addresses=127.0.0.1",
            // What it does by itself it does at any time: an ANALYZE under way keeps a vacuum from removing what was just
            // deleted, and a table locked.
            "autovacuum=off",
            "log_line_prefix=%m [%p] %d ",
            "timezone=UTC",
        ] {
            command.arg("-c").arg(setting);
        }
        let purpose = if DURABLE.get().is_some() {
            FOR_MEASURING
        } else {
            FOR_TESTS
        };
        for setting in purpose {
            command.arg("-c").arg(setting);
        }
        let child = command
            .stdout(log)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| match DISK.get() {
                Some(_) => panic!("{error}: {}", shortage::NO_DISK),
                None => panic!("the server cannot be started: {error}"),
            });
        *self.lock() = Some(child);
        let end = Instant::now() + Duration::from_secs(30);
        while !self.answers() {
            assert!(
                Instant::now() < end,
                "the server does not answer: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Stops the server as `pg_ctl stop -m fast` does, and waits until it has ended.
    pub fn stop(&self) {
        if let Some(mut child) = self.lock().take() {
            processes::signal(child.id().cast_signed(), libc::SIGINT);
            let end = Instant::now() + Duration::from_secs(15);
            while matches!(child.try_wait(), Ok(None)) {
                if Instant::now() > end {
                    processes::signal(child.id().cast_signed(), libc::SIGQUIT);
                    let _ = child.wait();
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// Ends the server as a crash would, with this signal to its first process. No process of it is left when this
    /// returns: a new server refuses to start while one of them lives.
    pub fn crash(&self, signal: i32) {
        if let Some(mut child) = self.lock().take() {
            processes::signal(child.id().cast_signed(), signal);
            let _ = child.wait();
            let data = self.folder.join("data");
            if !processes::wait_until_none(&data, Duration::from_secs(10)).is_empty() {
                processes::kill_all(&data);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.postmaster
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }

    fn answers(&self) -> bool {
        let asked = self
            .program("pg_isready")
            .args([
                "--quiet",
                "--host=127.0.0.1",
                "--port",
                &self.port.to_string(),
            ])
            .status();
        asked.is_ok_and(|status| status.success())
    }

    /// The end of the server's log.
    pub fn log(&self) -> String {
        tail(&self.folder.join("server.log"), 4_000)
    }

    /// The address of a database, for any client.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The address of a database that is here or on the other server, wherever it takes writes.
    pub fn url_of_both(&self, other: &Cluster, database: &str) -> String {
        let (here, there) = (self.port, other.port);
        format!(
            "postgresql://postgres@127.0.0.1:{here},127.0.0.1:{there}/{database}?target_session_attrs=read-write"
        )
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A new connection. Whatever comes in beside answers is dropped.
    pub async fn connect(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls).await?;
        tokio::spawn(connection);
        client
            .batch_execute("set search_path = conductor, public")
            .await?;
        Ok(client)
    }

    /// A fresh database without the extension.
    pub async fn create_empty_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let admin = self.connect("postgres").await.expect("the server answers");
        admin
            .batch_execute(&format!("create database {name}"))
            .await
            .expect("a database can be created");
        name
    }

    /// A fresh database with the extension in it, of this version or of the one under test. Panics with a cure if the
    /// extension is not installed.
    pub async fn create_database(&self, version: Option<&str>) -> String {
        let name = self.create_empty_database().await;
        let client = self.connect(&name).await.expect("the database answers");
        let which = version.map(|version| format!(" version '{version}'"));
        let create = format!("create extension conductor{}", which.unwrap_or_default());
        if let Err(error) = client.batch_execute(&create).await {
            panic!(
                "{create}: {error:?}: is it installed in this server? (scripts/test.sh does it)"
            );
        }
        if version.is_none() {
            make_mutant(&client).await;
        }
        name
    }

    /// Drops a database, whoever is connected.
    pub async fn drop_database(&self, name: &str) {
        if let Ok(admin) = self.connect("postgres").await {
            let _ = admin
                .batch_execute(&format!("drop database if exists {name} with (force)"))
                .await;
        }
    }
}

/// Makes a database in which the version under test was just installed, restored or upgraded to, a mutant, if this run
/// of the tests is about one.
pub async fn make_mutant(client: &Client) {
    if let Some(file) = std::env::var_os(AFTER_INSTALL) {
        let sql = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{NOT_MADE}: {e}"));
        if let Err(error) = client.batch_execute(&sql).await {
            panic!("{NOT_MADE}: {error:?}");
        }
    }
}

/// The end of a text file, at most so many bytes.
pub fn tail(path: &Path, most: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let from = text.len().saturating_sub(most);
    String::from_utf8_lossy(&text[from..]).into_owned()
}

/// The user and group that the server runs as: it refuses root, so then `postgres`.
pub fn server_user() -> Option<(u32, u32)> {
    // SAFETY: geteuid(2) has no arguments and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .expect("run as root, the server needs the user postgres");
    let mut numbers = line.split(':').skip(2).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(user)), Some(Ok(group))) => Some((user, group)),
        _ => panic!("the user postgres has no numbers in /etc/passwd"),
    }
}

/// Makes a folder that is locked before it can be seen under its name.
fn claim_folder(parent: &Path) -> io::Result<(PathBuf, File)> {
    let hidden = tempfile::Builder::new()
        .prefix(".conductor-")
        .tempdir_in(parent)?
        .keep();
    std::fs::set_permissions(&hidden, PermissionsExt::from_mode(0o755))?;
    let owner = File::create(hidden.join("owner"))?;
    owner.try_lock().map_err(io::Error::other)?;
    let folder = parent.join(format!("{PREFIX}{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::rename(&hidden, &folder)?;
    Ok((folder, owner))
}

/// Ends and removes what test programs left that were killed: their lock is free.
fn sweep(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let folder = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let free = |file: File| file.try_lock().is_ok();
        if ours && File::open(folder.join("owner")).is_ok_and(free) {
            processes::kill_all(&folder);
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_what_a_killed_program_left_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let (mine, _owner) = claim_folder(parent.path()).unwrap();
        let left = parent.path().join(format!("{PREFIX}left"));
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("owner"), "").unwrap();
        let other = parent.path().join("other");
        std::fs::create_dir(&other).unwrap();
        sweep(parent.path());
        assert!(mine.exists() && other.exists());
        assert!(!left.exists());
    }
}
