//! The table that is printed at the end.

use std::fmt::Write;
use std::time::Duration;

use super::Options;
use super::cards::{KINDS, Kind};
use super::faults::WATCHER;
use super::ledger::Ledger;
use super::world::{Trouble, World, in_time, query};

/// What the database tells.
#[derive(Debug, Default)]
pub struct Figures {
    /// Runs, steps and tasks by status.
    runs: Vec<(String, i64)>,
    steps: Vec<(String, i64)>,
    attempts: i64,
    lost: i64,
    frames: i64,
    forks: i64,
    tokens: i64,
    recoveries: Vec<Recovery>,
}

/// How tasks recovered from faults of one kind: how many, and after how many seconds.
#[derive(Debug, Default)]
struct Recovery {
    kind: Option<Kind>,
    tasks: i64,
    median: Option<f64>,
    longest: Option<f64>,
}

/// From a fault to the next thing that the task it hit did, or its end. Only another attempt counts where the one that
/// was hit could not go on.
const RECOVERIES: &str = "with hit as (
        select s.kind, extract(epoch from min(f.at) - s.at)::float8 as seconds
        from torture.struck s left join torture.frames f
            on f.task_id = s.task_id and f.at > s.at and f.type <> 'error'
           and coalesce(f.payload ->> 'status' <> 'pending', true)
           and (not s.doomed or f.attempt is null or f.attempt > s.attempt)
        group by s.ctid, s.kind, s.at)
    select coalesce(kind, ''), count(seconds), percentile_cont(0.5) within group (order by seconds), max(seconds)
    from hit group by rollup (kind)";

/// Reads the figures; none when the server cannot tell them.
pub async fn read(world: &World) -> Option<Figures> {
    let reading = async {
        let sql = world.patient_session(WATCHER).await?;
        let runs = query(
            &sql,
            "select status, count(*) from flow_runs group by 1 order by 1",
            &[],
        )
        .await?;
        let steps = query(
            &sql,
            "select status, count(*) from flow_steps group by 1 order by 1",
            &[],
        )
        .await?;
        let rest = in_time(sql.query_one("select (select coalesce(sum(attempt), 0) from tasks), (select coalesce(sum(deaths), 0) from tasks),
                (select coalesce(sum(last_seq)::bigint, 0) from run_counters),
                (select count(*) from flow_runs where forked_from is not null),
                (select coalesce(sum(total_tokens)::bigint, 0) from flow_runs)",
            &[],)).await?;
        let recoveries = query(&sql, RECOVERIES, &[]).await?;
        let pairs = |rows: &[tokio_postgres::Row]| {
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        };
        Ok::<_, Trouble>(Figures {
            runs: pairs(&runs),
            steps: pairs(&steps),
            attempts: rest.get(0),
            lost: rest.get(1),
            frames: rest.get(2),
            forks: rest.get(3),
            tokens: rest.get(4),
            recoveries: recoveries
                .iter()
                .map(|row| Recovery {
                    kind: named(row.get(0)),
                    tasks: row.get(1),
                    median: row.get(2),
                    longest: row.get(3),
                })
                .collect(),
        })
    };
    match reading.await {
        Ok(figures) => Some(figures),
        Err(trouble) => {
            let line = format!("the figures cannot be read: {trouble:?}");
            world.ledger.violated(line);
            None
        }
    }
}

fn named(name: &str) -> Option<Kind> {
    let known = KINDS.iter().find(|(.., known)| *known == name);
    known.map(|(kind, ..)| *kind)
}

/// The table, for people.
pub fn table(
    options: &Options,
    settled: Option<Duration>,
    figures: Option<Figures>,
    ledger: &Ledger,
) -> String {
    let figures = figures.unwrap_or_default();
    let mut text = String::new();
    let mut line = |name: &str, what: &str| {
        let _ = writeln!(text, "{name:<10}{what}");
    };
    let seconds = options.time.as_secs_f64();
    let (workers, at_once) = (options.workers, options.runs_at_once);
    line("seed", &options.seed.to_string());
    line(
        "time",
        &format!("{seconds:.0} s of faults, {workers} workers, {at_once} launchers"),
    );
    line(
        "runs",
        &format!(
            "{}; {} of them forked",
            listed(&figures.runs),
            figures.forks
        ),
    );
    line("steps", &listed(&figures.steps));
    let (attempts, lost) = (figures.attempts, figures.lost);
    line(
        "attempts",
        &format!("{attempts}, {lost} of them lost with their worker"),
    );
    line("frames", &figures.frames.to_string());
    line("tokens", &figures.tokens.to_string());
    let looks = ledger.looks();
    line(
        "checked",
        &format!("flow_check() {looks} times amid the faults"),
    );
    let limit = options.settle.as_secs();
    let settled = match settled {
        Some(time) => format!(
            "{:.1} s after the last fault (limit {limit} s)",
            time.as_secs_f64()
        ),
        None => format!("not within {limit} s after the last fault"),
    };
    line("settled", &settled);
    let _ = writeln!(
        text,
        "\n{:<28}{:>7}{:>11}{:>13}{:>11}",
        "fault", "number", "tasks hit", "recovered in", "at most"
    );
    let mut all = 0;
    for (kind, _, name) in KINDS {
        let number = ledger.faults(kind);
        all += number;
        let of = figures.recoveries.iter().find(|of| of.kind == Some(kind));
        row(&mut text, name, number, of);
    }
    let of = figures.recoveries.iter().find(|of| of.kind.is_none());
    row(&mut text, "all", all, of);
    text
}

fn listed(counts: &[(String, i64)]) -> String {
    let all: i64 = counts.iter().map(|(_, number)| number).sum();
    let each: Vec<String> = counts
        .iter()
        .map(|(status, number)| format!("{number} {status}"))
        .collect();
    format!("{all}: {}", each.join(", "))
}

fn row(text: &mut String, name: &str, number: usize, of: Option<&Recovery>) {
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "-".into(), |s| format!("{s:.2} s"));
    let tasks = of.map_or_else(|| "-".into(), |of| of.tasks.to_string());
    let median = time(of.and_then(|of| of.median));
    let longest = time(of.and_then(|of| of.longest));
    let _ = writeln!(
        text,
        "{name:<28}{number:>7}{tasks:>11}{median:>13}{longest:>11}"
    );
}
