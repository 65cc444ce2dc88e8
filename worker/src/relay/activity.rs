//! What really happens between an attempt and the model: for the clocks, for the count, and for when to give up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::meter::Tokens;

/// After so many failures in a row that may pass, each answered by the child with a longer wait, the attempt is given
/// up: the database tries again later, and others have the slot meanwhile.
pub const MOST_FAILURES: u32 = 6;
/// The same after this time since the first of them. A wait that the server itself asks for and that ends later is not
/// begun.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The state of an attempt's requests; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// A clock may run out earlier now, or the attempt is given up.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    requests: HashMap<u64, Request>,
    begun: u64,
    /// When the last request began, said something or ended.
    last: Option<Instant>,
    streak: Option<Streak>,
    given_up: Option<GivenUp>,
    usage: Metered,
}

/// A request under way, as the clocks see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Since when the model has said nothing.
    pub since: Instant,
    /// It has begun to answer.
    pub streaming: bool,
    /// Since when the child takes nothing of what the model has said.
    pub untaken: Option<Instant>,
}

/// Failures in a row.
#[derive(Debug)]
struct Streak {
    began: Instant,
    count: u32,
    alike: bool,
    last: Failure,
}

/// Why a request failed that may succeed later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server answered so, with what it said.
    Status(u16, String),
    Unreachable(String),
    /// The answer ended before it was complete.
    Cut,
    /// It held an error instead of an answer.
    Error(String),
}

/// The attempt is not worth going on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    pub message: String,
    /// It is this machine that lacks something.
    pub ours: bool,
}

/// What the attempt's requests cost so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metered {
    pub tokens: Tokens,
    /// Answers that said what they cost.
    pub told: u64,
    /// Complete answers that did not.
    pub untold: u64,
}

/// What the clocks go by.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub requests: Vec<Request>,
    pub last: Option<Instant>,
    /// When the attempt is given up if the child asks nothing before.
    pub patience: Option<Instant>,
    pub given_up: Option<GivenUp>,
}

impl Failure {
    fn text(&self) -> String {
        let said = |what: String, said: &str| match said.trim() {
            "" => what,
            said => format!("{what}: {said}"),
        };
        match self {
            Failure::Status(status, message) => said(format!("answered {status}"), message),
            Failure::Unreachable(why) => said("could not be reached".to_owned(), why),
            Failure::Cut => "cut its answer off".to_owned(),
            Failure::Error(message) => said("answered with an error".to_owned(), message),
        }
    }

    fn is_like(&self, other: &Failure) -> bool {
        match (self, other) {
            (Failure::Status(a, _), Failure::Status(b, _)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Streak {
    fn message(&self) -> String {
        let seconds = self.began.elapsed().as_secs();
        let (count, text) = (self.count, self.last.text());
        let often = match count {
            1 => "once".to_owned(),
            count => format!("{count} times in {seconds} s"),
        };
        if !self.alike {
            return format!("the model's server failed {often}; the last time it {text}");
        }
        match text.split_once(": ") {
            Some((what, said)) => format!("the model's server {what} {often}: {said}"),
            None => format!("the model's server {text} {often}"),
        }
    }
}

impl Activity {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins; it is over when what is returned is dropped.
    pub fn begin(&self) -> Flight {
        let now = Instant::now();
        let mut state = self.state();
        state.begun += 1;
        state.last = Some(now);
        let number = state.begun;
        let request = Request {
            since: now,
            streaming: false,
            untaken: None,
        };
        state.requests.insert(number, request);
        drop(state);
        self.0.changed.notify_one();
        let activity = self.clone();
        Flight { activity, number }
    }

    /// Resolves when a clock may run out earlier than was seen last. Cancel-safe.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// What the clocks go by.
    pub fn seen(&self) -> Seen {
        let state = self.state();
        Seen {
            requests: state.requests.values().copied().collect(),
            last: state.last,
            patience: state.streak.as_ref().map(|streak| streak.began + PATIENCE),
            given_up: state.given_up.clone(),
        }
    }

    /// Gives the attempt up for this reason, unless that has happened.
    pub fn give_up(&self, message: String, ours: bool) {
        let mut state = self.state();
        state.given_up.get_or_insert(GivenUp { message, ours });
        drop(state);
        self.0.changed.notify_one();
    }

    /// What to say of failures in a row, if there are any.
    pub fn failures(&self) -> Option<String> {
        self.state().streak.as_ref().map(Streak::message)
    }

    /// What the requests cost so far.
    pub fn metered(&self) -> Metered {
        self.state().usage
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Flight {
    activity: Activity,
    number: u64,
}

impl Flight {
    fn update(&self, change: impl FnOnce(&mut Request, Instant)) {
        let mut state = self.activity.state();
        let request = state.requests.get_mut(&self.number);
        change(
            request.expect("a request under way is listed"),
            Instant::now(),
        );
    }

    /// The model has said something of its answer.
    pub fn heard(&self) {
        let mut first = false;
        self.update(|request, now| {
            first = !request.streaming;
            request.streaming = true;
            request.since = now;
            request.untaken = None;
        });
        self.activity.state().last = Some(Instant::now());
        if first {
            self.activity.0.changed.notify_one();
        }
    }

    /// Something is on its way to the child, who has not taken it yet: the model is not to blame for the silence.
    pub fn handed(&self) {
        self.update(|request, now| {
            request.untaken.get_or_insert(now);
        });
    }

    /// The child has taken all there is. What it took is no time that the model was silent.
    pub fn taken(&self) {
        self.update(|request, now| {
            if let Some(untaken) = request.untaken.take() {
                request.since += now - untaken;
            }
        });
    }

    /// The answer is complete.
    pub fn succeeded(&self, tokens: Option<Tokens>) {
        self.count(tokens, true);
        self.activity.state().streak = None;
    }

    /// The answer ends without being complete, for a reason that is not the server's.
    pub fn ended(&self, tokens: Option<Tokens>) {
        self.count(tokens, false);
    }

    fn count(&self, tokens: Option<Tokens>, complete: bool) {
        let mut state = self.activity.state();
        match tokens {
            Some(tokens) => {
                state.usage.tokens.add(tokens);
                state.usage.told += 1;
            }
            None if complete => state.usage.untold += 1,
            None => {}
        }
    }

    /// The request failed and may succeed later; `wait` is what the server asks for until then.
    pub fn failed(&self, failure: Failure, wait: Option<Duration>, tokens: Option<Tokens>) {
        self.count(tokens, false);
        let now = Instant::now();
        let mut state = self.activity.state();
        let streak = match state.streak.take() {
            Some(streak) => Streak {
                count: streak.count + 1,
                alike: streak.alike && streak.last.is_like(&failure),
                last: failure,
                ..streak
            },
            None => Streak {
                began: now,
                count: 1,
                alike: true,
                last: failure,
            },
        };
        // Another request that the model answers just now says that it is there.
        let others = state.requests.iter();
        let alone = !others
            .filter(|(number, _)| **number != self.number)
            .any(|(_, request)| request.streaming);
        let too_many = streak.count >= MOST_FAILURES;
        let too_long =
            wait.is_some_and(|wait| now + wait.min(2 * PATIENCE) > streak.began + PATIENCE);
        if alone && (too_many || too_long) {
            let mut message = streak.message();
            if too_long && let Some(wait) = wait {
                message.push_str(&format!("; it asks to wait {} s", wait.as_secs()));
            }
            state.given_up.get_or_insert(GivenUp {
                message,
                ours: false,
            });
        }
        state.streak = Some(streak);
        drop(state);
        self.activity.0.changed.notify_one();
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.requests.remove(&self.number);
        state.last = Some(Instant::now());
        drop(state);
        self.activity.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    fn status(status: u16) -> Failure {
        Failure::Status(status, "slow down".into())
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_are_given_up_by_number_and_said_with_their_count() {
        let activity = Activity::default();
        for _ in 1..MOST_FAILURES {
            activity.begin().failed(status(429), None, None);
            advance(8 * SECOND).await;
            assert_eq!(activity.seen().given_up, None);
        }
        activity.begin().failed(status(429), None, None);
        let given_up = activity.seen().given_up.unwrap();
        let said = "the model's server answered 429 6 times in 40 s: slow down";
        assert_eq!((given_up.message.as_str(), given_up.ours), (said, false));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_between_failures_begins_the_count_anew() {
        let activity = Activity::default();
        for _ in 0..3 * MOST_FAILURES {
            activity.begin().failed(status(503), None, None);
            activity.begin().failed(Failure::Cut, None, None);
            activity.begin().succeeded(None);
        }
        assert_eq!(activity.seen().given_up, None);
        assert_eq!(activity.failures(), None);
        activity.begin().failed(status(503), None, None);
        activity.begin().failed(Failure::Cut, None, None);
        assert_eq!(
            activity.failures().as_deref(),
            Some("the model's server failed 2 times in 0 s; the last time it cut its answer off")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_longer_than_our_patience_is_not_begun() {
        let activity = Activity::default();
        activity
            .begin()
            .failed(status(429), Some(30 * SECOND), None);
        assert_eq!(activity.seen().given_up, None);
        advance(31 * SECOND).await;
        activity
            .begin()
            .failed(status(429), Some(30 * SECOND), None);
        let given_up = activity.seen().given_up.unwrap().message;
        assert!(
            given_up.ends_with("slow down; it asks to wait 30 s"),
            "{given_up}"
        );
        let activity = Activity::default();
        let ever = Some(Duration::MAX);
        activity.begin().failed(status(429), ever, None);
        let given_up = activity.seen().given_up.unwrap().message;
        assert!(
            given_up.starts_with("the model's server answered 429 once: "),
            "{given_up}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_being_answered_is_not_given_up_for_another_requests_sake() {
        let activity = Activity::default();
        let main = activity.begin();
        main.heard();
        for _ in 0..2 * MOST_FAILURES {
            activity.begin().failed(status(500), None, None);
        }
        assert_eq!(activity.seen().given_up, None);
        main.succeeded(None);
        drop(main);
        assert_eq!(activity.failures(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_tokens_of_all_requests_are_added_up() {
        let activity = Activity::default();
        let tokens = Tokens {
            input: 10,
            output: 2,
            cached: 1,
            total: 12,
        };
        activity.begin().succeeded(Some(tokens));
        activity.begin().failed(Failure::Cut, None, Some(tokens));
        activity.begin().ended(Some(tokens));
        activity.begin().ended(None);
        activity.begin().succeeded(None);
        let metered = activity.metered();
        assert_eq!((metered.told, metered.untold), (3, 1));
        assert_eq!(metered.tokens.total, 36);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_child_does_not_take_is_no_silence_of_the_model() {
        let activity = Activity::default();
        let flight = activity.begin();
        flight.heard();
        flight.handed();
        advance(100 * SECOND).await;
        assert!(activity.seen().requests[0].untaken.is_some());
        flight.taken();
        assert_eq!(activity.seen().requests[0].since, Instant::now());
        advance(7 * SECOND).await;
        flight.handed();
        flight.taken();
        let silent = activity.seen().requests[0].since.elapsed();
        assert_eq!(
            silent,
            7 * SECOND,
            "a comment that was handed on is no answer"
        );
    }
}
