//! The faults, and in which order a seed deals them.

use std::time::Duration;

use fastrand::Rng;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    WorkerKilled,
    WorkerDrained,
    /// Drained, and told a second time to stop at once.
    WorkerStopped,
    /// Stopped in the middle of whatever it does, and let go on when others may have its tasks.
    WorkerFrozen,
    ChildKilled,
    SessionTerminated,
    /// A server process killed, so that the server begins anew by itself.
    BackendKilled,
    ServerFast,
    ServerImmediate,
    ServerKilled,
    ModelRefuses,
    ModelCuts,
    ModelStalls,
    RunCancelled,
    TaskCancelled,
    RunRetried,
    RunForked,
    FramesPruned,
    RunsPruned,
    Resumed,
}

use Kind::*;

/// Each kind, how often it is in the deck, and what people call it.
pub const KINDS: [(Kind, usize, &str); 20] = [
    (WorkerKilled, 3, "worker killed"),
    (WorkerDrained, 1, "worker drained"),
    (WorkerStopped, 1, "worker stopped at once"),
    (WorkerFrozen, 2, "worker frozen"),
    (ChildKilled, 5, "child killed"),
    (SessionTerminated, 4, "session terminated"),
    (BackendKilled, 1, "backend killed"),
    (ServerFast, 1, "server restarted, fast"),
    (ServerImmediate, 1, "server restarted, immediate"),
    (ServerKilled, 1, "server killed"),
    (ModelRefuses, 3, "model answers an error"),
    (ModelCuts, 3, "model cuts its stream"),
    (ModelStalls, 2, "model stalls"),
    (RunCancelled, 2, "flow_cancel"),
    (TaskCancelled, 2, "task_cancel"),
    (RunRetried, 3, "flow_retry"),
    (RunForked, 2, "flow_fork"),
    (FramesPruned, 2, "flow_prune_frames"),
    (RunsPruned, 1, "flow_prune"),
    (Resumed, 2, "flow_resume"),
];

impl Kind {
    /// What people call it.
    pub fn name(self) -> &'static str {
        let known = KINDS.iter().find(|(kind, ..)| *kind == self);
        known.map_or("?", |(_, _, name)| name)
    }
}

/// A fault that is to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Card {
    /// How long after the one before.
    pub after: Duration,
    pub kind: Kind,
    /// Whom it hits and how, each from 0 to 1.
    pub dice: [f64; 3],
}

impl Card {
    /// One of so many, by a die; none of none.
    pub fn pick<T>(self, die: usize, of: &[T]) -> Option<&T> {
        // Always below the length, because a die is below 1.
        of.get((self.dice[die] * of.len() as f64) as usize)
    }

    /// A time between nothing and `most`, by a die.
    pub fn time(self, die: usize, most: Duration) -> Duration {
        most.mul_f64(self.dice[die])
    }
}

/// Cards without end. A round holds every kind, so that a short test is not all of one.
#[derive(Debug)]
pub struct Deck {
    rng: Rng,
    pause: Duration,
    round: Vec<Kind>,
}

impl Deck {
    /// The deck of a seed; `pause` is the mean time between two cards.
    pub fn new(seed: u64, pause: Duration) -> Self {
        let rng = Rng::with_seed(seed);
        let round = Vec::new();
        Self { rng, pause, round }
    }
}

impl Iterator for Deck {
    type Item = Card;

    fn next(&mut self) -> Option<Card> {
        if self.round.is_empty() {
            let copies = |&(kind, number, _): &(Kind, usize, &str)| vec![kind; number];
            self.round = KINDS.iter().flat_map(copies).collect();
            self.rng.shuffle(&mut self.round);
        }
        let kind = self.round.pop()?;
        Some(Card {
            after: self.pause.mul_f64(2.0 * self.rng.f64()),
            kind,
            dice: [self.rng.f64(), self.rng.f64(), self.rng.f64()],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    #[test]
    fn a_seed_deals_the_same_cards_again() {
        let deal = |seed| Deck::new(seed, PAUSE).take(200).collect::<Vec<_>>();
        assert_eq!(deal(7), deal(7));
        assert_ne!(deal(7), deal(8));
    }

    #[test]
    fn a_round_holds_every_kind_as_often_as_it_should() {
        let size = KINDS.iter().map(|(_, number, _)| number).sum();
        let round: Vec<Card> = Deck::new(3, PAUSE).take(size).collect();
        for (kind, number, _) in KINDS {
            let dealt = round.iter().filter(|card| card.kind == kind).count();
            assert_eq!(dealt, number, "{kind:?}");
        }
    }

    #[test]
    fn a_die_picks_one_of_what_there_is() {
        let mut card = Deck::new(1, PAUSE).next().unwrap();
        card.dice = [0.0, 0.999_999, 0.5];
        assert_eq!(card.pick(0, &[1, 2, 3]), Some(&1));
        assert_eq!(card.pick(1, &[1, 2, 3]), Some(&3));
        assert_eq!(card.pick::<i32>(2, &[]), None);
        assert_eq!(card.time(2, PAUSE), PAUSE / 2);
    }
}
