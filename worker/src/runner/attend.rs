//! The life of a child: read, pass on, watch the clocks, judge.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::assessed::assessed;
use super::clocks::{Clocks, Expired};
use super::deliver::{self, Order, ordered};
use super::flood::Flood;
use super::{Attempt, GRACE, Halt, SHORT_GRACE, Verdict, usage_json};
use crate::child::Child;
use crate::db::{Ended, Finish};
use crate::events::{Event, Outcome, Parser, ParserOptions, Usage};
use crate::relay::{Metered, Relay};
use crate::streams::Outbox;

/// How long a child may live on after it has closed its output.
const LINGER: Duration = Duration::from_secs(10);

/// Why reading came to an end.
enum Finding {
    /// The child closed its output, or the parser has seen something that must not go on.
    Over,
    Expired(String),
    /// This machine lacks something.
    Unfit(String),
    Flooded(String),
    Unreadable(std::io::Error),
}

impl Attempt {
    /// Reads the child to its end and says what the attempt came to. The child is ended on every path, and so is its
    /// relay.
    pub(super) async fn attend(
        &mut self,
        child: &mut Child,
        relay: Relay,
        snapshot: PathBuf,
    ) -> Verdict {
        let limits = self.claim.limits;
        let max_output_bytes = usize::try_from(limits.max_output_bytes).unwrap_or(usize::MAX);
        let mut parser = Parser::new(ParserOptions {
            snapshot: Some(snapshot),
            // The output comes back in one line, with quotes and line ends escaped.
            max_line_bytes: max_output_bytes.saturating_mul(2).saturating_add(1 << 20),
            max_output_bytes,
        });
        let outbox = self.outbox();
        let finding = match self.read(child, &relay, &mut parser, &outbox).await {
            Ok(finding) => finding,
            Err(halt) => {
                drop(outbox);
                return self.halted(child, relay, parser, halt).await;
            }
        };
        let exit = match finding {
            Finding::Over if parser.violation().is_none() => {
                match timeout(LINGER, child.wait()).await {
                    Ok(exit) => exit,
                    Err(_) => child.end(GRACE).await,
                }
            }
            _ => child.end(GRACE).await,
        };
        let (run, step) = (self.claim.run_id, &self.claim.step_id);
        tracing::debug!(run, %step, code = exit.code, signal = exit.signal, "child ended");
        let (events, mut outcome) = parser.finish(&exit);
        let recounted = count(&mut outcome, relay.finish().await);
        let own = own_verdict(&finding, &outcome);
        let question = self.claim.input["question"].as_str().unwrap_or_default();
        let replied = matches!(outcome, Outcome::Success { .. });
        let (outcome, note) = assessed(outcome, question).await;
        for event in events {
            match event {
                // What the child says about being ended is not why it was; what this machine lacks, `flow_status` says.
                Event::Error { .. } if own.is_some() || is_ours(&outcome) => {}
                event => outbox.push(event),
            }
        }
        if recounted {
            outbox.push(Event::Usage(*usage_of(&outcome)));
        }
        let useless = match &outcome {
            Outcome::Failure { message, .. } if replied => Some(message),
            _ => None,
        };
        if let Some(message) = own.as_ref().map(|(message, _)| message).or(useless) {
            let message = message.clone();
            outbox.push(Event::Error { message });
        }
        // In order: the end is told when everything before it is stored.
        if let Err(halt) = deliver::flush(&outbox, &mut self.orders).await {
            return Verdict::of(halt);
        }
        match finding {
            Finding::Unfit(reason) if own.is_some() => Verdict::Unfit(reason),
            _ => judge(own, outcome, note),
        }
    }

    /// Reads until there is nothing more to read or a reason not to.
    async fn read(
        &mut self,
        child: &mut Child,
        relay: &Relay,
        parser: &mut Parser,
        outbox: &Outbox,
    ) -> Result<Finding, Halt> {
        let activity = relay.activity();
        let mut clocks = Clocks::start(&self.claim.limits, activity.clone());
        let mut flood = Flood::none(self.claim.limits.max_output_bytes);
        loop {
            let waits_for_us = outbox.is_full();
            let (deadline, _) = clocks.next();
            let deadline = if waits_for_us { clocks.end() } else { deadline };
            tokio::select! {
                order = ordered(&mut self.orders) => return Err(Halt::Ordered(order)),
                chunk = child.read(), if !waits_for_us => match chunk {
                    Ok(Some(bytes)) => {
                        let events = parser.push(bytes);
                        flood.took(bytes, &events);
                        events.into_iter().for_each(|event| outbox.push(event));
                        clocks.heard();
                        if parser.violation().is_some() {
                            return Ok(Finding::Over);
                        }
                        if let Some(message) = flood.message() {
                            return Ok(Finding::Flooded(message));
                        }
                    }
                    Ok(None) => return Ok(Finding::Over),
                    Err(error) => return Ok(Finding::Unreadable(error)),
                },
                news = outbox.news() => news?,
                // The clocks stand otherwise now.
                () = activity.changed() => {}
                () = sleep_until(deadline) => {
                    let expired = match clocks.next() {
                        _ if waits_for_us => Expired::TooLong,
                        (at, expired) if at <= Instant::now() => expired,
                        // The model has gone on meanwhile.
                        _ => continue,
                    };
                    let message = clocks.message(expired);
                    return Ok(match activity.seen().given_up {
                        Some(given_up) if given_up.ours => Finding::Unfit(message),
                        _ => Finding::Expired(message),
                    });
                }
            }
            if waits_for_us {
                clocks.excuse();
            }
        }
    }

    /// Ends the child for a reason that is not its own.
    async fn halted(&self, child: &mut Child, relay: Relay, parser: Parser, halt: Halt) -> Verdict {
        let at_once = halt == Halt::Ordered(Order::HandBack);
        let partial = parser.partial_output().to_owned();
        let exit = child.end(if at_once { SHORT_GRACE } else { GRACE }).await;
        let (_, mut outcome) = parser.finish(&exit);
        count(&mut outcome, relay.finish().await);
        match Verdict::of(halt) {
            Verdict::Finish(finish) if finish.state == Ended::Cancelled => {
                Verdict::Finish(Box::new(Finish {
                    output: Some(partial).filter(|text| !text.is_empty()),
                    usage: usage_json(usage_of(&outcome)),
                    ..*finish
                }))
            }
            verdict => verdict,
        }
    }
}

/// The error, and whether it may be tried again, when it was us who ended the child. An answer that was complete by then
/// stands, unless it is part of a flood.
fn own_verdict(finding: &Finding, outcome: &Outcome) -> Option<(String, bool)> {
    match finding {
        Finding::Expired(_) | Finding::Unfit(_) if matches!(outcome, Outcome::Success { .. }) => {
            None
        }
        Finding::Over => None,
        Finding::Expired(message) | Finding::Unfit(message) => Some((message.clone(), true)),
        Finding::Flooded(message) => Some((message.clone(), false)),
        Finding::Unreadable(error) => {
            Some((format!("cannot read the child's output: {error}"), true))
        }
    }
}

fn judge(own: Option<(String, bool)>, outcome: Outcome, note: Option<String>) -> Verdict {
    if own.is_none()
        && let Outcome::Failure {
            message,
            ours: true,
            ..
        } = outcome
    {
        return Verdict::Unfit(message);
    }
    let usage = usage_json(usage_of(&outcome));
    let (state, output, error, retryable) = match (own, outcome) {
        (Some((error, retryable)), _) => (Ended::Failed, None, Some(error), retryable),
        (
            None,
            Outcome::Failure {
                message, retryable, ..
            },
        ) => (Ended::Failed, None, Some(message), retryable),
        (None, Outcome::Success { output, .. }) => (Ended::Completed, Some(output), None, false),
    };
    Verdict::Finish(Box::new(Finish {
        state,
        output,
        error,
        usage,
        citations: None,
        retryable,
        note: note.filter(|_| state == Ended::Completed),
    }))
}

fn is_ours(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failure { ours: true, .. })
}

fn usage_of(outcome: &Outcome) -> &Usage {
    match outcome {
        Outcome::Success { usage, .. } | Outcome::Failure { usage, .. } => usage,
    }
}

/// Puts what the relay has counted in the place of the child's own figure, which lacks what was asked beside its turns
/// and what an attempt without a last word cost. Where the server did not say of every answer what it cost, the larger
/// of both figures is nearer. True when that changed anything.
fn count(outcome: &mut Outcome, metered: Metered) -> bool {
    let (Outcome::Success { usage, .. } | Outcome::Failure { usage, .. }) = outcome;
    let (tokens, before) = (metered.tokens, *usage);
    let exact = metered.told > 0 && metered.untold == 0;
    if exact || metered.told > 0 && tokens.total > usage.total_tokens {
        *usage = Usage {
            input_tokens: tokens.input,
            output_tokens: tokens.output,
            cache_read_input_tokens: tokens.cached,
            total_tokens: tokens.total,
            turns: usage.turns,
        };
    }
    *usage != before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Tokens;

    fn success() -> Outcome {
        Outcome::Success {
            output: "done".into(),
            written_calls: 0,
            usage: Usage::default(),
        }
    }

    fn failure(retryable: bool) -> Outcome {
        Outcome::Failure {
            message: "ended by signal 15".into(),
            retryable,
            ours: false,
            usage: Usage::default(),
        }
    }

    fn finish(finding: Finding, outcome: Outcome) -> Finish {
        let own = own_verdict(&finding, &outcome);
        match judge(own, outcome, None) {
            Verdict::Finish(finish) => *finish,
            _ => panic!("an attempt that was read to its end is finished"),
        }
    }

    #[test]
    fn the_childs_own_end_decides_when_we_did_not_end_it() {
        let completed = finish(Finding::Over, success());
        assert_eq!(
            (completed.state, completed.output.as_deref()),
            (Ended::Completed, Some("done"))
        );
        for retryable in [true, false] {
            let failed = finish(Finding::Over, failure(retryable));
            assert_eq!(failed.error.as_deref(), Some("ended by signal 15"));
            assert_eq!(failed.retryable, retryable);
        }
    }

    #[test]
    fn a_child_that_this_machine_cannot_start_is_not_held_against_its_task() {
        let unavailable = || Outcome::Failure {
            message: "sandbox unavailable: cannot start node".into(),
            retryable: true,
            ours: true,
            usage: Usage::default(),
        };
        let verdict = judge(None, unavailable(), None);
        assert!(matches!(verdict, Verdict::Unfit(reason) if reason.contains("cannot start node")));
        let stalled = finish(Finding::Expired("the model stalled".into()), unavailable());
        assert_eq!(stalled.error.as_deref(), Some("the model stalled"));
    }

    #[test]
    fn what_we_ended_fails_for_our_reason() {
        let stalled = finish(Finding::Expired("the model stalled".into()), failure(false));
        assert_eq!(
            (stalled.error.as_deref(), stalled.retryable),
            (Some("the model stalled"), true)
        );
        let flooded = finish(Finding::Flooded("too much".into()), success());
        assert_eq!(flooded.error.as_deref(), Some("too much"));
        assert!(!flooded.retryable);
        assert_eq!(flooded.output, None);
    }

    #[test]
    fn tokens_are_the_relays_where_the_server_told_them_all_and_else_the_larger_figure() {
        let tokens = |total: u64| Tokens {
            input: total - 1,
            output: 1,
            cached: 0,
            total,
        };
        let counted = |told: u64, untold: u64, total: u64, own: u64| {
            let mut outcome = success();
            let Outcome::Success { usage, .. } = &mut outcome else {
                unreachable!()
            };
            (usage.total_tokens, usage.turns) = (own, 3);
            let tokens = tokens(total);
            let metered = Metered {
                tokens,
                told,
                untold,
            };
            let changed = count(&mut outcome, metered);
            let usage = usage_of(&outcome);
            assert_eq!((changed, usage.turns), (usage.total_tokens != own, 3));
            usage.total_tokens
        };
        assert_eq!(counted(2, 0, 120, 100), 120);
        assert_eq!(counted(2, 0, 80, 100), 80, "exact is exact");
        assert_eq!(counted(1, 1, 80, 100), 100);
        assert_eq!(counted(1, 1, 120, 100), 120);
        assert_eq!(counted(0, 2, 1, 100), 100, "the server says nothing");
    }

    #[test]
    fn an_answer_that_is_complete_when_time_is_up_stands() {
        let finished = finish(Finding::Expired("too long".into()), success());
        assert_eq!(finished.state, Ended::Completed);
    }
}
