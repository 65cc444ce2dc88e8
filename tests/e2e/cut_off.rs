//! A worker that cannot reach the server while its children go on.

use std::time::Duration;

use conductor_tests::harness::proxy::{Line, Proxy};
use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, processes, sql_worker};
use conductor_tests::scripted::{Control, Outcome, Part, Record, Reply, Rule, Script};

const SOON: Duration = Duration::from_secs(30);

/// Starts the worker behind a line that the test holds in its hand.
async fn behind_a_line(c: &mut Conductor) -> Proxy {
    let proxy = Proxy::start(c.cluster.port())
        .await
        .expect("a port is free");
    let direct = format!(":{}/", c.cluster.port());
    let through = format!(":{}/", proxy.port());
    c.environment.database = c.environment.database.replace(&direct, &through);
    c.start_worker();
    proxy
}

fn of<'a>(records: &'a [Record], persona: &'a str) -> impl Iterator<Item = &'a Record> {
    records
        .iter()
        .filter(move |r| r.persona.as_deref() == Some(persona) && r.turn == 1)
}

/// Waits until some conversation of this persona has ended so.
async fn ended(control: &Control, persona: &str, outcome: Outcome) {
    let found = control.wait_until(SOON, |control| {
        of(&control.records(), persona).any(|record| record.outcome == outcome)
    });
    assert!(found.await, "no conversation of {persona} is {outcome:?}");
}

async fn number(c: &Conductor, sql: &str) -> i64 {
    c.sql.query_one(sql, &[]).await.expect(sql).get(0)
}

#[test]
fn a_worker_cut_off_for_less_than_a_lease_delivers_what_its_child_said_meanwhile() {
    let reply = Reply::parts([
        Part::text("## Answer\nOne, "),
        Part::stall("silent"),
        Part::text("two, "),
        Part::stall("broken"),
        Part::text("three.\n"),
    ]);
    let script = Script::of([Rule::persona("research-analyst", [reply]).times(1)]);
    Setup::new().script(script).without_worker().run(async |c| {
        let proxy = behind_a_line(c).await;
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("silent", LONG).await;
        proxy.set(Line::Silent);
        c.model.control().release(Some("silent"));
        c.held("broken", SOON).await;
        proxy.set(Line::Broken);
        c.said("the server is away", 1, SOON).await;
        c.model.control().release(Some("broken"));
        ended(c.model.control(), "research-analyst", Outcome::Completed).await;
        assert_eq!(c.step(run, "sources").await.status, "running");
        proxy.set(Line::Open);
        c.completed(run, LONG).await;
        let step = c.step(run, "sources").await;
        assert_eq!(step.attempts, 1, "{step:?}");
        let said = step.output.as_deref().map(str::trim);
        assert_eq!(said, Some("## Answer\nOne, two, three."));
        // While there is still a line.
        c.stop_worker();
    });
}

#[test]
fn connections_that_stay_silent_for_good_cost_no_lease() {
    let reply = Reply::parts([
        Part::text("## Answer\nIt "),
        Part::stall("gate"),
        Part::text("is.\n"),
    ]);
    let script = Script::of([Rule::persona("research-analyst", [reply]).times(1)]);
    let setup = Setup::new().script(script).without_worker().slots(1);
    setup.settings("lease = '20 seconds'").run(async |c| {
        let proxy = behind_a_line(c).await;
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        c.has_streamed(run, "sources", SOON).await;
        // Another worker takes back whatever runs out.
        let other = sql_worker::register(&c.sql, "other", &[]).await.unwrap();
        let beat = format!("select count(*) from task_heartbeat({other}, '{{}}')");
        let seen = "select (extract(epoch from seen_at) * 1000)::bigint from workers where name = 'tested'";
        let before = number(c, seen).await;
        proxy.forget();
        c.until("the worker is heard of again", SOON, async |c: &Conductor| {
            number(c, &beat).await;
            // A beat that was under way when the line fell silent does not count.
            (number(c, seen).await > before + 4000).then_some(())
        })
        .await;
        c.model.control().release(Some("gate"));
        c.completed(run, LONG).await;
        assert_eq!(c.step(run, "sources").await.attempts, 1);
        c.stop_worker();
    });
}

#[test]
fn what_another_worker_took_over_is_not_written_by_the_one_that_was_cut_off() {
    let held = |name: &str| {
        let half = [
            Part::text("HALF A SENTENCE "),
            Part::stall(name),
            Part::text("and the rest.\n"),
        ];
        Reply::parts(half)
    };
    let script = Script::of([
        Rule::persona("structural-analyst", [held("told")])
            .turn(1)
            .times(1),
        Rule::persona("behavioral-analyst", [held("held")])
            .turn(1)
            .times(1),
    ]);
    let setup = Setup::new().script(script).without_worker();
    setup.settings("lease = '3 seconds'").run(async |c| {
        let direct = c.another("another");
        let proxy = behind_a_line(c).await;
        c.shop("shop").await;
        let launch = Launch::new("architectural-analysis", "How does a lease work here?");
        let run = c.launch(launch.on("shop").band("medium")).await;
        c.held("told", LONG).await;
        c.held("held", LONG).await;
        c.has_streamed(run, "structure", LONG).await;
        c.has_streamed(run, "behavior", LONG).await;
        proxy.set(Line::Silent);
        // One child ends in the dark, the other goes on.
        c.model.control().release(Some("told"));
        let mut another = direct.start();
        c.completed(run, LONG).await;
        ended(c.model.control(), "structural-analyst", Outcome::Completed).await;
        let frames = "select count(*) from frames";
        let before = (number(c, frames).await, c.report(run).await);

        proxy.set(Line::Open);
        ended(
            c.model.control(),
            "behavioral-analyst",
            Outcome::Disconnected,
        )
        .await;
        c.said("dropped", 2, SOON).await;
        assert_eq!((number(c, frames).await, c.report(run).await), before);
        for step in ["structure", "behavior"] {
            let step = c.step(run, step).await;
            assert_eq!(step.attempts, 2, "{step:?}");
            assert!(!step.output.unwrap().contains("HALF A SENTENCE"));
        }
        assert!(another.terminate(SOON).is_some(), "{}", another.words());
        c.stop_worker();
    });
}

#[test]
fn a_lease_that_ran_out_in_the_dark_and_that_nobody_took_still_delivers() {
    let reply = Reply::parts([
        Part::text("## Answer\nIt "),
        Part::stall("gate"),
        Part::text("is.\n"),
    ]);
    let script = Script::of([Rule::persona("research-analyst", [reply]).times(1)]);
    let setup = Setup::new().script(script).without_worker();
    setup.settings("lease = '3 seconds'").run(async |c| {
        let proxy = behind_a_line(c).await;
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        c.has_streamed(run, "sources", LONG).await;
        proxy.set(Line::Silent);
        c.model.control().release(Some("gate"));
        ended(c.model.control(), "research-analyst", Outcome::Completed).await;
        let expired = "select count(*) from tasks
            where state = 'running' and lease_expires_at < clock_timestamp()";
        c.until("its lease has run out", SOON, async |c: &Conductor| {
            (number(c, expired).await == 1).then_some(())
        })
        .await;
        proxy.set(Line::Open);
        c.completed(run, LONG).await;
        let step = c.step(run, "sources").await;
        assert_eq!(step.attempts, 1, "{step:?}");
        assert!(step.output.unwrap().contains("It is."));
        c.stop_worker();
    });
}

#[test]
fn a_child_whose_task_was_given_away_is_ended_by_the_next_thing_that_it_says() {
    let reply = Reply::parts([
        Part::text("HALF A SENTENCE "),
        Part::stall("gate"),
        Part::text("and more "),
        Part::stall("for ever"),
    ]);
    let script = Script::of([Rule::any([reply]).times(1)]);
    // No heartbeat comes in time to say it, and no doorbell.
    let setup = Setup::new().script(script).settings("lease = '1 hour'");
    setup.run(async |c| {
        c.define("one", &[("look", "research-analyst")]).await;
        let run = c.launch(Launch::new("one", "Is it so?")).await;
        c.held("gate", LONG).await;
        c.has_streamed(run, "look", LONG).await;
        let job = c.job(run, "look").await;
        let give_away = "update tasks set lease = gen_random_uuid() where run_id = $1";
        c.sql.execute(give_away, &[&run]).await.unwrap();
        let frames = "select count(*) from frames";
        let before = number(c, frames).await;
        c.model.control().release(Some("gate"));
        ended(c.model.control(), "research-analyst", Outcome::Disconnected).await;
        c.said("dropped", 1, SOON).await;
        let left = processes::of_folder(&job);
        assert!(left.is_empty() && !job.exists(), "{left:?}");
        assert_eq!(number(c, frames).await, before, "nothing of it was written");
        c.sql
            .execute("select flow_cancel($1)", &[&run])
            .await
            .unwrap();
    });
}
