//! Faults that people make, in SQL: cancel, retry, fork, prune, resume, each at a bad moment.

use std::sync::Arc;

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use super::cards::{Card, Kind};
use super::world::{self, Trouble, World, in_time, query};

/// The name of their sessions.
pub const ACTOR: &str = "torture actor";
/// More tokens than any run takes.
const PLENTY: i64 = 100_000_000;
/// Runs that may be running before no more are added to those of the launchers.
const CROWD: usize = 10;

/// Does what a card says. What the server refuses for a good reason is part of the game.
pub async fn act(world: &Arc<World>, card: Card) {
    let done = async {
        let sql = world.session(ACTOR).await?;
        match card.kind {
            Kind::RunCancelled => cancel_run(&sql, card).await,
            Kind::TaskCancelled => cancel_task(&sql, card).await,
            Kind::RunRetried => retry(&sql, card).await,
            Kind::RunForked => fork(&sql, card).await,
            Kind::FramesPruned => prune(&sql, card).await,
            _ => resume(&sql).await,
        }
    };
    match done.await {
        Ok(Some(on)) => world.ledger.fault(card.kind, &on),
        Ok(None) | Err(Trouble::Away) => {}
        Err(Trouble::Refused(code, words)) => {
            let line = format!("{} was refused: {code} {words}", card.kind.name());
            world.ledger.violated(line);
        }
    }
}

async fn ids(sql: &Client, query: &str) -> Result<Vec<i64>, Trouble> {
    let rows = world::query(sql, query, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Calls a function whose answer does not matter. False: refused with one of these codes.
async fn call(
    sql: &Client,
    query: &str,
    parameters: &[&(dyn ToSql + Sync)],
    forgiven: &[&str],
) -> Result<bool, Trouble> {
    match in_time(sql.execute(query, parameters)).await {
        Ok(_) => Ok(true),
        Err(Trouble::Refused(code, _)) if forgiven.contains(&code.as_str()) => Ok(false),
        Err(trouble) => Err(trouble),
    }
}

async fn running(sql: &Client) -> Result<Vec<i64>, Trouble> {
    let query = "select id from flow_runs where status = 'running' order by id";
    ids(sql, query).await
}

async fn cancel_run(sql: &Client, card: Card) -> Result<Option<String>, Trouble> {
    let runs = running(sql).await?;
    let Some(run) = card.pick(0, &runs) else {
        return Ok(None);
    };
    call(sql, "select flow_cancel($1)", &[run], &[]).await?;
    Ok(Some(format!("run {run}")))
}

async fn cancel_task(sql: &Client, card: Card) -> Result<Option<String>, Trouble> {
    let query = "select id from tasks where state in ('pending', 'running') order by id";
    let tasks = ids(sql, query).await?;
    let Some(task) = card.pick(0, &tasks) else {
        return Ok(None);
    };
    call(sql, "select task_cancel($1)", &[task], &[]).await?;
    Ok(Some(format!("task {task}")))
}

async fn retry(sql: &Client, card: Card) -> Result<Option<String>, Trouble> {
    let query = "select id from flow_runs where status in ('failed', 'cancelled') order by id";
    let runs = ids(sql, query).await?;
    let Some(run) = card.pick(0, &runs) else {
        return Ok(None);
    };
    if running(sql).await?.len() >= CROWD {
        return Ok(None);
    }
    let budget = (card.dice[1] < 0.5).then_some(PLENTY);
    // Somebody else was faster, or the budget is spent.
    let forgiven = ["55000", "22023"];
    let retried = call(sql, "select flow_retry($1, $2)", &[run, &budget], &forgiven).await?;
    Ok(retried.then(|| format!("run {run}")))
}

async fn fork(sql: &Client, card: Card) -> Result<Option<String>, Trouble> {
    let rows = query(
        sql,
        "select run_id, step_id from flow_steps order by run_id, step_id",
        &[],
    )
    .await?;
    let steps: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let Some((run, step)) = card.pick(0, &steps) else {
        return Ok(None);
    };
    if running(sql).await?.len() >= CROWD {
        return Ok(None);
    }
    // A retry may have made the children of a fan-out anew meanwhile.
    call(sql, "select flow_fork($1, $2)", &[run, step], &["P0002"]).await?;
    Ok(Some(format!("run {run} from {step}")))
}

async fn prune(sql: &Client, card: Card) -> Result<Option<String>, Trouble> {
    let most = 1 + (card.dice[0] * 10.0) as i32;
    let query = "select flow_prune_frames('0 seconds', $1)";
    call(sql, query, &[&most], &[]).await?;
    Ok(Some(format!("at most {most} runs")))
}

async fn resume(sql: &Client) -> Result<Option<String>, Trouble> {
    call(sql, "select flow_resume()", &[], &[]).await?;
    Ok(Some("all runs".into()))
}
