//! A worker that is nothing but SQL: it claims and finishes without a child.

use serde_json::{Value, json};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, GenericClient};

/// A claimed task.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    pub task: i64,
    pub run: i64,
    pub step_id: String,
    /// As text; the server casts it back.
    pub lease: String,
    pub attempt: i32,
    /// The persona's text; empty for a step without one.
    pub system: String,
    pub prompt: String,
}

/// How an attempt ends: with an output and what the check of its citations found, or with an error.
pub type Ending = Result<(String, Option<Value>), String>;

/// Registers a worker that serves everything below these roots; its id.
pub async fn register(sql: &Client, name: &str, roots: &[&str]) -> Result<i64, Error> {
    let row = sql
        .query_one(
            "select (conductor.worker_register($1, 'test-host', 1, e.extversion, 8, $2, '{}', $3)
                ->> 'worker_id')::bigint
             from pg_extension e where e.extname = 'conductor'",
            &[&name, &roots, &json!({"ok": true})],
        )
        .await?;
    Ok(row.get(0))
}

/// Claims up to `slots` tasks.
pub async fn claim(
    sql: &impl GenericClient,
    worker: i64,
    slots: i32,
) -> Result<Vec<Claimed>, Error> {
    let rows = sql
        .query(
            "select task_id, run_id, step_id, lease::text, attempt, coalesce(system_prompt, ''), prompt
                from conductor.task_claim($1, $2)",
            &[&worker, &slots],
        )
        .await?;
    let claimed = rows.iter().map(|row| Claimed {
        task: row.get(0),
        run: row.get(1),
        step_id: row.get(2),
        lease: row.get(3),
        attempt: row.get(4),
        system: row.get(5),
        prompt: row.get(6),
    });
    Ok(claimed.collect())
}

/// Finishes a task with this output; the task's new state.
pub async fn finish(
    sql: &impl GenericClient,
    task: &Claimed,
    output: &str,
) -> Result<String, Error> {
    end(sql, task, "completed", Some(output), None, false).await
}

/// Ends a task in any way; the task's new state.
pub async fn end(
    sql: &impl GenericClient,
    task: &Claimed,
    state: &str,
    output: Option<&str>,
    error: Option<&str>,
    retryable: bool,
) -> Result<String, Error> {
    settle(sql, task, state, output, error, None, retryable).await
}

async fn settle(
    sql: &impl GenericClient,
    task: &Claimed,
    state: &str,
    output: Option<&str>,
    error: Option<&str>,
    citations: Option<&Value>,
    retryable: bool,
) -> Result<String, Error> {
    let statement = sql
        .prepare_typed(
            "select conductor.task_finish($1, $2::text::uuid, $3, $4, $5, $6, $7, $8)",
            &[
                Type::INT8,
                Type::TEXT,
                Type::TEXT,
                Type::TEXT,
                Type::TEXT,
                Type::JSONB,
                Type::JSONB,
                Type::BOOL,
            ],
        )
        .await?;
    let usage: Value =
        json!({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "turns": 1});
    let row = sql
        .query_one(
            &statement,
            &[
                &task.task,
                &task.lease,
                &state,
                &output,
                &error,
                &usage,
                &citations,
                &retryable,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Claims and finishes until nothing is left to claim; how many tasks that were.
pub async fn drive(sql: &Client, worker: i64) -> Result<usize, Error> {
    let summary = |task: &Claimed| {
        let output = format!("## Summary\nfrom {}\n\nConfidence: medium\n", task.step_id);
        Ok((output, None))
    };
    play(sql, worker, summary).await
}

/// Claims and ends each task as `ending` says until nothing is left to claim; how many tasks that were.
pub async fn play(
    sql: &Client,
    worker: i64,
    mut ending: impl FnMut(&Claimed) -> Ending,
) -> Result<usize, Error> {
    let mut done = 0;
    loop {
        let tasks = claim(sql, worker, 8).await?;
        if tasks.is_empty() {
            return Ok(done);
        }
        for task in tasks {
            match ending(&task) {
                Ok((output, citations)) => {
                    let (output, citations) = (Some(output.as_str()), citations.as_ref());
                    settle(sql, &task, "completed", output, None, citations, false).await?;
                }
                Err(error) => {
                    settle(sql, &task, "failed", None, Some(&error), None, false).await?;
                }
            }
            done += 1;
        }
    }
}
