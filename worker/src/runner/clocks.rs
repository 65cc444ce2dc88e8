//! The clocks of one attempt: how long it may be silent, and how long it may take.

use std::time::Duration;

use tokio::time::Instant;

use crate::db::Limits;

/// Which clock ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// Silent in the middle of a model turn.
    Stalled,
    /// The first chunk of a turn did not come.
    NoFirstEvent,
    /// The step took too long, all in all.
    TooLong,
}

#[derive(Debug)]
pub struct Clocks {
    stall: Duration,
    first_event: Duration,
    end: Instant,
    step: Duration,
    last_event: Instant,
    streaming: bool,
}

impl Clocks {
    /// Starts all of them.
    pub fn start(limits: &Limits) -> Self {
        let now = Instant::now();
        let step = seconds(limits.step_timeout_s);
        Clocks {
            stall: seconds(limits.stall_timeout_s),
            first_event: seconds(limits.first_event_timeout_s),
            end: now + step,
            step,
            last_event: now,
            streaming: false,
        }
    }

    /// Something came. `streaming` says whether a model turn is under way now.
    pub fn heard(&mut self, streaming: bool) {
        self.last_event = Instant::now();
        self.streaming = streaming;
    }

    /// The child was made to wait by us: its silence does not count.
    pub fn excuse(&mut self) {
        self.last_event = Instant::now();
    }

    /// When the next clock runs out, and which.
    pub fn next(&self) -> (Instant, Expired) {
        let silence = if self.streaming {
            (self.last_event + self.stall, Expired::Stalled)
        } else {
            (self.last_event + self.first_event, Expired::NoFirstEvent)
        };
        if self.end <= silence.0 {
            (self.end, Expired::TooLong)
        } else {
            silence
        }
    }

    /// When the step must be over, whatever happens.
    pub fn end(&self) -> Instant {
        self.end
    }

    /// What to tell about a clock that ran out.
    pub fn message(&self, expired: Expired) -> String {
        match expired {
            Expired::Stalled => {
                format!(
                    "the model stalled: no event for {} s in the middle of a turn",
                    self.stall.as_secs_f64()
                )
            }
            Expired::NoFirstEvent => {
                format!(
                    "the model did not begin to answer within {} s",
                    self.first_event.as_secs_f64()
                )
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
    use tokio::time::advance;

    fn limits() -> Limits {
        Limits {
            stall_timeout_s: 90.0,
            first_event_timeout_s: 900.0,
            step_timeout_s: 3600.0,
            ..Limits::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_is_patient_and_the_middle_of_one_is_not() {
        let start = Instant::now();
        let mut clocks = Clocks::start(&limits());
        assert_eq!(
            clocks.next(),
            (start + Duration::from_secs(900), Expired::NoFirstEvent)
        );
        advance(Duration::from_secs(100)).await;
        clocks.heard(true);
        assert_eq!(
            clocks.next(),
            (start + Duration::from_secs(190), Expired::Stalled)
        );
        advance(Duration::from_secs(50)).await;
        clocks.heard(false);
        assert_eq!(
            clocks.next(),
            (start + Duration::from_secs(1050), Expired::NoFirstEvent)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn events_do_not_move_the_end_of_the_step() {
        let start = Instant::now();
        let mut clocks = Clocks::start(&limits());
        for _ in 0..60 {
            advance(Duration::from_secs(59)).await;
            clocks.heard(true);
        }
        assert_eq!(
            clocks.next(),
            (start + Duration::from_secs(3600), Expired::TooLong)
        );
        assert!(clocks.message(Expired::TooLong).contains("3600 s"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_child_that_waits_for_us_is_not_stalled() {
        let mut clocks = Clocks::start(&limits());
        clocks.heard(true);
        advance(Duration::from_secs(300)).await;
        clocks.excuse();
        assert_eq!(clocks.next().0, Instant::now() + Duration::from_secs(90));
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
            Clocks::start(&limits).next();
        }
    }
}
