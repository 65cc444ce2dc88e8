//! What a reply is worth, before it is told as a result.

use std::sync::Arc;

use conductor_flows::reply::{Assessment, assess};

use crate::events::{Outcome, counted_calls};

/// Makes a failure that may be tried again of a reply that holds nothing. Of any other it returns what is to be said
/// of it: another language, tool calls that were only written.
pub(super) async fn assessed(outcome: Outcome, question: &str) -> (Outcome, Option<String>) {
    let Outcome::Success {
        output,
        written_calls,
        usage,
    } = outcome
    else {
        return (outcome, None);
    };
    let (output, question) = (Arc::new(output), question.to_owned());
    let text = output.clone();
    // Tens of megabytes of code have to be passed over until there is prose to judge.
    let assessment = tokio::task::spawn_blocking(move || assess(&question, &text)).await;
    let written = (written_calls > 0).then(|| {
        let (calls, were) = (
            counted_calls(written_calls),
            if written_calls == 1 { "was" } else { "were" },
        );
        format!("{calls} {were} written as text and not executed")
    });
    match assessment {
        Ok(Assessment::Useless { why }) => {
            let message = joined([Some(why), written]).unwrap_or_default();
            let failure = Outcome::Failure {
                message,
                retryable: true,
                ours: false,
                usage,
            };
            (failure, None)
        }
        assessment => {
            let note = match assessment {
                Ok(Assessment::Good { note }) => note,
                Ok(Assessment::Useless { .. }) => None,
                Err(error) => {
                    tracing::error!(%error, "the check of a reply broke off");
                    None
                }
            };
            let success = Outcome::Success {
                output: Arc::unwrap_or_clone(output),
                written_calls,
                usage,
            };
            (success, joined([note, written]))
        }
    }
}

fn joined(parts: [Option<String>; 2]) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Usage;

    const QUESTION: &str = "How does a lease work, and what happens to it when its worker dies?";

    fn success(output: &str, written_calls: u64) -> Outcome {
        Outcome::Success {
            output: output.to_owned(),
            written_calls,
            usage: Usage::default(),
        }
    }

    fn failure(message: &str) -> Outcome {
        Outcome::Failure {
            message: message.to_owned(),
            retryable: true,
            ours: false,
            usage: Usage::default(),
        }
    }

    #[tokio::test]
    async fn a_promise_is_a_failure_that_may_be_tried_again() {
        let (outcome, note) = assessed(success("I will now analyse the code.", 0), QUESTION).await;
        let said = "the reply was only a promise: \"I will now analyse the code.\"";
        assert_eq!((outcome, note), (failure(said), None));
        let (outcome, _) = assessed(success("Let me look:", 1), QUESTION).await;
        let said = "the reply was only a promise: \"Let me look:\"; 1 tool call was written as text and not executed";
        assert_eq!(outcome, failure(said));
    }

    #[tokio::test]
    async fn an_answer_stays_as_it_is_and_gets_a_note() {
        for output in ["NO FINDINGS", "{\"groups\": []}", "  A lease ends.\n"] {
            let answer = success(output, 0);
            assert_eq!(assessed(answer.clone(), QUESTION).await, (answer, None));
        }
        let (_, note) = assessed(success("A lease ends.", 3), QUESTION).await;
        assert_eq!(
            note.as_deref(),
            Some("3 tool calls were written as text and not executed")
        );
        let chinese = "租约是一行记录，包含所有者和到期时间。工作进程在每次心跳时续约，否则任务就会交给另一个进程。";
        let (_, note) = assessed(success(chinese, 1), QUESTION).await;
        assert_eq!(
            note.as_deref(),
            Some(
                "the reply is in Chinese, the question in English; 1 tool call was written as text and not executed"
            )
        );
    }

    #[tokio::test]
    async fn a_failure_stays_as_it_is() {
        let outcome = failure("the model's answer was empty");
        assert_eq!(assessed(outcome.clone(), QUESTION).await, (outcome, None));
    }
}
