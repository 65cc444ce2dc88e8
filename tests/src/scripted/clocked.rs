//! A text that says when it was said: tokens at an even pace, each with its number and the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// So many tokens, so many a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clocked {
    pub tokens: u64,
    pub per_second: f64,
}

impl Clocked {
    /// When a token is due, counted from the first.
    pub fn due(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.per_second)
    }
}

/// Microseconds since 1970.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}

/// The token of this number, said now.
pub fn token(number: u64) -> String {
    format!("{number}:{} ", now())
}

/// Number and time of each token in a text of whole tokens; None for any other text.
pub fn read(text: &str) -> Option<Vec<(u64, u64)>> {
    let token = |token: &str| {
        let (number, time) = token.split_once(':')?;
        Some((number.parse().ok()?, time.parse().ok()?))
    };
    text.split_whitespace().map(token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_can_be_read() {
        let before = now();
        let text = format!("{}{}", token(0), token(1));
        let read = read(&text).unwrap();
        assert_eq!([read[0].0, read[1].0], [0, 1]);
        assert!(read.iter().all(|(_, time)| (before..=now()).contains(time)));
        assert_eq!(super::read("not a token"), None);
    }

    #[test]
    fn tokens_are_due_at_an_even_pace() {
        let clocked = Clocked {
            tokens: 9,
            per_second: 100.0,
        };
        assert_eq!(clocked.due(0), Duration::ZERO);
        assert_eq!(clocked.due(250), Duration::from_millis(2500));
    }
}
