//! `conductor report`: a thin call of `flow_report`.

use clap::Args;
use tokio_postgres::types::Type;

use super::people::{Client, Problem};
use super::{DatabaseArgs, output};

/// Print the report of a run
///
/// Of a run that is not completed it is a partial report that says so.
#[derive(Args, Debug)]
pub struct ReportArgs {
    #[command(flatten)]
    pub(super) database: DatabaseArgs,
    /// Number of the run
    run: i64,
    /// Form of the report
    #[arg(long, short, value_name = "FORMAT", default_value = "markdown", value_parser = ["markdown", "json"])]
    format: String,
}

/// Prints the report without terminal escapes.
pub async fn run(mut client: Client, args: ReportArgs) -> Result<u8, Problem> {
    let row = client
        .row(
            "select conductor.flow_report($1, $2)",
            &[(&args.run, Type::INT8), (&args.format, Type::TEXT)],
        )
        .await?;
    let report: String = row.try_get(0).map_err(crate::db::Failure::from)?;
    let end = if report.ends_with('\n') { "" } else { "\n" };
    output::print(&format!("{}{end}", output::harmless(&report)));
    Ok(0)
}
