//! The roster where there is no terminal: one line for each change.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Seen;
use super::roster::took;
use super::status::Row;

/// What a step is doing changes with each tool call: a log needs it less often than a change of state.
const SHORTEST: Duration = Duration::from_secs(5);

/// Remembers what was told.
#[derive(Default)]
pub struct Log {
    told: HashMap<String, Told>,
    trouble: Option<String>,
    begun: bool,
}

struct Told {
    state: String,
    attempt: i32,
    doing: String,
    at: Instant,
}

impl Log {
    /// The lines for what is new.
    pub fn changes(&mut self, seen: &Seen, trouble: Option<&str>, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.begun {
            self.begun = true;
            lines.push(format!(
                "run {}: {}, {}",
                seen.run.id, seen.run.flow, seen.run.band
            ));
        }
        if let Some(trouble) = trouble
            && self.trouble.as_deref() != Some(trouble)
        {
            lines.push(trouble.to_owned());
        }
        self.trouble = trouble.map(str::to_owned);
        for row in &seen.rows {
            let former = self.told.get(&row.step_id);
            let moved = former.is_none_or(|f| f.state != row.state || f.attempt != row.attempt);
            let other = former.is_none_or(|f| f.doing != row.doing);
            let busy = row.state == "running"
                && other
                && former.is_some_and(|f| now.duration_since(f.at) >= SHORTEST);
            let stuck = row.state == "pending" && other && is_hindered(row);
            if !moved && !busy && !stuck {
                continue;
            }
            // A step that merely waits for its turn from the beginning is no news.
            if former.is_some() || row.state != "pending" || stuck {
                lines.push(line(row));
            }
            let told = Told {
                state: row.state.clone(),
                attempt: row.attempt,
                doing: row.doing.clone(),
                at: now,
            };
            self.told.insert(row.step_id.clone(), told);
        }
        lines
    }
}

/// Waits for something that will not come by itself, or only after a failure.
fn is_hindered(row: &Row) -> bool {
    !row.doing.is_empty() && !row.doing.starts_with("waits for ")
}

fn line(row: &Row) -> String {
    let persona = row
        .persona
        .as_deref()
        .map(|persona| format!(" ({persona})"))
        .unwrap_or_default();
    let attempt = if row.attempt > 1 {
        format!(", attempt {}", row.attempt)
    } else {
        String::new()
    };
    let elapsed = match row.elapsed {
        Some(elapsed) if row.is_settled() => format!(" after {}", took(elapsed)),
        _ => String::new(),
    };
    let tokens = if row.is_settled() && row.tokens > 0 {
        format!(", {} tokens", row.tokens)
    } else {
        String::new()
    };
    let doing = if row.doing.is_empty() {
        String::new()
    } else {
        format!(": {}", row.doing)
    };
    format!(
        "{}{persona} {}{elapsed}{attempt}{tokens}{doing}",
        row.step_id, row.state
    )
}

#[cfg(test)]
mod tests {
    use super::super::roster::tests::{row, seen};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_change_is_told_once() {
        let mut log = Log::default();
        let mut now = seen(vec![
            row("structure", "structural-analyst", "running"),
            row("fold", "", "pending"),
        ]);
        now.rows[0].doing = "thinks".into();
        let at = Instant::now();
        assert_eq!(
            log.changes(&now, None, at),
            [
                "run 7: architectural-analysis, medium",
                "structure (structural-analyst) running: thinks"
            ]
        );
        assert!(log.changes(&now, None, at).is_empty());
        now.rows[0].doing = "glob".into();
        assert!(
            log.changes(&now, None, at + Duration::from_secs(1))
                .is_empty()
        );
        assert_eq!(
            log.changes(&now, None, at + Duration::from_secs(6)),
            ["structure (structural-analyst) running: glob"]
        );
        now.rows[0] = row("structure", "structural-analyst", "completed");
        (now.rows[0].elapsed, now.rows[0].tokens) = (Some(75.0), 900);
        now.rows[1].state = "completed".into();
        assert_eq!(
            log.changes(&now, None, at + Duration::from_secs(7)),
            [
                "structure (structural-analyst) completed after 1m15s, 900 tokens",
                "fold completed"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn why_nothing_begins_is_told() {
        let mut log = Log::default();
        let mut now = seen(vec![row("a", "p", "pending"), row("b", "", "pending")]);
        now.rows[0].doing = "no worker is alive: start one with conductor worker".into();
        now.rows[1].doing = "waits for a".into();
        let told = log.changes(&now, None, Instant::now());
        assert_eq!(
            told[1..],
            ["a (p) pending: no worker is alive: start one with conductor worker"]
        );
        now.rows[0].doing = "waits for a free slot".into();
        assert!(log.changes(&now, None, Instant::now()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_attempt_and_trouble_are_told() {
        let mut log = Log::default();
        let mut now = seen(vec![row("a", "p", "running")]);
        let at = Instant::now();
        log.changes(&now, None, at);
        now.rows[0].attempt = 2;
        assert_eq!(
            log.changes(&now, Some("away"), at),
            ["away", "a (p) running, attempt 2"]
        );
        assert!(log.changes(&now, Some("away"), at).is_empty());
    }
}
