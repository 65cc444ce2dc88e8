//! The plan in the driver's memory: what follows from a completion.

use std::collections::{BTreeMap, HashMap};

use crate::bench::trace::Trace;

/// A step that gets a task and a chat.
#[derive(Debug, Clone)]
pub struct Dispatched {
    pub step_id: String,
    /// The number of both, given by the board.
    pub id: i64,
    /// Whether a fan-out adds it: its row is new.
    pub added: bool,
    /// How many needs fewer it waits for: completions at once may commit in another order than they were foreseen in.
    pub less: i32,
}

/// What a transaction writes beside the row of the step that has settled.
#[derive(Debug, Default)]
pub struct Effects {
    pub dispatched: Vec<Dispatched>,
    /// Steps that go on waiting, and for how many less.
    pub waiting: BTreeMap<String, i32>,
    /// Code steps that ran, and how many needs fewer they wait for.
    pub ran: Vec<(String, i32)>,
    /// The run has ended.
    pub ended: bool,
}

/// How far a run is.
pub struct Run {
    waiting: HashMap<String, i32>,
    left: usize,
}

impl Run {
    /// A run that begins, and its first wave.
    pub fn begin(trace: &Trace) -> (Self, Effects) {
        let planned = |id: &&String| trace.steps[*id].parent.is_none();
        let waiting = trace
            .order
            .iter()
            .filter(planned)
            .map(|id| (id.clone(), trace.steps[id].needs))
            .collect();
        let mut run = Run {
            waiting,
            left: trace.order.len(),
        };
        let mut effects = Effects::default();
        for id in trace.order.iter().filter(planned) {
            if run.waiting[id] == 0 {
                run.start(trace, id, 0, &mut effects);
            }
        }
        (run, effects)
    }

    /// What follows when a step settles.
    pub fn settle(&mut self, trace: &Trace, step_id: &str) -> Effects {
        let mut effects = Effects::default();
        self.settled(trace, step_id, &mut effects);
        effects
    }

    fn settled(&mut self, trace: &Trace, step_id: &str, effects: &mut Effects) {
        self.left -= 1;
        effects.ended = self.left == 0;
        // What a fan-out adds has the successors of the fan-out.
        let of = trace.steps[step_id].parent.as_deref().unwrap_or(step_id);
        for successor in trace.successors.get(of).into_iter().flatten() {
            let waiting = self
                .waiting
                .get_mut(successor)
                .expect("every planned step is counted");
            *waiting -= 1;
            if *waiting == 0 {
                let less = effects.waiting.remove(successor).unwrap_or_default() + 1;
                self.start(trace, successor, less, effects);
            } else {
                *effects.waiting.entry(successor.clone()).or_default() += 1;
            }
        }
    }

    fn start(&mut self, trace: &Trace, step_id: &str, less: i32, effects: &mut Effects) {
        if trace.steps[step_id].agent {
            effects.dispatched.push(Dispatched {
                step_id: step_id.to_owned(),
                id: 0,
                added: false,
                less,
            });
            return;
        }
        let children = trace
            .order
            .iter()
            .filter(|id| trace.steps[*id].parent.as_deref() == Some(step_id));
        let before = effects.dispatched.len();
        effects.dispatched.extend(children.map(|id| Dispatched {
            step_id: id.clone(),
            id: 0,
            added: true,
            less: 0,
        }));
        let added = effects.dispatched.len() - before;
        for successor in trace.successors.get(step_id).into_iter().flatten() {
            *self
                .waiting
                .get_mut(successor)
                .expect("every planned step is counted") += added as i32;
            *effects.waiting.entry(successor.clone()).or_default() -= added as i32;
        }
        effects.ran.push((step_id.to_owned(), less));
        self.settled(trace, step_id, effects);
    }
}
