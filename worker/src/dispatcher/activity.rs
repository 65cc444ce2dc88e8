//! Something that is done now and then, one at a time.

use std::time::Duration;

use tokio::time::Instant;

/// When to do it next, and whether it is being done.
#[derive(Debug, Default)]
pub struct Activity {
    at: Option<Instant>,
    busy: bool,
}

impl Activity {
    /// Asks for it as soon as possible. Asking while it is being done means once more afterwards.
    pub fn soon(&mut self) {
        self.within(Duration::ZERO);
    }

    /// Asks for it after `delay` at the latest; an earlier wish stands.
    pub fn within(&mut self, delay: Duration) {
        let at = Instant::now() + delay;
        self.at = Some(self.at.map_or(at, |earlier| earlier.min(at)));
    }

    /// It need not be done for `delay`, whatever was asked for.
    pub fn put_off(&mut self, delay: Duration) {
        self.at = Some(Instant::now() + delay);
    }

    /// When to look again; None while it is being done or nobody asked.
    pub fn due(&self) -> Option<Instant> {
        self.at.filter(|_| !self.busy)
    }

    /// True, once, if it is time to do it; [`Activity::done`] must follow.
    pub fn begin(&mut self) -> bool {
        let begins = self.due().is_some_and(|at| at <= Instant::now());
        if begins {
            self.at = None;
            self.busy = true;
        }
        begins
    }

    /// It has been done.
    pub fn done(&mut self) {
        self.busy = false;
    }

    /// Whether it is being done.
    pub fn is_busy(&self) -> bool {
        self.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn many_wishes_are_one_deed_and_one_more_if_they_come_meanwhile() {
        let mut activity = Activity::default();
        assert!(!activity.begin());
        activity.soon();
        activity.soon();
        assert!(activity.begin());
        assert!(!activity.begin());
        activity.soon();
        assert!(activity.due().is_none() && !activity.begin());
        activity.done();
        assert!(activity.begin());
        activity.done();
        assert!(!activity.begin());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_off_is_done_later_or_when_somebody_asks() {
        let mut activity = Activity::default();
        activity.soon();
        activity.put_off(Duration::from_secs(5));
        assert!(!activity.begin());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(activity.begin());
        activity.done();
        activity.put_off(Duration::from_secs(5));
        activity.soon();
        assert!(activity.begin());
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_wish_stands() {
        let mut activity = Activity::default();
        let start = Instant::now();
        activity.within(Duration::from_secs(5));
        activity.within(Duration::from_secs(1));
        activity.within(Duration::from_secs(9));
        assert_eq!(activity.due(), Some(start + Duration::from_secs(1)));
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(!activity.begin());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(activity.begin());
    }
}
