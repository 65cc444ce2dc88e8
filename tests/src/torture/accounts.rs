//! That nothing ended for no reason, and that what people were told is still so.

use std::collections::BTreeSet;

use tokio_postgres::{Client, Row};

use super::launches::asked_by;
use super::ledger::{Deed, Ledger, Word};
use super::world::{Trouble, query};

/// How runs ended that have not completed, with what could explain it.
const ENDED_BADLY: &str = "
    select r.id, r.status, coalesce(r.error, ''), coalesce(r.input ->> 'question', ''),
        coalesce(r.total_tokens >= r.token_budget, false),
        exists (select from tasks t where t.run_id = r.id and t.deaths >= (r.limits ->> 'max_deaths')::integer),
        array(select t.id from tasks t where t.run_id = r.id),
        array(select k.lease from torture.states k where k.run_id = r.id and k.lease is not null)
    from flow_runs r where r.status in ('failed', 'cancelled')";
const BUDGET: &str = "the token budget of the run is spent";

/// A run that has not completed.
#[derive(Debug)]
struct Ended {
    run: i64,
    status: String,
    error: String,
    launch: Option<usize>,
    budget_spent: bool,
    died_too_often: bool,
    tasks: Vec<i64>,
    leases: Vec<String>,
}

impl Ended {
    fn of(row: &Row) -> Self {
        Self {
            run: row.get(0),
            status: row.get(1),
            error: row.get(2),
            launch: asked_by(row.get(3)),
            budget_spent: row.get(4),
            died_too_often: row.get(5),
            tasks: row.get(6),
            leases: row.get(7),
        }
    }

    /// Whether something was done to it that can end a run so.
    fn is_explained(&self, deeds: &BTreeSet<Deed>) -> bool {
        let did = |deed: Deed| deeds.contains(&deed);
        let task_cancelled = || {
            self.tasks
                .iter()
                .any(|task| did(Deed::TaskCancelled(*task)))
        };
        if self.error == BUDGET {
            return self.budget_spent;
        }
        match self.status.as_str() {
            "cancelled" => did(Deed::RunCancelled(self.run)) || task_cancelled(),
            _ => {
                let misbehaved = |launch| did(Deed::ModelMisbehaved(launch));
                let killed = |lease: &String| did(Deed::ChildKilled(lease.clone()));
                self.died_too_often
                    || task_cancelled()
                    || self.launch.is_some_and(misbehaved)
                    || self.leases.iter().any(killed)
            }
        }
    }
}

/// Notes runs whose end nothing explains, that none has completed, and words that do not hold any more.
///
/// # Errors
/// When the server cannot be asked.
pub async fn check(sql: &Client, ledger: &Ledger) -> Result<(), Trouble> {
    let deeds = ledger.deeds();
    for row in query(sql, ENDED_BADLY, &[]).await? {
        let ended = Ended::of(&row);
        if !ended.is_explained(&deeds) {
            let (run, status, error) = (ended.run, ended.status, ended.error);
            ledger.violated(format!(
                "nothing was done to run {run}, and it {status}: {error}"
            ));
        }
    }
    let completed = "select from flow_runs where status = 'completed' limit 1";
    if query(sql, completed, &[]).await?.is_empty() {
        ledger.violated("no run has completed".into());
    }
    for word in ledger.words() {
        if let Some(broken) = broken(sql, &deeds, &word).await? {
            ledger.violated(broken);
        }
    }
    Ok(())
}

/// Whether flow_prune() has taken a run.
///
/// # Errors
/// When the server cannot be asked.
pub async fn is_pruned(sql: &Client, run: i64) -> Result<bool, Trouble> {
    let pruned = "select from torture.pruned where run_id = $1";
    Ok(!query(sql, pruned, &[&run]).await?.is_empty())
}

/// What is not as somebody was told.
async fn broken(
    sql: &Client,
    deeds: &BTreeSet<Deed>,
    word: &Word,
) -> Result<Option<String>, Trouble> {
    let run = match word {
        Word::RunCancelled { run, .. }
        | Word::RunRetried { run, .. }
        | Word::RunForked { run, .. } => Some(*run),
        Word::TaskCancelled { .. } => None,
    };
    let found = match word {
        Word::TaskCancelled { task, .. } => {
            query(sql, "select state from tasks where id = $1", &[task]).await?
        }
        Word::RunCancelled { run, .. } => {
            query(sql, "select status from flow_runs where id = $1", &[run]).await?
        }
        Word::RunRetried { run, version } => {
            let later = "select status from flow_runs where id = $1 and version >= $2";
            query(sql, later, &[run, version]).await?
        }
        Word::RunForked { run, from, step } => {
            let forked = "select status from flow_runs where id = $1 and forked_from = $2 and forked_at = $3";
            query(sql, forked, &[run, from, step]).await?
        }
    };
    let now: Option<String> = found.first().map(|row| row.get(0));
    let holds = match (word, &now) {
        // Its run was pruned with it.
        (Word::TaskCancelled { task, .. }, None) => {
            let noted = "select run_id from torture.states where task_id = $1 limit 1";
            match query(sql, noted, &[task]).await?.first() {
                Some(row) => is_pruned(sql, row.get(0)).await?,
                None => false,
            }
        }
        (Word::TaskCancelled { state, .. }, Some(now)) => state == now,
        (Word::RunCancelled { run, status }, Some(now)) => {
            status == now || deeds.contains(&Deed::RunRetried(*run))
        }
        (_, Some(_)) => true,
        (_, None) => match run {
            Some(run) => is_pruned(sql, run).await?,
            None => false,
        },
    };
    let now = now.as_deref().unwrap_or("not there or as it was before");
    Ok((!holds).then(|| format!("{word:?} was acknowledged, and it is {now}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: &str, error: &str) -> Ended {
        Ended {
            run: 3,
            status: status.into(),
            error: error.into(),
            launch: Some(7),
            budget_spent: false,
            died_too_often: false,
            tasks: vec![11],
            leases: vec!["aa".into()],
        }
    }

    #[test]
    fn only_what_was_done_to_a_run_explains_its_end() {
        let explains = |it: &Ended, deed: Deed| it.is_explained(&BTreeSet::from([deed]));
        let failed = ended("failed", "step a failed: HTTP 500");
        assert!(!failed.is_explained(&BTreeSet::new()));
        assert!(explains(&failed, Deed::ModelMisbehaved(7)));
        assert!(!explains(&failed, Deed::ModelMisbehaved(8)));
        assert!(explains(&failed, Deed::ChildKilled("aa".into())));
        assert!(!explains(&failed, Deed::ChildKilled("bb".into())));
        assert!(!explains(&failed, Deed::RunCancelled(3)));
        let cancelled = ended("cancelled", "cancelled by postgres");
        assert!(explains(&cancelled, Deed::RunCancelled(3)));
        assert!(explains(&cancelled, Deed::TaskCancelled(11)));
        assert!(!explains(&cancelled, Deed::RunCancelled(4)));
        assert!(!explains(&cancelled, Deed::ModelMisbehaved(7)));
    }

    #[test]
    fn a_spent_budget_explains_an_end_only_where_it_is_spent() {
        let mut it = ended("failed", BUDGET);
        assert!(!it.is_explained(&BTreeSet::from([Deed::ModelMisbehaved(7)])));
        it.budget_spent = true;
        assert!(it.is_explained(&BTreeSet::new()));
    }
}
