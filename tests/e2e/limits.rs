//! More tasks than may run: limits hold whoever claims, and the status says what a step waits for.

use std::time::Instant;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, sql_worker};
use tokio_postgres::Client;

/// Agents of one run that need nothing: more than the limits of these tests let run.
const WIDE: &str = r#"{"name": "wide", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "a", "persona": "codebase-explorer", "brief": "b"}, {"id": "b", "persona": "codebase-explorer", "brief": "b"},
    {"id": "c", "persona": "codebase-explorer", "brief": "b"}, {"id": "d", "persona": "codebase-explorer", "brief": "b"},
    {"id": "e", "persona": "codebase-explorer", "brief": "b"}, {"id": "end", "persona": "codebase-explorer", "brief": "b",
     "needs": ["a", "b", "c", "d", "e"]}]}"#;

async fn waits_for(c: &Conductor, run: i64) -> Vec<String> {
    let query = "select distinct coalesce(s.doing, '') from flow_status($1) s where s.state = 'pending' order by 1";
    let rows = c.sql.query(query, &[&run]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// Lets a worker claim and finish until no run is left; how many tasks it saw running at most, and of one run.
async fn work(sql: Client, worker: i64) -> (i64, i64) {
    let query = "select count(*), coalesce(max(k.of_run), 0) from (
        select count(*) over (partition by run_id) as of_run from conductor.tasks where state = 'running') k";
    let open = "select exists (select from conductor.flow_runs where status = 'running')";
    let (mut most, mut most_of_run) = (0, 0);
    let end = Instant::now() + LONG;
    loop {
        assert!(Instant::now() < end, "a run does not end");
        let claimed = sql_worker::claim(&sql, worker, 8).await.unwrap();
        let row = sql.query_one(query, &[]).await.unwrap();
        most = most.max(row.get(0));
        most_of_run = most_of_run.max(row.get(1));
        for task in &claimed {
            sql_worker::finish(&sql, task, "# so\n\nConfidence: high\n")
                .await
                .unwrap();
        }
        if claimed.is_empty() && !sql.query_one(open, &[]).await.unwrap().get::<_, bool>(0) {
            return (most, most_of_run);
        }
    }
}

#[test]
fn workers_that_claim_at_once_never_run_more_than_the_limits_allow() {
    let setup = Setup::new().without_worker();
    setup
        .settings("max_running = 5, max_running_per_run = 2")
        .run(async |c| {
            c.sql
                .execute("select flow_define($1::text::jsonb)", &[&WIDE])
                .await
                .unwrap();
            // Of four runs together more could run than of all; of one by itself, more than of one.
            for number in [4, 1] {
                let mut runs = Vec::new();
                for _ in 0..number {
                    runs.push(c.launch(Launch::new("wide", "Is it so?")).await);
                }
                let mut crew = Vec::new();
                for number in 0..4 {
                    let sql = c.connect().await;
                    let worker = sql_worker::register(&sql, &format!("w{number}"), &[]).await;
                    crew.push(tokio::spawn(work(sql, worker.unwrap())));
                }
                for member in crew {
                    let (running, of_run) = member.await.unwrap();
                    assert!(
                        running <= 5 && of_run <= 2,
                        "{running} ran, {of_run} of one run"
                    );
                }
                for run in runs {
                    assert_eq!(c.status(run).await.0, "completed");
                }
            }
        });
}

#[test]
fn a_step_that_is_held_by_a_limit_says_which() {
    let setup = Setup::new().without_worker();
    setup
        .settings("max_running = 3, max_running_per_run = 2")
        .run(async |c| {
            c.sql
                .execute("select flow_define($1::text::jsonb)", &[&WIDE])
                .await
                .unwrap();
            let first = c.launch(Launch::new("wide", "Is it this?")).await;
            let second = c.launch(Launch::new("wide", "Is it that?")).await;
            let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
            assert!(
                waits_for(c, first)
                    .await
                    .contains(&"waits for a free slot".to_owned())
            );
            let claimed = sql_worker::claim(&c.sql, worker, 16).await.unwrap();
            assert_eq!(claimed.len(), 3);
            let of_run = claimed.iter().filter(|task| task.run == first).count();
            let (two, one) = if of_run == 2 {
                (first, second)
            } else {
                (second, first)
            };
            let said = waits_for(c, two).await.join("; ");
            assert!(
                said.contains("2 run") && said.contains("(max_running_per_run)"),
                "{said}"
            );
            let said = waits_for(c, one).await.join("; ");
            assert!(
                said.contains("3 run") && said.contains("(max_running)"),
                "{said}"
            );
            for task in &claimed {
                sql_worker::finish(&c.sql, task, "# so\n\nConfidence: high\n")
                    .await
                    .unwrap();
            }
            sql_worker::drive(&c.sql, worker).await.unwrap();
            assert_eq!(c.status(first).await.0, "completed");
            assert_eq!(c.status(second).await.0, "completed");
        });
}

#[test]
fn an_attempt_that_failed_counts_for_its_run_whether_it_is_tried_again_or_not() {
    let setup = Setup::new().without_worker();
    setup.settings("retry_backoff = '0'").run(async |c| {
        let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
        let run = c.launch(Launch::new("architectural-analysis", "Is it so?")).await;
        let spent = async || -> (i64, i64) {
            let query = "select r.total_tokens, (select sum(s.total_tokens)::bigint from flow_steps s where s.run_id = r.id)
                from flow_runs r where r.id = $1";
            let row = c.sql.query_one(query, &[&run]).await.unwrap();
            (row.get(0), row.get(1))
        };
        // Each attempt tells of 15 tokens; two are made.
        for (attempt, state) in [(1, "pending"), (2, "failed")] {
            let claimed = sql_worker::claim(&c.sql, worker, 1).await.unwrap();
            let ended = sql_worker::end(&c.sql, &claimed[0], "failed", None, Some("no"), true).await;
            assert_eq!(ended.unwrap(), state);
            assert_eq!(spent().await, (attempt * 15, attempt * 15));
        }
    });
}
