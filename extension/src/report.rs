//! Reports of runs.

use crate::errors::internal;
use conductor_flows::{ReportData, graph, report};
use pgrx::prelude::*;
use pgrx::{Json, JsonB};

/// The report of a run as Markdown, from what `_report_data` gives.
#[pg_extern(name = "_report_markdown", immutable)]
fn report_markdown(data: JsonB, outputs: Vec<Option<String>>) -> String {
    let data = report_data(data, outputs);
    report::markdown(&data)
}

/// The report of a run as JSON, from what `_report_data` gives.
#[pg_extern(name = "_report_json", immutable)]
fn report_json(data: JsonB, outputs: Vec<Option<String>>) -> Json {
    let data = report_data(data, outputs);
    Json(report::json(&data))
}

/// The report of a run as one HTML page, from what `_report_data` gives.
#[pg_extern(name = "_report_html", immutable)]
fn report_html(data: JsonB, outputs: Vec<Option<String>>) -> String {
    let data = report_data(data, outputs);
    report::html(&data)
}

/// The steps of a run and what they need, from what `_report_data` gives without outputs; `format` is mermaid or svg.
#[pg_extern(name = "_run_graph", immutable)]
fn run_graph(data: JsonB, format: &str) -> String {
    let data = report_data(data, Vec::new());
    match format {
        "svg" => graph::svg(&data),
        _ => graph::mermaid(&data),
    }
}

/// What SQL knows of a run, and the outputs of its steps, which it hands over beside it.
fn report_data(data: JsonB, outputs: Vec<Option<String>>) -> ReportData {
    let mut data: ReportData = internal("report data", data.0);
    for (step, output) in data.steps.iter_mut().zip(outputs) {
        step.output = output;
    }
    data
}
