//! For any valid flow and any order of completion: no step starts before its needs have settled,
//! none starts twice, every run ends, and the order decides nothing.

mod common;

use std::collections::BTreeMap;

use common::fuzz::tried;
use common::random::{Seed, definition};
use common::{expanded, launch, read_json};
use conductor_flows::advance::{Run, RunState, StepState};
use conductor_flows::name::parent_of_child;
use conductor_flows::{Band, Join, Kind, Plan, waves};
use proptest::prelude::*;
use serde_json::json;

fn seed() -> impl Strategy<Value = Seed> {
    (
        any::<u16>(),
        any::<bool>(),
        0..6_u8,
        0..8_u8,
        any::<usize>(),
        0..6_u8,
    )
        .prop_map(|(needs, any, band, kind, source, when)| Seed {
            needs,
            any,
            band,
            kind,
            source,
            when,
        })
}

/// The outcome of a step depends on nothing but its id and the seed, so that orders can be compared.
fn outcome(id: &str, seed: u64) -> (StepState, String) {
    let hash = id.bytes().fold(seed | 1, |hash, byte| {
        (hash ^ u64::from(byte))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(23)
    });
    let list: Vec<u64> = (0..hash >> 8 & 3).collect();
    let output = match hash >> 16 & 7 {
        0 => "no JSON at all".to_owned(),
        _ => json!({"flag": hash >> 24 & 1 == 1, "list": list}).to_string(),
    };
    match hash >> 32 & 31 {
        0 | 1 => (StepState::Failed, String::new()),
        2 => (StepState::Cancelled, String::new()),
        _ => (StepState::Completed, output),
    }
}

fn needs_of(plan: &Plan, run: &Run, id: &str) -> Vec<(String, StepState)> {
    let known = parent_of_child(id).unwrap_or(id);
    let needs = &plan
        .step(known)
        .expect("every started step is planned")
        .needs;
    let belongs = |row: &str| {
        needs
            .iter()
            .any(|need| row == need || parent_of_child(row) == Some(need))
    };
    run.steps()
        .filter(|(row, _)| belongs(row))
        .map(|(row, state)| (row.to_owned(), state))
        .collect()
}

/// A step that never started settles only for the reasons that the rules give.
fn check_unstarted(plan: &Plan, run: &Run) {
    let idle = |id: &str| !run.started().iter().any(|started| started == id);
    for step in plan.steps.iter().filter(|step| idle(&step.id)) {
        let needs = needs_of(plan, run, &step.id);
        let (settled, completed) = (
            needs.iter().all(|(_, state)| state.is_settled()),
            needs
                .iter()
                .any(|(_, state)| *state == StepState::Completed),
        );
        match run.step(&step.id).expect("every planned step has a row") {
            StepState::Pending => assert_eq!(run.state(), RunState::Running),
            StepState::Failed => {
                let failed = needs.iter().any(|(_, state)| *state == StepState::Failed);
                let skipped = needs.iter().all(|(_, state)| *state == StepState::Skipped);
                assert!(step.join == Join::Any && settled && !completed && (failed || skipped));
            }
            StepState::Skipped => assert!(step.when.is_some() && settled),
            StepState::Cancelled if run.state() == RunState::Running => {
                assert!(step.join == Join::Any && settled && !completed);
            }
            StepState::Cancelled => {}
            state => panic!("{} is {state} and never started", step.id),
        }
    }
}

/// Runs the plan to its end, settling in the order that `order` picks, and checks every step of it.
fn walk(plan: &Plan, seed: u64, order: &[u8]) -> (RunState, BTreeMap<String, StepState>) {
    let mut run = Run::launch(plan, |_| "{\"flag\": true, \"list\": [1]}".to_owned());
    let mut checked = 0;
    let mut settled: BTreeMap<String, StepState> = BTreeMap::new();
    let mut picks = order.iter().copied().cycle();
    let mut events = 0;
    loop {
        for id in &run.started()[checked..] {
            for (need, state) in needs_of(plan, &run, id) {
                assert!(state.is_settled(), "{id} started before {need} settled");
                let place = |id: &str| run.started().iter().position(|started| started == id);
                if let Some(earlier) = place(&need) {
                    assert!(Some(earlier) < place(id), "{id} started before {need}");
                }
            }
        }
        checked = run.started().len();
        check_unstarted(plan, &run);
        for (id, state) in run.steps() {
            if let Some(before) = settled.get(id) {
                assert_eq!(*before, state, "{id} had settled");
            } else if state.is_settled() {
                settled.insert(id.to_owned(), state);
            }
        }
        let running: Vec<String> = run.running().into_iter().map(str::to_owned).collect();
        if running.is_empty() {
            break;
        }
        assert_eq!(
            run.state(),
            RunState::Running,
            "an agent runs in a run that has ended"
        );
        let id = &running[usize::from(picks.next().unwrap_or(0)) % running.len()];
        let (state, output) = outcome(id, seed);
        run.settle(id, state, &output);
        // Delivered twice: nothing more may happen.
        let before: Vec<_> = run
            .steps()
            .map(|(id, state)| (id.to_owned(), state))
            .collect();
        run.settle(id, StepState::Failed, "again");
        let after: Vec<_> = run
            .steps()
            .map(|(id, state)| (id.to_owned(), state))
            .collect();
        assert_eq!(before, after);
        events += 1;
        assert!(events < 1000, "the run does not end");
    }
    let mut started = run.started().to_vec();
    started.sort();
    let count = started.len();
    started.dedup();
    assert_eq!(started.len(), count, "a step started twice");
    assert_ne!(
        run.state(),
        RunState::Running,
        "nothing runs and the run has not ended"
    );
    assert!(
        run.steps().all(|(_, state)| state.is_settled()),
        "a step is left unsettled"
    );
    (
        run.state(),
        run.steps()
            .map(|(id, state)| (id.to_owned(), state))
            .collect(),
    )
}

proptest! {
    #![proptest_config(tried(1000))]

    #[test]
    fn every_run_of_every_flow_keeps_the_rules(
        seeds in prop::collection::vec(seed(), 1..10),
        reversed: bool,
        band in 0..3_usize,
        outcomes: u64,
        one in prop::collection::vec(any::<u8>(), 1..20),
        other in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let definition = read_json(&definition(&seeds, reversed)).expect("the generator makes valid flows");
        let launch = launch(Band::ALL[band]);
        let Ok(expansion) = conductor_flows::expand(&definition, &launch, &common::Few) else {
            return Ok(()); // Nothing is left at this band.
        };
        let plan = &expansion.plan;
        let first = walk(plan, outcomes, &one);
        let second = walk(plan, outcomes, &other);
        let completed = |end: &(RunState, _)| end.0 == RunState::Completed;
        prop_assert_eq!(completed(&first), completed(&second), "the order decided how the run ended");
        if completed(&first) {
            prop_assert_eq!(first.1, second.1, "the order decided how a step ended");
        }
    }

    #[test]
    fn every_plan_is_well_formed(
        seeds in prop::collection::vec(seed(), 1..12),
        reversed: bool,
        band in 0..3_usize,
    ) {
        let definition = read_json(&definition(&seeds, reversed)).expect("the generator makes valid flows");
        let launch = launch(Band::ALL[band]);
        let Ok(expansion) = conductor_flows::expand(&definition, &launch, &common::Few) else {
            return Ok(());
        };
        let plan = &expansion.plan;
        let mut seen: Vec<&str> = Vec::new();
        for step in &plan.steps {
            prop_assert!(!seen.contains(&step.id.as_str()));
            prop_assert!(step.needs.iter().all(|need| seen.contains(&need.as_str())), "needs stand first");
            let latest = step.needs.iter().map(|need| plan.step(need).unwrap().wave).max();
            prop_assert_eq!(step.wave, latest.unwrap_or(0) + 1);
            for reference in [&step.when, &step.foreach].into_iter().flatten() {
                let (source, _) = reference.split_once('.').expect("facts are decided");
                prop_assert!(seen.contains(&source));
            }
            let prompted = step.prompt_hash.is_some();
            prop_assert_eq!(prompted, step.kind == Kind::Agent || step.foreach.is_some());
            for hash in [&step.persona_hash, &step.prompt_hash].into_iter().flatten() {
                prop_assert!(expansion.texts.contains_key(hash));
            }
            seen.push(&step.id);
        }
        let waves = waves(plan);
        prop_assert_eq!(waves.iter().map(Vec::len).sum::<usize>(), plan.steps.len());
        let reread: Plan = serde_json::from_value(serde_json::to_value(plan).unwrap()).unwrap();
        prop_assert_eq!(&reread, plan);
        let again = expanded(&definition, &launch);
        prop_assert_eq!(again, expansion, "expanding is deterministic");
    }
}
