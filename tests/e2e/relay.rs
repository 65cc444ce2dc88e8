//! The relay between child and model: who gets to know the key, what is counted, and when it is enough.

mod front;

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use conductor_tests::harness::runs::LONG;
use conductor_tests::harness::{Conductor, Launch, Setup, processes, tools};
use conductor_tests::scripted::{Part, Reply, Rule, Script, ToolCall};
use serde_json::{Value, json};

use front::Front;

const KEY: &str = "sk-recognisable-7d1f4b20c95e83a6";

/// A server in front of the model, and a worker that has this key for it.
async fn with_front(c: &mut Conductor) -> Front {
    let front = Front::start(c.model.address()).await;
    c.environment.model_url = front.base_url.clone();
    c.environment.key = KEY.to_owned();
    c.environment.log_level = "trace".to_owned();
    c.start_worker();
    c.said("self-check passed", 1, LONG * 3).await;
    c.define("one", &[("look", "research-analyst")]).await;
    front
}

#[track_caller]
fn holds_no_key(what: &str, bytes: &[u8]) {
    let found = bytes
        .windows(KEY.len())
        .any(|window| window == KEY.as_bytes());
    assert!(!found, "the key is in {what}");
}

/// Every file below a folder; how many there are.
#[track_caller]
fn no_file_holds_the_key(folder: &Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            files += no_file_holds_the_key(&path);
        } else if kind.is_file() {
            holds_no_key(
                &path.display().to_string(),
                &std::fs::read(&path).unwrap_or_default(),
            );
            files += 1;
        }
    }
    files
}

#[test]
fn the_key_reaches_the_models_server_and_nobody_else() {
    let script = Script::of([Rule::persona(
        "research-analyst",
        [Reply::parts([Part::stall("gate"), Part::Default])],
    )
    .times(1)]);
    Setup::new().without_worker().script(script).run(async |c| {
        let front = with_front(c).await;
        let run = c.launch(Launch::new("one", "Is it so?")).await;
        c.held("gate", LONG).await;

        // While the child runs: its processes and its folder.
        let job = c.job(run, "look").await;
        let (mut dummies, mut ports) = (Vec::new(), Vec::new());
        let found = processes::of_folder(&job);
        for process in &found {
            for file in ["environ", "cmdline"] {
                let path = format!("/proc/{}/{file}", process.pid);
                let text = std::fs::read(&path).unwrap_or_default();
                holds_no_key(&path, &text);
                let text = String::from_utf8_lossy(&text).into_owned();
                let variable = |name: &str| {
                    let value = text.split('\0').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
                    value.map(str::to_owned)
                };
                dummies.extend(variable("OPENAI_API_KEY"));
                ports.extend(variable("OPENAI_BASE_URL"));
            }
        }
        assert!(found.len() >= 2, "helper and node: {found:?}");
        assert!(!dummies.is_empty() && dummies.iter().all(|key| key.starts_with("conductor-")), "{dummies:?}");
        assert!(no_file_holds_the_key(&job) > 3, "the folder of a child that runs");

        // The kernel lets the child connect to its relay and to nothing else.
        let port = ports[0].rsplit_once(':').unwrap().1.strip_suffix("/v1").unwrap();
        assert!(!front.base_url.contains(port));
        let allowed = format!("\"connect\":[{port}]");
        assert!(found.iter().any(|process| process.command.contains(&allowed)), "{allowed}: {found:?}");

        c.model.control().release(None);
        c.completed(run, LONG).await;

        // A server that echoes the key with its refusal.
        let body = json!({"error": {"message": format!("incorrect key {KEY}"), "key": KEY}}).to_string();
        front.refuse(format!(
            "HTTP/1.1 401 No\r\ncontent-type: application/json\r\nx-key: {KEY}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ));
        let refused = c.launch(Launch::new("one", "Is it so again?")).await;
        let (status, _) = c.ended(refused, LONG).await;
        let error = c.step(refused, "look").await.error.unwrap_or_default();
        assert_eq!((status.as_str(), error.as_str()), ("failed", "the model's server: 401 incorrect key [key]"));

        let seen = format!("authorization: Bearer {KEY}\r\n");
        let heads = front.heads();
        assert!(heads.len() >= 2 && heads.iter().all(|head| head.contains(&seen)), "{heads:?}");
        assert!(heads.iter().all(|head| dummies.iter().all(|dummy| !head.contains(dummy))));

        // What stays: every table, the frames, the reports, the log at its most talkative, the worker's folder.
        for run in [run, refused] {
            holds_no_key("the report", c.report(run).await.as_bytes());
            holds_no_key("the frames", format!("{:?}", c.frames(run).await).as_bytes());
        }
        let dump = tools::postgres_programs().unwrap_or_else(|missing| panic!("{missing}")).join("pg_dump");
        let dump = Command::new(dump).args(["-d", &c.cluster.url(&c.database)]).output().unwrap();
        assert!(dump.status.success(), "{dump:?}");
        assert!(String::from_utf8_lossy(&dump.stdout).contains("incorrect key [key]"), "the tables are in the dump");
        holds_no_key("the tables", &dump.stdout);
        let log = std::fs::read(c.environment.log()).unwrap();
        assert!(String::from_utf8_lossy(&log).contains("DEBUG"), "the log is talkative");
        holds_no_key("the log", &log);
        no_file_holds_the_key(c.folder());
        let doctor = c.environment.run(&["doctor"], LONG);
        holds_no_key("what doctor says", &[doctor.stdout, doctor.stderr].concat());
    });
}

/// Tokens of a task's attempts, all in all, and of its run.
async fn tokens(c: &Conductor, run: i64) -> (i64, i64) {
    let query = "select t.cost_tokens, r.total_tokens from tasks t join flow_runs r on r.id = t.run_id where r.id = $1";
    let row = c.sql.query_one(query, &[&run]).await.unwrap();
    (row.get(0), row.get(1))
}

/// What the model's own answers say that they cost.
fn told(answers: &str) -> i64 {
    let lines = answers
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let usages = lines.filter_map(|line| {
        serde_json::from_str::<Value>(line).ok()?["usage"]["total_tokens"].as_i64()
    });
    usages.sum()
}

fn looks_around() -> Reply {
    Reply::parts([Part::ToolCalls(vec![ToolCall {
        name: "glob".into(),
        arguments: json!({"pattern": "*", "path": "{snapshot}"}),
    }])])
}

#[test]
fn the_tokens_of_a_run_are_those_that_the_server_has_told_also_of_a_child_that_died() {
    Setup::new()
        .without_worker()
        .settings("max_attempts = 1")
        .run(async |c| {
            let front = with_front(c).await;
            c.model
                .control()
                .set_script(Script::of([Rule::any([looks_around()]).times(1)]));
            let run = c.launch(Launch::new("one", "Is it so?")).await;
            c.completed(run, LONG).await;
            let complete = told(&front.answers());
            assert!(complete > 0);
            assert_eq!(tokens(c, run).await, (complete, complete));
            let frames = c.frames(run).await;
            let last = frames.iter().rev().find(|(kind, _)| kind == "usage");
            assert_eq!(
                last.unwrap().1["total_tokens"],
                complete,
                "those who watch are told the same"
            );

            let held = Reply::parts([Part::text("half a sentence"), Part::stall("gate")]);
            let script = Script::of([Rule::any([looks_around()]).times(1), Rule::any([held])]);
            c.model.control().set_script(script);
            let run = c.launch(Launch::new("one", "Is it so again?")).await;
            c.held("gate", LONG).await;
            let job = c.job(run, "look").await;
            for process in processes::of_folder(&job) {
                processes::signal(process.pid, libc::SIGKILL);
            }
            assert_eq!(c.ended(run, LONG).await.0, "failed");
            let both = told(&front.answers());
            assert!(both > complete, "its first turn was complete");
            assert_eq!(tokens(c, run).await.0, both - complete);
        });
}

#[test]
fn a_limit_that_the_server_says_lasts_ends_the_attempt_at_once_and_the_database_tries_again() {
    Setup::new()
        .without_worker()
        .settings("retry_backoff = '100 milliseconds'")
        .run(async |c| {
            let front = with_front(c).await;
            let body = json!({"error": {"message": "come back in an hour"}}).to_string();
            front.refuse(format!(
                "HTTP/1.1 429 No\r\ncontent-type: application/json\r\nretry-after: 3600\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            ));
            let began = Instant::now();
            let run = c.launch(Launch::new("one", "Is it so?")).await;
            assert_eq!(c.ended(run, LONG).await.0, "failed");
            let step = c.step(run, "look").await;
            let said = "the model's server answered 429 once: come back in an hour; it asks to wait 3600 s";
            assert_eq!((step.attempts, step.error.as_deref()), (2, Some(said)));
            assert_eq!(front.heads().len(), 2, "one request each");
            assert!(began.elapsed() < Duration::from_secs(60), "the child would have waited an hour");
        });
}

#[test]
fn a_worker_that_dies_leaves_no_core_file() {
    Setup::new().without_worker().run(async |c| {
        let mut command = c.environment.command(&["worker"]);
        let file = std::fs::File::create(c.environment.log()).unwrap();
        command.stderr(file.try_clone().unwrap()).stdout(file);
        let unlimited = libc::rlimit {
            rlim_cur: libc::RLIM_INFINITY,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: setrlimit is safe to call between fork and exec. Where it is refused there is a limit already.
        unsafe {
            command.pre_exec(move || {
                libc::setrlimit(libc::RLIMIT_CORE, &raw const unlimited);
                Ok(())
            });
        }
        let mut worker = command.spawn().unwrap();
        c.said("self-check passed", 1, LONG).await;
        assert!(processes::signal(worker.id().cast_signed(), libc::SIGABRT));
        let status = worker.wait().unwrap();
        assert_eq!(
            (status.signal(), status.core_dumped()),
            (Some(libc::SIGABRT), false)
        );
    });
}
