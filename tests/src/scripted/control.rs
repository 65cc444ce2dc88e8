//! What all requests share: the script, the record of requests, the holds.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use super::conversation::Conversation;
use super::roles;
use super::script::{Reply, Script, Stall};

/// How a request ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still being answered, or held.
    Active,
    /// Answered to its end.
    Completed,
    /// Answered with an HTTP error, by script.
    Refused,
    /// Cut off in the middle, by script.
    Cut,
    /// The client went away first.
    Disconnected,
}

/// One request as it came, and when. Times count from the start of the server.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// 1 for the first request.
    pub number: u64,
    pub persona: Option<String>,
    /// Turn of the conversation that was asked for.
    pub turn: usize,
    /// The rule that answered, counted from 0; none is the default behaviour.
    pub rule: Option<usize>,
    pub started_ms: u64,
    pub ended_ms: Option<u64>,
    pub outcome: Outcome,
    /// The whole body, as it was received.
    #[serde(skip)]
    pub body: String,
}

impl Record {
    /// The body as a conversation.
    pub fn conversation(&self) -> Conversation {
        Conversation::parse(&self.body).unwrap_or_default()
    }
}

/// The shared state; cheap to clone.
#[derive(Debug, Clone)]
pub struct Control {
    inner: Arc<Mutex<Inner>>,
    changed: watch::Sender<u64>,
    started: Instant,
    keep: usize,
}

#[derive(Debug, Default)]
struct Inner {
    script: Script,
    /// For each rule: requests that fitted it, and those that it answered.
    counts: Vec<(usize, usize)>,
    records: VecDeque<Record>,
    requests: u64,
    released: HashSet<String>,
    held: BTreeMap<String, usize>,
}

/// Ends its request as `disconnected` unless somebody says otherwise before it is dropped.
#[derive(Debug)]
pub struct Ticket {
    control: Control,
    number: u64,
    outcome: Outcome,
}

impl Control {
    /// An empty record that plays `script` and remembers the last `keep` requests.
    pub fn new(script: Script, keep: usize) -> Self {
        let control = Self {
            inner: Arc::default(),
            changed: watch::Sender::new(0),
            started: Instant::now(),
            keep,
        };
        control.set_script(script);
        control
    }

    /// Plays another script from now on; its counts and all releases begin anew.
    pub fn set_script(&self, script: Script) {
        self.change(|inner| {
            inner.counts = vec![(0, 0); script.rules.len()];
            inner.released.clear();
            inner.script = script;
        });
    }

    /// Forgets script, counts, records and releases.
    pub fn reset(&self) {
        self.set_script(Script::default());
        self.change(|inner| inner.records.clear());
    }

    /// Lets everything go on that is held or will be held under this name; without a name, everything
    /// that is held now.
    pub fn release(&self, name: Option<&str>) {
        self.change(|inner| match name {
            Some(name) => {
                inner.released.insert(name.into());
            }
            None => {
                let held: Vec<String> = inner.held.keys().cloned().collect();
                inner.released.extend(held);
            }
        });
    }

    /// Names that hold requests now, and how many each.
    pub fn held(&self) -> BTreeMap<String, usize> {
        self.lock().held.clone()
    }

    /// The requests so far, oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.iter().cloned().collect()
    }

    /// Returns as soon as `check` holds, looking again at every change; false when `limit` has passed.
    pub async fn wait_until(&self, limit: Duration, check: impl Fn(&Self) -> bool) -> bool {
        let mut changes = self.changed.subscribe();
        let waiting = async {
            while !check(self) {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(limit, waiting).await.is_ok()
    }

    /// Waits out a hold. Ends early when it is released; the caller races it against its client.
    pub async fn hold(&self, stall: &Stall) {
        self.change(|inner| *inner.held.entry(stall.name.clone()).or_default() += 1);
        let _held = Held(self, &stall.name);
        let limit = Duration::from_millis(stall.max_ms);
        self.wait_until(limit, |control| {
            control.lock().released.contains(&stall.name)
        })
        .await;
    }

    /// Takes a request down and chooses its reply; none is the default behaviour.
    pub fn begin(&self, talk: &Conversation, body: String) -> (Ticket, Option<Reply>) {
        let started_ms = self.elapsed_ms();
        let (number, reply) = self.change(|inner| {
            let rule = inner.choose(talk);
            inner.requests += 1;
            inner.records.push_back(Record {
                number: inner.requests,
                persona: roles::recognise(&talk.system).map(|role| role.name.into()),
                turn: talk.turn(),
                rule,
                started_ms,
                ended_ms: None,
                outcome: Outcome::Active,
                body,
            });
            if inner.records.len() > self.keep {
                inner.records.pop_front();
            }
            let reply = rule.map(|rule| inner.script.rules[rule].reply(talk.turn()));
            (inner.requests, reply)
        });
        let ticket = Ticket {
            control: self.clone(),
            number,
            outcome: Outcome::Disconnected,
        };
        (ticket, reply)
    }

    /// What `started_ms` and `ended_ms` of a record count in: milliseconds since this was made.
    pub fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|version| *version += 1);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}

impl Inner {
    fn choose(&mut self, talk: &Conversation) -> Option<usize> {
        for (index, rule) in self.script.rules.iter().enumerate() {
            if !rule.fits(talk) {
                continue;
            }
            let (fitted, used) = &mut self.counts[index];
            *fitted += 1;
            if rule.call.is_some_and(|call| call != *fitted)
                || rule.times.is_some_and(|times| *used >= times)
            {
                continue;
            }
            *used += 1;
            return Some(index);
        }
        None
    }
}

impl Ticket {
    /// Says how the request ended, and ends it.
    pub fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let now = self.control.elapsed_ms();
        self.control.change(|inner| {
            let known = inner.records.iter_mut().find(|r| r.number == self.number);
            if let Some(record) = known {
                record.ended_ms = Some(now);
                record.outcome = self.outcome;
            }
        });
    }
}

/// Counts a hold down however it ends.
struct Held<'a>(&'a Control, &'a str);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.change(|inner| {
            if let Some(count) = inner.held.get_mut(self.1) {
                *count -= 1;
                if *count == 0 {
                    inner.held.remove(self.1);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::script::Rule;

    fn talk(prompt: &str) -> Conversation {
        Conversation {
            prompt: prompt.into(),
            ..Conversation::default()
        }
    }

    #[test]
    fn a_rule_used_up_leaves_its_turn_to_the_next() {
        let rules = [
            Rule::any([Reply::status(500)]).times(1),
            Rule::any([Reply::text("later")]).contains("late"),
        ];
        let control = Control::new(Script::of(rules), 10);
        let (_a, first) = control.begin(&talk("late"), String::new());
        let (_b, second) = control.begin(&talk("late"), String::new());
        let (_c, third) = control.begin(&talk("other"), String::new());
        assert_eq!(first, Some(Reply::status(500)));
        assert_eq!(second, Some(Reply::text("later")));
        assert_eq!(third, None);
    }

    #[test]
    fn a_dropped_ticket_is_a_client_that_went_away() {
        let control = Control::new(Script::default(), 10);
        let (ticket, _) = control.begin(&talk(""), String::new());
        assert_eq!(control.records()[0].outcome, Outcome::Active);
        drop(ticket);
        assert_eq!(control.records()[0].outcome, Outcome::Disconnected);
        let (ticket, _) = control.begin(&talk(""), String::new());
        ticket.end(Outcome::Completed);
        assert_eq!(control.records()[1].outcome, Outcome::Completed);
    }

    #[tokio::test]
    async fn a_hold_ends_when_it_is_released_and_not_before() {
        let control = Control::new(Script::default(), 10);
        let other = control.clone();
        let held = tokio::spawn(async move { other.hold(&Stall::default()).await });
        let limit = Duration::from_secs(5);
        assert!(
            control
                .wait_until(limit, |c| c.held().contains_key("hold"))
                .await
        );
        assert!(!held.is_finished());
        control.release(None);
        held.await.unwrap();
        assert!(control.held().is_empty());
    }
}
