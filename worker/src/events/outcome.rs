//! What an attempt came to, judged by its last words and how it ended.

use super::{Exit, Usage};
use crate::child::MAX_HEAP_MB;
use crate::sandbox::{EXIT_UNAVAILABLE, HELPER_PREFIX};

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Success {
        output: String,
        /// Tool calls that the model wrote into the answer; they were taken out of it.
        written_calls: u64,
        usage: Usage,
    },
    /// `retryable`: another attempt may succeed. `ours`: this machine is out of order, which says nothing of the task.
    Failure {
        message: String,
        retryable: bool,
        ours: bool,
        usage: Usage,
    },
}

/// Why an attempt failed, before its usage is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub message: String,
    pub retryable: bool,
    pub ours: bool,
}

impl Verdict {
    pub fn new(message: impl Into<String>, retryable: bool) -> Self {
        Self {
            message: message.into(),
            retryable,
            ours: false,
        }
    }

    /// This machine cannot start a child at all.
    fn ours(message: String) -> Self {
        Self {
            message,
            retryable: true,
            ours: true,
        }
    }
}

const EXIT_TURNS: i32 = 53;
const EXIT_BUDGET: i32 = 55;
const EXIT_INTERRUPTED: i32 = 130;
/// What node says before it aborts.
const OUT_OF_MEMORY: &str = "JavaScript heap out of memory";

/// From the text of `result.error`.
pub(super) fn of_error(error: &str) -> Verdict {
    let bare = bare(error);
    if bare.is_empty() {
        return Verdict::new("the child reported an error without a text", true);
    }
    if bare.contains("Loop detection halted") {
        return Verdict::new(format!("the model repeated itself: {bare}"), false);
    }
    // What node says when a text outgrows the largest that it can hold; it has gathered it all before it printed any.
    if bare == "Invalid string length" {
        return Verdict::new(
            "the model's answer or a tool call was larger than a child can hold (512 MB)",
            false,
        );
    }
    if bare.contains("Context is too large") {
        return Verdict::new(format!("the prompt does not fit the model: {bare}"), false);
    }
    Verdict::new(
        format!("the model's server: {bare}"),
        http_status(&bare).is_none_or(is_passing),
    )
}

/// An API error without its brackets; the child's advice may follow them on another line.
fn bare(error: &str) -> String {
    let Some(inner) = error.strip_prefix("[API Error: ") else {
        return error.trim().to_owned();
    };
    match inner.split_once("]\n") {
        Some((said, advice)) => format!("{}; {}", said.trim(), advice.trim()),
        None => inner.strip_suffix(']').unwrap_or(inner).trim().to_owned(),
    }
}

/// The status that an API error's text begins with.
fn http_status(text: &str) -> Option<u16> {
    let digits = text.get(..3)?.parse().ok()?;
    let ends = text[3..]
        .chars()
        .next()
        .is_none_or(|c| !c.is_alphanumeric());
    (ends && (400..600).contains(&digits)).then_some(digits)
}

/// Whether a status says that the same request may succeed later.
pub fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429) || status >= 500
}

/// From the way it ended, when there was no result. `started`: it got as far as announcing its session.
pub(super) fn of_exit(exit: &Exit, started: bool) -> Verdict {
    let said = last_words(&exit.stderr);
    if exit.stderr.contains(OUT_OF_MEMORY) {
        return Verdict::new(
            format!(
                "the child needed more than {MAX_HEAP_MB} MB of memory: the model's answer or a tool call was too large"
            ),
            false,
        );
    }
    if let Some(signal) = exit.signal {
        return Verdict::new(
            format!(
                "the child was ended by signal {signal}{}{said}",
                signal_name(signal)
            ),
            true,
        );
    }
    match exit.code {
        Some(EXIT_TURNS) => Verdict::new(
            "the step needed more model turns than a child may take",
            false,
        ),
        Some(EXIT_BUDGET) => Verdict::new(
            format!("the child reached its limit of time or tool calls{said}"),
            false,
        ),
        Some(EXIT_INTERRUPTED) => Verdict::new(format!("the child was interrupted{said}"), true),
        // From a child that runs it is no more than a text that anybody can write.
        Some(EXIT_UNAVAILABLE) if !started && exit.stderr.contains(HELPER_PREFIX) => {
            // The first reason is the cause of the others.
            let why = exit.stderr.split(HELPER_PREFIX).nth(1);
            let why = why.unwrap_or_default().trim();
            Verdict::ours(format!("sandbox unavailable: {why}"))
        }
        Some(0) => Verdict::new(format!("the child ended without a result{said}"), true),
        Some(code) if started => Verdict::new(
            format!("the child broke off with exit code {code}{said}"),
            true,
        ),
        // Somebody may be installing another one just now.
        Some(code) => Verdict::new(
            format!("the child did not start (exit code {code}){said}"),
            true,
        ),
        None => Verdict::new(format!("the child was lost{said}"), true),
    }
}

/// What people call a signal; the last one is also how a machine out of memory ends a process.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        9 => " (SIGKILL: somebody killed it, or the machine ran out of memory)",
        _ => "",
    }
}

/// The end of standard error, for the end of a message.
fn last_words(stderr: &str) -> String {
    const MAX_CHARS: usize = 600;
    let said = stderr.trim();
    if said.is_empty() {
        return String::new();
    }
    let skip = said.chars().count().saturating_sub(MAX_CHARS);
    let end: String = said.chars().skip(skip).collect();
    format!(": {}{end}", if skip > 0 { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn error(text: &str, retryable: bool) {
        let verdict = of_error(text);
        assert_eq!(verdict.retryable, retryable, "{verdict:?}");
    }

    #[test]
    fn api_errors_are_retryable_unless_the_request_was_wrong() {
        error("[API Error: 401 Incorrect API key]", false);
        error("[API Error: 400 boom]", false);
        error("[API Error: 404 no such model]", false);
        error("[API Error: 429 insufficient_quota]", true);
        error("[API Error: 500 internal boom]", true);
        error("[API Error: 503]", true);
        error("[API Error: Connection error. (cause: fetch failed)]", true);
        error(
            "[API Error: Model stream ended without a finish reason.]",
            true,
        );
        error(
            "[API Error: No stream activity for 240000ms after 3 chunks (…)]",
            true,
        );
        error("Loop detection halted the request", false);
        error(
            "Context is too large to send safely after automatic compression.",
            false,
        );
        error("[API Error: Invalid string length]", false);
        error("4000 apples", true);
        error("", true);
    }

    #[test]
    fn advice_behind_an_api_error_follows_it() {
        let verdict = of_error("[API Error: 429 slow down]\nPlease wait and try again later.");
        assert_eq!(
            verdict,
            Verdict::new(
                "the model's server: 429 slow down; Please wait and try again later.",
                true
            )
        );
    }

    #[test]
    fn exits_without_a_result_are_named() {
        let exit = |code, signal, stderr: &str, started| {
            let verdict = of_exit(
                &Exit {
                    code,
                    signal,
                    stderr: stderr.to_owned(),
                },
                started,
            );
            (verdict.message, verdict.retryable)
        };
        assert!(!exit(Some(53), None, "Reached max session turns", true).1);
        let (message, retryable) = exit(Some(55), None, "Wall-clock budget of 3s exceeded", true);
        assert_eq!(
            (message.as_str(), retryable),
            (
                "the child reached its limit of time or tool calls: Wall-clock budget of 3s exceeded",
                false
            )
        );
        assert_eq!(
            exit(None, Some(9), "", true),
            (
                "the child was ended by signal 9 (SIGKILL: somebody killed it, or the machine ran out of memory)"
                    .to_owned(),
                true
            )
        );
        let aborted = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n 1: 0xe";
        let (message, retryable) = exit(None, Some(6), aborted, true);
        assert!(message.contains("2048 MB") && !message.contains("FATAL"));
        assert!(!retryable, "the same request would need as much again");
        assert!(exit(Some(130), None, "Operation cancelled.", true).1);
        assert!(exit(Some(1), None, "Unknown argument: foo", false).1);
        assert!(exit(Some(1), None, "Error: boom", true).1);
        assert!(exit(Some(0), None, "", true).1);
    }

    #[test]
    fn a_machine_that_cannot_start_a_child_is_told_from_a_child_that_says_so() {
        let exit = Exit {
            code: Some(125),
            signal: None,
            stderr: "conductor sandbox: the kernel did not enforce the rules\n".to_owned(),
        };
        let why = "sandbox unavailable: the kernel did not enforce the rules";
        assert_eq!(of_exit(&exit, false), Verdict::ours(why.to_owned()));
        assert!(!of_exit(&exit, true).ours, "it got as far as its session");
        let other = Exit {
            stderr: "node: cannot find module\n".to_owned(),
            ..exit
        };
        assert!(!of_exit(&other, false).ours, "the helper said nothing");
    }

    #[test]
    fn last_words_are_cut_at_the_front() {
        let said = last_words(&"é".repeat(1000));
        assert_eq!(said.chars().count(), 603);
        assert!(said.starts_with(": …"));
    }
}
