//! What a result cites is checked before it is delivered, while the snapshot is there.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Attempt, Verdict};
use crate::citations;
use crate::db::{Ended, Finish};
use crate::snapshot::Limits;

impl Attempt {
    /// Adds to a completed result which of its citations hold. A check that fails costs the result nothing.
    pub(super) async fn with_citations(&self, verdict: Verdict, snapshot: PathBuf) -> Verdict {
        match verdict {
            Verdict::Finish(finish) if finish.state == Ended::Completed => {
                let snapshot = self.claim.root.as_ref().map(|_| snapshot);
                Verdict::Finish(Box::new(checked(*finish, snapshot).await))
            }
            verdict => verdict,
        }
    }
}

/// Without a project there is nothing that could be cited.
async fn checked(finish: Finish, snapshot: Option<PathBuf>) -> Finish {
    let Some(snapshot) = snapshot else {
        let citations = Some(json!({"total": 0, "broken": []}));
        return Finish {
            citations,
            ..finish
        };
    };
    let output = Arc::new(finish.output.unwrap_or_default());
    let text = output.clone();
    let check = move || citations::check(&text, &snapshot, Limits::default().max_file_bytes);
    let citations: Option<Value> = match tokio::task::spawn_blocking(check).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the citations could not be checked");
            None
        }
        Err(error) => {
            tracing::error!(%error, "the check of the citations broke off");
            None
        }
    };
    Finish {
        output: Some(Arc::unwrap_or_clone(output)),
        citations,
        ..finish
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(output: &str) -> Finish {
        Finish {
            state: Ended::Completed,
            output: Some(output.to_owned()),
            error: None,
            usage: Value::Null,
            citations: None,
            retryable: false,
            note: None,
        }
    }

    #[tokio::test]
    async fn a_result_is_delivered_with_what_it_cites() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.rs"), "fn main() {}\n").unwrap();
        let text = "`a.rs:1` \"fn main() {}\" and `a.rs:2`";
        let found = checked(finish(text), Some(dir.path().to_owned())).await;
        assert_eq!(found.output.as_deref(), Some(text));
        let broken = json!([{"cited": "a.rs:2", "why": "the file has 1 line"}]);
        assert_eq!(found.citations, Some(json!({"total": 2, "broken": broken})));
    }

    #[tokio::test]
    async fn without_a_project_nothing_is_cited() {
        let found = checked(finish("`a.rs:1`"), None).await;
        assert_eq!(found.citations, Some(json!({"total": 0, "broken": []})));
        assert_eq!(found.output.as_deref(), Some("`a.rs:1`"));
    }

    #[tokio::test]
    async fn a_snapshot_that_is_gone_costs_the_result_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let found = checked(finish("`a.rs:1`"), Some(dir.path().join("gone"))).await;
        assert_eq!(found.output.as_deref(), Some("`a.rs:1`"));
        assert_eq!(found.citations, None);
    }
}
