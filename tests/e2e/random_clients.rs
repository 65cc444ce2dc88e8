//! Many clients at once, each doing random things: whatever they do to each other, the invariants hold.

use conductor_tests::harness::Setup;

const CLIENTS: usize = 8;
const ACTS: usize = 120;

const BRANCHING: &str = r#"{"name": "branching", "category": "analysis", "description": "Every kind of step.",
    "contracts": [], "steps": [
    {"id": "find", "persona": "codebase-explorer", "brief": "Find."},
    {"id": "deep", "persona": "concurrency-analyst", "brief": "Look.", "needs": ["find"], "when": "find.deep"},
    {"id": "check", "persona": "adversarial-validator", "brief": "Check.", "needs": ["find"], "foreach": "find.suspects"},
    {"id": "sum", "persona": "software-architect", "brief": "Sum up.", "needs": ["deep", "check"], "join": "any"}]}"#;

#[test]
fn clients_that_do_random_things_at_once_break_no_invariant_and_meet_no_deadlock() {
    let setup = Setup::new()
        .without_worker()
        .settings("retry_backoff = '0', lease = '1 second', max_deaths = 50, max_attempts = 5, max_running = 500");
    setup.run(async |c| {
        c.sql
            .batch_execute(include_str!("random_act.sql"))
            .await
            .unwrap();
        c.sql
            .execute("select flow_define($1::text::jsonb)", &[&BRANCHING])
            .await
            .unwrap();
        let seed: f64 = std::env::var("CONDUCTOR_SEED").ok().map_or(0.42, |seed| {
            seed.parse().expect("CONDUCTOR_SEED is a number")
        });
        println!("CONDUCTOR_SEED={seed}");
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let client = c.connect().await;
            clients.push(tokio::spawn(async move {
                let seed = (seed + number as f64 / 100.0).fract();
                client
                    .execute("select setseed($1)", &[&seed])
                    .await
                    .unwrap();
                for act in 0..ACTS {
                    if let Err(error) = client.execute("select public.random_act()", &[]).await {
                        panic!("client {number}, act {act}: {error:?}");
                    }
                }
            }));
        }
        for client in clients {
            client.await.unwrap();
        }
        assert_eq!(c.violations().await.unwrap(), [""; 0]);
        let ended: i64 = c
            .sql
            .query_one("select count(*) from public.completed", &[])
            .await
            .unwrap()
            .get(0);
        assert!(ended > 0, "some runs came to their end");
    });
}
