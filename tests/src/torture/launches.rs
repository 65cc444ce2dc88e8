//! What is launched, and who follows a run to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_postgres::Client;

use super::ledger::Promise;
use super::world::{Trouble, World, in_time, query};

/// The name of a launcher's sessions.
pub const LAUNCHER: &str = "torture launcher";
/// How often a follower looks.
const LOOK: Duration = Duration::from_millis(400);

/// Flows with their projects, and how often each is chosen.
const FLOWS: [(&str, Option<&str>, usize); 9] = [
    ("research", None, 3),
    ("research", Some("shop"), 1),
    ("architectural-analysis", Some("shop"), 3),
    ("code-review", Some("flawed"), 4),
    ("investigate", Some("flawed"), 1),
    ("gap-analysis", Some("shop"), 1),
    ("plan-a-feature", Some("shop"), 1),
    ("torture-fan", None, 2),
    ("torture-fan", Some("flawed"), 2),
];

/// One launch as it was drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub flow: &'static str,
    pub project: Option<&'static str>,
    pub band: &'static str,
    pub fast: bool,
    pub input: Option<Value>,
    pub budget: Option<i64>,
    /// Launched in a transaction that is rolled back.
    pub taken_back: bool,
}

impl Order {
    /// Draws what is launched next.
    pub fn draw(rng: &mut Rng) -> Self {
        let deck: Vec<_> = FLOWS
            .iter()
            .flat_map(|&(flow, project, number)| vec![(flow, project); number])
            .collect();
        let (flow, project) = deck[rng.usize(..deck.len())];
        let document =
            json!({"documents": [{"name": "plan.md", "text": "A lease lasts ten minutes."}]});
        Self {
            flow,
            project,
            band: match rng.usize(..10) {
                0..6 => "small",
                6..9 => "medium",
                _ => "large",
            },
            fast: rng.bool(),
            input: match flow {
                "gap-analysis" => Some(document),
                "code-review" if rng.bool() => Some(json!({"base": "HEAD"})),
                _ => None,
            },
            // Most runs take more.
            budget: (rng.usize(..6) == 0).then(|| rng.i64(5_000..50_000)),
            taken_back: rng.usize(..20) == 0,
        }
    }
}

/// How the question of a run is told from those of others.
pub fn tag(number: usize) -> String {
    format!("(launch {number}.)")
}

fn key_of(number: usize) -> String {
    format!("launch {number}")
}

/// The number of the launch that asked this.
pub fn asked_by(question: &str) -> Option<usize> {
    let (_, rest) = question.rsplit_once("(launch ")?;
    rest.strip_suffix(".)")?.parse().ok()
}

/// The number of the launch that had this key.
pub fn number_of(key: &str) -> Option<usize> {
    key.strip_prefix("launch ")?.parse().ok()
}

/// Launches one run after the other and follows each to its end, until it is told to stop.
pub async fn launcher(
    world: Arc<World>,
    number: usize,
    seed: u64,
    mut stopped: watch::Receiver<bool>,
) {
    let mut rng = Rng::with_seed(seed ^ (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    while !*stopped.borrow() && !world.is_closed() {
        let order = Order::draw(&mut rng);
        let launch = world.launches.fetch_add(1, Ordering::Relaxed) + 1;
        let followed = async {
            match launched(&world, &order, launch).await {
                Ok(Some(promise)) => follow(&world, promise, &mut stopped).await,
                Ok(None) => Ok(()),
                Err(trouble) => Err(trouble),
            }
        };
        match followed.await {
            Ok(()) => {}
            // Noted already, by whoever waited for it.
            Err(Trouble::Away) => return,
            Err(Trouble::Refused(code, words)) => {
                let line = format!("launch {launch} ({order:?}) was refused: {code} {words}");
                world.ledger.violated(line);
            }
        }
    }
}

/// Launches as often as it takes to get an answer; one key makes it one run. None: it was taken back.
async fn launched(world: &World, order: &Order, number: usize) -> Result<Option<Promise>, Trouble> {
    let key = key_of(number);
    if order.taken_back {
        world.ledger.rolled_back(key.clone());
    }
    loop {
        let sql = world.patient_session(LAUNCHER).await?;
        let called = async {
            if order.taken_back {
                in_time(sql.batch_execute("begin")).await?;
            }
            let run = launch(&sql, order, number, &key).await?;
            if order.taken_back {
                in_time(sql.batch_execute("rollback")).await?;
            }
            Ok(run)
        };
        match called.await {
            Ok(_) if order.taken_back => return Ok(None),
            Ok(run) => {
                let project = order.project.unwrap_or("no project");
                let what = format!("run {run}: {} on {project}, {}", order.flow, order.band);
                world.ledger.journal(&what);
                return Ok(Some(Promise {
                    run,
                    key,
                    seq: 0,
                    frames: 0,
                    report: None,
                }));
            }
            Err(Trouble::Away) => {}
            Err(refused) => return Err(refused),
        }
    }
}

async fn launch(sql: &Client, order: &Order, number: usize, key: &str) -> Result<i64, Trouble> {
    let question = format!(
        "How is a lease renewed, and what goes wrong with orders? {}",
        tag(number)
    );
    let launching = in_time(sql.query_one("select conductor.flow_launch($1, $2, project => $3, band => $4, fast => $5, model => 'scripted-model',
            input => $6, launch_key => $7, token_budget => $8)",
        &[
            &order.flow,
            &question,
            &order.project,
            &order.band,
            &order.fast,
            &order.input,
            &key,
            &order.budget,
        ],)).await?;
    Ok(launching.get(0))
}

/// Reads the frames of a run until it has ended, through whatever happens to its sessions.
async fn follow(
    world: &World,
    mut promise: Promise,
    stopped: &mut watch::Receiver<bool>,
) -> Result<(), Trouble> {
    let mut sql = world.patient_session(LAUNCHER).await?;
    loop {
        match look(&sql, &mut promise).await {
            Ok(false) if !*stopped.borrow() => {
                let _ = tokio::time::timeout(LOOK, stopped.changed()).await;
            }
            Ok(_) => break,
            Err(Trouble::Away) => sql = world.patient_session(LAUNCHER).await?,
            Err(refused) => return Err(refused),
        }
    }
    world.ledger.promised(promise);
    Ok(())
}

/// Reads what is new; true when the run has ended.
async fn look(sql: &Client, promise: &mut Promise) -> Result<bool, Trouble> {
    let run = &promise.run;
    let found = query(
        sql,
        "select status, md5(report) from flow_runs where id = $1",
        &[run],
    )
    .await?;
    // Lost or pruned: the checks at the end know which.
    let Some(row) = found.first() else {
        return Ok(true);
    };
    let (status, report): (String, Option<String>) = (row.get(0), row.get(1));
    let frames = query(
        sql,
        "select seq, type from flow_frames($1, $2, 10000)",
        &[run, &promise.seq],
    )
    .await?;
    for row in frames {
        promise.seq = row.get(0);
        promise.frames += i64::from(row.get::<_, &str>(1).starts_with("flow_run_"));
    }
    promise.report = report.filter(|_| status == "completed");
    Ok(status != "running")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_number() {
        assert_eq!(number_of(&key_of(17)), Some(17));
        assert_eq!(number_of("another key"), None);
        assert_eq!(asked_by(&format!("Why? {}", tag(17))), Some(17));
        assert_eq!(asked_by("Why?"), None);
    }

    #[test]
    fn every_flow_band_and_kind_of_launch_is_drawn() {
        let mut rng = Rng::with_seed(1);
        let orders: Vec<Order> = (0..2000).map(|_| Order::draw(&mut rng)).collect();
        let drawn = |check: &dyn Fn(&Order) -> bool| orders.iter().any(check);
        for (flow, project, _) in FLOWS {
            assert!(drawn(
                &|order| (order.flow, order.project) == (flow, project)
            ));
        }
        for band in ["small", "medium", "large"] {
            assert!(drawn(&|order| order.band == band));
        }
        assert!(drawn(&|order| order.budget.is_some()));
        assert!(drawn(&|order| order.taken_back));
        assert!(drawn(
            &|order| order.flow == "code-review" && order.input.is_some()
        ));
    }
}
