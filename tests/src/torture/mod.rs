//! The crash test: many runs at once on real parts, random faults for a given time, and then everything must
//! have settled with nothing lost.
//!
//! | module | holds |
//! |---|---|
//! | [`cards`] | the faults, and in which order a seed deals them |
//! | [`world`] | the private server, the database, the scripted model, projects and flows |
//! | [`crew`] | the workers: started, killed, drained, watched |
//! | [`launches`] | what is launched, and who follows a run to its end |
//! | [`faults`] | deals the cards, and notes whom they hit |
//! | [`kills`] | faults that end processes and sessions |
//! | [`misbehaviour`] | faults of the model |
//! | [`acts`] | faults that people make, in SQL |
//! | [`ledger`] | what was done, what was promised, what was violated |
//! | [`checks`] | what must hold at the end, and all the time |
//! | [`accounts`] | that every run's end is explained, and what people were told is still so |
//! | [`figures`] | the table that is printed |

pub mod accounts;
pub mod acts;
pub mod cards;
pub mod checks;
pub mod crew;
pub mod faults;
pub mod figures;
pub mod kills;
pub mod launches;
pub mod ledger;
pub mod misbehaviour;
pub mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use world::World;

/// How long a launcher may take to notice that it should stop: one call that is bounded itself.
const LAUNCHERS_STOP: Duration = Duration::from_secs(90);
/// How often it is looked whether everything has settled.
const LOOK: Duration = Duration::from_millis(300);

/// What is done, and for how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long faults are made.
    pub time: Duration,
    /// Faults, launches and delays are drawn from it.
    pub seed: u64,
    pub workers: usize,
    pub runs_at_once: usize,
    /// The mean time between two faults.
    pub pause: Duration,
    /// By when everything must have settled after the last fault.
    pub settle: Duration,
    /// Where logs are kept when something was violated.
    pub logs: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Figures, for people.
    pub table: String,
    /// What should never happen and did; one line each.
    pub violations: Vec<String>,
}

/// Runs the crash test. `closed` set by somebody else means that nothing may be started any more.
pub async fn run(options: &Options, closed: Arc<AtomicBool>) -> Outcome {
    let world = Arc::new(World::set_up(options, closed).await);
    let (stop, stopped) = watch::channel(false);
    let mut launchers = JoinSet::new();
    for number in 0..options.runs_at_once {
        launchers.spawn(launches::launcher(
            world.clone(),
            number,
            options.seed,
            stopped.clone(),
        ));
    }
    let looking = tokio::spawn(checks::all_the_time(world.clone(), stopped));
    faults::make(&world, options).await;
    stop.send_replace(true);
    let ended = async { while launchers.join_next().await.is_some() {} };
    if timeout(LAUNCHERS_STOP, ended).await.is_err() {
        world
            .ledger
            .violated("a launcher does not get an answer".into());
    }
    if let Err(error) = looking.await {
        world
            .ledger
            .violated(format!("looking at the invariants broke off: {error}"));
    }
    let settled = settle(&world, options.settle).await;
    if settled.is_none() {
        let limit = options.settle.as_secs();
        for stuck in checks::unsettled(&world).await {
            let line = format!("not settled {limit} s after the last fault: {stuck}");
            world.ledger.violated(line);
        }
    }
    checks::database(&world).await;
    let figures = figures::read(&world).await;
    world.crew.stop(&world.ledger).await;
    // Stopping workers changes nothing of what is there.
    checks::database(&world).await;
    checks::left_behind(&world).await;
    let violations = world.ledger.violations();
    if !violations.is_empty()
        && let Some(folder) = &options.logs
    {
        world.keep_logs(folder, &violations).await;
    }
    let table = figures::table(options, settled, figures, &world.ledger);
    Outcome { table, violations }
}

/// Waits until no run is running; how long that took, or none when `limit` has passed.
async fn settle(world: &World, limit: Duration) -> Option<Duration> {
    world.play(None);
    let start = Instant::now();
    while start.elapsed() < limit {
        world.crew.look(&world.ledger).await;
        if checks::unsettled(world).await.is_empty() {
            return Some(start.elapsed());
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}
