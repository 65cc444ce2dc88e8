//! One test's database, scripted model, worker and projects, and what must hold when it ends.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::cluster::{self, Cluster};
use super::worker::{Environment, Worker};
use super::{Repository, processes, tools};
use crate::scripted::{Options, Script, ScriptedModel};

/// How to set a test up.
#[derive(Debug, Default)]
pub struct Setup {
    script: Script,
    slots: Option<u32>,
    settings: Vec<String>,
    without_worker: bool,
    version: Option<String>,
}

/// What a test works with.
pub struct Conductor {
    pub cluster: &'static Cluster,
    /// Name of this test's database.
    pub database: String,
    /// A connection of a superuser, schema `conductor` first.
    pub sql: Client,
    pub model: ScriptedModel,
    /// What the next worker is started with.
    pub environment: Environment,
    worker: Option<Worker>,
    folder: PathBuf,
}

impl Setup {
    /// A worker with two slots and the scripted model's default behaviour.
    pub fn new() -> Self {
        Self::default()
    }

    /// Plays a script.
    pub fn script(self, script: Script) -> Self {
        Self { script, ..self }
    }

    /// Gives the worker so many slots.
    pub fn slots(self, slots: u32) -> Self {
        let slots = Some(slots);
        Self { slots, ..self }
    }

    /// Sets columns of the engine's settings before anything starts, as in `lease = '2 seconds'`.
    pub fn settings(mut self, columns: &str) -> Self {
        self.settings.push(columns.into());
        self
    }

    /// Installs a former version of the extension's schema.
    pub fn version(self, version: &str) -> Self {
        let version = Some(version.to_owned());
        Self { version, ..self }
    }

    /// Leaves starting a worker to the test.
    pub fn without_worker(self) -> Self {
        let without_worker = true;
        Self {
            without_worker,
            ..self
        }
    }

    /// Sets up what a test works with, for whoever has a runtime; [`Conductor::end`] must follow.
    pub async fn begin(self) -> Conductor {
        Conductor::set_up(self).await
    }

    /// Runs a test. Afterwards, also when it panicked, ends the worker and drops the database; fails if
    /// `flow_check()` finds anything, the worker does not end when asked, or a process is left behind.
    pub fn run(self, test: impl AsyncFnOnce(&mut Conductor)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be built");
        let mut conductor = runtime.block_on(self.begin());
        let tested = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test(&mut conductor))));
        if tested.is_err() {
            runtime.block_on(conductor.describe());
        }
        let wrong = runtime.block_on(conductor.end());
        if let Err(panic) = tested {
            resume_unwind(panic);
        }
        assert!(wrong.is_empty(), "after the test: {}", wrong.join("; "));
    }
}

impl Conductor {
    async fn set_up(setup: Setup) -> Self {
        let cluster = Cluster::shared();
        let database = cluster.create_database(setup.version.as_deref()).await;
        let sql = cluster
            .connect(&database)
            .await
            .expect("the database answers");
        for columns in &setup.settings {
            let update = format!("update conductor.settings set {columns}");
            sql.batch_execute(&update)
                .await
                .expect("the settings are valid");
        }
        let folder = cluster.folder().join(&database);
        for name in ["projects", "home", "state"] {
            std::fs::create_dir_all(folder.join(name)).expect("the folder can be made");
        }
        let options = Options {
            script: setup.script,
            ..Options::default()
        };
        let model = ScriptedModel::start(options).await.expect("a port is free");
        let environment = Environment {
            database: cluster.url(&database),
            model_url: model.base_url(),
            key: "scripted".into(),
            log_level: String::new(),
            allowed: folder.join("projects"),
            folder: folder.clone(),
            slots: setup.slots.unwrap_or(2),
            name: "tested".into(),
            qwen: tools::qwen().unwrap_or_else(|missing| panic!("{missing}")),
            disk: None,
            open_files: None,
            variables: Vec::new(),
            programs: None,
        };
        let mut conductor = Self {
            cluster,
            database,
            sql,
            model,
            environment,
            worker: None,
            folder,
        };
        if !setup.without_worker {
            conductor.start_worker();
        }
        conductor
    }

    /// The folder of this test.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a worker; there may be only one at a time.
    pub fn start_worker(&mut self) {
        assert!(self.worker.is_none(), "a worker is running already");
        self.worker = Some(self.environment.start());
    }

    /// The running worker.
    pub fn worker(&mut self) -> &mut Worker {
        self.worker.as_mut().expect("a worker is running")
    }

    /// Kills the worker at once, without telling it.
    pub fn kill_worker(&mut self) {
        self.worker.take().expect("a worker is running").kill();
    }

    /// Asks the worker to end and waits for it. Panics if it does not.
    pub fn stop_worker(&mut self) {
        let mut worker = self.worker.take().expect("a worker is running");
        let ended = worker.terminate(Duration::from_secs(30));
        assert!(
            ended.is_some(),
            "the worker does not end: {}",
            worker.words()
        );
    }

    /// Starts a worker in the place of one that has ended by itself.
    pub fn restart_worker(&mut self) {
        self.worker = None;
        self.start_worker();
    }

    /// Another connection to this test's database.
    pub async fn connect(&self) -> Client {
        self.cluster
            .connect(&self.database)
            .await
            .expect("the database answers")
    }

    /// Goes on with another server that has this database; the worker is told nothing.
    pub async fn move_to(&mut self, cluster: &'static Cluster) {
        self.cluster = cluster;
        self.reconnect().await;
    }

    /// Goes on with a server of this test alone, which may be stopped and killed.
    pub async fn move_to_own_server(&mut self) {
        let own = self.cluster.create_copy();
        self.environment.database = own.url(&self.database);
        self.move_to(own).await;
    }

    /// What another worker of this test is started with: its own name and folders.
    pub fn another(&self, name: &str) -> Environment {
        let folder = self.folder.join(name);
        for name in ["home", "state"] {
            std::fs::create_dir_all(folder.join(name)).expect("the folder can be made");
        }
        Environment {
            folder,
            name: name.into(),
            ..self.environment.clone()
        }
    }

    /// Waits until the worker's log holds these words so many times.
    pub async fn said(&self, words: &str, times: usize, limit: Duration) {
        let what = format!("the worker says {words:?}, {times} times");
        self.until(&what, limit, async |c: &Self| {
            let log = std::fs::read_to_string(c.environment.log()).unwrap_or_default();
            (log.matches(words).count() >= times).then_some(())
        })
        .await;
    }

    /// Replaces the connection after the server was away.
    pub async fn reconnect(&mut self) {
        self.sql = self.connect().await;
    }

    /// Makes a small git repository below the allowed root and registers it.
    pub async fn shop(&self, name: &str) -> Repository {
        let repository = Repository::shop(&self.environment.allowed.join(name));
        self.register(name, repository.root()).await;
        repository
    }

    /// Registers a folder as a project.
    pub async fn register(&self, name: &str, root: &Path) {
        let root = root.to_str().expect("the path is text");
        self.sql
            .execute("select project_register($1, $2)", &[&name, &root])
            .await
            .expect("the project can be registered");
    }

    /// Returns as soon as `check` gives something, looking again every few milliseconds. Panics after
    /// `limit` with what was waited for and the worker's last words.
    pub async fn until<T>(
        &self,
        what: &str,
        limit: Duration,
        check: impl AsyncFn(&Self) -> Option<T>,
    ) -> T {
        let end = Instant::now() + limit;
        loop {
            if let Some(value) = check(self).await {
                return value;
            }
            assert!(Instant::now() < end, "not within {limit:?}: {what}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// What a person would look at first when a test has failed.
    async fn describe(&self) {
        eprintln!(
            "--- worker.log ---\n{}",
            cluster::tail(&self.environment.log(), 6_000)
        );
        let steps = "select run_id, step_id, status, left(error, 200) from flow_steps order by run_id, position";
        for row in self.sql.query(steps, &[]).await.unwrap_or_default() {
            let (run, step): (i64, String) = (row.get(0), row.get(1));
            let (status, error): (String, Option<String>) = (row.get(2), row.get(3));
            eprintln!("run {run} {step}: {status} {}", error.unwrap_or_default());
        }
        for record in self.model.control().records() {
            let (number, turn, outcome) = (record.number, record.turn, record.outcome);
            eprintln!(
                "request {number}: {:?} turn {turn} {outcome:?}",
                record.persona
            );
        }
    }

    /// Ends the worker and drops the database; what was wrong after all: a violation, a worker that does not end, a
    /// process that is left behind.
    pub async fn end(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(mut worker) = self.worker.take()
            && worker.terminate(Duration::from_secs(30)).is_none()
        {
            wrong.push(format!("the worker did not end: {}", worker.words()));
        }
        match self.violations().await {
            Ok(violations) => wrong.extend(violations),
            Err(error) => wrong.push(format!("flow_check() failed: {error}")),
        }
        let left = processes::wait_until_none(&self.folder, Duration::from_secs(5));
        if !left.is_empty() {
            wrong.push(format!("processes are left behind: {left:?}"));
            processes::kill_all(&self.folder);
        }
        self.cluster.drop_database(&self.database).await;
        wrong
    }

    /// What `flow_check()` finds, one line a violation.
    pub async fn violations(&self) -> Result<Vec<String>, tokio_postgres::Error> {
        let sql = self.cluster.connect(&self.database).await?;
        let rows = sql.query("select c::text from flow_check() c", &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
