//! What the others in the same database notice of a busy conductor. NOTIFY takes a lock of the whole server until its
//! transaction has committed; only those wait for it who notify as well.

mod committers;
mod load;

use std::time::Duration;

use self::committers::{Committed, commit};
use self::load::Load;
use super::Options;
use super::figure::{Figure, Section, Target, percentile};
use super::stage::Stage;

/// Sessions that commit transactions of their own.
const SESSIONS: usize = 16;
/// Seconds of each case in each repeat.
const SECONDS: f64 = 8.0;
/// Each case is measured so often at least.
const REPEATS: usize = 3;

/// A pace at which they leave the processors time for others.
const PERIOD: Duration = Duration::from_millis(20);

/// What goes on beside them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// A busy conductor.
    Busy,
    /// The same work, but no doorbell rings.
    Silent,
}

/// As fast as they can, and at a pace.
const CASES: [(Beside, Option<Duration>); 5] = [
    (Beside::Nothing, None),
    (Beside::Busy, None),
    (Beside::Silent, None),
    (Beside::Nothing, Some(PERIOD)),
    (Beside::Busy, Some(PERIOD)),
];

/// What was measured of one case.
struct Case {
    committed: Committed,
    rings: f64,
    steps: f64,
}

/// Measures them.
pub async fn run(options: &Options) -> Section {
    let mut section = Section::new("Neighbours");
    section.note(format!(
        "{SESSIONS} sessions in the same database, each of which updates the one row of its own table and commits, with synchronous_commit and fsync on."
    ));
    section.note(format!(
        "A busy conductor: {} agents of {} runs say {} tokens a second each, through a worker's own sender; {} steps are claimed and completed a second; one session listens to everything.",
        load::RUNS * load::AGENTS, load::RUNS, load::TOKENS_PER_SECOND, load::STEPS_PER_SECOND
    ));
    section.note("Without the doorbell: the same work with the trigger that notifies disabled. It uses the same processors and the same disk as the busy conductor, and so is the measure for the lock that NOTIFY takes.");
    section.note(format!(
        "As fast as they can, {SESSIONS} sessions leave no processor idle: whatever else uses one costs them commits, with a lock or without. At a pace each of them commits every {} ms.",
        PERIOD.as_millis()
    ));
    let seconds = (SECONDS * options.scale).max(1.0);
    let stage = Stage::new().await;
    committers::prepare(&stage.admin, SESSIONS).await;
    let load = Load::new(&stage).await;
    for what in CASES {
        case(&stage, &load, what, seconds / 2.0).await;
    }
    let mut repeats = Vec::new();
    for number in 0..options.repeats.max(REPEATS) {
        // Who goes first alternates, so that what the machine does meanwhile favours nobody.
        let mut found = [const { None }; CASES.len()];
        for step in 0..CASES.len() {
            let at = (number + step) % CASES.len();
            found[at] = Some(case(&stage, &load, CASES[at], seconds).await);
        }
        repeats.push(found.map(|it| it.expect("each case has had its turn")));
    }
    drop(load);
    stage.check().await;
    figures(&mut section, &repeats);
    section
}

async fn case(
    stage: &Stage,
    load: &Load,
    (beside, period): (Beside, Option<Duration>),
    seconds: f64,
) -> Case {
    let trigger = async |act: &str| {
        let alter = format!("alter table run_counters {act} trigger run_counters_doorbell");
        stage
            .admin
            .batch_execute(&alter)
            .await
            .expect("the trigger can be altered");
    };
    if beside == Beside::Silent {
        trigger("disable").await;
    }
    if beside != Beside::Nothing {
        load.go();
    }
    let (rings, steps) = load.done();
    let url = stage.cluster.url(&stage.database);
    let committed = commit(&url, SESSIONS, Duration::from_secs_f64(seconds), period).await;
    let (rings_after, steps_after) = load.done();
    load.rest().await;
    if beside == Beside::Silent {
        trigger("enable").await;
    }
    stage.vacuum().await;
    Case {
        committed,
        rings: (rings_after - rings) as f64 / seconds,
        steps: (steps_after - steps) as f64 / seconds,
    }
}

fn figures(section: &mut Section, repeats: &[[Case; CASES.len()]]) {
    let pairs = |ours: usize, floor: usize, value: &dyn Fn(&Case) -> f64| -> Vec<(f64, f64)> {
        repeats
            .iter()
            .map(|cases| (value(&cases[ours]), value(&cases[floor])))
            .collect()
    };
    let rate = |case: &Case| case.committed.per_second;
    let slowest = |case: &Case| percentile(&case.committed.times, 99.0);
    let usual = |case: &Case| percentile(&case.committed.times, 50.0);
    let each = |value: &dyn Fn(&[Case; CASES.len()]) -> f64| -> Vec<f64> {
        repeats.iter().map(value).collect()
    };
    section.figures.extend([
        Figure::beside(
            "commits/s: busy, and without its doorbell",
            "1/s",
            &pairs(1, 2, &rate),
        )
        .target(Target::AtLeast(0.95)),
        Figure::beside("commits/s: busy, and alone", "1/s", &pairs(1, 0, &rate)),
        Figure::beside(
            "commits/s: without its doorbell, and alone",
            "1/s",
            &pairs(2, 0, &rate),
        ),
        Figure::beside(
            "a commit, 99 %: busy, and without its doorbell",
            "ms",
            &pairs(1, 2, &slowest),
        ),
        Figure::beside(
            "at a pace, commits/s: busy, and alone",
            "1/s",
            &pairs(4, 3, &rate),
        )
        .target(Target::AtLeast(0.95)),
        Figure::beside(
            "at a pace, a commit, median: busy, and alone",
            "ms",
            &pairs(4, 3, &usual),
        ),
        Figure::alone("rings/s, busy", "1/s", each(&|cases| cases[1].rings)),
        Figure::alone(
            "rings/s, without its doorbell",
            "1/s",
            each(&|cases| cases[2].rings),
        )
        .target(Target::AtMost(0.0)),
        Figure::beside(
            "steps/s: busy, and without its doorbell",
            "1/s",
            &pairs(1, 2, &|case| case.steps),
        ),
    ]);
}
