//! Faults of the model: it refuses, cuts its stream, or says nothing for a while.

use super::cards::{Card, Kind};
use super::faults::{Hit, WATCHER, note};
use super::launches::{number_of, tag};
use super::ledger::Deed;
use super::world::{Trouble, World, query};
use crate::scripted::script::Stall;
use crate::scripted::{Part, Reply, Rule};

/// What a reply that breaks off has said by then.
const BEGUN: &str = "## Summary\nThe lease is ";

/// Lets the scripted model misbehave towards one run.
pub async fn play(world: &World, card: Card) {
    let running = async {
        let sql = world.session(WATCHER).await?;
        let runs = query(&sql, "select id, launch_key from flow_runs where status = 'running' and launch_key is not null order by id",
            &[],).await?;
        Ok::<_, Trouble>(runs)
    };
    let Ok(rows) = running.await else { return };
    let Some(row) = card.pick(0, &rows) else {
        return;
    };
    let (run, key): (i64, String) = (row.get(0), row.get(1));
    let Some(number) = number_of(&key) else {
        return;
    };
    let (reply, times) = drawn(card);
    let hit = Hit {
        run: Some(run),
        ..Hit::default()
    };
    note(world, card.kind, hit).await;
    world
        .ledger
        .fault(card.kind, &format!("run {run}, {times} times"));
    world.ledger.doing(Deed::ModelMisbehaved(number));
    world.play(Some(Rule::any([reply]).contains(&tag(number)).times(times)));
}

/// What the model does instead of answering, and how often.
fn drawn(card: Card) -> (Reply, usize) {
    let times = 1 + (card.dice[2] * 5.0) as usize;
    let begun = Part::text(BEGUN);
    match card.kind {
        Kind::ModelRefuses => {
            let statuses = [500, 503, 429, 500, 400];
            let status = card.pick(1, &statuses).copied().unwrap_or(500);
            (Reply::status(status), times)
        }
        Kind::ModelCuts => (Reply::parts([begun, Part::Drop]), times),
        _ => {
            // Sometimes shorter than the clock that it meets, sometimes longer.
            let before = card.dice[2] < 0.3;
            let longest = if before { 75_000.0 } else { 16_000.0 };
            let stall = Stall {
                name: "torture".into(),
                max_ms: 1_000 + (card.dice[1] * longest) as u64,
            };
            let mut reply = Reply::parts([begun, Part::Stall(stall.clone()), Part::Default]);
            if before {
                reply = Reply::default_behaviour();
                reply.hold = Some(stall);
            }
            (reply, times.min(2))
        }
    }
}
