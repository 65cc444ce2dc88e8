//! What must hold in every state: the invariants of `flow_check()` (`sql/730`) by their names there, what no row tells
//! afterwards, and that nothing gets stuck.

use stateright::Property;

use crate::flaws::Flaw;
use crate::model::{Action, MAX_ATTEMPTS, MAX_DEATHS, Protocol};
use crate::state::{Breach, Kind, Outcome, State, Status};
use stateright::Model;

type Rule = (&'static str, fn(&Protocol, &State) -> bool);

/// Invariants of `flow_check()` that are about what is not modelled: the numbers of frames, the texts that runs pin, and
/// what is announced.
pub const NOT_MODELLED: [&str; 4] = [
    "counter_is_past_every_frame",
    "run_has_counter",
    "ended_run_is_announced",
    "run_text_is_stored",
];

pub const RULES: [Rule; 21] = [
    ("running_run_has_unsettled_step", |_, it| {
        it.tables.run != Status::Running || unsettled(it)
    }),
    ("ended_run_has_no_unsettled_step", |_, it| {
        it.tables.run == Status::Running || !unsettled(it)
    }),
    ("ended_run_has_no_live_task", |_, it| {
        it.tables.run == Status::Running || it.tables.tasks_where(|it| !it.state.is_settled()) == 0
    }),
    ("completed_run_has_validated_report", |model, it| {
        let steps = || model.plan.0.iter().zip(&it.tables.steps);
        it.tables.run != Status::Completed
            || steps().all(|(plan, row)| !plan.vital || row.status == Status::Completed)
    }),
    ("step_follows_task", |_, it| {
        let steps = &mut it.tables.steps.iter();
        steps.all(|row| {
            let task = row.task.map(|task| &it.tables.tasks[task as usize]);
            task.is_none_or(|task| task.state == row.status)
        })
    }),
    ("running_agent_step_has_task", |_, it| {
        let lost = |row: &crate::state::Step| row.status == Status::Running && row.task.is_none();
        !it.tables.steps.iter().any(lost)
    }),
    ("live_task_belongs_to_step", |_, it| {
        let tasks = &mut (0..it.tables.tasks.len() as u8);
        tasks.all(|task| {
            let step = it.tables.tasks[task as usize].step as usize;
            !it.tables.is_live(task) || it.tables.steps[step].task == Some(task)
        })
    }),
    ("one_live_task_per_chat", |_, it| {
        let live = |step: usize| {
            it.tables
                .tasks_where(|it| it.step as usize == step && !it.state.is_settled())
        };
        (0..it.tables.steps.len()).all(|step| live(step).count_ones() <= 1)
    }),
    ("waiting_counts_unsettled_needs", |model, it| {
        pending(it).all(|step| {
            let needs = model.plan.0[step].needs.iter();
            let open = needs.filter(|need| !it.tables.steps[**need].status.is_settled());
            it.tables.steps[step].waiting as usize == open.count()
        })
    }),
    ("started_step_has_settled_needs", |model, it| {
        let started = |step: usize| it.tables.steps[step].status == Status::Running;
        let early = |step: usize| started(step) && !needs_settled(model, it, step);
        none(it, Breach::StartedEarly) && !(0..it.tables.steps.len()).any(early)
    }),
    ("due_step_is_dispatched", |model, it| {
        let forgotten =
            |step: usize| it.tables.steps[step].task.is_none() && needs_settled(model, it, step);
        !pending(it).any(forgotten)
    }),
    ("ended_attempt_keeps_no_deltas", |_, it| {
        let current = |row: &crate::state::Task| {
            let now = if row.state == Status::Running {
                1 << row.attempt
            } else {
                0
            };
            row.deltas & !now == 0
        };
        it.tables.tasks.iter().all(current)
    }),
    ("a stale lease changes nothing", |_, it| {
        none(it, Breach::StaleWrite)
    }),
    ("a lease that holds is not taken", |_, it| {
        none(it, Breach::TookHeld) && none(it, Breach::TookOwn)
    }),
    ("only a pending task is claimed", |_, it| {
        none(it, Breach::ClaimedTwice)
    }),
    ("a completed step is never started again", |_, it| {
        let kept = |(step, row): (usize, &crate::state::Step)| {
            it.completed & (1 << step) == 0 || row.status == Status::Completed
        };
        none(it, Breach::StartedAgain) && it.tables.steps.iter().enumerate().all(kept)
    }),
    ("a run ends once", |_, it| none(it, Breach::EndedTwice)),
    ("an attempt counts once", |_, it| {
        none(it, Breach::CountedTwice)
    }),
    ("attempts are bounded", |_, it| {
        let bounded = |row: &crate::state::Task| {
            row.deaths <= MAX_DEATHS && row.attempt <= MAX_ATTEMPTS + row.deaths
        };
        it.tables.tasks.iter().all(bounded)
    }),
    ("no call fails by itself", |_, it| none(it, Breach::Error)),
    ("every run settles", |model, it| {
        goes_on(model, it) && settles(model, it)
    }),
];

/// That the states are those meant: each of these is reached.
pub const REACHED: [Rule; 6] = [
    ("a run completes", |_, it| {
        it.tables.run == Status::Completed
    }),
    ("a run fails", |_, it| it.tables.run == Status::Failed),
    ("a run is cancelled", |_, it| {
        it.tables.run == Status::Cancelled
    }),
    ("a retried run completes", |model, it| {
        it.tables.run == Status::Completed && it.left.retries < model.bounds.retries
    }),
    ("a poison task fails", |_, it| {
        it.tables
            .tasks_where(|it| it.deaths == MAX_DEATHS && it.state == Status::Failed)
            != 0
    }),
    ("a former holder still writes", |_, it| {
        it.children.iter().any(|child| !it.tables.holds(*child))
    }),
];

/// All rules for the protocol as it is; for a flawed one, the rule that catches it.
pub fn all(flaw: Option<Flaw>) -> Vec<Property<Protocol>> {
    let rules = RULES
        .iter()
        .filter(|(name, _)| flaw.is_none_or(|flaw| flaw.caught_by() == *name));
    let always = rules.map(|(name, rule)| Property::always(name, *rule));
    let reached = REACHED.iter().filter(|_| flaw.is_none());
    always
        .chain(reached.map(|(name, rule)| Property::sometimes(name, *rule)))
        .collect()
}

fn none(state: &State, breach: Breach) -> bool {
    !state.breaches.contains(&breach)
}

fn unsettled(state: &State) -> bool {
    state.tables.steps.iter().any(|it| !it.status.is_settled())
}

fn needs_settled(model: &Protocol, state: &State, step: usize) -> bool {
    let mut needs = model.plan.0[step].needs.iter();
    needs.all(|need| state.tables.steps[*need].status.is_settled())
}

/// The pending steps of a run that runs.
fn pending(state: &State) -> impl Iterator<Item = usize> + '_ {
    let running = state.tables.run == Status::Running;
    let steps = state.tables.steps.iter().enumerate();
    steps
        .filter(move |(_, it)| running && it.status == Status::Pending)
        .map(|(at, _)| at)
}

/// No deadlock: of the calls that are open, one can take its next step.
fn goes_on(model: &Protocol, state: &State) -> bool {
    let can = |at: usize| model.step(state, at, true).is_some();
    state.calls.is_empty() || (0..state.calls.len()).any(can)
}

/// Whether the run settles from here when workers just keep working: nothing fails any more, nobody interferes.
/// From a state with open calls another without them is reached, by [`goes_on`]; so only those are looked at.
fn settles(model: &Protocol, state: &State) -> bool {
    let mut state = state.clone();
    if !state.calls.is_empty() {
        return true;
    }
    for _ in 0..200 {
        if state.calls.is_empty() && state.tables.run != Status::Running {
            return true;
        }
        let Some(action) = next_work(model, &state) else {
            return false;
        };
        state.left.expiries = 1;
        let next = model.next_state(&state, action);
        state = next.expect("a call alone waits for nobody");
    }
    false
}

fn next_work(model: &Protocol, state: &State) -> Option<Action> {
    if !state.calls.is_empty() {
        return Some(Action::Step(0));
    }
    if let Some(worker) = state.up.iter().position(|up| !up) {
        return Some(Action::Begin(Kind::Register {
            worker: worker as u8,
        }));
    }
    if let Some(child) = state.children.first() {
        return Some(Action::Begin(Kind::Finish(*child, Outcome::Completed)));
    }
    let find = |wanted: Status| state.tables.tasks.iter().position(|it| it.state == wanted);
    if let Some(task) = find(Status::Running) {
        let expired = state.tables.tasks[task].expired;
        return Some(if expired {
            Action::Begin(Kind::Rescue)
        } else {
            Action::Expire(task as u8)
        });
    }
    let claim = |task: usize| Kind::Claim {
        worker: 0,
        task: task as u8,
    };
    let claim = find(Status::Pending).map(|task| Action::Begin(claim(task)));
    claim.filter(|_| model.sessions > 0)
}
