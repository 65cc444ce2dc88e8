//! What was checked, defined on the server: all of it or nothing.

use tokio_postgres::types::Type;

use super::check::Checked;
use super::files::File;
use crate::cli::people::{Client, Problem};

const PERSONA: &str = "select exists (select from conductor.personas p where p.name = $1), \
     conductor.persona_define($1, $2, $3, $4)";
const FLOW: &str =
    "select exists (select from conductor.flows f where f.name = $1), conductor.flow_define($2)";

/// Defines personas and flows in one transaction, the personas first. Returns a line for each.
pub async fn add(
    client: &mut Client,
    checked: &Checked,
    files: &[File],
) -> Result<Vec<String>, Problem> {
    let mut lines = Vec::new();
    let mut under_way = None;
    let added = client
        .in_transaction(async |transaction| {
            for (at, persona) in &checked.personas {
                under_way = Some(*at);
                let row = transaction
                    .row(
                        PERSONA,
                        &[
                            (&persona.name, Type::TEXT),
                            (&persona.description, Type::TEXT),
                            (&persona.body, Type::TEXT),
                            (&persona.prefix, Type::TEXT),
                        ],
                    )
                    .await?;
                lines.push(line("persona", &persona.name, row.try_get(0)?));
            }
            for (at, flow) in &checked.flows {
                under_way = Some(*at);
                let row = transaction
                    .row(
                        FLOW,
                        &[(&flow.name(), Type::TEXT), (&flow.to_json(), Type::JSONB)],
                    )
                    .await?;
                lines.push(line("flow", flow.name(), row.try_get(0)?));
            }
            under_way = None;
            Ok(())
        })
        .await;
    match (added, under_way) {
        (Ok(()), _) => Ok(lines),
        (Err(failure), None) => Err(failure.into()),
        (Err(failure), Some(at)) => Err(Problem::OfFile(Box::new((
            files[at].shown.clone(),
            failure,
        )))),
    }
}

fn line(what: &str, name: &str, replaced: bool) -> String {
    if replaced {
        format!("{what} {name} is replaced; runs under way keep what they were launched with\n")
    } else {
        format!("{what} {name} is defined\n")
    }
}
