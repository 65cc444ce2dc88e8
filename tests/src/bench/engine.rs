//! Playing a run through the SQL surface, as a worker does: claim, finish, and nothing between.

use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use super::crowd::Player;
use super::stage::Stage;
use super::workload::Workload;

/// What a worker knows of a task that it has.
#[derive(Debug, Clone)]
pub struct Claimed {
    pub task: i64,
    pub run: i64,
    pub step_id: String,
    lease: uuid::Uuid,
}

/// A session that launches, claims and finishes.
pub struct Engine {
    pub session: Client,
    worker: i64,
    launch: Statement,
    claim: Statement,
    finish: Statement,
    usage: Value,
}

impl Engine {
    pub async fn new(stage: &Stage) -> Self {
        let session = stage.session().await;
        let prepared = async |sql: &str, types: &[Type]| {
            let statement = session.prepare_typed(sql, types).await;
            statement.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
        };
        let launch = prepared(
            "select conductor.flow_launch($1, $2, band => $3)",
            &[Type::TEXT, Type::TEXT, Type::TEXT],
        )
        .await;
        // Everything that a worker reads of a claim travels.
        let claim = prepared("select * from conductor.task_claim($1, 1)", &[Type::INT8]).await;
        let finish = prepared(
            "select conductor.task_finish($1, $2, 'completed', $3, null, $4, null, false, null)",
            &[Type::INT8, Type::UUID, Type::TEXT, Type::JSONB],
        )
        .await;
        let usage = serde_json::json!({"input_tokens": 1200, "output_tokens": 900, "total_tokens": 2100, "turns": 3});
        Engine {
            worker: stage.worker,
            launch,
            claim,
            finish,
            usage,
            session,
        }
    }

    /// Claims one task, if there is one.
    pub async fn claim(&self) -> Option<Claimed> {
        let rows = self.session.query(&self.claim, &[&self.worker]).await;
        let rows = rows.unwrap_or_else(|error| panic!("claiming: {error:?}"));
        rows.first().map(|row| Claimed {
            task: row.get("task_id"),
            run: row.get("run_id"),
            step_id: row.get("step_id"),
            lease: row.get("lease"),
        })
    }

    /// Finishes it with this output.
    pub async fn finish(&self, claimed: &Claimed, output: &str) {
        let row = self
            .session
            .query_one(
                &self.finish,
                &[&claimed.task, &claimed.lease, &output, &self.usage],
            )
            .await
            .unwrap_or_else(|error| panic!("finishing: {error:?}"));
        assert_eq!(row.get::<_, &str>(0), "completed", "{claimed:?}");
    }

    /// Launches a run.
    pub async fn launch(&self, workload: &Workload) -> i64 {
        let row = self
            .session
            .query_one(
                &self.launch,
                &[&workload.flow, &"Is the retry path safe?", &workload.band],
            )
            .await
            .unwrap_or_else(|error| panic!("launching: {error:?}"));
        row.get(0)
    }
}

impl Player for Engine {
    type Task = Claimed;

    async fn begin(&self, workload: &Workload) {
        self.launch(workload).await;
    }

    async fn take(&self) -> Option<Claimed> {
        self.claim().await
    }

    async fn complete(&self, workload: &Workload, task: Claimed, seed: u64) {
        self.finish(&task, &workload.reply(&task.step_id, seed))
            .await;
    }

    fn session(&self) -> &Client {
        &self.session
    }
}
