//! Every defect that was found, each a protection that can be taken out of the model.

use crate::scopes::Scope;

/// A protection that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The run is locked and not updated: above READ COMMITTED the second finisher reads old statuses.
    LockOnly,
    /// `flow_cancel` passes over a task that a heartbeat holds, and does not come back to it.
    CancelOnlySkips,
    /// A former holder's stream is taken.
    LateStream,
    /// A former holder's finish is taken.
    LateFinish,
    /// The guard of an advance clears itself when it is entered a second time.
    GuardClearsItself,
    /// A finish that is repeated counts its tokens again.
    FinishCountsAgain,
    /// `_rescue` does not look again, once it holds the task, whether its lease was renewed.
    RescueLooksOnce,
    /// Two workers read one pending task, and each writes its claim.
    ClaimWithoutLock,
    /// A heartbeat takes back what has expired before it renews what its worker holds.
    RescueBeforeRenewal,
    /// `worker_register` takes back what its former process held at first look, whoever has it by now. This
    /// model found it.
    RegisterTakesAny,
    /// A finish drops the deltas of its attempt without waiting for a stream that is about to commit.
    DropsDeltasTooEarly,
    /// A stream does not look at its lease again once it holds the counter.
    StreamLooksOnce,
    /// A settled step counts down what has gone on without it.
    CountsDownWhatIsOver,
    /// A step that is retried keeps its former task while it waits.
    RetryKeepsTask,
}

impl Flaw {
    /// The scope in which it shows, and in which the protocol as it is keeps the rule.
    pub const fn scope(self) -> Scope {
        match self {
            Self::LockOnly => Scope::Snapshots,
            Self::LateFinish => Scope::Late,
            Self::CancelOnlySkips | Self::GuardClearsItself => Scope::People,
            Self::FinishCountsAgain => Scope::Work,
            Self::RescueLooksOnce
            | Self::ClaimWithoutLock
            | Self::RescueBeforeRenewal
            | Self::RegisterTakesAny => Scope::Deaths,
            Self::LateStream | Self::DropsDeltasTooEarly | Self::StreamLooksOnce => Scope::Streams,
            Self::CountsDownWhatIsOver => Scope::Shared,
            Self::RetryKeepsTask => Scope::Joined,
        }
    }

    pub const ALL: [Self; 14] = [
        Self::LockOnly,
        Self::CancelOnlySkips,
        Self::LateStream,
        Self::LateFinish,
        Self::GuardClearsItself,
        Self::FinishCountsAgain,
        Self::RescueLooksOnce,
        Self::ClaimWithoutLock,
        Self::RescueBeforeRenewal,
        Self::RegisterTakesAny,
        Self::DropsDeltasTooEarly,
        Self::StreamLooksOnce,
        Self::CountsDownWhatIsOver,
        Self::RetryKeepsTask,
    ];

    /// The rule that it breaks.
    pub const fn caught_by(self) -> &'static str {
        match self {
            Self::LockOnly => "due_step_is_dispatched",
            Self::CancelOnlySkips => "ended_run_has_no_live_task",
            Self::LateStream | Self::LateFinish => "a stale lease changes nothing",
            Self::GuardClearsItself => "a run ends once",
            Self::FinishCountsAgain => "an attempt counts once",
            Self::ClaimWithoutLock => "only a pending task is claimed",
            Self::RescueLooksOnce | Self::RescueBeforeRenewal | Self::RegisterTakesAny => {
                "a lease that holds is not taken"
            }
            Self::DropsDeltasTooEarly | Self::StreamLooksOnce => "ended_attempt_keeps_no_deltas",
            Self::CountsDownWhatIsOver => "no call fails by itself",
            Self::RetryKeepsTask => "step_follows_task",
        }
    }
}
