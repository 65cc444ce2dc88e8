//! A machine that hands back what it took, because it cannot run it although its self-check found nothing: a disk
//! that others have filled since, for example.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;

/// How long nothing is taken after the first time, and at most.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);

/// Why nothing should be taken now, if anything. Pauses grow as long as it happens again before long.
#[derive(Debug)]
pub struct Doubt {
    reason: Option<String>,
    count: u64,
    pauses: Backoff,
    last: Option<Instant>,
}

impl Default for Doubt {
    fn default() -> Self {
        Doubt {
            reason: None,
            count: 0,
            pauses: Backoff::new(FIRST, LONGEST),
            last: None,
        }
    }
}

impl Doubt {
    /// A task was handed back. How long to pause, or None when that has been said: several children end together.
    pub fn raise(&mut self, reason: &str) -> Option<Duration> {
        if self.reason.is_some() {
            return None;
        }
        if self.last.is_some_and(|last| last.elapsed() > LONGEST * 2) {
            self.pauses.reset();
        }
        let pause = self.pauses.next_delay();
        self.last = Some(Instant::now() + pause);
        self.reason = Some(reason.to_owned());
        self.count += 1;
        Some(pause)
    }

    /// How often there was any.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// It is tried again, because a look that began when [`Self::count`] was `seen` is over. One that began before the
    /// doubt says nothing of it.
    pub fn lift(&mut self, seen: u64) {
        if seen == self.count {
            self.reason = None;
        }
    }

    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_while_it_happens_again_and_begin_anew_after_a_good_while() {
        let mut doubt = Doubt::default();
        let mut last = Duration::ZERO;
        for _ in 0..9 {
            last = doubt.raise("full").unwrap();
            assert_eq!(doubt.reason(), Some("full"));
            tokio::time::advance(last).await;
            doubt.lift(doubt.count());
        }
        assert!(last >= LONGEST / 2 && last <= LONGEST, "{last:?}");
        tokio::time::advance(LONGEST * 2 + Duration::from_secs(1)).await;
        assert!(doubt.raise("full").unwrap() <= FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn children_that_fail_together_count_once() {
        let mut doubt = Doubt::default();
        assert!(doubt.raise("full").is_some());
        assert!(doubt.raise("full").is_none());
        doubt.lift(doubt.count());
        assert!(doubt.reason().is_none() && doubt.raise("full").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_began_before_the_doubt_does_not_lift_it() {
        let mut doubt = Doubt::default();
        let before = doubt.count();
        assert!(doubt.raise("full").is_some());
        doubt.lift(before);
        assert_eq!(doubt.reason(), Some("full"));
        doubt.lift(doubt.count());
        assert_eq!(doubt.reason(), None);
    }
}
