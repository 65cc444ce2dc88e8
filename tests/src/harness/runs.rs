//! Launching and watching runs, in SQL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_postgres::Error;

use super::Conductor;

/// How long a run with the real child may take on a slow machine.
pub const LONG: Duration = Duration::from_secs(120);

/// What `flow_launch` is given; the model always says that it is scripted.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    pub flow: &'a str,
    pub question: &'a str,
    pub project: Option<&'a str>,
    pub band: &'a str,
    pub fast: bool,
    pub input: Option<Value>,
    pub launch_key: Option<&'a str>,
}

/// A row of `flow_steps`.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub step_id: String,
    pub status: String,
    pub output: Option<String>,
    pub error: Option<String>,
    pub attempts: i32,
}

impl<'a> Launch<'a> {
    /// A small run of a flow without a project.
    pub fn new(flow: &'a str, question: &'a str) -> Self {
        Self {
            flow,
            question,
            project: None,
            band: "small",
            fast: false,
            input: None,
            launch_key: None,
        }
    }

    /// The same on a project.
    pub fn on(self, project: &'a str) -> Self {
        let project = Some(project);
        Self { project, ..self }
    }

    /// The same at another band.
    pub fn band(self, band: &'a str) -> Self {
        Self { band, ..self }
    }

    /// The same with input beside the question.
    pub fn input(self, input: Value) -> Self {
        let input = Some(input);
        Self { input, ..self }
    }

    /// Launches through this client, inside its transaction if it has one; the run's id.
    pub async fn with(&self, sql: &impl tokio_postgres::GenericClient) -> Result<i64, Error> {
        let row = sql
            .query_one(
                "select conductor.flow_launch($1, $2, project => $3, band => $4, fast => $5,
                    model => 'scripted-model', input => $6, launch_key => $7)",
                &[
                    &self.flow,
                    &self.question,
                    &self.project,
                    &self.band,
                    &self.fast,
                    &self.input,
                    &self.launch_key,
                ],
            )
            .await?;
        Ok(row.get(0))
    }
}

impl Conductor {
    /// Launches a run that is expected to start.
    pub async fn launch(&self, launch: Launch<'_>) -> i64 {
        launch.with(&self.sql).await.expect("the run is launched")
    }

    /// The status of a run and its error.
    pub async fn status(&self, run: i64) -> (String, Option<String>) {
        let row = self
            .sql
            .query_one("select status, error from flow_runs where id = $1", &[&run])
            .await
            .expect("the run is there");
        (row.get(0), row.get(1))
    }

    /// Waits until a run has ended; its status and error.
    pub async fn ended(&self, run: i64, limit: Duration) -> (String, Option<String>) {
        self.until(&format!("run {run} has ended"), limit, async |c: &Self| {
            let (status, error) = c.status(run).await;
            (status != "running").then_some((status, error))
        })
        .await
    }

    /// Waits until a run is completed; panics with its error if it ends in another way.
    pub async fn completed(&self, run: i64, limit: Duration) {
        let (status, error) = self.ended(run, limit).await;
        assert_eq!(status, "completed", "run {run}: {error:?}");
    }

    /// The steps of a run, in their order.
    pub async fn steps(&self, run: i64) -> Vec<Step> {
        let rows = self
            .sql
            .query(
                "select s.step_id, s.status, s.output, s.error, coalesce(t.attempt, 0)
                 from flow_steps s left join tasks t on t.id = s.task_id
                 where s.run_id = $1 order by s.position, length(s.step_id), s.step_id",
                &[&run],
            )
            .await
            .expect("the steps can be read");
        rows.iter()
            .map(|row| Step {
                step_id: row.get(0),
                status: row.get(1),
                output: row.get(2),
                error: row.get(3),
                attempts: row.get(4),
            })
            .collect()
    }

    /// One step of a run.
    pub async fn step(&self, run: i64, step_id: &str) -> Step {
        let steps = self.steps(run).await;
        let found = steps.iter().find(|step| step.step_id == step_id);
        found
            .unwrap_or_else(|| panic!("no step {step_id} in {steps:?}"))
            .clone()
    }

    /// Waits until a step has this status.
    pub async fn step_is(&self, run: i64, step_id: &str, status: &str, limit: Duration) {
        let what = format!("step {step_id} of run {run} is {status}");
        self.until(&what, limit, async |c: &Self| {
            (c.step(run, step_id).await.status == status).then_some(())
        })
        .await;
    }

    /// The full output of a step, as people read it.
    pub async fn output(&self, run: i64, step_id: &str) -> String {
        let row = self
            .sql
            .query_one("select flow_step_output($1, $2)", &[&run, &step_id])
            .await
            .expect("the output can be read");
        row.get::<_, Option<String>>(0)
            .unwrap_or_else(|| panic!("step {step_id} has no output"))
    }

    /// The report of a run.
    pub async fn report(&self, run: i64) -> String {
        let row = self.sql.query_one("select flow_report($1)", &[&run]).await;
        let report: Option<String> = row.expect("the report can be read").get(0);
        report.unwrap_or_else(|| panic!("run {run} has no report"))
    }

    /// The frames of a run: types and contents, in order.
    pub async fn frames(&self, run: i64) -> Vec<(String, Value)> {
        let rows = self
            .sql
            .query(
                "select seq, type, frame from flow_frames($1, 0, 1000000)",
                &[&run],
            )
            .await
            .expect("the frames can be read");
        rows.iter().map(|row| (row.get(1), row.get(2))).collect()
    }

    /// The messages of a run's error frames, and whether each says that another attempt follows.
    pub async fn told(&self, run: i64) -> Vec<(String, bool)> {
        let frames = self.frames(run).await;
        let errors = frames.iter().filter(|(kind, _)| kind == "error");
        errors
            .map(|(_, frame)| {
                let message = frame["message"].as_str().unwrap_or_default().to_owned();
                (message, frame["retried"] == true)
            })
            .collect()
    }

    /// Defines a flow of one's own whose steps, of one persona each, need nothing of each other.
    pub async fn define(&self, flow: &str, steps: &[(&str, &str)]) {
        let steps: Vec<Value> = steps
            .iter()
            .map(|(id, persona)| json!({"id": id, "persona": persona, "brief": "Look at it."}))
            .collect();
        let flow =
            json!({"name": flow, "category": "analysis", "description": "Looks.", "steps": steps});
        self.sql
            .execute("select flow_define($1)", &[&flow])
            .await
            .expect("the flow is in order");
    }

    /// The folder in which the running attempt of a step works.
    pub async fn job(&self, run: i64, step_id: &str) -> PathBuf {
        let row = self
            .sql
            .query_one(
                "select replace(t.lease::text, '-', '') from tasks t join flow_steps s on s.task_id = t.id
                 where s.run_id = $1 and s.step_id = $2 and t.state = 'running'",
                &[&run, &step_id],
            )
            .await
            .expect("the step runs");
        self.folder()
            .join("state/jobs")
            .join(row.get::<_, String>(0))
    }

    /// Waits until some of what the running attempt of a step says has reached the database.
    pub async fn has_streamed(&self, run: i64, step_id: &str, limit: Duration) {
        let what = format!("step {step_id} of run {run} has streamed something");
        self.until(&what, limit, async |c: &Self| {
            let streamed =
                "select exists (select from frames f join flow_steps s on s.task_id = f.task_id
                where s.run_id = $1 and s.step_id = $2 and f.type = 'delta')";
            let row = c.sql.query_one(streamed, &[&run, &step_id]).await;
            row.expect("the frames can be read")
                .get::<_, bool>(0)
                .then_some(())
        })
        .await;
    }

    /// Makes leases short from now on, and waits until each running task of a run has such a lease.
    pub async fn short_leases(&self, run: i64, seconds: i32) {
        let shorten = "update settings set lease = make_interval(secs => $1::int)";
        self.sql
            .execute(shorten, &[&seconds])
            .await
            .expect("the setting can be changed");
        let what = format!("the leases of run {run} last {seconds} s at most");
        self.until(&what, LONG, async |c: &Self| {
            let long = "select count(*) from tasks where run_id = $1 and state = 'running'
                and lease_expires_at > clock_timestamp() + make_interval(secs => $2::int)";
            let row = c.sql.query_one(long, &[&run, &seconds]).await;
            (row.expect("the tasks can be read").get::<_, i64>(0) == 0).then_some(())
        })
        .await;
    }

    /// Waits until the scripted model holds a request under this name.
    pub async fn held(&self, name: &str, limit: Duration) {
        let control = self.model.control();
        let held = control
            .wait_until(limit, |control| control.held().contains_key(name))
            .await;
        assert!(held, "nothing is held as {name} within {limit:?}");
    }
}

/// The places that a text cites as `path:line`, with the words quoted beside them.
pub fn citations(text: &str) -> Vec<(String, usize, String)> {
    let pattern = regex::Regex::new(r#"`([A-Za-z0-9_./-]+):(\d+)` "([^"]+)""#)
        .expect("the pattern is a constant");
    pattern
        .captures_iter(text)
        .filter_map(|found| {
            Some((
                found[1].to_owned(),
                found[2].parse().ok()?,
                found[3].to_owned(),
            ))
        })
        .collect()
}

/// Whether a cited line is in a file of this folder and holds the quoted words.
pub fn citation_holds(root: &Path, (path, line, words): &(String, usize, String)) -> bool {
    let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let found = text.lines().nth(line.wrapping_sub(1));
    found.is_some_and(|found| found.contains(words.as_str()))
}
