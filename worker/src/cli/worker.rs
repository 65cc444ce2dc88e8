//! `conductor worker`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::DatabaseArgs;
use crate::config::{Config, Given};
use crate::{dispatcher, signals};

/// What is known of this machine; `worker` and `doctor` share it
#[derive(Args, Debug)]
pub struct MachineArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Folder whose projects may be read; may be given several times. Projects elsewhere are refused
    #[arg(
        long = "allow-root",
        value_name = "DIR",
        env = "CONDUCTOR_ALLOW_ROOT",
        value_delimiter = ':'
    )]
    allow_roots: Vec<PathBuf>,
    /// Folder for snapshots and jobs, of this worker alone [default: $XDG_STATE_HOME/conductor]
    #[arg(long, value_name = "DIR", env = "CONDUCTOR_STATE_DIR")]
    state_dir: Option<PathBuf>,
    /// qwen-code: its package folder or its cli.js [default: qwen on the PATH]
    #[arg(long, value_name = "PATH", env = "CONDUCTOR_QWEN")]
    qwen: Option<PathBuf>,
    /// Node 22 or newer [default: node on the PATH]
    #[arg(long, value_name = "PATH", env = "CONDUCTOR_NODE")]
    node: Option<PathBuf>,
    /// File with the lines OPENAI_BASE_URL=… and OPENAI_API_KEY=…; what it leaves out comes from the environment
    #[arg(long, value_name = "FILE", env = "CONDUCTOR_CREDENTIALS")]
    credentials: Option<PathBuf>,
}

/// Take tasks from the database and run them with read-only qwen children
///
/// Checks the machine first and takes nothing unless everything is in order; the database shows why in flow_status.
/// SIGTERM finishes what runs and takes nothing new, a second one stops at once and hands tasks back, SIGHUP reads
/// settings and credentials again.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    #[command(flatten)]
    machine: MachineArgs,
    /// Children at a time
    #[arg(long, value_name = "N", env = "CONDUCTOR_SLOTS", default_value_t = 4)]
    slots: usize,
    /// Name of this worker, unique on its host
    #[arg(
        long,
        value_name = "NAME",
        env = "CONDUCTOR_WORKER_NAME",
        default_value = "worker"
    )]
    name: String,
    /// Model that this worker serves; may be given several times [default: any]
    #[arg(
        long = "model",
        value_name = "MODEL",
        env = "CONDUCTOR_MODELS",
        value_delimiter = ','
    )]
    models: Vec<String>,
}

impl MachineArgs {
    /// The daemon's settings as far as the machine goes.
    pub fn resolve(
        self,
        slots: usize,
        name: Option<String>,
        models: Vec<String>,
    ) -> Result<Config, String> {
        let given = Given {
            database: self.database.url,
            // An empty variable is one empty path.
            allow_roots: self
                .allow_roots
                .into_iter()
                .filter(|root| !root.as_os_str().is_empty())
                .collect(),
            slots,
            state_dir: self.state_dir,
            qwen: self.qwen,
            node: self.node,
            credentials: self.credentials,
            name,
            models: models
                .into_iter()
                .filter(|model| !model.is_empty())
                .collect(),
        };
        given.resolve(&super::env)
    }
}

/// From this size on a buffer is mapped by itself and goes back to the system when it is freed.
#[cfg(target_env = "gnu")]
const MAPPED_BYTES: libc::c_int = 1 << 20;

/// Without this glibc raises that size with every huge buffer that is freed, and keeps the memory of the next ones.
fn give_huge_buffers_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it only sets a number; nothing else runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES)
    };
}

/// Runs the daemon; 0 after a clean end, 1 when something could not be handed back, 2 for bad settings.
pub fn run(args: WorkerArgs) -> ExitCode {
    give_huge_buffers_back();
    let config = match args
        .machine
        .resolve(args.slots, Some(args.name), args.models)
    {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    // Taken before anything is begun: a signal must never find a half-started daemon.
    let signals = match signals::take() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("error: signals cannot be taken: {error}");
            return ExitCode::from(2);
        }
    };
    let runtime = super::runtime();
    let ended = runtime.block_on(dispatcher::run(config, signals, super::env));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
