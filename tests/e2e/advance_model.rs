//! The SQL that advances a run and its reference model in `conductor_flows::advance`, side by side: random flows, random
//! outcomes in a random order, compared after every act.

#[path = "../../flows/tests/common/random.rs"]
mod random;

mod pair;

use std::collections::BTreeMap;

use conductor_flows::advance::{RunState, StepState};
use conductor_flows::{Band, Plan};
use conductor_tests::harness::{Conductor, Launch, Setup, sql_worker, told};
use fastrand::Rng;
use pair::{Outputs, Pair};
use random::{Seed, definition};
use serde_json::{Value, json};

const FLOWS: u64 = 60;
const PROJECT: &str = "shop";

#[test]
fn the_database_and_the_model_agree_after_every_act() {
    let setup = Setup::new().without_worker();
    setup.settings("retry_backoff = '0'").run(async |c| {
        let first = seed();
        println!("CONDUCTOR_SEED={first}");
        c.register(PROJECT, c.folder()).await;
        let personas = "select persona_define('reader', 'Reads.', 'You read what there is.')";
        c.sql.execute(personas, &[]).await.unwrap();
        let worker = sql_worker::register(&c.sql, "by-hand", &["/"]).await;
        let worker = worker.unwrap();
        let (mut ends, mut seed) = (BTreeMap::new(), first);
        while ends.values().sum::<u64>() < FLOWS {
            if let Some(end) = one_flow(c, worker, seed).await {
                *ends.entry(end).or_default() += 1;
            }
            seed = seed.wrapping_add(1);
        }
        println!("{ends:?}");
        for end in RunState::ALL.iter().filter(|it| **it != RunState::Running) {
            assert!(ends.contains_key(end), "no run ended {end}: {ends:?}");
        }
    });
}

/// The seed of the first flow. Each flow after it has the next number, so that one which went wrong can be the first.
fn seed() -> u64 {
    let Ok(text) = std::env::var("CONDUCTOR_SEED") else {
        return 48_000;
    };
    let number = |text: &str| text.parse::<f64>().ok().map(f64::to_bits);
    let seed = text.parse().ok().or_else(|| number(&text));
    seed.expect("CONDUCTOR_SEED is a number")
}

fn random_flow(rng: &mut Rng) -> Value {
    // How much of the flow joins any of its needs, in eighths: all of it lets most runs go on after a failure.
    let (sparse, any) = (rng.bool(), rng.u8(2..=9));
    let mut seed = || Seed {
        needs: rng.u16(..) & if sparse { rng.u16(..) } else { u16::MAX },
        any: rng.u8(0..8) < any,
        band: rng.u8(0..6).saturating_sub(3),
        kind: [0, 0, 1, 1, 1, 2, 9, 9, 9][rng.usize(..9)],
        source: rng.usize(..),
        when: rng.u8(0..8),
    };
    let mut seeds: Vec<Seed> = (0..9).map(|_| seed()).collect();
    seeds.truncate(rng.usize(3..=9));
    if let Some(last) = seeds.last_mut().filter(|_| rng.bool()) {
        last.kind = 3;
    }
    definition(&seeds, rng.bool())
}

/// What a step puts out: mostly JSON that others can read, on its own or at the end of a text.
fn random_output(rng: &mut Rng) -> String {
    let list: Vec<u8> = (0..rng.u8(0..=3)).collect();
    let mut output = json!({"flag": rng.bool(), "list": list});
    match rng.u8(0..12) {
        0 => return "no JSON at all".to_owned(),
        1 => output["list"] = json!("none"),
        2 => output["flag"] = json!([0]),
        _ => {}
    }
    if rng.bool() {
        format!("What I found.\n\n```json\n{output}\n```\n")
    } else {
        output.to_string()
    }
}

fn random_state(rng: &mut Rng) -> StepState {
    match rng.u8(0..20) {
        0..4 => StepState::Failed,
        4 => StepState::Cancelled,
        _ => StepState::Completed,
    }
}

/// Takes one random flow to its end; how it ended. `None` when the launch left nothing to run.
async fn one_flow(c: &Conductor, worker: i64, seed: u64) -> Option<RunState> {
    let mut rng = Rng::with_seed(seed);
    let flow = random_flow(&mut rng);
    let defined = c.sql.execute("select flow_define($1)", &[&flow]).await;
    defined.unwrap_or_else(|error| panic!("seed {seed}: {error:?}\n{flow:#}"));
    let mut launch = Launch::new("x", "Is it so?").band(rng.choice(Band::ALL)?.as_str());
    if rng.bool() {
        launch = launch.on(PROJECT);
    }
    if rng.bool() {
        launch = launch.input(json!({"documents": [{"name": "notes.md", "text": "Some."}]}));
    }
    let run = match launch.with(&c.sql).await {
        Ok(run) => run,
        Err(error) => {
            let (code, message, ..) = told(&error);
            assert_eq!(code, "22023", "seed {seed}: {message}\n{flow:#}");
            return None;
        }
    };
    let plan = "select plan from flow_runs where id = $1";
    let plan: Value = c.sql.query_one(plan, &[&run]).await.unwrap().get(0);
    let plan: Plan = serde_json::from_value(plan).unwrap();
    let said = format!("CONDUCTOR_SEED={seed}\n{flow}\nlaunched {launch:?}\n");
    let outputs = Outputs::default();
    let mut pair = Pair::new(c, worker, run, &plan, &outputs, rng, said).await;
    while pair.state() == RunState::Running {
        pair.act().await;
    }
    pair.late_act().await;
    let report = c.report(run).await;
    let unsettled = |line: &str| line.contains("| pending |") || line.contains("| running |");
    assert!(
        !report.lines().any(unsettled),
        "the report is older than the end of its run\n{}{report}",
        pair.said
    );
    Some(pair.state())
}
