//! `conductor report`: a thin call of `flow_report`.

use std::io::IsTerminal;

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
    /// Form of the report; html is one page that loads nothing: conductor report 1 -f html > report.html
    #[arg(long, short, value_name = "FORMAT", default_value = "markdown", value_parser = ["markdown", "html", "json"])]
    format: String,
}

/// Prints the report: without terminal escapes to a terminal, to a file or a pipe exactly as it is.
pub async fn run(mut client: Client, args: ReportArgs) -> Result<u8, Problem> {
    let row = client
        .row(
            "select conductor.flow_report($1, $2)",
            &[(&args.run, Type::INT8), (&args.format, Type::TEXT)],
        )
        .await?;
    let report: String = row.try_get(0).map_err(crate::db::Failure::from)?;
    output::print(&printed(report, std::io::stdout().is_terminal()));
    Ok(0)
}

/// Programs get every byte; people get nothing that their terminal would obey.
fn printed(report: String, terminal: bool) -> String {
    if !terminal {
        return report;
    }
    let mut report = output::harmless(&report);
    if !report.ends_with('\n') {
        report.push('\n');
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_spared_and_a_pipe_gets_every_byte() {
        let report = "# Report\n\u{1b}]0;title\u{7}\u{9b}2J\u{202e}text\r".to_owned();
        assert_eq!(printed(report.clone(), false), report);
        assert_eq!(printed(report, true), "# Report\n2Jtext\n");
    }
}
