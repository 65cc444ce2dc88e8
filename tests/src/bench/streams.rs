//! What agents say, on its way to whoever listens: many children of one worker at a model's pace.

mod agents;
mod listener;

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::Client;

use self::agents::{Agents, Kind};
use self::listener::{Listener, Seen, Slow};
use super::Options;
use super::figure::{Figure, Section, Target, percentile};
use crate::harness::{Cluster, processes, tools};
use crate::scripted::clocked::{self, Clocked};

/// Agents at once, and tokens of each in a second.
const AGENTS: usize = 50;
const TOKENS_PER_SECOND: f64 = 100.0;
/// As many real children as two cores carry at that pace, beside the model and the server.
const REAL_AGENTS: usize = 20;
/// Seconds of streaming that are measured, once without and once with slow listeners.
const SECONDS: f64 = 60.0;
/// Seconds before anything is measured: a session that has nothing more to do may count what it did so much later.
const SETTLED: f64 = 12.0;
/// What replaying children say before all of them are there, in seconds.
const HEAD_START: f64 = 30.0;

/// Measures them.
pub async fn run(options: &Options) -> Section {
    let mut section = Section::new("Streams");
    let program = tools::conductor().unwrap_or_else(|missing| panic!("{missing}"));
    let built = if program
        .components()
        .any(|part| part.as_os_str() == "release")
    {
        "a release build"
    } else {
        "NOT a release build"
    };
    section.note(format!(
        "The worker's process ({built}) with all its layers. A token is what a child prints at once; it holds the time at which it was said."
    ));
    section.note("Delay: from there until a listener, rung by the doorbell, has read the frame with flow_frames(). In the lines with slow listeners, one that never reads and one that sits in a transaction listen to all runs as well; the floor is the minute before, without them.");
    section.note("Transactions: all that the database committed, but for the listener's own; heartbeats and polling are among them.");
    for (kind, count) in [(Kind::Replaying, AGENTS), (Kind::Qwen, REAL_AGENTS)] {
        let word = match kind {
            Kind::Replaying => "replaying",
            Kind::Qwen => "qwen",
        };
        if !options.workload.is_empty() && !options.workload.iter().any(|it| it == word) {
            continue;
        }
        let name = format!("{count} {word} agents");
        section.note(match kind {
            Kind::Replaying => format!("{name}: {count} processes of qwen are more than two cores carry at this pace, so each child is a small program under the same node in the same sandbox that prints the lines that qwen prints."),
            Kind::Qwen => format!("{name}: qwen itself. What is said is said by the scripted model, so the delay holds the way through relay and child."),
        });
        measure(&mut section, options, kind, count, &name).await;
    }
    section
}

/// One window of time.
struct Window {
    from: u64,
    to: u64,
    transactions: f64,
    writing: f64,
}

async fn measure(section: &mut Section, options: &Options, kind: Kind, count: usize, name: &str) {
    let seconds = (SECONDS * options.scale).max(5.0);
    let spare = if kind == Kind::Replaying {
        HEAD_START
    } else {
        5.0
    };
    let clocked = Clocked {
        tokens: ((2.0 * seconds + SETTLED + 10.0 + spare) * TOKENS_PER_SECOND) as u64,
        per_second: TOKENS_PER_SECOND,
    };
    let agents = Agents::start(kind, count, clocked).await;
    let url = Cluster::durable().url(&agents.database);
    let listener = Listener::start(url.clone(), agents.runs.clone());
    agents.go().await;
    tokio::time::sleep(Duration::from_secs_f64(SETTLED)).await;
    let quiet = window(&agents.sql, seconds).await;
    let slow = Slow::start(&url, &agents.runs).await;
    let beside_slow = window(&agents.sql, seconds).await;
    drop(slow);
    let peak =
        || processes::peak_memory(agents.pid()).unwrap_or(u64::MAX) as f64 / (1 << 20) as f64;
    let streaming = peak();
    let outputs = agents.outputs(Duration::from_secs(300)).await;
    let seen = listener.stop();
    let ended = peak();
    let output = outputs
        .iter()
        .map(|(_, text)| text.len())
        .max()
        .unwrap_or(0);
    agents.stop().await;

    let wrong = wrong(&seen, &outputs, clocked.tokens);
    if let Some(first) = wrong.first() {
        section.note(format!("{name}: {first}"));
    }
    let windows = [&quiet, &beside_slow];
    let line = |what: &str| format!("{name}: {what}");
    let alone = |what: &str, unit, value: &dyn Fn(&Window) -> f64| {
        Figure::alone(
            line(what),
            unit,
            windows.iter().map(|it| value(it)).collect(),
        )
    };
    section.figures.extend([
        alone("tokens/s at the listener", "1/s", &|it| {
            within(&seen, it).count() as f64 / it.seconds()
        })
        .target(Target::AtLeast(0.98 * TOKENS_PER_SECOND * count as f64)),
        alone("transactions/s", "1/s", &|it| {
            it.rate(it.transactions, &seen)
        })
        .target(Target::AtMost(12.0)),
        alone("of them writing", "1/s", &|it| it.writing / it.seconds()),
        alone("delay, median", "ms", &|it| delay(&seen, it, 50.0)),
        alone("delay, 95 %", "ms", &|it| delay(&seen, it, 95.0)).target(Target::AtMost(250.0)),
        Figure::beside(
            line("delay beside slow listeners, 95 %"),
            "ms",
            &[(delay(&seen, &beside_slow, 95.0), delay(&seen, &quiet, 95.0))],
        )
        .target(Target::AtMost(1.25)),
        Figure::alone(
            line("lost, moved or other than the output"),
            "",
            vec![wrong.len() as f64],
        )
        .target(Target::AtMost(0.0)),
        Figure::alone(
            line("worker's peak memory while they stream"),
            "MiB",
            vec![streaming],
        )
        .target(Target::AtMost(40.0)),
        Figure::alone(
            line(&format!(
                "and when all end at once, with {} KiB each",
                output / 1024
            )),
            "MiB",
            vec![ended],
        ),
    ]);
}

async fn window(sql: &Client, seconds: f64) -> Window {
    let before = counters(sql).await;
    let from = clocked::now();
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let to = clocked::now();
    let after = counters(sql).await;
    Window {
        from,
        to,
        // One of them was our look at the first.
        transactions: after.0 - before.0 - 1.0,
        writing: after.1 - before.1,
    }
}

/// Transactions that were committed in this database so far, and numbers that writing ones were given.
async fn counters(sql: &Client) -> (f64, f64) {
    let query = "select xact_commit::float8, pg_snapshot_xmax(pg_current_snapshot())::text::float8
        from pg_stat_database where datname = current_database()";
    let row = sql
        .query_one(query, &[])
        .await
        .expect("statistics can be read");
    (row.get(0), row.get(1))
}

impl Window {
    fn seconds(&self) -> f64 {
        (self.to - self.from) as f64 / 1e6
    }

    fn holds(&self, time: u64) -> bool {
        (self.from..self.to).contains(&time)
    }

    /// Transactions in a second, without those of the listener.
    fn rate(&self, transactions: f64, seen: &Seen) -> f64 {
        let own = seen.statements.iter().filter(|time| self.holds(**time));
        (transactions - own.count() as f64) / self.seconds()
    }
}

fn within<'a>(seen: &'a Seen, window: &'a Window) -> impl Iterator<Item = f64> + 'a {
    let inside = seen.delays.iter().filter(|(at, _)| window.holds(*at));
    inside.map(|(_, delay)| *delay)
}

fn delay(seen: &Seen, window: &Window, percent: f64) -> f64 {
    let delays: Vec<f64> = within(seen, window).collect();
    percentile(&delays, percent)
}

/// What was lost, moved, or is not what the agent's output says.
fn wrong(seen: &Seen, outputs: &[(i64, String)], tokens: u64) -> Vec<String> {
    let mut wrong = seen.wrong.clone();
    let outputs: HashMap<i64, &str> = outputs
        .iter()
        .map(|(chat, text)| (*chat, text.as_str()))
        .collect();
    for (chat, output) in &outputs {
        let heard = seen.texts.get(chat).map_or("", String::as_str);
        let numbers =
            clocked::read(heard).map(|tokens| tokens.into_iter().map(|(number, _)| number));
        if !numbers.is_some_and(|numbers| numbers.eq(0..tokens)) {
            wrong.push(format!(
                "chat {chat}: not the {tokens} tokens in their order"
            ));
        }
        if heard.trim() != output.trim() {
            let shown: String = output.chars().take(200).collect();
            wrong.push(format!("chat {chat}: the output is another: {shown:?}"));
        }
    }
    wrong
}
