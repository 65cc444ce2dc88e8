//! `conductor watch`: the live roster of a run, from `flow_status` and the run's own channel.

mod lines;
mod roster;
mod status;

use std::time::Duration;

use clap::Args;
use console::Term;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_postgres::types::Type;

use super::DatabaseArgs;
use super::output::{self, one_line};
use super::people::{Client, Problem};
use crate::db::{Failure, Ring, listen};
pub use roster::took;
use status::{Row, Run};

/// Follow a run to its end
///
/// On a terminal a live roster, else one line for each change. Ends with the run: exit code 0 when it completed, 1 when
/// it failed, 130 when it was cancelled. Leaving with Ctrl-C does not end the run.
#[derive(Args, Debug)]
pub struct WatchArgs {
    #[command(flatten)]
    pub(super) database: DatabaseArgs,
    /// Number of the run
    run: i64,
}

/// The roster is looked up at most so often, however often the doorbell rings.
const SHORTEST: Duration = Duration::from_millis(200);
/// And at least so often.
const LONGEST: Duration = Duration::from_secs(3);
/// Elapsed times move on by themselves.
const TICK: Duration = Duration::from_secs(1);

/// Follows the run that was asked for.
pub async fn run(client: Client, args: WatchArgs) -> Result<u8, Problem> {
    follow(client, args.run).await
}

/// Follows a run to its end and returns the exit code that says how it ended.
pub async fn follow(mut client: Client, run: i64) -> Result<u8, Problem> {
    let mut seen = look(&mut client, run, None).await?;
    let (ring, mut rings) = mpsc::channel(16);
    let _listener = listen(
        client.db.clone(),
        vec![format!("conductor_run_{run}")],
        ring,
    );
    let mut screen = Screen::new();
    let mut looked = Instant::now();
    let mut due = looked + LONGEST;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    screen.show(&seen, Duration::ZERO, None);
    while !seen.run.is_over() {
        let tick = Instant::now() + TICK;
        tokio::select! {
            ring = rings.recv() => if let Some(Ring::Frame(_) | Ring::Listening { .. }) = ring {
                due = due.min(looked + SHORTEST);
            },
            () = sleep_until(due.min(tick)) => {}
            _ = &mut interrupted => {
                eprintln!("run {run} goes on: conductor watch {run}, or conductor cancel {run}");
                return Ok(130);
            }
        }
        let mut trouble = None;
        if due <= Instant::now() {
            let before = Some((&seen, looked));
            looked = Instant::now();
            due = looked + LONGEST;
            match look(&mut client, run, before).await {
                Ok(now) => seen = now,
                Err(failure) if failure.is_passing() => {
                    due = looked + TICK;
                    trouble = Some(format!(
                        "the server is away, trying again: {}",
                        one_line(&failure.to_string())
                    ));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        screen.show(&seen, looked.elapsed(), trouble);
    }
    output::print(&roster::farewell(&seen));
    Ok(match seen.run.status.as_str() {
        "completed" => 0,
        "cancelled" => 130,
        _ => 1,
    })
}

/// A run and its steps at one moment.
pub struct Seen {
    run: Run,
    rows: Vec<Row>,
}

/// The steps, and the run when it may be over: looking at the whole run costs more than its roster.
async fn look(
    client: &mut Client,
    id: i64,
    before: Option<(&Seen, Instant)>,
) -> Result<Seen, Failure> {
    let rows = client.rows(status::ROWS, &[(&id, Type::INT8)]).await?;
    let rows = rows
        .iter()
        .map(Row::from_row)
        .collect::<Result<Vec<_>, _>>()?;
    let run = match before {
        Some((seen, at)) if !rows.iter().all(Row::is_settled) => seen.run.later(at.elapsed()),
        _ => Run::from_row(id, &client.row(status::RUN, &[(&id, Type::INT8)]).await?)?,
    };
    Ok(Seen { run, rows })
}

/// Where the roster is shown, and what is there now.
struct Screen {
    term: Option<Term>,
    drawn: Vec<String>,
    log: lines::Log,
}

impl Screen {
    fn new() -> Self {
        let term = Term::stdout();
        Screen {
            term: term.is_term().then_some(term),
            drawn: Vec::new(),
            log: lines::Log::default(),
        }
    }

    /// Redraws the roster, or prints what has changed. `since` is how old `seen` is.
    fn show(&mut self, seen: &Seen, since: Duration, trouble: Option<String>) {
        let Some(term) = &self.term else {
            for line in self.log.changes(seen, trouble.as_deref(), Instant::now()) {
                output::print(&format!("{line}\n"));
            }
            return;
        };
        let (height, width) = term.size();
        let size = (usize::from(height).saturating_sub(1), usize::from(width));
        let lines = roster::draw(
            seen,
            since,
            size,
            console::colors_enabled(),
            trouble.as_deref(),
        );
        if lines == self.drawn {
            return;
        }
        // One write for all, so that nothing flickers.
        let mut text = String::new();
        if !self.drawn.is_empty() {
            text += &format!("\u{1b}[{}A\u{1b}[J", self.drawn.len());
        }
        for line in &lines {
            text += line;
            text.push('\n');
        }
        self.drawn = lines;
        output::print(&text);
    }
}
