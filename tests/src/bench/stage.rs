//! Where it is measured: a private server that keeps what it has promised, a database for the engine and one for the
//! floor, and what they wrote.

use std::future::poll_fn;

use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls};

use super::workload::Workload;
use crate::harness::{Cluster, processes, sql_worker};

/// How much a database has written since the server started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written {
    pub wal_bytes: f64,
    /// Rows that an update or a delete left behind, and how many of them an index knows nothing of.
    pub dead_rows: f64,
    pub hot_rows: f64,
}

impl std::ops::Sub for Written {
    type Output = Written;
    fn sub(self, before: Written) -> Written {
        Written {
            wal_bytes: self.wal_bytes - before.wal_bytes,
            dead_rows: self.dead_rows - before.dead_rows,
            hot_rows: self.hot_rows - before.hot_rows,
        }
    }
}

/// A database on the durable server.
pub struct Stage {
    pub cluster: &'static Cluster,
    pub database: String,
    /// A session of a superuser for what is not measured.
    pub admin: Client,
    /// The worker that claims are made for.
    pub worker: i64,
}

impl Stage {
    /// A database with the extension, the limits out of the way, and a worker that serves everything.
    pub async fn new() -> Self {
        let cluster = Cluster::durable();
        let database = cluster.create_database(None).await;
        let admin = cluster
            .connect(&database)
            .await
            .expect("the database answers");
        admin
            .batch_execute(
                "update settings set max_running = 100000, max_running_per_run = 100000, max_fanout = 100000,
                    lease = '1 hour', step_timeout = '10 hours'",
            )
            .await
            .expect("the settings are valid");
        let worker = sql_worker::register(&admin, "bench", &["/"])
            .await
            .expect("a worker can register");
        Stage {
            cluster,
            database,
            admin,
            worker,
        }
    }

    /// A database with the same tables, constraints and indexes, in which nothing happens by itself.
    pub async fn without_engine() -> Self {
        let stage = Stage::new().await;
        stage
            .admin
            .batch_execute(
                "alter table tasks disable trigger user; alter table flow_steps disable trigger user;
                 alter table run_counters disable trigger user",
            )
            .await
            .expect("triggers can be disabled");
        stage
    }

    /// A session of its own.
    pub async fn session(&self) -> Client {
        let session = self.cluster.connect(&self.database).await;
        session.unwrap_or_else(|error| panic!("no session: {error}"))
    }

    /// A session that listens on a channel.
    pub async fn bell(&self, channel: &str) -> Bell {
        let connected = tokio_postgres::connect(&self.cluster.url(&self.database), NoTls).await;
        let (session, mut connection) =
            connected.unwrap_or_else(|error| panic!("no session: {error}"));
        let (ring, rings) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if matches!(message, AsyncMessage::Notification(_)) && ring.send(()).is_err() {
                    break;
                }
            }
        });
        session
            .batch_execute(&format!("listen {channel}"))
            .await
            .expect("LISTEN succeeds");
        Bell { rings, session }
    }

    /// Makes a workload's flow known.
    pub async fn define(&self, workload: &Workload) {
        if let Some(definition) = &workload.definition {
            let defined = self
                .admin
                .execute("select flow_define($1)", &[definition])
                .await;
            defined.unwrap_or_else(|error| panic!("{}: {error:?}", workload.name));
        }
    }

    /// What has been written so far, by everybody. To be asked for when nothing is under way.
    pub async fn written(&self, sessions: &[&Client]) -> Written {
        for session in sessions {
            flush_statistics(session).await;
        }
        flush_statistics(&self.admin).await;
        let query = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8,
                coalesce(sum(n_tup_upd + n_tup_del), 0)::float8, coalesce(sum(n_tup_hot_upd), 0)::float8
            from pg_stat_user_tables where schemaname = 'conductor'";
        let row = self
            .admin
            .query_one(query, &[])
            .await
            .expect("statistics can be read");
        Written {
            wal_bytes: row.get(0),
            dead_rows: row.get(1),
            hot_rows: row.get(2),
        }
    }

    /// Processor time that the processes of the server have had so far, in seconds.
    pub fn processor_time(&self) -> f64 {
        let folder = self.cluster.folder().join("data");
        processes::of_folder(&folder)
            .iter()
            .filter_map(|process| processes::processor_time(process.pid))
            .sum()
    }

    /// Removes dead rows and lets the planner know what is there.
    pub async fn vacuum(&self) {
        self.admin
            .batch_execute("vacuum (analyze)")
            .await
            .expect("a vacuum succeeds");
    }

    /// Ends with nothing that flow_check() would name.
    pub async fn check(&self) {
        let rows = self
            .admin
            .query("select c::text from flow_check() c limit 3", &[])
            .await;
        let rows = rows.expect("flow_check() can be asked");
        let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(found.is_empty(), "flow_check(): {found:?}");
    }
}

/// A session that listens.
pub struct Bell {
    rings: mpsc::UnboundedReceiver<()>,
    /// Its session, which asks and is answered after whatever rang before.
    session: Client,
}

impl Bell {
    /// Waits for the next ring.
    pub async fn heard(&mut self) {
        self.rings
            .recv()
            .await
            .expect("the listening session lives");
    }

    /// Forgets what rang so far.
    pub async fn drain(&mut self) {
        self.session
            .batch_execute("select 1")
            .await
            .expect("the listening session lives");
        while self.rings.try_recv().is_ok() {}
    }
}

async fn flush_statistics(session: &Client) {
    let flushed = session
        .batch_execute(
            "select pg_stat_force_next_flush(); select pg_stat_clear_snapshot(); select 1",
        )
        .await;
    flushed.expect("statistics can be flushed");
}

/// What it is measured on.
pub async fn place() -> serde_json::Value {
    let admin = Cluster::durable()
        .connect("postgres")
        .await
        .expect("the server answers");
    let row = admin
        .query_one(
            "select jsonb_build_object('server', version()) || jsonb_object_agg(s.name, current_setting(s.name))
            from pg_settings s where s.name in ('fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers',
                'wal_sync_method', 'autovacuum')",
            &[],
        )
        .await
        .expect("settings can be read");
    let mut place: serde_json::Value = row.get(0);
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or_default();
    place["processor"] = model.trim_start_matches([' ', '\t', ':']).into();
    place["cores"] = std::thread::available_parallelism()
        .map_or(0, usize::from)
        .into();
    place
}
