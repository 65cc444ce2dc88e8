//! What is explored: plans, what may go wrong in a run of them, and how often. One scope with everything would have too
//! many states; each of these has all orders of what belongs together.

use crate::flaws::Flaw;
use crate::model::Protocol;
use crate::plan::Plan;
use crate::state::Bounds;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Attempts fail, are handed back, are finished twice.
    Work,
    /// Workers die, leases run out and are renewed.
    Deaths,
    /// Somebody cancels and retries while workers work and renew.
    People,
    /// The same while a lease runs out: a former holder goes on into the next life of the run.
    Late,
    /// The same with a step that was dispatched before it has to wait again.
    Joined,
    /// Attempts fail, one call after the other, and a step has gone on without an angle that is retried.
    Shared,
    /// Children stream while their leases are lost.
    Streams,
    /// Finishers above READ COMMITTED.
    Snapshots,
    /// Three calls at once.
    Three,
}

const NOTHING: Bounds = Bounds {
    failures: 0,
    expiries: 0,
    crashes: 0,
    cancels: 0,
    retries: 0,
    releases: 0,
    lost_answers: 0,
    heartbeats: 0,
    streams: 0,
};

impl Scope {
    /// With the least number of states that it has: a model that explores nothing must not pass.
    pub const ALL: [(Self, usize); 9] = [
        (Self::Work, 140_000),
        (Self::Deaths, 50_000),
        (Self::People, 230_000),
        (Self::Late, 200_000),
        (Self::Joined, 170_000),
        (Self::Shared, 22_000),
        (Self::Streams, 45_000),
        (Self::Snapshots, 36_000),
        (Self::Three, 80_000),
    ];

    pub fn model(self, flaw: Option<Flaw>) -> Protocol {
        let people = Bounds {
            cancels: 1,
            retries: 1,
            failures: 1,
            ..NOTHING
        };
        let (plan, bounds) = match self {
            Self::Work => {
                let bounds = Bounds {
                    failures: 2,
                    releases: 1,
                    lost_answers: 1,
                    ..NOTHING
                };
                (Plan::spine(), bounds)
            }
            Self::Deaths => {
                let bounds = Bounds {
                    crashes: 1,
                    expiries: 1,
                    heartbeats: 1,
                    ..NOTHING
                };
                (Plan::angles(), bounds)
            }
            Self::People => {
                let bounds = Bounds {
                    heartbeats: 1,
                    ..people
                };
                (Plan::angles(), bounds)
            }
            Self::Late => {
                let bounds = Bounds {
                    expiries: 1,
                    failures: 0,
                    ..people
                };
                (Plan::angles(), bounds)
            }
            Self::Joined => (Plan::joined(), people),
            Self::Shared => {
                let bounds = Bounds {
                    failures: 2,
                    retries: 1,
                    ..NOTHING
                };
                (Plan::shared_angle(), bounds)
            }
            Self::Streams => {
                let bounds = Bounds {
                    streams: 1,
                    expiries: 1,
                    failures: 1,
                    ..NOTHING
                };
                (Plan::angles(), bounds)
            }
            Self::Snapshots => {
                let bounds = Bounds {
                    failures: 1,
                    cancels: 1,
                    lost_answers: 1,
                    ..NOTHING
                };
                (Plan::angles(), bounds)
            }
            Self::Three => {
                let bounds = Bounds {
                    cancels: 1,
                    expiries: 1,
                    heartbeats: 1,
                    ..NOTHING
                };
                (Plan::angles(), bounds)
            }
        };
        Protocol {
            plan,
            flaw,
            bounds,
            sessions: match self {
                Self::Shared => 1,
                Self::Three => 3,
                _ => 2,
            },
            snapshots: self == Self::Snapshots,
        }
    }
}
