//! A child that floods: whatever it says too much of, it is ended, the worker stays small and nothing of it is kept.

use std::cell::Cell;
use std::time::{Duration, Instant};

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, processes};
use conductor_tests::scripted::flood::{Flood, Kind};
use conductor_tests::scripted::{Outcome, Part, Record, Reply, Rule, Script};

const MEGABYTE: u64 = 1_000_000;

fn question(kind: Kind) -> String {
    format!("Who floods with {kind:?}?")
}

fn floods(kind: Kind, bytes: u64, piece: usize) -> Rule {
    let flood = Part::Flood(Flood { kind, bytes, piece });
    Rule::any([Reply::parts([flood])]).contains(&question(kind))
}

async fn ask(c: &Conductor, kind: Kind) -> i64 {
    c.launch(Launch::new("one", &question(kind))).await
}

/// The step has failed at the first attempt; why.
async fn failed(c: &Conductor, run: i64, limit: Duration) -> String {
    assert_eq!(c.ended(run, limit).await.0, "failed");
    let step = c.step(run, "look").await;
    assert_eq!(step.attempts, 1, "a flood is not tried again: {step:?}");
    step.error.expect("a failed step says why")
}

/// Bytes that a run has left in the database.
async fn kept(c: &Conductor, run: i64) -> i64 {
    let query =
        "select (select coalesce(sum(pg_column_size(f.*)), 0) from frames f where f.run_id = $1)
        + (select coalesce(sum(octet_length(s.output)), 0) from flow_steps s where s.run_id = $1)";
    let row = c.sql.query_one(query, &[&run]).await.unwrap();
    row.get::<_, i64>(0)
}

/// The server of the model has seen its requests closed, in their middle.
async fn closed(c: &Conductor, count: usize) {
    let gone = |records: &[Record]| {
        let gone = records
            .iter()
            .filter(|record| record.outcome == Outcome::Disconnected);
        gone.count() == count
    };
    let control = c.model.control();
    let closed = control
        .wait_until(LONG, |control| gone(&control.records()))
        .await;
    assert!(
        closed,
        "{:?}",
        control
            .records()
            .iter()
            .map(|r| r.outcome)
            .collect::<Vec<_>>()
    );
}

#[test]
fn text_and_thinking_without_end_fail_the_step_with_the_limit_and_leave_little() {
    let kinds = [Kind::Text, Kind::Reasoning];
    let script = kinds.map(|kind| floods(kind, 200 * MEGABYTE, 4_000));
    Setup::new()
        .settings("max_output_bytes = 1000000")
        .script(Script::of(script))
        .run(async |c| {
            c.define("one", &[("look", "research-analyst")]).await;
            let worker = c.worker().pid();
            let mut runs = Vec::new();
            for kind in kinds {
                runs.push(ask(c, kind).await);
            }
            let text = failed(c, runs[0], LONG).await;
            assert_eq!(
                text,
                "the answer is longer than 1000000 bytes (max_output_bytes)"
            );
            let thinking = failed(c, runs[1], LONG).await;
            assert_eq!(
                thinking,
                "the child streamed more than 8194304 bytes (4 times max_output_bytes and 4194304)"
            );
            assert!(
                kept(c, runs[0]).await < 1_200_000,
                "at most one output is kept"
            );
            assert!(kept(c, runs[1]).await < 50_000, "thinking is not kept");
            closed(c, 2).await;
            let peak = processes::peak_memory(worker).unwrap();
            assert!(
                peak < 100 * MEGABYTE,
                "the worker took {} MB",
                peak / MEGABYTE
            );
        });
}

#[test]
fn arguments_of_a_tool_call_beyond_any_measure_fail_the_step_as_well() {
    // The child prints them in one line, once they are complete.
    let script = Script::of([floods(Kind::Arguments, 8 * MEGABYTE, 16_000)]);
    Setup::new()
        .settings("max_output_bytes = 1000000")
        .script(script)
        .run(async |c| {
            c.define("one", &[("look", "research-analyst")]).await;
            let worker = c.worker().pid();
            let run = ask(c, Kind::Arguments).await;
            let error = failed(c, run, LONG).await;
            let expected = "the child printed a line of more than 3048576 bytes (it follows from max_output_bytes)";
            assert_eq!(error, expected);
            assert!(kept(c, run).await < 50_000);
            let peak = processes::peak_memory(worker).unwrap();
            assert!(
                peak < 100 * MEGABYTE,
                "the worker took {} MB",
                peak / MEGABYTE
            );
        });
}

#[test]
#[ignore = "streams a gigabyte of each kind; the same with small limits is above"]
fn a_gigabyte_of_anything_is_ended_at_the_limit() {
    let kinds = [Kind::Text, Kind::Reasoning, Kind::Arguments];
    let script = kinds.map(|kind| floods(kind, 1_000 * MEGABYTE, 16_000));
    Setup::new().script(Script::of(script)).run(async |c| {
        c.define("one", &[("look", "research-analyst")]).await;
        let worker = c.worker().pid();
        for kind in kinds {
            processes::reset_peak_memory(worker);
            let began = Instant::now();
            let run = ask(c, kind).await;
            let child = Cell::new(0);
            let limit = Duration::from_secs(600);
            let folder = c.folder().join("state/jobs");
            c.until("the flood is ended", limit, async |c: &Conductor| {
                for process in processes::of_folder(&folder) {
                    if process.pid != worker {
                        let peak = processes::peak_memory(process.pid).unwrap_or_default();
                        child.set(child.get().max(peak));
                    }
                }
                (c.status(run).await.0 != "running").then_some(())
            })
            .await;
            let error = failed(c, run, limit).await;
            let peak = processes::peak_memory(worker).unwrap();
            let left = kept(c, run).await;
            println!(
                "{kind:?}: {error}; {:?}, worker {} MB, child {} MB, kept {left} bytes",
                began.elapsed(),
                peak / MEGABYTE,
                child.get() / MEGABYTE
            );
            assert!(
                peak < 700 * MEGABYTE,
                "the worker took {} MB",
                peak / MEGABYTE
            );
        }
        closed(c, kinds.len()).await;
    });
}
