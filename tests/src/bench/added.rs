//! What the worker adds to a child, part by part: what a child itself takes differs more from one time to the next than
//! all of that is.

use std::process::{Command, Stdio};
use std::time::Instant;

use conductor_worker::sandbox::{Policy, Sandbox};

use super::figure::{Figure, Target};
use crate::harness::{Conductor, tools};

const SHELL: &str = "/bin/sh";

/// Milliseconds of one step that are the worker's alone.
#[derive(Debug, Clone, Copy)]
pub struct Added {
    /// From the claim to the start of the child.
    pub before: f64,
    /// From the child's end to the finish.
    pub after: f64,
    /// What confining a program takes.
    pub sandbox: f64,
}

impl Added {
    /// The parts of a run's step, by the clock that the server and the worker's log go by. The log holds its finest words.
    pub async fn to(c: &Conductor, run: i64, step: &str) -> Self {
        let log =
            std::fs::read_to_string(c.environment.log()).expect("the worker's log can be read");
        let said = |what: &str| {
            let of_step = format!("{what} run={run} step={step} ");
            let line = log.lines().find(|line| line.contains(&of_step));
            let line = line.unwrap_or_else(|| panic!("the worker does not say: {of_step}"));
            line.split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let parts = "select extract(epoch from $3::text::timestamptz - t.started_at)::float8 * 1000,
                extract(epoch from t.ended_at - $4::text::timestamptz)::float8 * 1000
            from flow_steps s join tasks t on t.id = s.task_id where s.run_id = $1 and s.step_id = $2";
        let (started, ended) = (said("child started"), said("child ended"));
        let row = c
            .sql
            .query_one(parts, &[&run, &step, &started, &ended])
            .await;
        let row = row.expect("the step is there");
        Added {
            before: row.get(0),
            after: row.get(1),
            sandbox: sandbox(c),
        }
    }

    fn sum(&self) -> f64 {
        self.before + self.after + self.sandbox
    }
}

/// The parts as figures, and their sum.
pub fn figures(found: &[Added]) -> [Figure; 4] {
    let each = |value: fn(&Added) -> f64| -> Vec<f64> { found.iter().map(value).collect() };
    [
        Figure::alone(
            "the worker's part: claim to start of the child",
            "ms",
            each(|a| a.before),
        ),
        Figure::alone(
            "the worker's part: end of the child to finish",
            "ms",
            each(|a| a.after),
        ),
        Figure::alone("the worker's part: the sandbox", "ms", each(|a| a.sandbox)),
        Figure::alone("the worker's part: sum", "ms", each(Added::sum))
            .target(Target::AtMost(50.0)),
    ]
}

/// A program that does nothing, confined and not.
fn sandbox(c: &Conductor) -> f64 {
    let helper = tools::conductor().unwrap_or_else(|missing| panic!("{missing}"));
    let sandbox = Sandbox::detect(Some(&helper)).expect("there is a sandbox");
    let policy = Policy {
        read: vec![c.folder().to_owned()],
        execute: vec![SHELL.into()],
        cwd: c.folder().to_owned(),
        stdin: "/dev/null".into(),
        ..Policy::default()
    };
    let arguments = ["-c", ":"];
    let confined = sandbox.command(&policy, SHELL.as_ref(), &arguments);
    let confined = confined.expect("a command can be made");
    let mut bare = Command::new(SHELL);
    bare.args(arguments).env_clear();
    timed(confined) - timed(bare)
}

fn timed(mut command: Command) -> f64 {
    let began = Instant::now();
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.expect("a shell can be started");
    // Its leash: held until it has ended.
    let leash = child.stdin.take();
    let status = child.wait().expect("it can be waited for");
    let took = began.elapsed().as_secs_f64() * 1000.0;
    drop(leash);
    assert!(status.success(), "{command:?}: {status}");
    took
}
