//! The extension is upgraded while a worker of the older version runs.

use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup};
use conductor_tests::scripted::{Part, Reply, Rule, Script};

const SOON: Duration = Duration::from_secs(30);

/// Says that the extension is of this version.
async fn of_version(c: &Conductor, version: &str) {
    let set = "update pg_catalog.pg_extension set extversion = $1 where extname = 'conductor'";
    c.sql.execute(set, &[&version]).await.unwrap();
}

async fn doing(c: &Conductor, run: i64) -> Option<String> {
    let sql = "select string_agg(doing, ' ') from flow_status($1)";
    c.sql.query_one(sql, &[&run]).await.unwrap().get(0)
}

#[test]
fn a_worker_of_an_older_version_ends_what_it_has_takes_nothing_and_says_why() {
    let reply = Reply::parts([
        Part::text("## Answer\nIt "),
        Part::stall("gate"),
        Part::text("is.\n"),
    ]);
    let script = Script::of([Rule::persona("research-analyst", [reply]).times(1)]);
    Setup::new().script(script).run(async |c| {
        let first = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        let version: String = {
            let own = "select extversion from pg_extension where extname = 'conductor'";
            c.sql.query_one(own, &[]).await.unwrap().get(0)
        };
        of_version(c, "99.1.0").await;
        let second = c.launch(Launch::new("research", "And now?")).await;
        let told = "different versions";
        c.said(told, 1, SOON).await;
        let waits = doing(c, second).await.unwrap();
        assert!(waits.contains(told) && waits.contains("99.1.0"), "{waits}");

        // A connection made anew is no way around it.
        let sessions = "select pg_terminate_backend(pid) from pg_stat_activity
            where application_name = 'conductor worker' and datname = current_database()";
        c.sql.execute(sessions, &[]).await.unwrap();
        c.said("registering: ", 1, SOON).await;
        let log = std::fs::read_to_string(c.environment.log()).unwrap();
        let said: Vec<&str> = log.lines().filter(|line| line.contains(told)).collect();
        assert!(said.iter().all(|line| line.contains("ERROR")), "{said:?}");
        assert_eq!(
            said.len(),
            2,
            "claiming and registering, once each: {said:?}"
        );

        c.model.control().release(Some("gate"));
        c.step_is(first, "sources", "completed", LONG).await;
        let running = "select count(*) from tasks where state = 'running'";
        let running: i64 = c.sql.query_one(running, &[]).await.unwrap().get(0);
        assert_eq!(running, 0, "nothing new is taken");
        assert_eq!(c.step(second, "sources").await.attempts, 0);

        of_version(c, &version).await;
        c.completed(first, LONG).await;
        c.completed(second, LONG).await;
        assert_eq!(c.step(first, "sources").await.attempts, 1);
    });
}
