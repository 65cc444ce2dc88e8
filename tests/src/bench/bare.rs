//! The child as the worker starts it, with the same command, environment, folders and files, and without the worker: no
//! relay, nothing parsed, and no sandbox unless that is asked for.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use conductor_worker::child::{ChildSpec, Job, Model, Qwen, Toolbox};
use conductor_worker::credentials::Secret;
use conductor_worker::sandbox::Sandbox;

use crate::harness::{Conductor, tools};

/// What every bare child is started with.
pub struct Bare {
    qwen: Qwen,
    toolbox: Toolbox,
    sandbox: Sandbox,
    model: Model,
    jobs: PathBuf,
    started: usize,
}

/// What one step is asked.
pub struct Question {
    pub persona: String,
    pub prompt: String,
    pub snapshot: PathBuf,
}

impl Bare {
    /// Shares the worker's toolbox, and so the code that is compiled already.
    pub async fn new(c: &Conductor) -> Self {
        let helper = tools::conductor().unwrap_or_else(|missing| panic!("{missing}"));
        let node = tools::node().unwrap_or_else(|missing| panic!("{missing}"));
        let qwen = Qwen::locate(&node, &c.environment.qwen).await;
        let qwen = qwen.expect("qwen and node are in order");
        let toolbox = Toolbox::prepare(&qwen, &c.environment.state().join("toolbox"));
        let jobs = c.folder().join("bare");
        std::fs::create_dir_all(&jobs).expect("the folder can be made");
        Bare {
            toolbox: toolbox.expect("the toolbox can be read"),
            sandbox: Sandbox::detect(Some(&helper)).expect("there is a sandbox"),
            model: Model {
                base_url: c.environment.model_url.clone(),
                api_key: Secret::new(c.environment.key.clone()),
                name: "scripted-model".into(),
            },
            jobs,
            qwen,
            started: 0,
        }
    }

    /// Starts a child that nothing confines and waits for its end. When it was started, and how long it took.
    pub async fn run(&mut self, question: &Question) -> (Instant, Duration) {
        let job = self.job(question);
        let mut command = command(&job);
        let timed = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let output = command.output().expect("node can be started");
            (began, began.elapsed(), output)
        });
        let (began, took, output) = timed.await.expect("waiting does not panic");
        assert!(output.status.success(), "the bare child: {output:?}");
        job.remove().expect("the job can be removed");
        (began, took)
    }

    /// The same, confined as the worker's children are.
    pub async fn run_confined(&mut self, question: &Question) -> (Instant, Duration) {
        let job = self.job(question);
        let began = Instant::now();
        let mut child = job.start().expect("the helper can be started");
        while let Ok(Some(_)) = child.read().await {}
        let exit = child.wait().await;
        let took = began.elapsed();
        assert_eq!(exit.code, Some(0), "the confined child: {exit:?}");
        job.remove().expect("the job can be removed");
        (began, took)
    }

    fn job(&mut self, question: &Question) -> Job {
        self.started += 1;
        let long = Duration::from_secs(600);
        let spec = ChildSpec {
            job_dir: self.jobs.join(self.started.to_string()),
            snapshot: Some(&question.snapshot),
            system_prompt: &question.persona,
            prompt: &question.prompt,
            model: &self.model,
            max_wall_time: long,
            max_turns: 300,
            first_event_timeout: long,
            stall_timeout: long,
            toolbox: &self.toolbox,
        };
        Job::prepare(&spec, &self.qwen, &self.sandbox).expect("a job can be laid out")
    }
}

fn command(job: &Job) -> Command {
    let parts = job.command_parts();
    let mut command = Command::new(parts.program);
    command
        .args(parts.args)
        .env_clear()
        .envs(parts.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&parts.policy.cwd)
        .stdin(open(&parts.policy.stdin))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn open(path: &Path) -> File {
    File::open(path).expect("the prompt is there")
}
