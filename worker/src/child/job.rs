//! A job folder: everything one attempt needs, laid out and named on a command line.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::settings::{DENIED, Settings};
use super::{
    Child, ChildError, MAX_HEAP_MB, Model, PROMPT_COMMAND, Qwen, Toolbox, io_error, prompt,
    settings,
};
use crate::sandbox::{Policy, Sandbox};

/// Stands for the snapshot's path in prompts and personas.
pub const SNAPSHOT_TOKEN: &str = "\u{1}snapshot\u{1}";

/// The kernel's limit on one argument, its closing NUL included.
const MAX_ARGUMENT_BYTES: usize = 128 * 1024;

/// With `=`, a persona that begins with a dash is still no flag.
const PERSONA_FLAG: &str = "--system-prompt=";

/// qwen cuts standard input there.
const MAX_STDIN_BYTES: usize = 8 * 1024 * 1024;

/// Everything about one attempt.
#[derive(Debug)]
pub struct ChildSpec<'a> {
    /// A folder that does not exist yet, in one that does; made for its owner only, removed by `Job::remove`.
    pub job_dir: PathBuf,
    pub snapshot: Option<&'a Path>,
    /// Both may hold `SNAPSHOT_TOKEN`, which is replaced here.
    pub system_prompt: &'a str,
    pub prompt: &'a str,
    pub model: &'a Model,
    /// The child's own limits, behind the worker's: what is longer or more than this ends with exit 55 or 53.
    pub max_wall_time: Duration,
    pub max_turns: u32,
    /// How long the model may take to begin a turn, and to pause within one.
    pub first_event_timeout: Duration,
    pub stall_timeout: Duration,
    pub toolbox: &'a Toolbox,
}

/// A job folder with prompt, settings and command line, ready to start.
#[derive(Debug)]
pub struct Job {
    dir: PathBuf,
    sandbox: Sandbox,
    pub(crate) policy: Policy,
    node: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(&'static str, String)>,
}

/// What a job's child is started with. For looking at: nothing that is done with it changes the job.
#[derive(Debug, Clone, Copy)]
pub struct CommandParts<'a> {
    pub program: &'a Path,
    pub args: &'a [String],
    pub env: &'a [(&'static str, String)],
    pub policy: &'a Policy,
}

impl Job {
    /// Lays the job folder out. Small files only, but it blocks.
    ///
    /// # Errors
    /// When the prompt or the persona is blank or too long, the model's address is none, or the folder cannot be made.
    pub fn prepare(
        spec: &ChildSpec<'_>,
        qwen: &Qwen,
        sandbox: &Sandbox,
    ) -> Result<Job, ChildError> {
        DirBuilder::new()
            .mode(0o700)
            .create(&spec.job_dir)
            .map_err(io_error("make", &spec.job_dir))?;
        let job = Self::lay_out(spec, qwen, sandbox);
        if job.is_err() {
            let _ = fs::remove_dir_all(&spec.job_dir);
        }
        job
    }

    fn lay_out(spec: &ChildSpec<'_>, qwen: &Qwen, sandbox: &Sandbox) -> Result<Job, ChildError> {
        let dir = fs::canonicalize(&spec.job_dir).map_err(io_error("find", &spec.job_dir))?;
        let folder = Folder { dir: &dir };
        let (home, cwd, tmp) = (
            folder.make("home")?,
            folder.make("cwd")?,
            folder.make("tmp")?,
        );
        let snapshot = spec.snapshot.unwrap_or(&cwd).to_owned();
        let snapshot_text = text(&snapshot)?;
        let passed = prompt::pass(&spec.prompt.replace(SNAPSHOT_TOKEN, &snapshot_text))
            .ok_or_else(|| ChildError::Refused("the prompt is blank".to_owned()))?;
        if passed.stdin.len() > MAX_STDIN_BYTES {
            let size = passed.stdin.len();
            return Err(ChildError::Refused(format!(
                "the prompt takes {size} bytes and a child reads {MAX_STDIN_BYTES} at most; lower max_prompt_bytes"
            )));
        }
        let settings = settings::system(&Settings {
            first_event_timeout: spec.first_event_timeout,
            stall_timeout: spec.stall_timeout,
            ripgrep: spec.toolbox.has_ripgrep(),
        });
        let settings = folder.write("settings.json", &settings.to_string())?;
        let defaults = folder.write("defaults.json", "{\"$version\":4}")?;
        let stdin = folder.write("prompt", &passed.stdin)?;
        folder.make("home/.qwen")?;
        folder.make("home/.qwen/commands")?;
        folder.write(
            &format!("home/.qwen/commands/{PROMPT_COMMAND}.toml"),
            &passed.command,
        )?;
        // Commands are read in a trusted folder only; this one is empty and ours.
        let trusted = json!({ text(&cwd)?: "TRUST_FOLDER" });
        let trusted = folder.write("trusted-folders.json", &trusted.to_string())?;
        // Present and marked, it is not replaced by a page of rules about languages.
        folder.write(
            "home/.qwen/output-language.md",
            "<!-- qwen-code:llm-output-language: auto -->\n",
        )?;

        let env = vec![
            ("PATH", text(&spec.toolbox.path_variable())?),
            ("HOME", text(&home)?),
            ("TMPDIR", text(&tmp)?),
            ("LANG", "C.UTF-8".to_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("NODE_COMPILE_CACHE", text(spec.toolbox.compile_cache())?),
            ("RIPGREP_CONFIG_PATH", text(&spec.toolbox.ripgrep_rc())?),
            // The system's may name libraries to load, and node ends where it may not read it.
            ("OPENSSL_CONF", "/dev/null".to_owned()),
            ("QWEN_CODE_NO_RELAUNCH", "true".to_owned()),
            ("QWEN_CODE_DISABLE_PRECONNECT", "1".to_owned()),
            ("QWEN_CODE_SYSTEM_SETTINGS_PATH", text(&settings)?),
            ("QWEN_CODE_SYSTEM_DEFAULTS_PATH", text(&defaults)?),
            ("QWEN_CODE_TRUSTED_FOLDERS_PATH", text(&trusted)?),
            ("OPENAI_BASE_URL", spec.model.base_url.clone()),
            ("OPENAI_API_KEY", spec.model.api_key.expose().to_owned()),
            ("OPENAI_MODEL", spec.model.name.clone()),
        ];
        let policy = Policy {
            read: [
                &dir,
                &snapshot,
                &qwen.package,
                &qwen.node,
                spec.toolbox.dir(),
            ]
            .map(Path::to_owned)
            .to_vec(),
            write: vec![home, cwd.clone(), tmp],
            execute: [std::slice::from_ref(&qwen.node), spec.toolbox.programs()].concat(),
            connect: vec![spec.model.port()?],
            cwd,
            stdin,
        };
        let args = command_line(spec, qwen, &snapshot_text)?;
        Ok(Job {
            dir,
            sandbox: sandbox.clone(),
            policy,
            node: qwen.node.clone(),
            args,
            env,
        })
    }

    /// Starts the child; needs a tokio runtime.
    ///
    /// # Errors
    /// When the helper process cannot be started. What goes wrong in it is seen in how the child ends.
    pub fn start(&self) -> Result<Child, ChildError> {
        let mut command = self.sandbox.command(&self.policy, &self.node, &self.args)?;
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        Child::spawn(command).map_err(|source| ChildError::Io {
            what: "start the child".to_owned(),
            source,
        })
    }

    /// What `start` gives to the sandbox.
    pub fn command_parts(&self) -> CommandParts<'_> {
        CommandParts {
            program: &self.node,
            args: &self.args,
            env: &self.env,
            policy: &self.policy,
        }
    }

    /// Removes the job folder, whatever the child left in it.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        crate::snapshot::remove_tree(&self.dir)
    }
}

fn command_line(
    spec: &ChildSpec<'_>,
    qwen: &Qwen,
    snapshot: &str,
) -> Result<Vec<String>, ChildError> {
    let persona = spec.system_prompt.replace(SNAPSHOT_TOKEN, snapshot);
    if persona.trim().is_empty() {
        return Err(ChildError::Refused("the persona is blank".to_owned()));
    }
    let room = MAX_ARGUMENT_BYTES - 1 - PERSONA_FLAG.len();
    if persona.len() > room {
        return Err(ChildError::Refused(format!(
            "the persona takes {} bytes and a child takes {room} at most",
            persona.len(),
        )));
    }
    if persona.contains('\0') {
        return Err(ChildError::Refused("the persona holds a NUL".to_owned()));
    }
    if snapshot.contains(',') {
        return Err(ChildError::Refused(format!(
            "the snapshot's path holds a comma: {snapshot}"
        )));
    }
    let wall_time = spec.max_wall_time.as_secs().max(1);
    let args = [
        format!("--max-old-space-size={MAX_HEAP_MB}"),
        format!("--require={}", text(&spec.toolbox.preload())?),
        text(&qwen.cli())?,
        "--approval-mode=plan".to_owned(),
        "--auth-type=openai".to_owned(),
        format!("--exclude-tools={}", DENIED.join(",")),
        "--output-format=stream-json".to_owned(),
        "--include-partial-messages".to_owned(),
        format!("--session-id={}", uuid::Uuid::new_v4()),
        format!("--add-dir={snapshot}"),
        format!("--max-wall-time={wall_time}s"),
        format!("--max-session-turns={}", spec.max_turns),
        format!("{PERSONA_FLAG}{persona}"),
    ];
    Ok(args.into())
}

fn text(path: &Path) -> Result<String, ChildError> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| ChildError::Refused(format!("a path is not UTF-8: {}", path.display())))
}

struct Folder<'a> {
    dir: &'a Path,
}

impl Folder<'_> {
    fn make(&self, name: &str) -> Result<PathBuf, ChildError> {
        let path = self.dir.join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(io_error("make", &path))?;
        Ok(path)
    }

    fn write(&self, name: &str, content: &str) -> Result<PathBuf, ChildError> {
        let path = self.dir.join(name);
        fs::write(&path, content).map_err(io_error("write", &path))?;
        Ok(path)
    }
}
