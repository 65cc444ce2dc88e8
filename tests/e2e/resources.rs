//! Resources of the worker's machine run out: nothing fails for what others took, the status says why, and it goes on by
//! itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::shortage::{self, SmallDisk};
use conductor_tests::harness::{Conductor, Launch, Repository, Setup, processes};
use conductor_tests::scripted::{Part, Reply, Rule, Script};

const SOON: Duration = Duration::from_secs(30);
const MIB: u64 = 1 << 20;

/// Starts a worker whose state folder is a disk of this size; where that folder can be seen.
fn start_on(c: &mut Conductor, bytes: u64, full: bool) -> PathBuf {
    c.environment.disk = Some(SmallDisk { bytes, full });
    c.start_worker();
    let state = c.environment.state();
    shortage::seen_by(c.worker().pid(), &state)
}

async fn is_fit(c: &Conductor) {
    c.until("the worker is fit", SOON, async |c: &Conductor| {
        let row = c
            .sql
            .query_opt("select 1 from workers where healthy", &[])
            .await;
        row.unwrap().map(drop)
    })
    .await;
}

/// Waits until `flow_status` says all of these words of one run.
async fn status_says(c: &Conductor, run: i64, words: &[&str]) {
    let what = format!("flow_status says {words:?}");
    c.until(&what, SOON, async |c: &Conductor| {
        let query = "select string_agg(s.doing, ' ') from flow_status($1) s";
        let said: Option<String> = c.sql.query_one(query, &[&run]).await.unwrap().get(0);
        let said = said.unwrap_or_default();
        words.iter().all(|word| said.contains(word)).then_some(())
    })
    .await;
}

/// No attempt was lost to it: everything was done by the first that counted.
async fn cost_nothing(c: &Conductor, run: i64) {
    for step in c.steps(run).await {
        assert!(step.attempts <= 1, "{step:?}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn log(c: &Conductor) -> String {
    std::fs::read_to_string(c.environment.log()).unwrap_or_default()
}

/// How long the worker has paused each time, in seconds.
fn pauses(log: &str) -> Vec<f64> {
    let lines = log
        .lines()
        .filter(|line| line.contains("no tasks are taken for a while"));
    let seconds = lines.filter_map(|line| line.split_once("seconds=")?.1.split(' ').next());
    seconds
        .map(|text| text.parse().expect("a number of seconds"))
        .collect()
}

/// A repository of so many files of a MiB each.
async fn large_project(c: &Conductor, name: &str, files: usize) -> Repository {
    let repository = c.shop(name).await;
    let line = "0123456789abcde\n";
    for number in 0..files {
        repository.write(
            &format!("data/{number}.txt"),
            &line.repeat(MIB as usize / line.len()),
        );
    }
    repository
}

#[test]
fn a_project_larger_than_what_is_left_of_the_disk_fails_and_holds_nobody_up() {
    let setup = Setup::new().without_worker();
    let setup = setup.settings("retry_backoff = '100 milliseconds'");
    setup.run(async |c| {
        large_project(c, "large", 16).await;
        let state = start_on(c, 96 * MIB, false);
        is_fit(c).await;
        shortage::fill(&state, 8 * MIB);
        let run = c
            .launch(Launch::new("research", "Is it so?").on("large"))
            .await;
        assert_eq!(c.ended(run, LONG).await.0, "failed");
        let step = c.step(run, "codebase").await;
        let error = step.error.unwrap_or_default();
        assert_eq!(step.attempts, 2, "it counts: {error}");
        for words in [
            "the project is larger than what is left in the state folder",
            "No space left on device",
            c.environment.state().to_str().unwrap(),
        ] {
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(
            names(&state.join("snapshots")),
            [""; 0],
            "what was taken half is removed"
        );
        let other = c.launch(Launch::new("research", "Is it so?")).await;
        c.completed(other, LONG).await;
        cost_nothing(c, other).await;
        assert_eq!(pauses(&log(c)), [0.0; 0]);
        shortage::make_room(&state);
        c.sql
            .execute("select flow_retry($1)", &[&run])
            .await
            .unwrap();
        c.completed(run, LONG).await;
    });
}

#[test]
fn a_disk_that_others_fill_while_it_works_is_waited_for() {
    Setup::new().without_worker().run(async |c| {
        large_project(c, "large", 2).await;
        let state = start_on(c, 64 * MIB, false);
        is_fit(c).await;
        shortage::fill(&state, 0);
        let run = c
            .launch(Launch::new("research", "Is it so?").on("large"))
            .await;
        let folder = c.environment.state();
        let words = [folder.to_str().unwrap(), "No space left on device"];
        status_says(c, run, &words).await;
        let pauses = pauses(&log(c));
        assert!(pauses.first().is_some_and(|s| *s >= 1.0), "{pauses:?}");
        assert_eq!(c.status(run).await.0, "running");
        assert!(
            c.model.control().records().is_empty(),
            "no child was started"
        );
        shortage::make_room(&state);
        c.completed(run, LONG).await;
        cost_nothing(c, run).await;
    });
}

#[test]
fn a_state_folder_that_is_full_from_the_start_is_named_until_there_is_room() {
    Setup::new().without_worker().run(async |c| {
        let state = start_on(c, 64 * MIB, true);
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        let folder = c.environment.state();
        let words = [
            "no worker is fit",
            "state folder",
            folder.to_str().unwrap(),
            "No space left on device",
            "--state-dir",
        ];
        status_says(c, run, &words).await;
        assert!(c.model.control().records().is_empty());
        shortage::make_room(&state);
        c.completed(run, LONG).await;
        cost_nothing(c, run).await;
    });
}

/// The agent's first request is held and then refused, for good.
fn refused_once() -> Script {
    let refused = Reply {
        hold: Reply::held("gate").hold,
        ..Reply::status(400)
    };
    Script::of([Rule::persona("research-analyst", [refused]).times(1)])
}

#[test]
fn a_child_that_fails_on_a_full_disk_is_not_held_against_its_step() {
    let setup = Setup::new().script(refused_once()).without_worker();
    setup.run(async |c| {
        let state = start_on(c, 64 * MIB, false);
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        shortage::fill(&state, 0);
        c.model.control().release(Some("gate"));
        let folder = c.environment.state();
        let words = [folder.to_str().unwrap(), "No space left on device"];
        status_says(c, run, &words).await;
        assert_eq!(c.status(run).await.0, "running");
        shortage::make_room(&state);
        c.completed(run, LONG).await;
        cost_nothing(c, run).await;
    });
}

#[test]
fn a_child_that_fills_the_disk_by_itself_fails_for_that_and_is_tried_again() {
    let setup = Setup::new().script(refused_once()).without_worker();
    let setup = setup.settings("retry_backoff = '100 milliseconds'");
    setup.run(async |c| {
        let state = start_on(c, 64 * MIB, false);
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        c.held("gate", LONG).await;
        let jobs = names(&state.join("jobs"));
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        // Where a child may write, and what is removed with it.
        shortage::fill(&state.join("jobs").join(&jobs[0]).join("home"), 0);
        c.model.control().release(Some("gate"));
        c.completed(run, LONG).await;
        assert_eq!(c.step(run, "sources").await.attempts, 2, "it counts");
        let frames = c.frames(run).await;
        let told = frames.iter().any(|(kind, frame)| {
            let message = frame["message"].as_str().unwrap_or_default();
            kind == "error"
                && frame["retried"] == true
                && message.contains("No space left on device")
        });
        assert!(told, "{frames:?}");
    });
}

#[test]
fn a_state_folder_that_is_cleared_away_under_the_worker_is_made_again() {
    let held = Reply::parts([Part::stall("gate"), Part::Default]);
    let script = Script::of([Rule::persona("research-analyst", [held]).turn(1).times(1)]);
    Setup::new().script(script).slots(1).run(async |c| {
        c.shop("shop").await;
        let run = c
            .launch(
                Launch::new("research", "Is it so?")
                    .on("shop")
                    .band("medium"),
            )
            .await;
        c.held("gate", LONG).await;
        std::fs::remove_dir_all(c.environment.state()).unwrap();
        c.model.control().release(Some("gate"));
        c.completed(run, LONG).await;
        cost_nothing(c, run).await;
        let report = c.report(run).await;
        assert!(
            !report.contains("changed during the run"),
            "the same was read again:\n{report}"
        );
        let another = c.environment.run(&["worker"], SOON);
        assert_eq!(
            another.status.code(),
            Some(2),
            "the new folder is taken as the old one was: {another:?}"
        );
    });
}

#[test]
fn too_few_open_files_are_named_and_nothing_is_taken() {
    Setup::new().without_worker().run(async |c| {
        c.environment.open_files = Some(40);
        c.start_worker();
        let run = c.launch(Launch::new("research", "Is it so?")).await;
        status_says(c, run, &["no worker is fit", "open files", "LimitNOFILE"]).await;
        let doctor = c.environment.run(&["doctor"], SOON);
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(
            !doctor.status.success() && said.contains("LimitNOFILE"),
            "{said}"
        );
        assert!(c.model.control().records().is_empty());
        for command in ["worker", "doctor"] {
            c.environment.open_files = Some(8);
            let begun = c.environment.run(&[command], SOON);
            let said = String::from_utf8_lossy(&begun.stderr).into_owned();
            assert_eq!(begun.status.code(), Some(2), "{said}");
            assert!(
                said.contains("LimitNOFILE") && !said.contains("panicked"),
                "{said}"
            );
        }
        c.stop_worker();
        c.environment.open_files = None;
        c.start_worker();
        c.completed(run, LONG).await;
        cost_nothing(c, run).await;
    });
}

#[test]
fn open_files_that_run_out_while_it_works_leave_nothing_out_of_what_agents_read() {
    Setup::new().run(async |c| {
        let shop = c.shop("shop").await;
        shop.write(".gitignore", "secret.txt\n");
        shop.write("secret.txt", "the password\n");
        is_fit(c).await;
        shortage::exhaust_open_files(c.worker().pid());
        let run = c
            .launch(Launch::new("research", "Is it so?").on("shop"))
            .await;
        c.completed(run, LONG).await;
        assert!(log(c).contains("Too many open files"), "they ran out");
        cost_nothing(c, run).await;
        let query =
            "select coalesce(commit, ''), snapshot_notes::text from flow_runs where id = $1";
        let row = c.sql.query_one(query, &[&run]).await.unwrap();
        let (commit, notes): (String, String) = (row.get(0), row.get(1));
        assert_eq!(
            commit,
            shop.head(),
            "it was read as the repository that it is: {notes}"
        );
        assert!(!notes.contains("unreadable"), "{notes}");
    });
}

#[test]
fn a_child_that_the_system_kills_is_tried_again() {
    let half = Reply::parts([Part::text("HALF"), Part::stall("gate")]);
    let script = Script::of([Rule::persona("research-analyst", [half]).times(1)]);
    Setup::new()
        .script(script)
        .settings("retry_backoff = '100 milliseconds'")
        .run(async |c| {
            let run = c.launch(Launch::new("research", "Is it so?")).await;
            c.held("gate", LONG).await;
            let worker = c.worker().pid();
            let state = c.environment.state();
            let all = conductor_tests::harness::worker::children(&state, worker);
            let child = all
                .iter()
                .find(|process| process.command.contains("--approval-mode=plan"));
            let child = child.unwrap_or_else(|| panic!("no child in {all:?}"));
            assert!(processes::signal(child.pid, libc::SIGKILL));
            c.completed(run, LONG).await;
            assert_eq!(c.step(run, "sources").await.attempts, 2);
        });
}

#[test]
fn what_a_killed_worker_left_in_its_folder_is_gone_when_it_is_back() {
    let held = Reply::parts([Part::stall("gate"), Part::Default]);
    let script = Script::of([Rule::persona("research-analyst", [held]).turn(1).times(1)]);
    Setup::new().script(script).run(async |c| {
        c.shop("shop").await;
        let run = c
            .launch(Launch::new("research", "Is it so?").on("shop"))
            .await;
        c.held("gate", LONG).await;
        let state = c.environment.state();
        let (snapshots, jobs) = (state.join("snapshots"), state.join("jobs"));
        c.kill_worker();
        let own = format!("run-{run}");
        assert!(names(&snapshots).contains(&own));
        let left = names(&jobs);
        assert!(!left.is_empty());
        // What it would have left in the middle of other work.
        for name in [
            format!("taking-{run}.0123456789abcdef"),
            "discarded-0123456789abcdef".into(),
            "run-999".into(),
        ] {
            std::fs::create_dir_all(snapshots.join(name).join("tree")).unwrap();
        }
        c.start_worker();
        c.completed(run, LONG).await;
        assert!(
            left.iter().all(|job| !names(&jobs).contains(job)),
            "{left:?}"
        );
        c.until("nothing is left of any run", SOON, async |_: &Conductor| {
            (names(&snapshots).is_empty() && names(&jobs).is_empty()).then_some(())
        })
        .await;
    });
}
