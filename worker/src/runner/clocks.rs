//! The clocks of one attempt: how long model and child may be silent, and how long it may take. What is going on is
//! told by the relay between them.

use std::time::Duration;

use tokio::time::Instant;

use crate::db::Limits;
use crate::relay::{Activity, Request};

/// Which clock ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// The model is silent in the middle of an answer.
    Stalled,
    /// The model has not begun to answer.
    NoFirstEvent,
    /// The child says nothing and asks nothing.
    Idle,
    /// The model's server fails again and again.
    GivenUp,
    /// The step took too long, all in all.
    TooLong,
}

#[derive(Debug)]
pub struct Clocks {
    activity: Activity,
    stall: Duration,
    first_event: Duration,
    end: Instant,
    step: Duration,
    /// When the child last said something, or was last kept from it by us.
    heard: Instant,
    /// Until when silence is our own doing.
    excused: Instant,
}

impl Clocks {
    /// Starts all of them.
    pub fn start(limits: &Limits, activity: Activity) -> Self {
        let now = Instant::now();
        let step = seconds(limits.step_timeout_s);
        Clocks {
            activity,
            stall: seconds(limits.stall_timeout_s),
            first_event: seconds(limits.first_event_timeout_s),
            end: now + step,
            step,
            heard: now,
            excused: now,
        }
    }

    /// The child has said something.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
    }

    /// The child was made to wait by us, and the model by the child: their silence does not count.
    pub fn excuse(&mut self) {
        self.excused = Instant::now();
        self.heard = self.excused;
    }

    /// When the next clock runs out, and which, as things are now.
    pub fn next(&self) -> (Instant, Expired) {
        let silence = self.silence();
        if self.end <= silence.0 {
            (self.end, Expired::TooLong)
        } else {
            silence
        }
    }

    fn silence(&self) -> (Instant, Expired) {
        let seen = self.activity.seen();
        if seen.given_up.is_some() {
            return (Instant::now(), Expired::GivenUp);
        }
        // Whoever is answered keeps the others waiting: a local model has one place perhaps.
        let last = seen.last.unwrap_or(self.heard).max(self.excused);
        let limits = seen
            .requests
            .iter()
            .map(|request| self.limit(request, last));
        if let Some(latest) = limits.max_by_key(|(at, _)| *at) {
            return latest;
        }
        match seen.patience {
            Some(patience) => (patience, Expired::GivenUp),
            None => (self.heard.max(last) + self.first_event, Expired::Idle),
        }
    }

    fn limit(&self, request: &Request, last: Instant) -> (Instant, Expired) {
        let since = request.since.max(self.excused);
        match (request.streaming, request.untaken) {
            (_, Some(untaken)) => (self.heard.max(untaken) + self.first_event, Expired::Idle),
            (true, None) => (since + self.stall, Expired::Stalled),
            (false, None) => (since.max(last) + self.first_event, Expired::NoFirstEvent),
        }
    }

    /// When the step must be over, whatever happens.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// What to tell about a clock that ran out.
    pub fn message(&self, expired: Expired) -> String {
        let (stall, first_event) = (self.stall.as_secs_f64(), self.first_event.as_secs_f64());
        match expired {
            Expired::Stalled => {
                format!("the model stalled: no event for {stall} s in the middle of a turn")
            }
            Expired::NoFirstEvent => {
                format!("the model did not begin to answer within {first_event} s")
            }
            Expired::Idle => {
                format!("the child said nothing and asked the model nothing for {first_event} s")
            }
            Expired::GivenUp => {
                let given_up = self
                    .activity
                    .seen()
                    .given_up
                    .map(|given_up| given_up.message);
                let failures = given_up.or_else(|| self.activity.failures());
                failures.unwrap_or_else(|| "the model's server failed".to_owned())
            }
            Expired::TooLong => format!("the step took longer than {} s", self.step.as_secs_f64()),
        }
    }
}

/// A limit as the server gives it; bounded, so that no setting can overflow a clock.
pub fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.clamp(0.0, 31_536_000.0))
        .unwrap_or(Duration::from_secs(31_536_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{Failure, PATIENCE};
    use tokio::time::advance;

    const SECOND: Duration = Duration::from_secs(1);

    fn started() -> (Clocks, Activity) {
        let limits = Limits {
            stall_timeout_s: 90.0,
            first_event_timeout_s: 900.0,
            step_timeout_s: 3600.0,
            ..Limits::default()
        };
        let activity = Activity::default();
        (Clocks::start(&limits, activity.clone()), activity)
    }

    /// Seconds until the next clock runs out, and which.
    fn left(clocks: &Clocks) -> (u64, Expired) {
        let (at, expired) = clocks.next();
        (at.duration_since(Instant::now()).as_secs(), expired)
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_is_patient_and_the_middle_of_one_is_not() {
        let (clocks, activity) = started();
        assert_eq!(left(&clocks), (900, Expired::Idle));
        advance(100 * SECOND).await;
        let request = activity.begin();
        assert_eq!(left(&clocks), (900, Expired::NoFirstEvent));
        advance(600 * SECOND).await;
        request.heard();
        assert_eq!(left(&clocks), (90, Expired::Stalled));
        advance(50 * SECOND).await;
        assert_eq!(left(&clocks), (40, Expired::Stalled));
        request.heard();
        assert_eq!(left(&clocks), (90, Expired::Stalled));
        request.succeeded(None);
        drop(request);
        assert_eq!(left(&clocks), (900, Expired::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_child_says_moves_no_clock_of_the_model() {
        let (mut clocks, activity) = started();
        let request = activity.begin();
        request.heard();
        advance(80 * SECOND).await;
        clocks.heard();
        assert_eq!(left(&clocks), (10, Expired::Stalled));
    }

    #[tokio::test(start_paused = true)]
    async fn keep_alive_comments_are_no_answer_and_no_part_of_one() {
        let (clocks, activity) = started();
        let request = activity.begin();
        for _ in 0..30 {
            advance(10 * SECOND).await;
            request.handed();
            request.taken();
        }
        assert_eq!(left(&clocks), (600, Expired::NoFirstEvent));
        request.heard();
        for _ in 0..6 {
            advance(10 * SECOND).await;
            request.handed();
            request.taken();
        }
        assert_eq!(left(&clocks), (30, Expired::Stalled));
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_uses_its_tools_is_not_a_model_that_stalls() {
        let (mut clocks, activity) = started();
        let request = activity.begin();
        request.heard();
        request.succeeded(None);
        drop(request);
        advance(600 * SECOND).await;
        clocks.heard();
        assert_eq!(left(&clocks), (900, Expired::Idle));
        assert!(
            clocks
                .message(Expired::Idle)
                .starts_with("the child said nothing")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_takes_no_answer_is_not_a_model_that_stalls() {
        let (clocks, activity) = started();
        let request = activity.begin();
        request.heard();
        request.handed();
        advance(100 * SECOND).await;
        assert_eq!(left(&clocks), (800, Expired::Idle));
        request.taken();
        assert_eq!(left(&clocks), (90, Expired::Stalled));
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_between_two_tries_is_given_up_when_our_patience_ends() {
        let (clocks, activity) = started();
        activity.begin().failed(Failure::Cut, None, None);
        assert_eq!(left(&clocks), (PATIENCE.as_secs(), Expired::GivenUp));
        advance(20 * SECOND).await;
        let again = activity.begin();
        assert_eq!(
            left(&clocks),
            (900, Expired::NoFirstEvent),
            "it is being tried"
        );
        again.failed(Failure::Status(429, "slow down".into()), None, None);
        drop(again);
        assert_eq!(left(&clocks), (PATIENCE.as_secs() - 20, Expired::GivenUp));
        let said = clocks.message(Expired::GivenUp);
        assert_eq!(
            said,
            "the model's server failed 2 times in 20 s; the last time it answered 429: slow down"
        );
        activity.begin().succeeded(None);
        assert_eq!(left(&clocks), (900, Expired::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_given_up_ends_at_once() {
        let (clocks, activity) = started();
        let _request = activity.begin();
        activity.give_up("no use".into(), false);
        assert_eq!(left(&clocks), (0, Expired::GivenUp));
        assert_eq!(clocks.message(Expired::GivenUp), "no use");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_as_long_as_another_one_is_answered() {
        let (clocks, activity) = started();
        let (main, _aside) = (activity.begin(), activity.begin());
        for _ in 0..20 {
            advance(60 * SECOND).await;
            main.heard();
        }
        assert_eq!(left(&clocks), (900, Expired::NoFirstEvent));
    }

    #[tokio::test(start_paused = true)]
    async fn events_do_not_move_the_end_of_the_step() {
        let (mut clocks, activity) = started();
        let request = activity.begin();
        for _ in 0..60 {
            advance(59 * SECOND).await;
            clocks.heard();
            request.heard();
        }
        assert_eq!(left(&clocks), (60, Expired::TooLong));
        assert!(clocks.message(Expired::TooLong).contains("3600 s"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_waits_for_us_is_not_stalled_and_nor_is_its_model() {
        let (mut clocks, activity) = started();
        let request = activity.begin();
        request.heard();
        advance(300 * SECOND).await;
        clocks.excuse();
        assert_eq!(left(&clocks), (90, Expired::Stalled));
        drop(request);
        advance(300 * SECOND).await;
        clocks.excuse();
        assert_eq!(left(&clocks), (900, Expired::Idle));
    }

    #[tokio::test(start_paused = true)]
    async fn absurd_limits_do_not_overflow() {
        for value in [f64::INFINITY, f64::NAN, -1.0, 1e300] {
            let limits = Limits {
                stall_timeout_s: value,
                first_event_timeout_s: value,
                step_timeout_s: value,
                max_output_bytes: 1,
            };
            let activity = Activity::default();
            let clocks = Clocks::start(&limits, activity.clone());
            clocks.next();
            let request = activity.begin();
            clocks.next();
            request.heard();
            clocks.next();
        }
    }
}
