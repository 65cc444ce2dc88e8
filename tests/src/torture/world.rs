//! Where the crash test takes place: server, database, scripted model, projects and flows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

use super::Options;
use super::crew::Crew;
use super::ledger::Ledger;
use crate::harness::{Cluster, Repository, cluster};
use crate::scripted::{self, Reply, Rule, Script, ScriptedModel};

/// How long a client waits for a server that is away.
const PATIENCE: Duration = Duration::from_secs(60);
/// Every call is over by then, or it hangs.
pub const CALL: Duration = Duration::from_secs(30);
/// Requests that the scripted model remembers: it runs for long, and they are large.
const KEEP: usize = 50;
/// Between two chunks of a reply, so that kills meet replies under way.
const CHUNK_DELAY: Duration = Duration::from_millis(25);
/// What the first step of the flow with a fan-out is asked, and what makes its reply a list.
const LIST: &str = "List the parts of the shop.";

/// Leases and clocks are short, so that recovery is; deaths are many, because workers die all the time.
/// The clocks leave a child that shares its core with many others the time to begin.
const SETTINGS: &str = "lease = '3 seconds', retry_backoff = '300 milliseconds', stall_timeout = '8 seconds', \
    first_event_timeout = '60 seconds', step_timeout = '150 seconds', max_attempts = 4, max_deaths = 8";

/// Everything that the crash test works with.
pub struct World {
    pub cluster: &'static Cluster,
    pub folder: PathBuf,
    pub crew: Crew,
    pub ledger: Ledger,
    /// Held by whoever stops and starts the server.
    pub server: tokio::sync::Mutex<()>,
    /// Launches so far.
    pub launches: AtomicUsize,
    database: String,
    model: ScriptedModel,
    closed: Arc<AtomicBool>,
}

/// Why a call was not answered as it should be.
#[derive(Debug)]
pub enum Trouble {
    /// The server or the session went away.
    Away,
    /// The server said no: SQLSTATE and message.
    Refused(String, String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            return Self::Away;
        };
        match refusal.code().code() {
            // Ended by an operator, a crash, a start under way; too many clients while old ones end.
            "57P01" | "57P02" | "57P03" | "53300" => Self::Away,
            code => Self::Refused(code.to_owned(), refusal.message().to_owned()),
        }
    }
}

impl World {
    /// Starts everything. Panics when a part is missing.
    pub async fn set_up(options: &Options, closed: Arc<AtomicBool>) -> Self {
        let cluster = Cluster::shared();
        let database = cluster.create_database(None).await;
        let folder = cluster.folder().join("torture");
        let projects = folder.join("projects");
        let model = ScriptedModel::start(scripted::Options {
            script: script(None),
            chunk_delay: CHUNK_DELAY,
            keep: KEEP,
            ..scripted::Options::default()
        })
        .await
        .expect("a port is free");
        let sql = cluster
            .connect(&database)
            .await
            .expect("the database answers");
        sql.batch_execute(&format!("update conductor.settings set {SETTINGS}"))
            .await
            .expect("the settings are valid");
        sql.batch_execute(include_str!("audit.sql"))
            .await
            .expect("the audit can be made");
        sql.execute("select flow_define($1)", &[&fan_out()])
            .await
            .expect("the flow is valid");
        for (name, shop) in [
            ("shop", Repository::shop(&projects.join("shop"))),
            ("flawed", Repository::flawed_shop(&projects.join("flawed"))),
        ] {
            shop.write("NOTES.md", "A lease of ten minutes is too long.\n");
            let root = shop.root().to_str().expect("the path is text");
            sql.execute("select project_register($1, $2)", &[&name, &root])
                .await
                .expect("the project can be registered");
        }
        let url = cluster.url(&database);
        let (number, address) = (options.workers, model.base_url());
        let crew = Crew::start(&folder, &url, &address, number, closed.clone());
        Self {
            cluster,
            folder,
            crew,
            ledger: Ledger::default(),
            server: tokio::sync::Mutex::default(),
            launches: AtomicUsize::new(0),
            database,
            model,
            closed,
        }
    }

    /// Whether nothing may be started any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// A session under this name; one attempt.
    pub async fn session(&self, name: &str) -> Result<Client, Trouble> {
        let connecting = async {
            let client = self.cluster.connect(&self.database).await?;
            client
                .batch_execute(&format!("set application_name = '{name}'"))
                .await?;
            Ok(client)
        };
        in_time(connecting).await
    }

    /// A session under this name, waiting for a server that is away. Notes a violation when it stays away.
    pub async fn patient_session(&self, name: &str) -> Result<Client, Trouble> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.session(name).await {
                Err(Trouble::Away) if Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(Trouble::Away) => {
                    let log = self.cluster.log();
                    self.ledger
                        .violated(format!("the server stays away: {log}"));
                    return Err(Trouble::Away);
                }
                other => return other,
            }
        }
    }

    /// Lets the scripted model play this rule before anything else, or none, and lets go what it holds.
    pub fn play(&self, fault: Option<Rule>) {
        self.model.control().release(None);
        self.model.control().set_script(script(fault));
    }

    /// Copies what tells about a violation to a folder that outlives this program.
    pub async fn keep_logs(&self, folder: &Path, violations: &[String]) {
        let kept = || -> std::io::Result<()> {
            std::fs::create_dir_all(folder)?;
            let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
            write("violations.txt", &violations.join("\n"))?;
            write("journal.txt", &self.ledger.text())?;
            let server = self.cluster.folder().join("server.log");
            write("server.log", &cluster::tail(&server, 64 << 20))?;
            for (name, log) in self.crew.logs() {
                write(&format!("{name}.log"), &cluster::tail(&log, 64 << 20))?;
            }
            Ok(())
        };
        match kept() {
            Ok(()) => eprintln!("logs are kept in {}", folder.display()),
            Err(error) => eprintln!("logs cannot be kept in {}: {error}", folder.display()),
        }
    }
}

/// A call with its limit. One that takes longer counts as refused, because it hangs.
pub async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Trouble> {
    match tokio::time::timeout(CALL, call).await {
        Ok(result) => Ok(result?),
        Err(_) => {
            let words = format!("no answer within {} s", CALL.as_secs());
            Err(Trouble::Refused("hangs".into(), words))
        }
    }
}

/// The rows of a query, in time.
pub async fn query(
    sql: &Client,
    text: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Trouble> {
    in_time(sql.query(text, parameters)).await
}

/// The list for the fan-out, and a fault before it.
fn script(fault: Option<Rule>) -> Script {
    let list = json!({"deep": true, "parts": ["orders", "stock", "leases", "people"]});
    let reply = format!(
        "## Summary\nThe shop has four parts, which its folders name.\n\n```json\n{list}\n```\n"
    );
    let listed = Rule::persona("project-scanner", [Reply::text(&reply)]).contains(LIST);
    Script::of(fault.into_iter().chain([listed]))
}

/// A flow with every kind of step: a fan-out, a condition, a join of what did not fail.
fn fan_out() -> serde_json::Value {
    json!({"name": "torture-fan", "category": "analysis", "description": "Every kind of step.", "contracts": [],
        "steps": [
            {"id": "list", "persona": "project-scanner", "brief": LIST},
            {"id": "deep", "persona": "concurrency-analyst", "brief": "Look at what runs at once.",
                "needs": ["list"], "when": "list.deep"},
            {"id": "each", "persona": "behavioral-analyst", "brief": "Look at the one part that is your element.",
                "needs": ["list"], "foreach": "list.parts"},
            {"id": "sum", "persona": "software-architect", "brief": "Say what the parts have in common.",
                "needs": ["deep", "each"], "join": "any"}]})
}
