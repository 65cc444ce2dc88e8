//! What the worker adds to a child's own time, and what the snapshot of a large repository takes.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use conductor_worker::checks;
use conductor_worker::snapshot::{Limits, Request, Snapshots};
use serde_json::json;

use super::Options;
use super::added::{self, Added};
use super::bare::{Bare, Question};
use super::figure::{Figure, Section, Target};
use crate::harness::runs::LONG;
use crate::harness::{Cluster, Conductor, Launch, Repository, Setup};
use crate::scripted::{Part, Reply, Rule, Script, ToolCall};

/// Files of the large repository, at scale 1.
const FILES: usize = 50_000;
const FILES_PER_FOLDER: usize = 100;
/// Agents that read it at once.
const AGENTS: usize = 4;
/// How often its snapshot is taken at most.
const MOST_SNAPSHOTS: usize = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(250);
const VERY_LONG: Duration = Duration::from_secs(600);

/// One step or child; milliseconds.
#[derive(Debug, Clone, Copy)]
struct Course {
    total: f64,
    /// When the model was first asked, and when it had last answered, by its own clock.
    asked: u64,
    answered: u64,
}

impl Course {
    fn between(self) -> f64 {
        self.answered as f64 - self.asked as f64
    }
}

/// Both parts.
pub async fn run(options: &Options) -> Section {
    let mut section = Section::new("Spawning a child");
    Cluster::durable();
    step(options, &mut section).await;
    large(options, &mut section).await;
    section
}

/// Looks once, then answers.
fn reply() -> Script {
    let look = ToolCall {
        name: "glob".into(),
        arguments: json!({"pattern": "**/*.rs"}),
    };
    let answer = "## Answer\nA lease is a promise for a while.\n\nConfidence: high\n";
    let replies = [vec![Part::ToolCalls(vec![look])], vec![Part::text(answer)]];
    Script::of([Rule::any(replies.map(Reply::parts))])
}

async fn step(options: &Options, section: &mut Section) {
    section.note(
        "A step of two turns on a small repository, its snapshot there and the compile cache warm: from the claim to the \
         finish through the worker, and from start to exit of the same child without it (same command, environment and \
         files; it asks the model itself), which nothing confines, so that some of what it looks for is there and takes \
         time, or which is confined as the worker's are.",
    );
    let setup = Setup::new().slots(1).script(reply()).without_worker();
    let mut c = setup.begin().await;
    c.environment.log_level = "debug".into();
    c.start_worker();
    c.shop("shop").await;
    let steps = json!([
        {"id": "first", "persona": "research-analyst", "brief": "Look at it."},
        {"id": "second", "persona": "research-analyst", "brief": "Look at it.", "needs": ["first"]},
    ]);
    let flow =
        json!({"name": "pair", "category": "analysis", "description": "Looks.", "steps": steps});
    let defined = c.sql.execute("select flow_define($1)", &[&flow]).await;
    defined.expect("the flow is in order");
    c.said("registered", 1, LONG).await;
    let question = question(&c).await;
    let mut bare = Bare::new(&c).await;

    let mut found = Vec::new();
    for number in 0..=options.repeats {
        let repeat = repeat(&c, &mut bare, &question, number).await;
        // The first one warms everything up.
        if number > 0 {
            found.push(repeat);
        }
    }
    figures(section, &found);
    let wrong = c.end().await;
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// One repeat: the same step three times.
struct Repeat {
    worker: Course,
    /// The step before it in its run, which takes the snapshot.
    first: f64,
    added: Added,
    confined: Course,
    bare: Course,
}

/// Who goes first alternates, so that what the machine does meanwhile favours nobody.
async fn repeat(c: &Conductor, bare: &mut Bare, question: &Question, number: usize) -> Repeat {
    let (mut worker, mut confined, mut alone) = (None, None, None);
    for turn in 0..3 {
        match (turn + number) % 3 {
            0 => worker = Some(through_worker(c).await),
            1 => confined = Some(timed(c, bare.run_confined(question).await)),
            _ => alone = Some(timed(c, bare.run(question).await)),
        }
    }
    let (worker, first, added) = worker.expect("each had its turn");
    Repeat {
        worker,
        first,
        added,
        confined: confined.expect("each had its turn"),
        bare: alone.expect("each had its turn"),
    }
}

fn figures(section: &mut Section, found: &[Repeat]) {
    let beside = |floor: fn(&Repeat) -> Course| -> Vec<(f64, f64)> {
        let both = |repeat: &Repeat| (repeat.worker.total, floor(repeat).total);
        found.iter().map(both).collect()
    };
    let each = |value: fn(&Repeat) -> f64| -> Vec<f64> { found.iter().map(value).collect() };
    let (ratio, most) = (Target::AtMost(1.05), Target::AtMost(50.0));
    section.figures.extend([
        Figure::beside("a step", "ms", &beside(|r| r.bare)).target(ratio),
        Figure::alone("added to it", "ms", each(|r| r.worker.total - r.bare.total)).target(most),
        Figure::beside(
            "a step, beside a confined child",
            "ms",
            &beside(|r| r.confined),
        )
        .target(ratio),
        Figure::alone(
            "added to it",
            "ms",
            each(|r| r.worker.total - r.confined.total),
        )
        .target(most),
        Figure::alone(
            "the first step of a run, with its snapshot",
            "ms",
            each(|r| r.first),
        ),
    ]);
    let added: Vec<Added> = found.iter().map(|repeat| repeat.added).collect();
    section.figures.extend(added::figures(&added));
    let between = |repeat: &Repeat| repeat.worker.between() - repeat.confined.between();
    let between = found.iter().map(between).collect();
    let name = "added between the first question and the last answer";
    section.figures.push(Figure::alone(name, "ms", between));
}

/// What the step `second` is asked, with a snapshot of its own.
async fn question(c: &Conductor) -> Question {
    let run = c
        .launch(Launch::new("pair", "What is a lease here?").on("shop"))
        .await;
    c.completed(run, VERY_LONG).await;
    let asked = "select x.body, conductor._task_prompt(s.task_id) from flow_steps s join texts x on x.hash = s.persona_hash
        where s.run_id = $1 and s.step_id = 'second'";
    let row = c
        .sql
        .query_one(asked, &[&run])
        .await
        .expect("the step is there");
    let git = checks::git().expect("git is there");
    let snapshots = Snapshots::new(&c.folder().join("bare-snapshots"), &git);
    let snapshots = snapshots.expect("the folder can be made");
    let request = Request {
        root: Some(c.environment.allowed.join("shop")),
        base: None,
        documents: Vec::new(),
        limits: Limits::default(),
    };
    let snapshot = snapshots
        .get(1, &request)
        .await
        .expect("a snapshot can be taken");
    Question {
        persona: row.get(0),
        prompt: row.get(1),
        snapshot: snapshot.path.clone(),
    }
}

/// Milliseconds on the scripted model's clock.
fn on_models_clock(c: &Conductor, at: Instant) -> f64 {
    c.model.control().elapsed_ms() as f64 - at.elapsed().as_secs_f64() * 1000.0
}

/// The course of what was asked of the model between two of its times.
fn course(c: &Conductor, from: f64, to: f64) -> Course {
    let records = c.model.control().records();
    let ours = records
        .iter()
        .filter(|record| record.started_ms as f64 >= from && (record.started_ms as f64) <= to);
    let times: Vec<(u64, u64)> = ours
        .map(|record| {
            (
                record.started_ms,
                record.ended_ms.unwrap_or(record.started_ms),
            )
        })
        .collect();
    let asked = times.iter().map(|(start, _)| *start).min();
    let answered = times.iter().map(|(_, end)| *end).max();
    Course {
        total: to - from,
        asked: asked.expect("the model was asked"),
        answered: answered.expect("the model was asked"),
    }
}

fn timed(c: &Conductor, (began, took): (Instant, Duration)) -> Course {
    let from = on_models_clock(c, began);
    course(c, from, from + took.as_secs_f64() * 1000.0)
}

/// The second step of a run, how long its first took, and what of the second is the worker's.
async fn through_worker(c: &Conductor) -> (Course, f64, Added) {
    let launch = Launch::new("pair", "What is a lease here?").on("shop");
    let run = c.launch(launch).await;
    // Looking takes processor time too, and nothing measured depends on when the end is seen.
    let end = Instant::now() + VERY_LONG;
    while c.status(run).await.0 == "running" {
        assert!(Instant::now() < end, "run {run} does not end");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let times = "select extract(epoch from t.started_at)::float8 * 1000, extract(epoch from t.ended_at)::float8 * 1000
        from flow_steps s join tasks t on t.id = s.task_id where s.run_id = $1 and t.attempt = 1 order by s.step_id";
    let rows = c
        .sql
        .query(times, &[&run])
        .await
        .expect("the steps are there");
    let [first, second] = &rows[..] else {
        panic!("two steps, one attempt each: {rows:?}");
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    let offset = c.model.control().elapsed_ms() as f64 - now.as_secs_f64() * 1000.0;
    let of = |row: &tokio_postgres::Row| -> (f64, f64) { (row.get(0), row.get(1)) };
    let ((begin, end), (from, to)) = (of(first), of(second));
    let course = course(c, from + offset, to + offset);
    (course, end - begin, Added::to(c, run, "second").await)
}

async fn large(options: &Options, section: &mut Section) {
    let files = options.scaled(FILES);
    section.note(format!(
        "The large repository has {files} tracked files, and {AGENTS} agents of each run read it; the floor copies it with cp -R."
    ));
    let mut c = Setup::new()
        .slots(u32::try_from(AGENTS).unwrap_or(4))
        .script(reply())
        .begin()
        .await;
    let root = c.environment.allowed.join("large");
    fill(&root, files);
    c.register("large", &root).await;
    let names: Vec<String> = (0..AGENTS)
        .map(|number| format!("agent-{number}"))
        .collect();
    let steps: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "research-analyst"))
        .collect();
    c.define("wide", &steps).await;
    let (mut pairs, mut counts) = (Vec::new(), Vec::new());
    for _ in 0..options.repeats.min(MOST_SNAPSHOTS) {
        let run = c
            .launch(Launch::new("wide", "What is there?").on("large"))
            .await;
        c.completed(run, VERY_LONG).await;
        let taken = taken(&c, run, files);
        counts.push(taken.len() as f64);
        pairs.push((taken[0], copy(&root, &c.folder().join("copy"))));
    }
    let figures = &mut section.figures;
    let name = format!("snapshot of {files} files");
    figures.push(Figure::beside(name, "s", &pairs));
    let name = format!("snapshots taken for a run of {AGENTS} agents");
    figures.push(Figure::alone(name, "", counts).target(Target::AtMost(1.0)));
    let wrong = c.end().await;
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn fill(root: &Path, files: usize) {
    let repository = Repository::create(root);
    for number in 0..files {
        let path = format!("part-{}/module_{number}.py", number / FILES_PER_FOLDER);
        let line = format!("def number_{number}():\n    return {number}\n\n");
        repository.write(&path, &line.repeat(20));
    }
    repository.commit("Everything");
}

/// Seconds that each snapshot of a run took, as the worker's log says.
fn taken(c: &Conductor, run: i64, files: usize) -> Vec<f64> {
    let log = std::fs::read_to_string(c.environment.log()).expect("the worker's log can be read");
    let of_run = format!("snapshot taken run={run} files={files} ");
    let lines = log.lines().filter(|line| line.contains(&of_run));
    let seconds = lines.filter_map(|line| {
        line.split_once("seconds=\"")?
            .1
            .split('"')
            .next()?
            .parse()
            .ok()
    });
    let seconds: Vec<f64> = seconds.collect();
    assert!(!seconds.is_empty(), "no snapshot of run {run}: {log}");
    seconds
}

/// Seconds that copying everything takes.
fn copy(from: &Path, to: &Path) -> f64 {
    let began = Instant::now();
    let copied = std::process::Command::new("cp")
        .arg("-R")
        .arg(from)
        .arg(to)
        .status();
    assert!(copied.is_ok_and(|status| status.success()), "cp -R fails");
    let took = began.elapsed().as_secs_f64();
    std::fs::remove_dir_all(to).expect("the copy can be removed");
    took
}
