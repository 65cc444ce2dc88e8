//! How the server finds the rows of a launch, a claim and a completion: through indexes, whatever is stored beside them.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use conductor_tests::harness::{Conductor, Launch, Setup, history, sql_worker};
use tokio_postgres::{AsyncMessage, Client, NoTls};

/// Tables that grow with what is done. The others are small for ever.
const GROWING: [&str; 8] = [
    "flow_runs",
    "flow_steps",
    "flow_edges",
    "tasks",
    "chats",
    "frames",
    "run_counters",
    "texts",
];
/// Enough of history for the planner to have a choice.
const HISTORY: usize = 5_000;

/// A session whose statements, and all that functions and triggers of theirs run, are explained.
struct Explained {
    sql: Client,
    plans: Arc<Mutex<Vec<String>>>,
}

impl Explained {
    async fn connect(c: &Conductor) -> Self {
        let (sql, mut connection) = tokio_postgres::connect(&c.cluster.url(&c.database), NoTls)
            .await
            .unwrap();
        let plans = Arc::new(Mutex::new(Vec::new()));
        let kept = plans.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if let AsyncMessage::Notice(notice) = message {
                    kept.lock().unwrap().push(notice.message().to_owned());
                }
            }
        });
        sql.batch_execute(
            "load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on;
             set auto_explain.log_level = notice; set auto_explain.log_analyze = off; set client_min_messages = notice;
             set search_path = conductor, public",
        )
        .await
        .unwrap();
        Explained { sql, plans }
    }

    /// The plans of what was run since they were last taken.
    async fn take(&self) -> Vec<String> {
        // An answer comes after whatever was said before it.
        self.sql.batch_execute("").await.unwrap();
        std::mem::take(&mut self.plans.lock().unwrap())
    }
}

/// What reads all rows of a growing table.
fn scans(plans: &[String]) -> Vec<String> {
    let whole = |plan: &&String| {
        GROWING.iter().any(|table| {
            plan.lines()
                .any(|line| line.contains(&format!("Seq Scan on {table} ")))
        })
    };
    plans.iter().filter(whole).cloned().collect()
}

/// The indexes that are used, by name.
fn indexes(plans: &[String]) -> BTreeSet<String> {
    let named = plans
        .iter()
        .flat_map(|plan| plan.lines())
        .filter_map(|line| {
            let (_, rest) = line
                .split_once("Index Scan using ")
                .or_else(|| line.split_once("Index Only Scan using "))?;
            rest.split_whitespace().next().map(str::to_owned)
        });
    named.collect()
}

fn uses(plans: &[String], wanted: &[&str]) {
    let used = indexes(plans);
    let missing: Vec<_> = wanted
        .iter()
        .filter(|index| !used.contains(**index))
        .collect();
    assert!(missing.is_empty(), "{missing:?} are not used, but {used:?}");
}

async fn history_of(c: &Conductor, finished: bool) -> i64 {
    let worker = sql_worker::register(&c.sql, "by-hand", &["/"])
        .await
        .unwrap();
    let run = c
        .launch(Launch::new("architectural-analysis", "What depends on what?").band("medium"))
        .await;
    if finished {
        sql_worker::drive(&c.sql, worker).await.unwrap();
    }
    history::fill(&c.sql, run, HISTORY).await;
    worker
}

#[test]
fn a_launch_a_claim_and_a_completion_read_indexes_in_a_long_history() {
    Setup::new().without_worker().run(async |c| {
        let worker = history_of(c, true).await;
        let session = Explained::connect(c).await;
        let launch = "select flow_launch('architectural-analysis', 'What depends on what?', band => 'medium')";
        session.sql.query_one(launch, &[]).await.unwrap();
        let launched = session.take().await;
        assert!(launched.len() > 20, "{} statements were explained", launched.len());
        assert!(scans(&launched).is_empty(), "{:#?}", scans(&launched));

        loop {
            let claimed = sql_worker::claim(&session.sql, worker, 1).await.unwrap();
            let plans = session.take().await;
            assert!(scans(&plans).is_empty(), "{:#?}", scans(&plans));
            let Some(task) = claimed.first() else { break };
            uses(&plans, &["tasks_pending_idx", "tasks_pkey", "flow_runs_pkey", "flow_steps_task_idx", "run_counters_pkey"]);
            sql_worker::finish(&session.sql, task, "## Summary\nSo it is.\n\nConfidence: medium\n").await.unwrap();
            let plans = session.take().await;
            assert!(scans(&plans).is_empty(), "{:#?}", scans(&plans));
            uses(&plans, &["tasks_pkey", "flow_runs_pkey", "flow_edges_pkey", "flow_steps_run_step_key", "frames_task_idx"]);
        }
    });
}

#[test]
fn a_claim_reads_indexes_in_a_long_queue() {
    Setup::new().without_worker().run(async |c| {
        let worker = history_of(c, false).await;
        let session = Explained::connect(c).await;
        let claimed = sql_worker::claim(&session.sql, worker, 8).await.unwrap();
        assert_eq!(claimed.len(), 8);
        let plans = session.take().await;
        assert!(scans(&plans).is_empty(), "{:#?}", scans(&plans));
        uses(&plans, &["tasks_pending_idx"]);
        let runs: Vec<i64> = claimed.iter().map(|task| task.run).collect();
        assert_eq!(
            runs.iter().collect::<BTreeSet<_>>().len(),
            8,
            "one from each run in turn: {runs:?}"
        );
    });
}
