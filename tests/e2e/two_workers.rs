//! Two workers share what there is to do, and one takes over what the other leaves.

use std::time::{Duration, Instant};

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, processes};
use conductor_tests::scripted::{Part, Reply, Rule, Script};

const SOON: Duration = Duration::from_secs(30);

/// Both angles say half a sentence and are held there, once.
fn both_held() -> Script {
    let half = |name: &str| Reply::parts([Part::text("HALF A SENTENCE "), Part::stall(name)]);
    Script::of([
        Rule::persona("structural-analyst", [half("structure")])
            .turn(1)
            .times(1),
        Rule::persona("behavioral-analyst", [half("behavior")])
            .turn(1)
            .times(1),
    ])
}

async fn launch(c: &Conductor) -> i64 {
    c.shop("shop").await;
    let launch = Launch::new("architectural-analysis", "How does a lease work here?");
    let run = c.launch(launch.on("shop").band("medium")).await;
    c.held("structure", LONG).await;
    c.held("behavior", LONG).await;
    run
}

/// Which worker has each step of a run in hand.
async fn holders(c: &Conductor, run: i64) -> Vec<(String, String)> {
    let held = "select s.step_id, w.name from flow_steps s join tasks t on t.id = s.task_id
        join workers w on w.id = t.worker_id where s.run_id = $1 and t.state = 'running' order by 2";
    let rows = c.sql.query(held, &[&run]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[test]
fn what_a_killed_worker_had_is_taken_over_within_a_lease_by_the_other() {
    let setup = Setup::new().script(both_held()).slots(1);
    setup.run(async |c| {
        let mut another = c.another("another").start();
        let run = launch(c).await;
        let holding = holders(c, run).await;
        let names: Vec<&str> = holding.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["another", "tested"], "they share the run");
        let (kept, lost) = (holding[0].0.clone(), holding[1].0.clone());
        c.short_leases(run, 3).await;
        c.kill_worker();
        let killed = Instant::now();
        c.model.control().release(Some(&kept));
        let what = "the other has what was lost";
        c.until(what, SOON, async |c: &Conductor| {
            let step = c.step(run, &lost).await;
            (step.attempts == 2).then_some(())
        })
        .await;
        // A lease, the beat in which it is found, and what a busy machine takes.
        assert!(
            killed.elapsed() < Duration::from_secs(15),
            "{:?}",
            killed.elapsed()
        );
        c.completed(run, LONG).await;
        assert_eq!(c.step(run, &kept).await.attempts, 1);
        assert!(another.terminate(SOON).is_some(), "{}", another.words());
    });
}

#[test]
fn what_a_stopped_worker_hands_back_is_taken_at_once_by_the_other() {
    Setup::new().script(both_held()).run(async |c| {
        let run = launch(c).await;
        let mut another = c.another("another").start();
        let known = "select count(*) from workers where name = 'another' and healthy";
        c.until("the other is known", SOON, async |c: &Conductor| {
            let count: i64 = c.sql.query_one(known, &[]).await.unwrap().get(0);
            (count == 1).then_some(())
        })
        .await;
        let pid = c.worker().pid();
        processes::signal(pid, libc::SIGTERM);
        c.said("draining", 1, SOON).await;
        processes::signal(pid, libc::SIGTERM);
        let stopped = Instant::now();
        c.until("the other has both", LONG, async |c: &Conductor| {
            let holding = holders(c, run).await;
            let all = holding.iter().all(|(_, name)| name == "another");
            (holding.len() == 2 && all).then_some(())
        })
        .await;
        let taken = stopped.elapsed();
        assert!(
            taken < Duration::from_secs(30),
            "a lease is twice as long: {taken:?}"
        );
        assert!(c.worker().wait(SOON).is_some(), "{}", c.worker().words());
        c.completed(run, LONG).await;
        for step in ["structure", "behavior"] {
            let step = c.step(run, step).await;
            assert_eq!(step.attempts, 1, "it cost nothing: {step:?}");
        }
        assert!(another.terminate(SOON).is_some(), "{}", another.words());
    });
}
