//! Pruning meets launching and another pruning.

use std::cell::Cell;

use conductor_tests::harness::Meeting;
use conductor_tests::harness::Second::{PassesBy, Waits};
use conductor_tests::harness::sql_worker;

use super::acts::*;
use super::engine;

/// A run of this flow that has ended.
async fn ended(two: &Meeting<'_>, flow: &str) -> i64 {
    let id = format!("{} as id", launch(flow, "null"));
    let run = count(two, &id).await;
    does(two, &cancel(run)).await;
    run
}

async fn gone(two: &Meeting<'_>, run: i64) -> bool {
    let left = format!("select count(*) from flow_runs where id = {run}");
    count(two, &left).await == 0
}

const TEXTS_OF_NOBODY: &str = "select count(*) from texts x
    where not exists (select from flow_steps s where x.hash in (s.prompt_hash, s.persona_hash))";

pub async fn prune_and_prune(two: &Meeting<'_>) {
    for _ in 0..2 {
        ended(two, "research").await;
    }
    let runs = "select count(*) from flow_runs where status <> 'running'";
    let all = count(two, runs).await;
    // The second has not taken a run when it waits: the texts of those would be the first one's as well.
    let free = Cell::new(0);
    let look = async || {
        let sql = two.c.connect().await;
        let untaken = "select from flow_runs where status <> 'running' for update skip locked";
        free.set(sql.query(untaken, &[]).await.unwrap().len() as i64);
    };
    let met = two
        .meet_and_look(&prune(1), Waits, &prune(1000), look)
        .await;
    assert_eq!(free.get(), all - 1);
    assert_eq!(met, ["1".to_owned(), (all - 1).to_string()]);
    assert_eq!(count(two, TEXTS_OF_NOBODY).await, 0);
}

pub async fn prune_and_launch(two: &Meeting<'_>) {
    // The launch waits, and pins texts that are gone as it goes on. One whose snapshot is older sees each of them twice:
    // as it was, and as the launch has stored it again. Not every plan of a query would show it.
    let run = ended(two, "research").await;
    let call = launch("research", "null");
    let joined =
        format!("set local enable_nestloop = off; set local enable_mergejoin = off; {call}");
    let [_, new] = two.meet(&prune(1000), Waits, &joined).await;
    assert!(gone(two, run).await);
    let new: i64 = new.parse().expect("the launch is a run");
    sound(two, new).await;
    goes_on(two, new).await;

    // The prune does not wait for long: it leaves the texts to the next one.
    let (run, other) = (
        ended(two, "research").await,
        ended(two, "architectural-analysis").await,
    );
    let [new, _] = two.meet(&call, PassesBy, &prune(1000)).await;
    assert!(gone(two, run).await && gone(two, other).await);
    assert!(count(two, TEXTS_OF_NOBODY).await > 0, "left for later");
    does(two, "select conductor.flow_prune('1 hour')").await;
    assert_eq!(
        count(two, TEXTS_OF_NOBODY).await,
        0,
        "though it deletes no run"
    );
    goes_on(two, new.parse().expect("the launch is a run")).await;
}

#[test]
fn a_prune_meets_a_launch_and_another_prune() {
    engine(async |c| {
        let two = Meeting::new(c);
        prune_and_launch(&two).await;
        prune_and_prune(&two).await;
    });
}

#[test]
fn a_run_that_is_pruned_meanwhile_is_no_run() {
    engine(async |c| {
        for level in ["read committed", "repeatable read"] {
            let two = Meeting::new(c).at(level);
            for call in [cancel, retry, |run| fork(run, "fold")] {
                let run = ended(&two, "research").await;
                let met = two.meet(&prune(1000), Waits, &call(run)).await;
                assert_eq!(met, ["1", "P0002"], "{level}: {}", call(run));
                assert!(gone(&two, run).await);
            }
            let run = ended(&two, "research").await;
            let met = two.meet(&retry(run), PassesBy, &prune(1000)).await;
            assert_eq!(met, [run.to_string(), "0".to_owned()], "it runs");
            goes_on(&two, run).await;
            does(&two, &prune(1000)).await;
        }
    });
}

#[test]
fn a_worker_that_is_forgotten_while_it_claims_is_told_so_and_keeps_nobody_waiting() {
    engine(async |c| {
        let two = Meeting::new(c);
        let gone = sql_worker::register(&c.sql, "gone", &[]).await.unwrap();
        let other = sql_worker::register(&c.sql, "other", &[]).await.unwrap();
        let silent = "update workers set seen_at = clock_timestamp() - interval '1 day'
            where id = $1";
        c.sql.execute(silent, &[&gone]).await.unwrap();
        count(&two, &format!("{} as id", launch("research", "null"))).await;
        let others = async || {
            let claimed = claim(other, 8);
            let met = two.meet("select", PassesBy, &claimed).await;
            assert!(!met[1].is_empty(), "others claim meanwhile");
        };
        let forget = "select conductor.flow_prune('1 hour')";
        let met = two
            .meet_and_look(forget, Waits, &claim(gone, 8), others)
            .await;
        assert_eq!(met, ["0", "P0002"]);

        // One that has just been heard of writes nothing of it, and is forgotten by whoever looks much later.
        c.stop_clock().await;
        let gone = sql_worker::register(&c.sql, "gone", &[]).await.unwrap();
        let other = sql_worker::register(&c.sql, "other", &[]).await.unwrap();
        count(&two, &format!("{} as id", launch("research", "null"))).await;
        let later = format!(
            "update public.test_clock set at = at + interval '1 day';
             update conductor.workers set seen_at = conductor._now() where id = {other}; {forget}"
        );
        let others = async || {
            let claimed = claim(other, 8);
            let met = two.meet("select", PassesBy, &claimed).await;
            assert!(!met[1].is_empty(), "others claim meanwhile");
        };
        let met = two
            .meet_and_look(&later, Waits, &claim(gone, 8), others)
            .await;
        assert_eq!(met, ["0", "P0002"]);
    });
}

#[test]
fn a_late_finish_of_a_run_that_is_pruned_is_stale() {
    engine(async |c| {
        let two = Meeting::new(c);
        let angles = Angles::last(&two).await;
        does(&two, &cancel(angles.run)).await;
        let call = finish(&angles.behavior, "too late");
        let met = two.meet(&prune(1000), Waits, &call).await;
        assert_eq!(met, ["1", "QC001"]);
    });
}

#[test]
fn a_prune_of_frames_meets_a_retry_and_a_prune() {
    engine(async |c| {
        let two = Meeting::new(c);
        let frames = "select conductor.flow_prune_frames('0')";
        let pruned = |run: i64| {
            format!("select frames_pruned::integer::bigint from flow_runs where id = {run}")
        };
        let run = ended(&two, "research").await;
        let met = two.meet(frames, Waits, &retry(run)).await;
        assert_eq!(met, ["1".to_owned(), run.to_string()]);
        assert_eq!(count(&two, &pruned(run)).await, 0, "it makes frames again");
        goes_on(&two, run).await;
        let met = two.meet(frames, PassesBy, &prune(1000)).await;
        assert_eq!(met, ["1", "0"]);
        assert_eq!(count(&two, &pruned(run)).await, 1);

        let run = ended(&two, "research").await;
        let met = two.meet(&retry(run), PassesBy, frames).await;
        assert_eq!(met, [run.to_string(), "0".to_owned()], "it runs");
        goes_on(&two, run).await;
        let met = two.meet(&prune(1000), PassesBy, frames).await;
        assert_eq!(met, ["2", "0"]);
    });
}
