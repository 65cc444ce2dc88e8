//! The review: what reviewers write in whatever form, merged, attacked by verifiers, and told.

mod written;

use std::collections::BTreeSet;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::sql_worker::{self, Claimed, Ending};
use conductor_tests::harness::{Conductor, Launch, Repository, Setup};
use conductor_tests::scripted::{Part, Record, Reply, Rule, Script};
use serde_json::{Value, json};
use written::{finding, review, seeded, verdicts};

const QUESTION: &str = "May this be merged?";

/// The report as JSON.
async fn told(c: &Conductor, run: i64) -> Value {
    let row = c
        .sql
        .query_one("select flow_report($1, 'json')", &[&run])
        .await;
    serde_json::from_str(row.unwrap().get(0)).unwrap()
}

/// Ids of the findings with this outcome.
fn ids(report: &Value, outcome: &str) -> BTreeSet<String> {
    let judged = report["review"][outcome].as_array().unwrap().iter();
    judged
        .map(|it| it["finding"]["id"].as_str().unwrap().to_owned())
        .collect()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// The steps of the fan-out.
async fn verifiers(c: &Conductor, run: i64) -> Vec<String> {
    let steps = c.steps(run).await.into_iter().map(|step| step.step_id);
    steps.filter(|id| id.starts_with("verify/")).collect()
}

/// First turns of the verifier that was given the findings of this step.
fn verified(records: &[Record], step: &str) -> usize {
    let element = format!("\"step\": \"{step}\"");
    let of = |record: &&Record| {
        record.turn == 1
            && record.persona.as_deref() == Some("adversarial-validator")
            && record.conversation().prompt.contains(&element)
    };
    records.iter().filter(of).count()
}

async fn flawed_shop(c: &Conductor) -> Repository {
    let shop = Repository::flawed_shop(&c.environment.allowed.join("shop"));
    c.register("shop", shop.root()).await;
    shop
}

#[test]
fn findings_in_every_form_are_merged_attacked_and_told() {
    Setup::new().slots(4).script(seeded()).run(async |c| {
        flawed_shop(c).await;
        let launch = Launch::new("code-review", QUESTION)
            .on("shop")
            .band("large");
        let run = c.launch(launch).await;
        c.completed(run, LONG).await;
        let report = told(c, run).await;
        let review = &report["review"];
        let confirmed = ids(&report, "confirmed");

        // One line, two reviewers: one finding with both voices.
        let injection = ["correctness/B1", "security/SEC1"];
        let judged = review["confirmed"].as_array().unwrap();
        let joined: Vec<&Value> = judged
            .iter()
            .filter(|it| injection.contains(&it["finding"]["id"].as_str().unwrap()))
            .collect();
        assert_eq!(joined.len(), 1, "{judged:?}");
        let both = [
            &joined[0]["finding"]["id"],
            &joined[0]["finding"]["joined"][0]["id"],
        ];
        let both: BTreeSet<&str> = both.iter().filter_map(|id| id.as_str()).collect();
        assert_eq!(both, injection.into());

        assert!(
            confirmed.contains("correctness/B2") && confirmed.contains("security/SEC2"),
            "{confirmed:?}"
        );
        assert_eq!(ids(&report, "refuted"), set(&["correctness/B3"]));
        let unproven = review["unproven"].as_array().unwrap();
        assert_eq!(unproven.len(), 1, "{unproven:?}");
        assert_eq!(unproven[0]["finding"]["place"]["path"], "README.md");
        assert_eq!(unproven[0]["finding"]["broken"][0]["cited"], "README.md:3");
        assert_eq!(review["unreadable"][0]["step"], "resilience");
        assert!(
            review["unreadable"][0]["text"]
                .as_str()
                .unwrap()
                .contains("the night will be long")
        );
        assert_eq!(review["clean"][0]["step"], "tests");
        assert_eq!(
            (&review["cap"], review["cut"].as_array().unwrap().len()),
            (&json!(10), 2)
        );
        let concurrency = confirmed.iter().filter(|id| id.starts_with("concurrency/"));
        assert_eq!(concurrency.count(), 10);
        assert!(
            confirmed.contains("concurrency/C10"),
            "the critical one is not cut: {confirmed:?}"
        );

        assert_eq!(
            verifiers(c, run).await.len(),
            5,
            "one for each reviewer but the clean one"
        );
        let records = c.model.control().records();
        for step in [
            "correctness",
            "structure",
            "security",
            "resilience",
            "concurrency",
        ] {
            assert_eq!(verified(&records, step), 1, "{step}");
        }
        let markdown = c.report(run).await;
        for part in [
            "the whole tree was reviewed",
            "1 refuted",
            "2 over the cap",
            "`resilience`",
            "the night will be long",
            "A customer named O'Hara breaks the query",
            "README.md:3 ⚠ broken citation",
        ] {
            assert!(markdown.contains(part), "{part} is not in:\n{markdown}");
        }
        assert!(
            !markdown.contains("A negative amount lowers the total"),
            "{markdown}"
        );
    });
}

/// A database, a worker in SQL and a run of the review on a project.
async fn launched(c: &Conductor, band: &str) -> (i64, i64) {
    let shop = flawed_shop(c).await;
    let root = shop.root().to_str().unwrap();
    let worker = sql_worker::register(&c.sql, "sql", &[root]).await.unwrap();
    let launch = Launch::new("code-review", QUESTION).on("shop").band(band);
    (c.launch(launch).await, worker)
}

#[test]
fn without_findings_there_are_no_verifiers_and_the_report_says_so() {
    Setup::new().without_worker().run(async |c| {
        let (run, worker) = launched(c, "large").await;
        let clean = |_: &Claimed| Ok((review(&[]), None));
        let played = sql_worker::play(&c.sql, worker, clean).await.unwrap();
        assert_eq!(played, 6, "the reviewers and nobody else");
        c.completed(run, LONG).await;
        assert!(verifiers(c, run).await.is_empty());
        let report = told(c, run).await;
        assert_eq!(report["review"]["verified"], false);
        assert_eq!(report["review"]["clean"].as_array().unwrap().len(), 6);
        let markdown = c.report(run).await;
        assert!(markdown.contains("no verifier ran"), "{markdown}");
    });
}

#[test]
fn a_verifier_that_fails_leaves_its_findings_unproven() {
    Setup::new().without_worker().run(async |c| {
        let (run, worker) = launched(c, "small").await;
        let ending = |task: &Claimed| -> Ending {
            let found = |id: &str, line: u32| {
                finding(
                    id,
                    "warning",
                    &format!("{id} is wrong"),
                    &format!("shop/stock.py:{line}"),
                    "x",
                )
            };
            match task.step_id.as_str() {
                "correctness" => Ok((review(&[found("B1", 4)]), None)),
                "structure" => Ok((review(&[found("S1", 9)]), None)),
                "verify/1" => Ok((verdicts(&[("correctness/B1", "confirmed")]), None)),
                _ => Err("the model refused: 400".into()),
            }
        };
        sql_worker::play(&c.sql, worker, ending).await.unwrap();
        c.completed(run, LONG).await;
        assert_eq!(c.step(run, "verify/2").await.status, "failed");
        let report = told(c, run).await;
        assert_eq!(ids(&report, "confirmed"), set(&["correctness/B1"]));
        assert_eq!(ids(&report, "unproven"), set(&["structure/S1"]));
        let because = report["review"]["unproven"][0]["because"].as_str().unwrap();
        assert!(because.contains("400"), "{because}");
        let markdown = c.report(run).await;
        assert!(
            markdown.contains("S1 is wrong") && markdown.contains("verify/2"),
            "{markdown}"
        );
    });
}

#[test]
fn a_reviewer_that_fails_is_not_a_clean_one() {
    Setup::new().without_worker().run(async |c| {
        let (run, worker) = launched(c, "small").await;
        let ending = |task: &Claimed| -> Ending {
            match task.step_id.as_str() {
                "correctness" => Ok((review(&[]), None)),
                _ => Err("the model refused: 400".into()),
            }
        };
        sql_worker::play(&c.sql, worker, ending).await.unwrap();
        c.completed(run, LONG).await;
        let report = told(c, run).await;
        assert_eq!(report["review"]["missing"][0]["step"], "structure");
        let markdown = c.report(run).await;
        assert!(
            markdown.contains("**Not reviewed**: `structure`"),
            "{markdown}"
        );
    });
}

/// One reviewer reads what there is; the other reports one line; its verifier is held, once.
fn one_verifier_held() -> Script {
    let structure = review(&[finding(
        "S1",
        "warning",
        "Two locks and no order",
        "shop/stock.py:15",
        "with order_lock:",
    )]);
    let half = Reply::parts([Part::text("HALF A VERDICT "), Part::stall("gate")]);
    Script::of([
        Rule::persona("structural-analyst", [Reply::text(&structure)]),
        Rule::persona("adversarial-validator", [half])
            .contains("\"step\": \"structure\"")
            .times(1),
    ])
}

async fn one_verified_one_held(c: &Conductor) -> i64 {
    let launch = Launch::new("code-review", "May orders be cancelled?").on("shop");
    let run = c.launch(launch).await;
    c.held("gate", LONG).await;
    c.step_is(run, "verify/1", "completed", LONG).await;
    run
}

/// Both groups were verified to the end, the finished one only once.
async fn each_verified(c: &Conductor, run: i64, kept: &str) {
    c.completed(run, LONG).await;
    let records = c.model.control().records();
    assert_eq!(
        verified(&records, "correctness"),
        1,
        "a completed verifier is not run again"
    );
    assert_eq!(verified(&records, "structure"), 2);
    assert_eq!(verifiers(c, run).await, ["verify/1", "verify/2"]);
    assert_eq!(c.output(run, "verify/1").await, kept);
    let report = told(c, run).await;
    assert!(
        ids(&report, "confirmed").contains("structure/S1"),
        "{report}"
    );
    assert!(!c.report(run).await.contains("HALF A VERDICT"));
}

#[test]
fn a_review_of_a_change_cancelled_among_its_verifiers_goes_on_when_retried() {
    Setup::new().script(one_verifier_held()).run(async |c| {
        let shop = flawed_shop(c).await;
        let orders = std::fs::read_to_string(shop.root().join("shop/orders.py")).unwrap();
        shop.write("shop/orders.py", &format!("{orders}\n\ndef cancel_order(connection, order):\n    return connection.execute(\"DELETE FROM orders WHERE id = \" + order)\n"));
        let run = one_verified_one_held(c).await;
        let kept = c.output(run, "verify/1").await;
        let cancelled = c.sql.query_one("select flow_cancel($1)", &[&run]).await;
        assert_eq!(cancelled.unwrap().get::<_, String>(0), "cancelled");
        assert_eq!(c.step(run, "verify/2").await.status, "cancelled");
        let partial = c.report(run).await;
        assert!(partial.contains("cancelled") && partial.contains("correctness/B1"), "{partial}");

        c.sql.execute("select flow_retry($1)", &[&run]).await.unwrap();
        each_verified(c, run, &kept).await;
        let review = c.output(run, "correctness").await;
        assert!(review.contains("Reviewed the change, which touches `shop/orders.py`."), "{review}");
        assert!(review.contains("- Where: `shop/orders.py:26`"), "{review}");
        assert!(c.report(run).await.contains("1 file uncommitted; the change was reviewed"));
    });
}

#[test]
fn a_worker_killed_among_the_verifiers_goes_on_where_it_was() {
    Setup::new().script(one_verifier_held()).run(async |c| {
        flawed_shop(c).await;
        let run = one_verified_one_held(c).await;
        let kept = c.output(run, "verify/1").await;
        c.kill_worker();
        c.start_worker();
        each_verified(c, run, &kept).await;
        assert_eq!(c.step(run, "verify/1").await.attempts, 1);
        assert_eq!(c.step(run, "verify/2").await.attempts, 2);
        let review = c.output(run, "correctness").await;
        assert!(review.contains("Reviewed the tree"), "{review}");
    });
}
