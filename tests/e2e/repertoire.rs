//! Every flow at every band ends in reports that agree with each other.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use conductor_tests::harness::sql_worker::{self, Claimed, Ending};
use conductor_tests::harness::{Conductor, Launch, Repository, Setup, reader};
use conductor_worker::citations;
use serde_json::{Value, json};

const BANDS: [&str; 3] = ["small", "medium", "large"];

/// A run with a flow and band.
struct Run {
    id: i64,
    flow: String,
    band: &'static str,
}

/// A question that every flow can do something with.
const QUESTION: &str = "How does the shop find orders, reserve stock and tell billing?";

const PLAN: &str =
    "# Plan\n\n1. Orders are found by their customer.\n2. Billing is told within two seconds.\n";

async fn launch_all(c: &Conductor) -> Vec<Run> {
    let flows = c.sql.query("select name from flow_catalog()", &[]).await;
    let flows: Vec<String> = flows.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(flows.len(), 22);
    let documents = json!({"documents": [{"name": "plan.md", "text": PLAN}]});
    let mut runs = Vec::new();
    for flow in flows {
        for band in BANDS {
            let launch = Launch::new(&flow, QUESTION).on("shop").band(band);
            let id = c.launch(launch.input(documents.clone())).await;
            let flow = flow.clone();
            runs.push(Run { id, flow, band });
        }
    }
    runs
}

/// Plays what the scripted model answers when it reads this folder, its citations checked against it.
pub fn recorded(task: &Claimed, snapshot: &Path) -> Ending {
    let output = reader::answer(&task.system, &task.prompt, snapshot);
    let cited = citations::check(&output, snapshot, 1 << 20).map_err(|error| error.to_string())?;
    Ok((output, Some(cited)))
}

/// What a snapshot holds beside the project's files.
pub fn write_context(shop: &Repository, changes: &str) {
    shop.write("_context/changes.md", changes);
    shop.write("_context/log.txt", "1a2b3c4 2026-01-01 Open the shop\n");
}

async fn text(c: &Conductor, call: &str, run: i64) -> String {
    let query = format!("select {call}");
    let row = c.sql.query_one(&query, &[&run]).await;
    row.unwrap_or_else(|error| panic!("{call} of run {run}: {error:?}"))
        .get(0)
}

/// The steps of the plan are the steps of the run, but for the children of a fan-out.
async fn steps_are_planned(c: &Conductor, run: &Run) -> Vec<String> {
    let planned = c
        .sql
        .query(
            "select step_id from flow_plan($1, $2)",
            &[&run.flow, &run.band],
        )
        .await
        .unwrap();
    let mut planned: Vec<String> = planned.iter().map(|row| row.get(0)).collect();
    let steps = c.steps(run.id).await;
    let ids = steps.iter().map(|step| step.step_id.clone());
    let mut own: Vec<String> = ids.clone().filter(|id| !id.contains('/')).collect();
    planned.sort();
    own.sort();
    assert_eq!(own, planned, "{} {}", run.flow, run.band);
    for step in &steps {
        assert_eq!(
            step.status, "completed",
            "{} {}: {step:?}",
            run.flow, run.band
        );
    }
    let outputs: Vec<&str> = steps
        .iter()
        .filter(|step| !["fold", "merge", "verify", "report"].contains(&step.step_id.as_str()))
        .filter_map(|step| step.output.as_deref())
        .collect();
    let different: HashSet<&&str> = outputs.iter().collect();
    assert_eq!(
        different.len(),
        outputs.len(),
        "two angles of {} {} say the same",
        run.flow,
        run.band
    );
    ids.collect()
}

/// All forms of the report tell the same.
async fn reports_agree(c: &Conductor, run: &Run, steps: &[String]) {
    let what = format!("{} {}", run.flow, run.band);
    let markdown = text(c, "flow_report($1)", run.id).await;
    let html = text(c, "flow_report($1, 'html')", run.id).await;
    let data: Value =
        serde_json::from_str(&text(c, "flow_report($1, 'json')", run.id).await).unwrap();
    let mermaid = text(c, "flow_graph($1, 'mermaid')", run.id).await;
    let svg = text(c, "flow_graph($1, 'svg')", run.id).await;

    assert!(
        markdown.starts_with(&format!("# {}: run {}\n", run.flow, run.id)),
        "{what}: {markdown}"
    );
    assert!(
        html.to_lowercase().starts_with("<!doctype html>") && html.contains("<svg"),
        "{what}"
    );
    assert!(
        svg.trim_start().starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
        "{what}: {svg}"
    );
    assert!(mermaid.contains("flowchart"), "{what}: {mermaid}");
    assert_eq!(
        (&data["run"]["run_id"], &data["partial"]),
        (&json!(run.id), &json!(false)),
        "{what}"
    );
    let roster = data["roster"].as_array().unwrap();
    for step in steps {
        let known = roster.iter().any(|row| row["step_id"] == json!(step));
        assert!(known, "{what}: {step} is not in the JSON roster");
        for (name, form) in [("markdown", &markdown), ("html", &html)] {
            assert!(
                form.contains(step.as_str()),
                "{what}: {step} is not in the {name}"
            );
        }
    }
    assert_eq!(roster.len(), steps.len(), "{what}");
    for (drawn, form) in [(":::completed", &mermaid), ("class=\"node ", &svg)] {
        assert_eq!(form.matches(drawn).count(), steps.len(), "{what}: {form}");
    }
    for form in [&markdown, &html] {
        assert!(form.contains(QUESTION), "{what}: the question is missing");
        assert!(form.contains("plan.md"), "{what}: the document is missing");
    }
    let row = c
        .sql
        .query_one(
            "select sum(citations_total)::bigint, sum(citations_broken)::bigint from flow_steps where run_id = $1",
            &[&run.id],
        )
        .await
        .unwrap();
    let (cited, broken): (i64, i64) = (row.get(0), row.get(1));
    assert!(cited > 0, "{what} cites nothing");
    assert_eq!(broken, 0, "{what}: {}", data["citations"]["broken"]);
    assert_eq!(data["citations"]["total"], json!(cited), "{what}");
    assert!(
        markdown.contains(&format!("{cited} checked")),
        "{what}: {markdown}"
    );
    let next = data["next"]["flow"]
        .as_str()
        .unwrap_or_else(|| panic!("{what} names no next flow"));
    assert!(
        markdown.contains(next) && html.contains(next),
        "{what}: {next}"
    );
}

#[test]
fn every_flow_at_every_band_ends_in_reports_that_agree() {
    Setup::new().without_worker().run(async |c| {
        let root = c.environment.allowed.join("shop");
        let shop = Repository::flawed_shop(&root);
        c.register("shop", &root).await;
        write_context(&shop, "# What there is to review\n\nNothing is changed.\n");
        let worker = sql_worker::register(&c.sql, "sql", &[root.to_str().unwrap()])
            .await
            .unwrap();
        let runs = launch_all(c).await;
        let recorded = |task: &Claimed| recorded(task, &root);
        sql_worker::play(&c.sql, worker, recorded).await.unwrap();
        for run in &runs {
            c.completed(run.id, Duration::ZERO).await;
            let steps = steps_are_planned(c, run).await;
            reports_agree(c, run, &steps).await;
        }
    });
}

/// For people: `CONDUCTOR_REPORTS=folder cargo test … --ignored all_66_runs` leaves the reports there.
#[test]
#[ignore = "takes minutes; the same with recorded outputs is above"]
fn all_66_runs_with_the_real_child() {
    let folder = std::env::var_os("CONDUCTOR_REPORTS").expect("CONDUCTOR_REPORTS names a folder");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let slots = u32::try_from(processors * 3).unwrap_or(6);
    Setup::new().slots(slots).run(async |c| {
        let root = c.environment.allowed.join("shop");
        let shop = Repository::flawed_shop(&root);
        change(&shop);
        c.register("shop", &root).await;
        let runs = launch_all(c).await;
        for run in &runs {
            c.completed(run.id, Duration::from_secs(3600)).await;
            steps_are_planned(c, run).await;
            for (call, ending) in [
                ("flow_report($1)", "md"),
                ("flow_report($1, 'json')", "json"),
                ("flow_report($1, 'html')", "html"),
                ("flow_graph($1, 'mermaid')", "mmd"),
                ("flow_graph($1, 'svg')", "svg"),
            ] {
                let file = format!("{}-{}.{ending}", run.flow, run.band);
                let text = text(c, call, run.id).await;
                std::fs::write(Path::new(&folder).join(file), text)
                    .expect("the report can be written");
            }
        }
    });
}

/// Changes the shop and commits nothing: functions more in one file, and a new file.
fn change(shop: &Repository) {
    let orders = shop.root().join("shop/orders.py");
    let orders = std::fs::read_to_string(orders).expect("the file is there");
    shop.write("shop/orders.py", &(orders + MORE_ORDERS));
    shop.write("shop/returns.py", RETURNS);
}

const MORE_ORDERS: &str = r#"

def cancel_order(connection, order):
    connection.execute("DELETE FROM orders WHERE id = " + order)


def orders_of_day(connection, day, limit):
    query = "SELECT id, total FROM orders WHERE day = ?"
    return connection.execute(query, [day]).fetchmany(limit)


def retry_billing(order, attempts):
    for attempt in range(attempts):
        if notify_billing(order).status == 200:
            return attempt
"#;

const RETURNS: &str = r#""""Returns: what comes back, and what is paid back."""


def refund_total(orders, rate):
    refund = sum(order["total"] for order in orders) * rate
    return round(refund, 2)


def return_order(order, stock):
    stock[order["thing"]] += 1
    order["returned"] = True
"#;
