//! `conductor cancel`: a thin call of `flow_cancel`.

use clap::Args;
use tokio_postgres::types::Type;

use super::people::{Client, Problem};
use super::{DatabaseArgs, output};

/// Cancel a run
///
/// Its children are ended; what they had produced is kept. Cancelling twice, or after the end, changes nothing.
#[derive(Args, Debug)]
pub struct CancelArgs {
    #[command(flatten)]
    pub(super) database: DatabaseArgs,
    /// Number of the run
    run: i64,
}

/// Cancels and prints the run's status.
pub async fn run(mut client: Client, args: CancelArgs) -> Result<u8, Problem> {
    let row = client
        .row(
            "select conductor.flow_cancel($1)::text",
            &[(&args.run, Type::INT8)],
        )
        .await?;
    let status: Option<String> = row.try_get(0).map_err(crate::db::Failure::from)?;
    output::print(&format!(
        "run {} is {}\n",
        args.run,
        output::one_line(&status.unwrap_or_default())
    ));
    Ok(0)
}
