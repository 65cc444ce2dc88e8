//! The calls that append what children have done.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

use super::failure::{Failure, Refusal};
use super::session::Db;
use crate::events::Event;

/// One batch may wait for whoever writes to its run.
const ALONE_LIMIT: Duration = Duration::from_secs(300);
/// All together wait for nobody, and carry half a megabyte or so.
const TOGETHER_LIMIT: Duration = Duration::from_secs(60);

/// The events of one task, under its lease.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub task: i64,
    pub lease: Uuid,
    pub events: Arc<Vec<Event>>,
}

/// What became of one batch of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    Stored,
    /// Its lease is another's or nobody's: nothing was written.
    Stale,
    /// The server will not have these events, however often it is asked.
    Refused(String),
    /// Somebody was writing to its run: nothing was written, and the same call may succeed later.
    Busy,
}

impl Db {
    /// Appends events of one task; waits for whoever writes to its run.
    pub async fn stream(&self, parcel: &Parcel) -> Result<(), Failure> {
        self.session()
            .await?
            .rows(
                ALONE_LIMIT,
                "select conductor.task_stream($1, $2, $3)",
                &[
                    (&parcel.task, Type::INT8),
                    (&parcel.lease, Type::UUID),
                    (&Json(&*parcel.events), Type::JSONB),
                ],
            )
            .await?;
        Ok(())
    }

    /// Appends events of many tasks in one transaction and says of each what became of it, in the same order. A failure
    /// means that none was stored, or that nobody knows.
    pub async fn stream_together(&self, parcels: &[Parcel]) -> Result<Vec<Receipt>, Failure> {
        let tasks: Vec<i64> = parcels.iter().map(|parcel| parcel.task).collect();
        let leases: Vec<Uuid> = parcels.iter().map(|parcel| parcel.lease).collect();
        let events: Vec<Json<&Vec<Event>>> = parcels.iter().map(|it| Json(&*it.events)).collect();
        let rows = self
            .session()
            .await?
            .rows(
                TOGETHER_LIMIT,
                "select verdict, message from conductor.worker_stream($1, $2, $3) order by batch",
                &[
                    (&tasks, Type::INT8_ARRAY),
                    (&leases, Type::UUID_ARRAY),
                    (&events, Type::JSONB_ARRAY),
                ],
            )
            .await?;
        let receipts = rows
            .iter()
            .map(|row| receipt(row.try_get("verdict")?, row.try_get("message")?))
            .collect::<Result<Vec<_>, Failure>>()?;
        if receipts.len() == parcels.len() {
            Ok(receipts)
        } else {
            Err(unexpected(format!(
                "{} verdicts on {} batches",
                receipts.len(),
                parcels.len()
            )))
        }
    }
}

fn receipt(verdict: &str, message: Option<String>) -> Result<Receipt, Failure> {
    match verdict {
        "stored" => Ok(Receipt::Stored),
        "stale" => Ok(Receipt::Stale),
        "busy" => Ok(Receipt::Busy),
        "refused" => Ok(Receipt::Refused(message.unwrap_or_default())),
        other => Err(unexpected(format!("the verdict {other:?}"))),
    }
}

fn unexpected(what: String) -> Failure {
    Failure::Refused(Refusal {
        sqlstate: "XX000".into(),
        message: format!("the server's answer has another form than expected: {what}"),
        detail: None,
        hint: Some("check that worker and extension are of one version".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_has_its_receipt_and_no_other_is_taken_for_one() {
        assert_eq!(receipt("stored", None), Ok(Receipt::Stored));
        assert_eq!(receipt("stale", None), Ok(Receipt::Stale));
        assert_eq!(receipt("busy", None), Ok(Receipt::Busy));
        let refused = receipt("refused", Some("no array".into()));
        assert_eq!(refused, Ok(Receipt::Refused("no array".into())));
        let failure = receipt("kept", None).unwrap_err();
        assert!(
            !failure.is_passing() && failure.to_string().contains("kept"),
            "{failure}"
        );
    }
}
