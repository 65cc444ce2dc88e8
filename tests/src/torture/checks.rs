//! What must hold at the end, and what must hold all the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::Client;

use super::accounts;
use super::acts::OLD;
use super::faults::WATCHER;
use super::ledger::Promise;
use super::world::{self, Trouble, World, query};
use crate::harness::processes;

/// How long the processes of a stopped worker may take to be gone.
const GONE: Duration = Duration::from_secs(10);
/// Between two looks at the invariants while faults are made.
const EVERY: Duration = Duration::from_secs(4);
/// A task that somebody had locked when its run ended is ended by the next heartbeat or rescue: by then, whoever is away.
const LAG: Duration = Duration::from_secs(30);
/// Violations that may stand for so long.
const LAGGING: [&str; 2] = [
    "(ended_run_has_no_live_task,",
    "(ended_run_has_no_unsettled_step,",
];
/// What no log may say.
const SERVER_WORDS: [&str; 5] = [
    "deadlock detected",
    "PANIC:",
    "panicked at",
    "TRAP:",
    "was terminated by signal",
];
/// The one signal that is sent to processes of the server.
const KILLED: &str = "was terminated by signal 9";
const WORKER_WORDS: [&str; 3] = [
    "panicked at",
    "an attempt broke off",
    "the server refused stream events, they are left out",
];

/// Queries whose every row is a violation, as text; each with what it is called.
const QUERIES: [(&str, &str); 13] = [
    ("flow_check()", "select c::text from flow_check() c"),
    (
        "a completed run without a report",
        r"select id::text from flow_runs where status = 'completed' and coalesce(report, '') !~ '\S'",
    ),
    (
        "a completed step without an output",
        r"select run_id || ' ' || step_id from flow_steps
          where status = 'completed' and kind = 'agent' and coalesce(output, '') !~ '\S'",
    ),
    (
        "a run that has not completed says nothing",
        r"select id::text from flow_runs where status in ('failed', 'cancelled') and coalesce(report, '') !~ '\S'",
    ),
    // Every number that was ever given belongs to a frame that is there or was deleted.
    (
        "a gap in the numbers of frames",
        "select c.run_id || ': ' || c.last_seq || ' given, ' || f.n || ' written, last ' || f.last
         from run_counters c cross join lateral (
             select count(distinct seq) as n, coalesce(max(seq), 0) as last, coalesce(min(seq), 1) as first
             from torture.frames where run_id = c.run_id) f
         where (f.n, f.last, f.first) is distinct from (c.last_seq, c.last_seq, 1)",
    ),
    (
        "a frame written twice",
        "select run_id || ' ' || seq from torture.frames group by run_id, seq having count(*) > 1",
    ),
    (
        "a frame deleted that should be there",
        "select g.run_id || ' ' || g.seq || ' ' || g.type from torture.gone g
         where g.type not in ('delta', 'reasoning_delta') and not g.ended or g.type like 'flow_run_%'",
    ),
    (
        "tokens counted twice or lost",
        "select r.id || ': run ' || r.total_tokens || ', tasks ' || sum(t.cost_tokens)
         from flow_runs r join tasks t on t.run_id = r.id group by r.id having r.total_tokens <> sum(t.cost_tokens)",
    ),
    (
        "a task that was hit and did not go on",
        "select s.kind || ': task ' || s.task_id from torture.struck s join tasks t on t.id = s.task_id
         where t.state in ('pending', 'running')",
    ),
    (
        "a reply that was cut off was taken",
        r"select run_id || ' ' || step_id from flow_steps where status = 'completed' and output ~ 'The lease is\s*$'",
    ),
    (
        "a task announced as ended twice",
        "select run_id || ': task ' || task_id from torture.frames where type = 'message_complete'
         group by run_id, task_id having count(*) > 1",
    ),
    // What an attempt says comes before whatever a later one of its step says.
    (
        "two conversations of one step overlap",
        "select run_id || ': task ' || task_id || ' attempt ' || attempt || ', frame ' || seq from (
             select f.*, max(f.task_id * 1000 + f.attempt) over (partition by f.run_id, t.chat_id order by f.seq) as latest
             from torture.frames f join tasks t on t.id = f.task_id) o
         where latest > task_id * 1000 + attempt",
    ),
    // A lease, the longest absence of a worker and of the server, another lease after that; and slow machines.
    (
        "a task of a killed worker was not taken back in time",
        "select 'task ' || s.task_id || ' attempt ' || s.attempt || ' after ' || extract(epoch from n.at - s.at) || ' s'
         from torture.struck s join tasks t on t.id = s.task_id cross join lateral (
             select coalesce(min(k.at), clock_timestamp()) as at
             from torture.states k where k.task_id = s.task_id and k.at > s.at) n
         where s.kind = 'worker killed' and n.at - s.at > interval '90 seconds'",
    ),
];

/// Looks at the invariants every few seconds until it is told to stop.
pub async fn all_the_time(world: Arc<World>, mut stopped: watch::Receiver<bool>) {
    let mut since: BTreeMap<String, Instant> = BTreeMap::new();
    while !*stopped.borrow() && !world.is_closed() {
        if let Some(lagging) = invariants(&world).await {
            since.retain(|row, _| lagging.contains(row));
            for row in lagging {
                let first = *since.entry(row.clone()).or_insert_with(Instant::now);
                if first.elapsed() > LAG {
                    let line = format!("flow_check(), for {} s: {row}", LAG.as_secs());
                    world.ledger.violated(line);
                }
            }
        }
        let _ = tokio::time::timeout(EVERY, stopped.changed()).await;
    }
}

/// Notes violated invariants amid the faults, and returns those that may stand for a while; none when the server is away.
pub async fn invariants(world: &World) -> Option<Vec<String>> {
    let looked = async {
        let sql = world.session(WATCHER).await?;
        rows(&sql, QUERIES[0].1).await
    };
    match looked.await {
        Ok(found) => {
            world.ledger.looked();
            let may_lag = |row: &String| LAGGING.iter().any(|name| row.starts_with(name));
            let (lagging, wrong): (Vec<_>, Vec<_>) = found.into_iter().partition(may_lag);
            for row in wrong {
                let line = format!("flow_check() amid the faults: {row}");
                world.ledger.violated(line);
            }
            Some(lagging)
        }
        Err(Trouble::Away) => None,
        Err(Trouble::Refused(code, words)) => {
            let line = format!("flow_check() amid the faults was refused: {code} {words}");
            world.ledger.violated(line);
            None
        }
    }
}

/// What is not settled yet, one line each; a server that is away is a line too.
pub async fn unsettled(world: &World) -> Vec<String> {
    let query = "select format('run %s (%s) is %s; step %s is %s, task %s is %s, attempt %s, %s', r.id, r.flow_name,
            r.status, s.step_id, s.status, t.id, t.state, t.attempt, t.error)
        from flow_runs r left join flow_steps s on s.run_id = r.id and s.status in ('pending', 'running')
        left join tasks t on t.id = s.task_id
        where r.status = 'running'
        union all
        select format('task %s of run %s is %s, its run is %s', t.id, r.id, t.state, r.status)
        from tasks t join flow_runs r on r.id = t.run_id
        where t.state in ('pending', 'running') and r.status <> 'running'";
    match world.session(WATCHER).await {
        Ok(sql) => rows(&sql, query)
            .await
            .unwrap_or_else(|trouble| vec![format!("{trouble:?}")]),
        Err(trouble) => vec![format!("{trouble:?}")],
    }
}

/// The first column of a query, as text.
pub async fn rows(sql: &Client, query: &str) -> Result<Vec<String>, Trouble> {
    let rows = world::query(sql, query, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Notes what the database should not hold.
pub async fn database(world: &World) {
    let checked = async {
        let sql = world.patient_session(WATCHER).await?;
        for (name, query) in QUERIES {
            for row in rows(&sql, query).await? {
                world.ledger.violated(format!("{name}: {row}"));
            }
        }
        let early = format!(
            "select run_id || ' ' || status from torture.pruned where status = 'running' or at - ended_at < '{OLD}'"
        );
        for run in rows(&sql, &early).await? {
            let line = format!("a run that flow_prune() should leave is gone: {run}");
            world.ledger.violated(line);
        }
        accounts::check(&sql, &world.ledger).await?;
        for promise in world.ledger.promises() {
            if let Some(broken) = broken(&sql, &promise).await? {
                world.ledger.violated(broken);
            }
        }
        for key in world.ledger.keys_rolled_back() {
            let found = query(
                &sql,
                "select id from flow_runs where launch_key = $1",
                &[&key],
            )
            .await?;
            if !found.is_empty() {
                let line = format!("{key} was rolled back and is there");
                world.ledger.violated(line);
            }
        }
        Ok::<_, Trouble>(())
    };
    if let Err(trouble) = checked.await {
        let line = format!("the database cannot be checked: {trouble:?}");
        world.ledger.violated(line);
    }
}

/// What somebody was told must still be so.
async fn broken(sql: &Client, promise: &Promise) -> Result<Option<String>, Trouble> {
    let (run, key) = (promise.run, &promise.key);
    let found = query(
        sql,
        "select r.status, (select count(*) from frames f
             where f.run_id = r.id and f.seq <= $3 and f.type like 'flow_run_%'), md5(r.report)
         from flow_runs r where r.id = $1 and r.launch_key = $2",
        &[&run, key, &promise.seq],
    )
    .await?;
    let Some(row) = found.first() else {
        let lost = format!("{key}, run {run}, was launched and is lost");
        return Ok((!accounts::is_pruned(sql, run).await?).then_some(lost));
    };
    let (status, frames): (String, i64) = (row.get(0), row.get(1));
    if promise.report.is_some() && status != "completed" {
        return Ok(Some(format!("run {run} was completed and is {status}")));
    }
    if promise.report.is_some() && promise.report != row.get(2) {
        let line = format!("run {run} was completed and has another report now");
        return Ok(Some(line));
    }
    let (seq, read) = (promise.seq, promise.frames);
    let line = format!(
        "a follower of run {run} read {read} frames of the run up to {seq}, there are {frames}"
    );
    Ok((frames != read).then_some(line))
}

/// Notes what the workers left on this machine and in the server, now that they have been stopped, and what
/// logs should not say.
pub async fn left_behind(world: &World) {
    let folder = world.folder.clone();
    let left = tokio::task::spawn_blocking(move || processes::wait_until_none(&folder, GONE));
    for process in left.await.unwrap_or_default() {
        let (pid, command) = (process.pid, process.command);
        let line = format!("process {pid} is left behind: {command}");
        world.ledger.violated(line);
    }
    for member in world.crew.members() {
        for path in member.folders() {
            let line = format!("left behind: {}", path.display());
            world.ledger.violated(line);
        }
    }
    if let Ok(sql) = world.patient_session(WATCHER).await {
        let query = "select application_name || ' ' || coalesce(state, '') from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()
              and (application_name ~ '^w[0-9]+$' or backend_start < clock_timestamp() - interval '1 minute')
              and backend_type = 'client backend'";
        // A session learns of its client's end when it reads next.
        let end = tokio::time::Instant::now() + GONE;
        let left = loop {
            match rows(&sql, query).await {
                Ok(left) if left.is_empty() || tokio::time::Instant::now() > end => break left,
                Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                Err(error) => {
                    break vec![format!("unknown, because they cannot be read: {error:?}")];
                }
            }
        };
        for session in left {
            world
                .ledger
                .violated(format!("a session is left behind: {session}"));
        }
    }
    let server = world.cluster.folder().join("server.log");
    words(world, "server", &server, &SERVER_WORDS);
    for (name, log) in world.crew.logs() {
        words(world, &name, &log, &WORKER_WORDS);
    }
}

fn words(world: &World, name: &str, log: &std::path::Path, words: &[&str]) {
    let log = std::fs::read(log).unwrap_or_default();
    for line in String::from_utf8_lossy(&log).lines() {
        if words.iter().any(|word| line.contains(word)) && !line.contains(KILLED) {
            world.ledger.violated(format!("the log of {name}: {line}"));
        }
    }
}
