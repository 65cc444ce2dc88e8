//! Agents that stream: children of a real worker, and the runs that they belong to.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::bench::workload;
use crate::harness::worker::{Environment, Worker};
use crate::harness::{Cluster, tools};
use crate::scripted::clocked::Clocked;
use crate::scripted::{Options, Part, Reply, Rule, Script, ScriptedModel};

/// What each agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A small program under the same node, in the same sandbox, that prints qwen's lines.
    Replaying,
    /// qwen itself, with the scripted model.
    Qwen,
}

/// Runs with so many agents each.
const AGENTS_PER_RUN: usize = 5;
/// Real children wait here until all are there.
const GATE: &str = "go";
/// How long all children may take to start.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A worker with all its agents at work.
pub struct Agents {
    pub sql: Client,
    pub database: String,
    pub runs: Vec<i64>,
    worker: Option<Worker>,
    model: ScriptedModel,
    kind: Kind,
    count: usize,
}

impl Agents {
    /// Starts a worker and launches what keeps it busy: `count` agents that stream so much each. Real children wait for
    /// [`Agents::go`].
    pub async fn start(kind: Kind, count: usize, clocked: Clocked) -> Self {
        let cluster = Cluster::durable();
        let database = cluster.create_database(None).await;
        let sql = cluster
            .connect(&database)
            .await
            .expect("the database answers");
        sql.batch_execute("update settings set max_running = 1000, max_running_per_run = 1000")
            .await
            .expect("the settings are valid");
        let folder = cluster.folder().join(&database);
        for name in ["projects", "home", "state"] {
            std::fs::create_dir_all(folder.join(name)).expect("the folder can be made");
        }
        let reply = Reply::parts([
            Part::stall(GATE),
            Part::Clocked(clocked),
            // With its end an attempt's deltas go; the last of them are to be heard before.
            Part::DelayMs(2000),
        ]);
        let model = ScriptedModel::start(Options {
            script: Script::of([Rule::any([reply])]),
            ..Options::default()
        });
        let model = model.await.expect("a port is free");
        let qwen = tools::qwen().unwrap_or_else(|missing| panic!("{missing}"));
        let environment = Environment {
            database: cluster.url(&database),
            model_url: model.base_url(),
            key: "scripted".into(),
            log_level: String::new(),
            allowed: folder.join("projects"),
            qwen: match kind {
                Kind::Qwen => qwen,
                Kind::Replaying => replaying(&qwen, &folder),
            },
            folder,
            slots: u32::try_from(count).expect("a small number"),
            name: "measured".into(),
            disk: None,
            open_files: None,
            variables: Vec::new(),
            programs: None,
        };
        let agents = AGENTS_PER_RUN.min(count);
        let streaming = workload::streaming(agents);
        let defined = sql
            .execute("select flow_define($1)", &[&streaming.definition])
            .await;
        defined.expect("the flow is in order");
        let question = format!(
            "replay {} tokens at {} a second",
            clocked.tokens, clocked.per_second
        );
        let mut runs = Vec::new();
        for _ in 0..count / agents {
            let launched = sql
                .query_one("select flow_launch($1, $2)", &[&streaming.flow, &question])
                .await;
            runs.push(launched.expect("a run can be launched").get(0));
        }
        Agents {
            worker: Some(environment.start()),
            sql,
            database,
            runs,
            model,
            kind,
            count: count / agents * agents,
        }
    }

    /// Waits until all agents are there and lets them begin.
    pub async fn go(&self) {
        let begun = Instant::now();
        let ready = async || match self.kind {
            Kind::Qwen => {
                let active = |record: &crate::scripted::Record| record.ended_ms.is_none();
                self.model
                    .control()
                    .records()
                    .iter()
                    .filter(|it| active(it))
                    .count()
            }
            Kind::Replaying => {
                let query = "select count(distinct task_id) from frames where type = 'delta'";
                let row = self.sql.query_one(query, &[]).await;
                usize::try_from(row.expect("the frames can be read").get::<_, i64>(0)).unwrap_or(0)
            }
        };
        while ready().await < self.count {
            let late = begun.elapsed() > START_LIMIT;
            let over = "select count(*) from flow_steps where status in ('completed', 'failed')";
            let row = self.sql.query_one(over, &[]).await;
            let over: i64 = row.expect("the steps can be read").get(0);
            assert!(
                !late && over == 0,
                "not all agents are there: {}",
                self.words()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.model.control().release(Some(GATE));
    }

    /// The worker's process.
    pub fn pid(&self) -> i32 {
        self.worker.as_ref().expect("it runs until the end").pid()
    }

    /// Waits until every run has ended, and returns the output of every agent, by its chat.
    pub async fn outputs(&self, limit: Duration) -> Vec<(i64, String)> {
        let begun = Instant::now();
        let running = "select count(*) from flow_runs where status = 'running'";
        while self
            .sql
            .query_one(running, &[])
            .await
            .expect("the runs can be read")
            .get::<_, i64>(0)
            > 0
        {
            assert!(
                begun.elapsed() < limit,
                "the runs do not end: {}",
                self.words()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let query = "select t.chat_id, coalesce(s.output, s.error, '') from flow_steps s join tasks t on t.id = s.task_id
            where s.kind = 'agent'";
        let rows = self
            .sql
            .query(query, &[])
            .await
            .expect("the steps can be read");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Ends the worker, and looks whether it left anything that flow_check() names.
    pub async fn stop(mut self) {
        let mut worker = self.worker.take().expect("it runs until here");
        let ended = tokio::task::spawn_blocking(move || worker.terminate(Duration::from_secs(60)));
        assert!(
            ended.await.expect("no panic").is_some(),
            "the worker ends when asked"
        );
        let found = self
            .sql
            .query("select c::text from flow_check() c", &[])
            .await;
        assert!(
            found.expect("it can be asked").is_empty(),
            "flow_check() finds something"
        );
    }

    fn words(&self) -> String {
        self.worker.as_ref().map(Worker::words).unwrap_or_default()
    }
}

/// A copy of qwen that replays where the prompt asks for it; the self-check meets the real one.
fn replaying(qwen: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join("replaying");
    let package = qwen.canonicalize().expect("qwen is there");
    let copied = Command::new("cp")
        .args(["-R", "--reflink=auto"])
        .arg(package.parent().expect("a file has a folder"))
        .arg(&copy)
        .status();
    assert!(copied.is_ok_and(|status| status.success()));
    let path = copy.join("cli.js");
    std::fs::rename(&path, copy.join("real.js")).expect("the folder is ours");
    std::fs::write(&path, include_str!("replaying.js")).expect("the folder is ours");
    path
}
