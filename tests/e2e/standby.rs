//! The primary is lost and a standby takes its place: the worker goes on there with what has reached it.

use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Cluster, Conductor, Launch, Setup};
use conductor_tests::scripted::{Outcome, Part, Record, Reply, Rule, Script};

const SOON: Duration = Duration::from_secs(30);
/// Long enough for what happens between a promotion and the first call after it, however busy the machine is.
const LEASE_SECONDS: i64 = 10;

/// A reply that is held in the middle.
fn held(name: &str) -> Reply {
    let parts = [Part::text("## Answer\nIt is "), Part::stall(name)];
    Reply::parts(parts.into_iter().chain([Part::text("so.\n")]))
}

/// A server of this test alone and a standby of it; the worker knows both.
async fn pair(c: &mut Conductor) -> (&'static Cluster, &'static Cluster) {
    let primary = c.cluster.create_copy();
    c.move_to(primary).await;
    let standby = primary.create_standby();
    c.environment.database = primary.url_of_both(standby, &c.database);
    (primary, standby)
}

/// How often a persona began, and how each of these conversations ended.
fn begun(records: &[Record], persona: &str) -> Vec<Outcome> {
    let of = |r: &&Record| r.persona.as_deref() == Some(persona) && r.turn == 1;
    records.iter().filter(of).map(|r| r.outcome).collect()
}

async fn number(c: &Conductor, sql: &str) -> i64 {
    c.sql.query_one(sql, &[]).await.expect(sql).get(0)
}

#[test]
fn a_run_under_way_completes_on_the_standby_that_takes_over() {
    let script = Script::of([Rule::persona("research-analyst", [held("gate")]).times(1)]);
    let setup = Setup::new().script(script).without_worker();
    let setup = setup.settings(&format!("lease = '{LEASE_SECONDS} seconds'"));
    setup.run(async |c| {
        let (primary, standby) = pair(c).await;
        c.start_worker();
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        standby.catch_up_with(primary).await;
        primary.crash(libc::SIGKILL);

        // A standby that nobody promoted serves no worker, and whoever asks is told so.
        c.said("takes no writes", 1, SOON).await;
        let late = c.another("late");
        let mut late_worker = late.start();
        let doctor = c.environment.run(&["doctor"], LONG);
        let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
        let line = told.lines().find(|line| line.contains("takes no writes"));
        assert!(line.is_some_and(|line| line.contains("refused")), "{told}");
        assert!(!doctor.status.success());
        c.until(
            "the late worker says why it waits",
            SOON,
            async |_: &Conductor| {
                let log = std::fs::read_to_string(late.log()).unwrap_or_default();
                log.contains("takes no writes").then_some(())
            },
        )
        .await;

        // Its start must not be what spares the leases.
        c.move_to(standby).await;
        let running =
            "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())::bigint";
        c.until(
            "the standby has run for longer than a lease",
            SOON,
            async |c: &Conductor| (number(c, running).await > LEASE_SECONDS).then_some(()),
        )
        .await;
        standby.promote();
        spared_after_the_promotion(c).await;
        c.said("listening, the doorbell rings", 2, SOON).await;
        let gaps = "select max(seq) - count(*) from frames";
        assert_eq!(number(c, gaps).await, 0, "no frame is missing");
        let known = "select count(*) from workers where name in ('tested', 'late') and healthy";
        c.until("both workers are known", SOON, async |c: &Conductor| {
            (number(c, known).await == 2).then_some(())
        })
        .await;

        c.model.control().release(Some("gate"));
        c.completed(run, LONG).await;
        let step = c.step(run, "sources").await;
        assert_eq!(step.attempts, 1, "its lease stood: {step:?}");
        assert!(step.output.unwrap().contains("It is so."));
        let begun = begun(&c.model.control().records(), "research-analyst");
        assert_eq!(begun, [Outcome::Completed]);
        let ended = late_worker.terminate(SOON);
        assert!(ended.is_some(), "{}", late_worker.words());
    });
}

/// Whoever comes back first takes nothing from those who have not had the time to.
async fn spared_after_the_promotion(c: &mut Conductor) {
    let since = "select extract(epoch from clock_timestamp() - pg_postmaster_start_time())::bigint";
    assert!(
        number(c, since).await > LEASE_SECONDS,
        "this server has run for longer than a lease"
    );
    let transaction = c.sql.transaction().await.unwrap();
    for statement in [
        "update tasks set lease_expires_at = clock_timestamp() - interval '1 s' where state = 'running'",
        "select worker_register('first', 'elsewhere', 1, extversion, 1, '{}', '{}', '{\"ok\": true}')
         from pg_extension where extname = 'conductor'",
        "select task_heartbeat(id, '{}') from workers where name = 'first'",
    ] {
        transaction.execute(statement, &[]).await.unwrap();
    }
    let running = "select count(*) from tasks where state = 'running' and deaths = 0";
    let kept = transaction.query_one(running, &[]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(
        kept.get::<_, i64>(0),
        1,
        "nothing is taken before a lease has passed"
    );
}

#[test]
fn what_had_not_reached_the_standby_is_done_again() {
    let script = Script::of([
        Rule::persona("structural-analyst", [held("early")])
            .turn(1)
            .times(1),
        Rule::persona("behavioral-analyst", [held("gate")])
            .turn(1)
            .times(1),
        Rule::persona("research-analyst", [held("late")])
            .turn(1)
            .times(1),
    ]);
    let setup = Setup::new().script(script).without_worker();
    setup.settings("lease = '3 seconds'").run(async |c| {
        let (primary, standby) = pair(c).await;
        c.start_worker();
        c.shop("shop").await;
        let launch = Launch::new("architectural-analysis", "How does a lease work here?");
        let first = c.launch(launch.on("shop").band("medium")).await;
        c.held("early", LONG).await;
        c.held("gate", LONG).await;
        let second = c.launch(Launch::new("research", "Is it so?")).await;
        standby.catch_up_with(primary).await;
        standby.stop_following().await;

        // A finish and a claim that only the primary knows of.
        c.model.control().release(Some("early"));
        c.held("late", LONG).await;
        assert_eq!(c.step(first, "structure").await.status, "completed");
        assert_eq!(c.step(second, "sources").await.status, "running");
        primary.crash(libc::SIGKILL);
        standby.promote();
        c.move_to(standby).await;
        // Its lease may have run out meanwhile.
        let status = c.step(first, "structure").await.status;
        assert_ne!(status, "completed", "its finish is not known here");
        let ended = c.model.control().wait_until(SOON, |control| {
            begun(&control.records(), "research-analyst").first() == Some(&Outcome::Disconnected)
        });
        assert!(ended.await, "the child of a claim that is lost is ended");
        c.model.control().release(Some("gate"));
        c.completed(first, LONG).await;
        c.completed(second, LONG).await;

        let (structure, behavior) = (
            c.step(first, "structure").await,
            c.step(first, "behavior").await,
        );
        assert_eq!(structure.attempts, 2, "its finish was lost: {structure:?}");
        assert_eq!(behavior.attempts, 1, "its lease stood: {behavior:?}");
        assert!(behavior.output.unwrap().contains("It is so."));
        let sources = c.step(second, "sources").await;
        assert_eq!(sources.attempts, 1, "its claim was lost: {sources:?}");
        assert!(!c.report(second).await.contains("It is so."));
    });
}

#[test]
fn sessions_that_stay_open_on_a_server_that_only_reads_are_left_for_the_one_that_writes() {
    let script = Script::of([Rule::persona("research-analyst", [held("gate")]).times(1)]);
    Setup::new().script(script).without_worker().run(async |c| {
        let (primary, standby) = pair(c).await;
        c.start_worker();
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        standby.catch_up_with(primary).await;
        primary.only_read(true).await;
        standby.promote();
        c.move_to(standby).await;
        c.model.control().release(Some("gate"));
        c.completed(run, LONG).await;
        let step = c.step(run, "sources").await;
        assert_eq!((step.attempts, step.error.as_deref()), (1, None));
        assert!(step.output.unwrap().contains("It is so."));
        // The session that listens had nothing to complain of, but nothing rings there any more.
        c.said("listening, the doorbell rings", 2, SOON).await;
        primary.stop();
    });
}
