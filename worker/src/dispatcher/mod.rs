//! Listens, claims, keeps leases alive, drains. One loop that never waits for the server itself.

mod activity;
mod answers;
mod doubt;
mod news;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

use activity::Activity;
use answers::Answer;
use doubt::Doubt;

use crate::backoff::Backoff;
use crate::checks::{self, Line, SelfCheck, Tools};
use crate::config::Config;
use crate::db::{Claim, Db, Registered, Registration, listen};
use crate::home::Home;
use crate::runner::{Attempt, Context, Ending, Order};
use crate::signals::Signal;
use crate::snapshot::Snapshots;
use crate::streams::Streams;
use crate::systemd::Systemd;

/// How often tasks are looked for when no doorbell rings, and when it is known not to.
const SLOW_POLL: Duration = Duration::from_secs(5);
const DEAF_POLL: Duration = Duration::from_secs(2);
/// After a failure that is tried again they are looked for more often, for a while.
const EAGER_POLL: Duration = Duration::from_millis(500);
const EAGER: Duration = Duration::from_secs(10);
/// A failed self-check is repeated soon at first, and so often in the end.
const FIRST_RECHECK: Duration = Duration::from_secs(2);
const RECHECK: Duration = Duration::from_secs(15);
/// News of a run whose child is here bring the next heartbeat forward, but not closer together than this.
const BEAT_GAP: Duration = Duration::from_millis(300);
/// Snapshots of runs that have no child here are looked at so often.
const TIDY: Duration = Duration::from_secs(60);
/// How long a worker that was told to stop at once may take for it.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How long the last snapshots may take to go.
const REMOVAL_LIMIT: Duration = Duration::from_secs(20);
/// Sessions beside one for each child: claim, heartbeat, proof of the doorbell, streams.
const OWN_SESSIONS: usize = 4;
/// The channel of run-level news.
const CHANNEL: &str = "conductor_frames";

/// How far the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Working,
    /// Nothing new is taken; what runs is finished.
    Draining,
    /// Children are ended and their tasks handed back, until the given time at the latest.
    Stopping(Instant),
}

/// A child of ours, as far as the dispatcher needs to know it.
struct Running {
    claim: Claim,
    orders: watch::Sender<Order>,
}

#[derive(Default)]
struct Activities {
    check: Activity,
    register: Activity,
    claim: Activity,
    beat: Activity,
    tidy: Activity,
}

/// The dispatcher's whole state; only its loop touches it.
struct Dispatcher {
    context: Arc<Context>,
    env: fn(&str) -> Option<String>,
    tools: Option<Arc<Tools>>,
    check: Option<SelfCheck>,
    doubt: Doubt,
    worker: Option<Registered>,
    mode: Mode,
    /// The doorbell is known to ring, and so each session is ours alone.
    rings: bool,
    /// Until then a task that failed here is due again, of which no doorbell tells.
    eager_until: Instant,
    activities: Activities,
    calls: JoinSet<Answer>,
    /// Tasks without a runner that the server is being told of.
    settling: usize,
    runners: JoinSet<Ending>,
    running: HashMap<Id, Running>,
    /// Runs whose snapshot may be here.
    held: HashSet<i64>,
    /// Nothing is heard from the server now.
    away: bool,
    last_beat: Instant,
    /// When the leases were last known to be renewed.
    renewed: Instant,
    check_backoff: Backoff,
    register_backoff: Backoff,
    /// The last thing said on each subject, so that nothing is said twice in a row.
    said: HashMap<&'static str, String>,
    systemd: Systemd,
}

/// Runs the daemon until it is told to stop. True: everything was finished or handed back. An error is one line for
/// people: the daemon could not begin.
pub async fn run(
    config: Config,
    mut signals: mpsc::UnboundedReceiver<Signal>,
    env: fn(&str) -> Option<String>,
) -> Result<bool, String> {
    let home = Home::take(&config.state_dir)?;
    let git = checks::git().unwrap_or_else(|| "git".into());
    let snapshots =
        Snapshots::new(&config.state_dir.join("snapshots"), &git).map_err(|e| e.to_string())?;
    match snapshots.sweep(&[]).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "snapshots of a former process removed"),
        Err(error) => tracing::warn!(%error, "snapshots of a former process could not be removed"),
    }
    let db = Db::new(config.database.clone(), config.slots + OWN_SESSIONS);
    tracing::info!(
        name = %config.name, host = %config.host, server = %db.shown(), slots = config.slots,
        state = %config.state_dir.display(), "worker {}", env!("CARGO_PKG_VERSION")
    );
    for root in config.allow_roots.iter().filter(|root| !root.is_dir()) {
        tracing::warn!(root = %root.display(), "this root is not a folder: no project in it can be read");
    }
    let (ring, mut rings) = mpsc::channel(64);
    let listener = listen(db.clone(), vec![CHANNEL.to_owned()], ring);
    let mut dispatcher = Dispatcher::new(
        Arc::new(Context {
            streams: Streams::start(db.clone()),
            db,
            config,
            snapshots,
            home,
        }),
        env,
    );
    dispatcher.systemd.ready();
    dispatcher.activities.check.soon();
    loop {
        dispatcher.start_what_is_due();
        if dispatcher.is_over() {
            break;
        }
        let wake = dispatcher.wake();
        tokio::select! {
            Some(ring) = rings.recv() => dispatcher.on_ring(ring),
            Some(signal) = signals.recv() => dispatcher.on_signal(signal),
            Some(answer) = dispatcher.calls.join_next() => {
                dispatcher.on_answer(answer.expect("a call does not panic"));
            }
            Some(ended) = dispatcher.runners.join_next_with_id() => dispatcher.on_ended(ended),
            () = sleep_until(wake) => {}
        }
    }
    listener.abort();
    Ok(dispatcher.farewell().await)
}

impl Dispatcher {
    fn new(context: Arc<Context>, env: fn(&str) -> Option<String>) -> Self {
        Dispatcher {
            context,
            env,
            tools: None,
            check: None,
            doubt: Doubt::default(),
            worker: None,
            mode: Mode::Working,
            rings: false,
            eager_until: Instant::now(),
            activities: Activities::default(),
            calls: JoinSet::new(),
            settling: 0,
            runners: JoinSet::new(),
            running: HashMap::new(),
            held: HashSet::new(),
            away: false,
            last_beat: Instant::now(),
            renewed: Instant::now(),
            check_backoff: Backoff::new(FIRST_RECHECK, RECHECK),
            register_backoff: Backoff::of_connections(),
            said: HashMap::new(),
            systemd: Systemd::connect(),
        }
    }

    /// Starts every call whose time has come. None of them is waited for here.
    fn start_what_is_due(&mut self) {
        self.systemd.alive();
        self.systemd.status(&self.status());
        let context = self.context.clone();
        if self.mode == Mode::Working && self.activities.check.begin() {
            let (env, doubts) = (self.env, self.doubt.count());
            self.calls.spawn(async move {
                let state = &context.config.state_dir;
                let check = match context.home.mend() {
                    Ok(()) => checks::self_check(&context.config, state, &env).await,
                    Err(error) => SelfCheck::of(Line::bad("state folder", error, "")),
                };
                Answer::Checked(Box::new(check), doubts)
            });
        }
        let context = self.context.clone();
        if self.check.is_some() && self.activities.register.begin() {
            let registration = self.registration();
            self.calls
                .spawn(async move { Answer::Registered(context.db.register(&registration).await) });
        }
        let Some(worker) = self.worker.as_ref().map(|worker| worker.worker_id) else {
            return;
        };
        let context = self.context.clone();
        let free = self.context.config.slots.saturating_sub(self.running.len());
        let fit = self.is_fit() && !self.activities.check.is_busy();
        let fit = fit && self.mode == Mode::Working && !self.leases_may_have_run_out();
        let takes = fit && free > 0;
        // One that takes nothing asks for nothing: it is there.
        let asks = takes || self.mode == Mode::Working && self.running.is_empty();
        if asks && self.activities.claim.begin() {
            let slots = i32::try_from(if takes { free } else { 0 }).unwrap_or(i32::MAX);
            self.calls
                .spawn(async move { Answer::Claimed(context.db.claim(worker, slots).await) });
        }
        let context = self.context.clone();
        if self.activities.beat.begin() {
            self.last_beat = Instant::now();
            let leases: Vec<Uuid> = self
                .running
                .values()
                .map(|running| running.claim.lease)
                .collect();
            let limit = self.beat_period();
            self.calls.spawn(async move {
                Answer::Beaten(context.db.heartbeat(worker, &leases, limit).await)
            });
        }
        let idle = self.idle_runs();
        let context = self.context.clone();
        if !idle.is_empty() && self.activities.tidy.begin() {
            self.calls
                .spawn(async move { Answer::Tidied(answers::tidy(&context, worker, &idle).await) });
        }
    }

    /// When to look again even if nothing happens.
    fn wake(&self) -> Instant {
        let a = &self.activities;
        let stop = if let Mode::Stopping(until) = self.mode {
            Some(until)
        } else {
            None
        };
        // A wish that cannot be granted now (no slot, no registration) must not keep the loop turning: whatever makes
        // it possible wakes the loop.
        let now = Instant::now();
        [&a.check, &a.register, &a.claim, &a.beat, &a.tidy]
            .into_iter()
            .filter_map(Activity::due)
            .chain(stop)
            .chain(self.systemd.due())
            .filter(|at| *at > now)
            .min()
            .unwrap_or(now + SLOW_POLL)
    }

    /// A claim makes the server take back what has run out, and that may be our own after an outage: renew first.
    fn leases_may_have_run_out(&self) -> bool {
        !self.running.is_empty() && self.renewed.elapsed() > self.beat_period() * 2
    }

    /// Whether this machine can run what it takes, as far as we know.
    fn is_fit(&self) -> bool {
        self.tools.is_some() && self.doubt.reason().is_none()
    }

    /// What the self-check found, and what came to light since.
    fn found(&self) -> Option<SelfCheck> {
        let check = self.check.as_ref()?;
        let mut lines = check.lines.clone();
        lines.extend(
            self.doubt
                .reason()
                .map(|reason| Line::bad("last task", reason, "")),
        );
        Some(SelfCheck { lines, tools: None })
    }

    /// Runs whose snapshot is here and that have no child here.
    fn idle_runs(&self) -> Vec<i64> {
        let busy: HashSet<i64> = self
            .running
            .values()
            .map(|running| running.claim.run_id)
            .collect();
        self.held.difference(&busy).copied().collect()
    }

    fn registration(&self) -> Registration {
        let config = &self.context.config;
        Registration {
            name: config.name.clone(),
            host: config.host.clone(),
            slots: i32::try_from(config.slots).unwrap_or(i32::MAX),
            roots: config.served_roots(),
            models: config.models.clone(),
            self_check: self
                .found()
                .map(|found| found.to_json())
                .unwrap_or_default(),
        }
    }

    fn status(&self) -> String {
        let busy = format!(
            "{} of {} slots busy",
            self.running.len(),
            self.context.config.slots
        );
        match (self.found(), &self.worker) {
            _ if self.mode != Mode::Working => format!("draining: {busy}"),
            (None, _) => "checking the machine".into(),
            (Some(check), _) if !check.ok() => {
                format!("takes no tasks: {}", check.reasons().join("; "))
            }
            (_, worker) if self.away || worker.is_none() => format!("the server is away; {busy}"),
            _ => busy,
        }
    }

    /// Says something once, until something else is to be said on the same subject.
    fn is_news(&mut self, subject: &'static str, message: &str) -> bool {
        let news = self.said.get(subject).is_none_or(|last| last != message);
        if news {
            self.said.insert(subject, message.to_owned());
        }
        news
    }

    fn launch(&mut self, claim: Claim, tools: Arc<Tools>) {
        let (orders, heard) = watch::channel(Order::Run);
        self.held.insert(claim.run_id);
        if self.running.is_empty() {
            self.renewed = Instant::now();
            self.activities.beat.soon();
        }
        let attempt = Attempt {
            context: self.context.clone(),
            tools,
            claim: claim.clone(),
            orders: heard,
        };
        let id = self.runners.spawn(attempt.run()).id();
        self.running.insert(id, Running { claim, orders });
    }

    fn is_over(&self) -> bool {
        let settled =
            self.running.is_empty() && !self.activities.claim.is_busy() && self.settling == 0;
        match self.mode {
            Mode::Working => false,
            Mode::Draining => settled,
            Mode::Stopping(until) => settled || until <= Instant::now(),
        }
    }

    /// Leaves nothing behind: the server is told that this worker takes no more, snapshots are removed.
    async fn farewell(mut self) -> bool {
        let clean = self.running.is_empty();
        self.runners.shutdown().await;
        if self.worker.is_some() {
            let mut registration = self.registration();
            registration.self_check = answers::stopped();
            let told = timeout(
                Duration::from_secs(3),
                self.context.db.register(&registration),
            )
            .await;
            tracing::debug!(
                told = matches!(told, Ok(Ok(_))),
                "said farewell to the server"
            );
        }
        let removed = answers::remove(&self.context, self.held.drain());
        if timeout(REMOVAL_LIMIT, removed).await.is_err() {
            tracing::warn!("the snapshots that are left are removed at the next start");
        }
        tracing::info!("stopped");
        clean
    }
}
