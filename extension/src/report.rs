//! Reports of runs.

use crate::errors::internal;
use conductor_flows::{ReportData, report};
use pgrx::prelude::*;
use pgrx::{Json, JsonB};

/// The report of a run as Markdown, from what `_report_data` gives.
#[pg_extern(name = "_report_markdown", immutable)]
fn report_markdown(data: JsonB) -> String {
    let data: ReportData = internal("report data", data.0);
    report::markdown(&data)
}

/// The report of a run as JSON, from what `_report_data` gives.
#[pg_extern(name = "_report_json", immutable)]
fn report_json(data: JsonB) -> Json {
    let data: ReportData = internal("report data", data.0);
    Json(report::json(&data))
}
