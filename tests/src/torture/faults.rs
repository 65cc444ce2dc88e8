//! Deals the cards and does what they say.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::cards::{Card, Deck, Kind};
use super::world::{self, Trouble, World, in_time};
use super::{LOOK, Options};
use super::{acts, kills, misbehaviour};

/// How long the workers may take to begin with something.
const BEGIN: Duration = Duration::from_secs(30);
/// Faults under way at the same time.
const MOST_AT_ONCE: usize = 8;
/// The name of the sessions that note and kill; nobody kills them.
pub const WATCHER: &str = "torture watcher";

/// Makes faults for as long as `options` say, and returns when all of them are over: workers and server run again.
pub async fn make(world: &Arc<World>, options: &Options) {
    until_something_runs(world).await;
    let end = Instant::now() + options.time;
    let mut under_way = JoinSet::new();
    for card in Deck::new(options.seed, options.pause) {
        let at = Instant::now() + card.after;
        sleep_until(at.min(end)).await;
        if at >= end || world.is_closed() {
            break;
        }
        world.crew.look(&world.ledger).await;
        while under_way.try_join_next().is_some() {}
        if under_way.len() < MOST_AT_ONCE {
            under_way.spawn(make_one(world.clone(), card));
        }
    }
    while let Some(made) = under_way.join_next().await {
        if let Err(error) = made {
            world.ledger.violated(format!("a fault broke off: {error}"));
        }
    }
}

/// Faults that hit nothing prove nothing.
async fn until_something_runs(world: &World) {
    let end = Instant::now() + BEGIN;
    while Instant::now() < end && !world.is_closed() {
        let running = async {
            let sql = world.session(WATCHER).await?;
            let query = "select from tasks where state = 'running' limit 1";
            world::query(&sql, query, &[]).await
        };
        if running.await.is_ok_and(|rows| !rows.is_empty()) {
            return;
        }
        sleep(LOOK).await;
    }
}

async fn make_one(world: Arc<World>, card: Card) {
    match card.kind {
        Kind::WorkerKilled | Kind::WorkerDrained | Kind::WorkerStopped => {
            kills::worker(&world, card).await
        }
        Kind::WorkerFrozen => kills::freeze(&world, card).await,
        Kind::ChildKilled => kills::child(&world, card).await,
        Kind::SessionTerminated | Kind::BackendKilled => kills::session(&world, card).await,
        Kind::ServerFast | Kind::ServerImmediate | Kind::ServerKilled => {
            kills::server(&world, card).await;
        }
        Kind::ModelRefuses | Kind::ModelCuts | Kind::ModelStalls => {
            misbehaviour::play(&world, card).await
        }
        _ => acts::act(&world, card).await,
    }
}

/// Which running tasks a fault hits. Empty: all of them.
#[derive(Debug, Default)]
pub struct Hit<'a> {
    pub worker: Option<&'a str>,
    pub lease: Option<String>,
    pub run: Option<i64>,
}

/// Notes when which tasks were hit. While the server is away nobody can know them.
pub async fn note(world: &World, kind: Kind, hit: Hit<'_>) {
    let doomed = matches!(kind, Kind::WorkerKilled | Kind::ChildKilled);
    let Ok(sql) = world.session(WATCHER).await else {
        return;
    };
    let noting = in_time(sql.execute("insert into torture.struck
         select $1, $2, t.id, t.attempt, clock_timestamp()
         from tasks t left join workers w on w.id = t.worker_id
         where t.state = 'running' and ($3::text is null or w.name = $3)
           and ($4::text is null or replace(t.lease::text, '-', '') = $4) and ($5::bigint is null or t.run_id = $5)",
        &[&kind.name(), &doomed, &hit.worker, &hit.lease, &hit.run],)).await;
    if let Err(Trouble::Refused(code, words)) = noting {
        let line = format!("a fault cannot be noted: {code} {words}");
        world.ledger.violated(line);
    }
}
