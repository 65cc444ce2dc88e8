//! What was done, what was promised, what was violated.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::cards::Kind;

/// More lines than this say nothing new.
const MOST_VIOLATIONS: usize = 60;

/// Somebody was told that a run is there, and perhaps how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    pub run: i64,
    pub key: String,
    /// The last frame that its follower read, and how many of those about the run as a whole.
    pub seq: i64,
    pub frames: i64,
    /// The digest of its report, if it has completed.
    pub report: Option<String>,
}

/// Something was done to a run, whether or not anybody learned of it: it may explain how the run ended.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    RunCancelled(i64),
    TaskCancelled(i64),
    RunRetried(i64),
    /// The model misbehaved towards what was launched under this number.
    ModelMisbehaved(usize),
    /// The child of this lease was killed.
    ChildKilled(String),
}

/// What the server has answered to somebody who did something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    RunCancelled { run: i64, status: String },
    TaskCancelled { task: i64, state: String },
    RunRetried { run: i64, version: i64 },
    RunForked { run: i64, from: i64, step: String },
}

/// The notes of one crash test.
#[derive(Debug)]
pub struct Ledger {
    start: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    faults: BTreeMap<Kind, usize>,
    violations: Vec<String>,
    journal: Vec<String>,
    promises: Vec<Promise>,
    rolled_back: Vec<String>,
    deeds: BTreeSet<Deed>,
    words: Vec<Word>,
    looks: usize,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            inner: Mutex::default(),
        }
    }
}

impl Ledger {
    /// A fault was made.
    pub fn fault(&self, kind: Kind, on: &str) {
        self.journal(&format!("{}: {on}", kind.name()));
        *self.lock().faults.entry(kind).or_default() += 1;
    }

    /// How often this fault was made.
    pub fn faults(&self, kind: Kind) -> usize {
        self.lock().faults.get(&kind).copied().unwrap_or(0)
    }

    /// A line for whoever looks for the cause of a violation.
    pub fn journal(&self, line: &str) {
        let at = self.start.elapsed().as_secs_f64();
        self.lock().journal.push(format!("{at:9.3} {line}"));
    }

    /// Something that should never happen.
    pub fn violated(&self, line: String) {
        self.journal(&format!("VIOLATION {line}"));
        let violations = &mut self.lock().violations;
        if violations.len() < MOST_VIOLATIONS && !violations.contains(&line) {
            violations.push(line);
        }
    }

    /// Somebody follows this run and was told so much.
    pub fn promised(&self, promise: Promise) {
        self.lock().promises.push(promise);
    }

    /// A launch under this key was taken back.
    pub fn rolled_back(&self, key: String) {
        self.lock().rolled_back.push(key);
    }

    /// Something is about to be done to a run.
    pub fn doing(&self, deed: Deed) {
        self.lock().deeds.insert(deed);
    }

    /// The server has answered.
    pub fn told(&self, word: Word) {
        self.lock().words.push(word);
    }

    /// The invariants were looked at amid the faults.
    pub fn looked(&self) {
        self.lock().looks += 1;
    }

    /// Everything that was done to runs.
    pub fn deeds(&self) -> BTreeSet<Deed> {
        self.lock().deeds.clone()
    }

    /// Everything that the server has answered.
    pub fn words(&self) -> Vec<Word> {
        self.lock().words.clone()
    }

    /// How often the invariants were looked at amid the faults.
    pub fn looks(&self) -> usize {
        self.lock().looks
    }

    /// What was violated so far.
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// What was promised so far.
    pub fn promises(&self) -> Vec<Promise> {
        self.lock().promises.clone()
    }

    /// The keys of launches that were taken back.
    pub fn keys_rolled_back(&self) -> Vec<String> {
        self.lock().rolled_back.clone()
    }

    /// Everything in the order in which it happened.
    pub fn text(&self) -> String {
        self.lock().journal.join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}
