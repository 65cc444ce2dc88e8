//! Faults that people make, in SQL: cancel, retry, fork, prune, resume, each at a bad moment. What they are told is
//! kept: it must still be so at the end.

use std::sync::Arc;

use tokio_postgres::Client;
use tokio_postgres::types::{FromSql, ToSql};

use super::cards::{Card, Kind};
use super::ledger::{Deed, Ledger, Word};
use super::world::{self, Trouble, World, in_time, query};

/// The name of their sessions.
pub const ACTOR: &str = "torture actor";
/// More tokens than any run takes.
const PLENTY: i64 = 100_000_000;
/// Runs that ended longer ago than this are taken by flow_prune().
pub const OLD: &str = "30 seconds";
/// Runs that may be running before no more are added to those of the launchers.
const CROWD: usize = 10;

/// Does what a card says. What the server refuses for a good reason is part of the game.
pub async fn act(world: &Arc<World>, card: Card) {
    let done = async {
        let sql = world.session(ACTOR).await?;
        match card.kind {
            Kind::RunCancelled => cancel_run(&sql, &world.ledger, card).await,
            Kind::TaskCancelled => cancel_task(&sql, &world.ledger, card).await,
            Kind::RunRetried => retry(&sql, &world.ledger, card).await,
            Kind::RunForked => fork(&sql, &world.ledger, card).await,
            Kind::FramesPruned => prune_frames(&sql, card).await,
            Kind::RunsPruned => prune(&sql, card).await,
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

/// Calls a function. None: refused with one of these codes.
async fn call<T: for<'a> FromSql<'a>>(
    sql: &Client,
    query: &str,
    parameters: &[&(dyn ToSql + Sync)],
    forgiven: &[&str],
) -> Result<Option<T>, Trouble> {
    match in_time(sql.query_one(query, parameters)).await {
        Ok(row) => Ok(Some(row.get(0))),
        Err(Trouble::Refused(code, _)) if forgiven.contains(&code.as_str()) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

async fn running(sql: &Client) -> Result<Vec<i64>, Trouble> {
    let query = "select id from flow_runs where status = 'running' order by id";
    ids(sql, query).await
}

async fn cancel_run(sql: &Client, ledger: &Ledger, card: Card) -> Result<Option<String>, Trouble> {
    let runs = running(sql).await?;
    let Some(&run) = card.pick(0, &runs) else {
        return Ok(None);
    };
    ledger.doing(Deed::RunCancelled(run));
    // It may have been pruned meanwhile.
    let status = call(sql, "select flow_cancel($1)", &[&run], &["P0002"]).await?;
    Ok(status.map(|status| {
        ledger.told(Word::RunCancelled { run, status });
        format!("run {run}")
    }))
}

async fn cancel_task(sql: &Client, ledger: &Ledger, card: Card) -> Result<Option<String>, Trouble> {
    let query = "select id from tasks where state in ('pending', 'running') order by id";
    let tasks = ids(sql, query).await?;
    let Some(&task) = card.pick(0, &tasks) else {
        return Ok(None);
    };
    ledger.doing(Deed::TaskCancelled(task));
    let state = call(sql, "select task_cancel($1)", &[&task], &["P0002"]).await?;
    Ok(state.map(|state| {
        ledger.told(Word::TaskCancelled { task, state });
        format!("task {task}")
    }))
}

async fn retry(sql: &Client, ledger: &Ledger, card: Card) -> Result<Option<String>, Trouble> {
    let query = "select id from flow_runs where status in ('failed', 'cancelled') order by id";
    let runs = ids(sql, query).await?;
    let Some(&run) = card.pick(0, &runs) else {
        return Ok(None);
    };
    if running(sql).await?.len() >= CROWD {
        return Ok(None);
    }
    let budget = (card.dice[1] < 0.5).then_some(PLENTY);
    ledger.doing(Deed::RunRetried(run));
    // Somebody else was faster, the budget is spent, or it was pruned.
    let forgiven = ["55000", "22023", "P0002"];
    let retry = "select flow_retry($1, $2)";
    let retried = call::<i64>(sql, retry, &[&run, &budget], &forgiven).await?;
    if retried.is_none() {
        return Ok(None);
    }
    let version = "select coalesce(max(version), 0) from flow_runs where id = $1";
    if let Some(version) = call(sql, version, &[&run], &[]).await? {
        ledger.told(Word::RunRetried { run, version });
    }
    Ok(Some(format!("run {run}")))
}

async fn fork(sql: &Client, ledger: &Ledger, card: Card) -> Result<Option<String>, Trouble> {
    let rows = query(
        sql,
        "select run_id, step_id from flow_steps order by run_id, step_id",
        &[],
    )
    .await?;
    let steps: Vec<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let Some((from, step)) = card.pick(0, &steps) else {
        return Ok(None);
    };
    if running(sql).await?.len() >= CROWD {
        return Ok(None);
    }
    // A retry may have made the children of a fan-out anew meanwhile.
    let forked = call(sql, "select flow_fork($1, $2)", &[from, step], &["P0002"]).await?;
    Ok(forked.map(|run| {
        let (from, step) = (*from, step.clone());
        let on = format!("run {run}, which is run {from} from {step}");
        ledger.told(Word::RunForked { run, from, step });
        on
    }))
}

async fn prune_frames(sql: &Client, card: Card) -> Result<Option<String>, Trouble> {
    let most = 1 + (card.dice[0] * 10.0) as i32;
    let query = "select flow_prune_frames('0 seconds', $1)";
    let pruned = call::<i32>(sql, query, &[&most], &[]).await?;
    Ok(pruned.map(|runs| format!("{runs} runs")))
}

async fn prune(sql: &Client, card: Card) -> Result<Option<String>, Trouble> {
    // Few, because what is gone can no longer be checked.
    let most = 1 + (card.dice[0] * 3.0) as i32;
    let query = format!("select flow_prune('{OLD}', $1)");
    let pruned = call::<i32>(sql, &query, &[&most], &[]).await?;
    Ok(pruned.map(|runs| format!("{runs} runs")))
}

async fn resume(sql: &Client) -> Result<Option<String>, Trouble> {
    let looked = call::<i32>(sql, "select flow_resume()", &[], &[]).await?;
    Ok(looked.map(|runs| format!("{runs} runs")))
}
