//! A run and its steps as the server tells them, made harmless for a terminal.

use std::time::Duration;

use crate::cli::output::one_line;
use crate::db::Failure;

/// The run, of one number.
pub const RUN: &str = "select r ->> 'status' as status, r ->> 'flow_name' as flow, r ->> 'band' as band, \
     r ->> 'error' as error, extract(epoch from coalesce((r ->> 'ended_at')::timestamptz, clock_timestamp()) \
       - (r ->> 'created_at')::timestamptz)::float8 as elapsed \
     from (select conductor.flow_show($1) -> 'run' as r) shown";

/// Its steps, in plan order.
pub const ROWS: &str = "select step_id, persona, state, extract(epoch from elapsed)::float8 as elapsed, attempt, \
     doing, tokens, progress from conductor.flow_status($1)";

/// The run as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub id: i64,
    pub status: String,
    pub flow: String,
    pub band: String,
    /// Seconds since the launch, or from launch to end.
    pub elapsed: f64,
    pub error: Option<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub step_id: String,
    pub persona: Option<String>,
    pub state: String,
    /// Seconds since its start, or from start to end.
    pub elapsed: Option<f64>,
    pub attempt: i32,
    pub doing: String,
    pub tokens: i64,
    pub progress: String,
}

impl Run {
    pub fn from_row(id: i64, row: &tokio_postgres::Row) -> Result<Self, Failure> {
        let text = |name| {
            Ok::<_, Failure>(one_line(
                &row.try_get::<_, Option<String>>(name)?.unwrap_or_default(),
            ))
        };
        Ok(Run {
            id,
            status: text("status")?,
            flow: text("flow")?,
            band: text("band")?,
            elapsed: row
                .try_get::<_, Option<f64>>("elapsed")?
                .unwrap_or_default(),
            error: Some(text("error")?).filter(|error| !error.is_empty()),
        })
    }

    /// The same run a while later, as far as anybody knows.
    pub fn later(&self, since: Duration) -> Self {
        Run {
            elapsed: self.elapsed + since.as_secs_f64(),
            ..self.clone()
        }
    }

    pub fn is_over(&self) -> bool {
        self.status != "running"
    }
}

impl Row {
    pub fn from_row(row: &tokio_postgres::Row) -> Result<Self, Failure> {
        let text = |name| {
            Ok::<_, Failure>(one_line(
                &row.try_get::<_, Option<String>>(name)?.unwrap_or_default(),
            ))
        };
        Ok(Row {
            step_id: text("step_id")?,
            persona: Some(text("persona")?).filter(|persona| !persona.is_empty()),
            state: text("state")?,
            elapsed: row.try_get("elapsed")?,
            attempt: row
                .try_get::<_, Option<i32>>("attempt")?
                .unwrap_or_default(),
            doing: text("doing")?,
            tokens: row.try_get::<_, Option<i64>>("tokens")?.unwrap_or_default(),
            progress: text("progress")?,
        })
    }

    pub fn is_settled(&self) -> bool {
        !matches!(self.state.as_str(), "pending" | "running")
    }
}
