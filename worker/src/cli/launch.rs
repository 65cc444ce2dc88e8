//! `conductor launch`: a thin call of `flow_launch`.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use tokio_postgres::types::Type;

use super::people::{Client, Problem};
use super::{DatabaseArgs, output, watch};

/// Launch a run and print its number
#[derive(Args, Debug)]
pub struct LaunchArgs {
    #[command(flatten)]
    pub(super) database: DatabaseArgs,
    /// Flow, as SELECT * FROM flow_catalog() lists them
    flow: String,
    /// What the run should find out
    #[arg(required = true, num_args = 1..)]
    question: Vec<String>,
    /// Registered project to read
    #[arg(long, short, value_name = "NAME")]
    project: Option<String>,
    /// How many agents look at it
    #[arg(long, short, value_name = "BAND", default_value = "small", value_parser = ["small", "medium", "large"])]
    band: String,
    /// Take the flow's short cut
    #[arg(long)]
    fast: bool,
    /// Model, instead of the database's default
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// JSON file with further input, for instance {"documents": [{"name": "spec.md", "text": "…"}], "base": "main"}
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Launching twice with one key returns the first run
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Tokens that the run may use
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(i64).range(1..))]
    token_budget: Option<i64>,
    /// Follow the run to its end
    #[arg(long, short)]
    watch: bool,
}

/// Launches; 0, or with --watch what `conductor watch` returns.
pub async fn run(mut client: Client, args: LaunchArgs) -> Result<u8, Problem> {
    let input = args.input.as_deref().map(read_json).transpose()?;
    let row = client
        .row(
            "select conductor.flow_launch($1, $2, project => $3, band => $4, fast => $5, model => $6, input => $7, \
             launch_key => $8, token_budget => $9)",
            &[
                (&args.flow, Type::TEXT),
                (&args.question.join(" "), Type::TEXT),
                (&args.project, Type::TEXT),
                (&args.band, Type::TEXT),
                (&args.fast, Type::BOOL),
                (&args.model, Type::TEXT),
                (&input, Type::JSONB),
                (&args.key, Type::TEXT),
                (&args.token_budget, Type::INT8),
            ],
        )
        .await?;
    let run: i64 = row.try_get(0).map_err(crate::db::Failure::from)?;
    if args.watch {
        return watch::follow(client, run).await;
    }
    output::print(&format!("{run}\n"));
    eprintln!("run {run} is launched: conductor watch {run}");
    Ok(0)
}

fn read_json(path: &std::path::Path) -> Result<Value, Problem> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problem::Usage(format!("cannot read {}: {error}", path.display())))?;
    serde_json::from_str(&text)
        .map_err(|error| Problem::Usage(format!("{} is not JSON: {error}", path.display())))
}
