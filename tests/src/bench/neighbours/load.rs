//! A busy conductor: agents that stream through a worker's own sender, steps that are completed, somebody who listens.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use conductor_worker::db::{self, Db};
use conductor_worker::events::Event;
use conductor_worker::streams::{Outbox, Streams};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_postgres::{AsyncMessage, NoTls};

use crate::bench::engine::Engine;
use crate::bench::stage::Stage;
use crate::bench::workload::{self, Workload};
use crate::harness::sql_worker;

/// Runs whose agents stream, and agents of each.
pub const RUNS: usize = 10;
pub const AGENTS: usize = 5;
/// Tokens that each of them says in a second.
pub const TOKENS_PER_SECOND: u64 = 100;
/// Steps that are claimed and completed in a second besides.
pub const STEPS_PER_SECOND: u64 = 10;
/// What a call of a token is: about what a model says at once.
const TOKEN: &str = "token ";

/// The load, on a thread of its own; it rests until it is told to go.
pub struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    going: AtomicBool,
    over: AtomicBool,
    /// The listener was rung so often.
    rings: AtomicU64,
    /// Steps that were completed.
    steps: AtomicU64,
}

impl Load {
    /// Launches the runs and claims their agents' tasks.
    pub async fn new(stage: &Stage) -> Self {
        let streaming = workload::streaming(AGENTS);
        stage.define(&streaming).await;
        let mut channels = String::from("listen conductor_frames;");
        for _ in 0..RUNS {
            let launch = "select flow_launch($1, 'What is said?')";
            let row = stage
                .admin
                .query_one(launch, &[&streaming.flow])
                .await
                .expect("a run can be launched");
            channels.push_str(&format!("listen conductor_run_{};", row.get::<_, i64>(0)));
        }
        let slots = i32::try_from(RUNS * AGENTS).expect("a small number");
        let tasks = sql_worker::claim(&stage.admin, stage.worker, slots)
            .await
            .expect("tasks can be claimed");
        assert_eq!(tasks.len(), RUNS * AGENTS);
        let tasks = tasks
            .iter()
            .map(|it| (it.task, it.lease.parse().expect("a lease is a UUID")))
            .collect();
        let workload = workload::diamond();
        stage.define(&workload).await;
        let engine = Engine::new(stage).await;
        let shared = Arc::new(Shared::default());
        let (url, held) = (stage.cluster.url(&stage.database), shared.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            runtime.block_on(async {
                tokio::join!(
                    stream(&url, tasks, &held),
                    complete(&engine, &workload, &held),
                    listen(&url, &channels, &held)
                );
            });
        });
        Load {
            shared,
            thread: Some(thread),
        }
    }

    /// Begins, or goes on.
    pub fn go(&self) {
        self.shared.going.store(true, Ordering::SeqCst);
    }

    /// Rests; what was said is stored a moment later.
    pub async fn rest(&self) {
        self.shared.going.store(false, Ordering::SeqCst);
        sleep(Duration::from_millis(500)).await;
    }

    /// How often the listener was rung so far, and how many steps were completed.
    pub fn done(&self) -> (u64, u64) {
        let count = |it: &AtomicU64| it.load(Ordering::SeqCst);
        (count(&self.shared.rings), count(&self.shared.steps))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn is_going(&self) -> bool {
        self.going.load(Ordering::SeqCst)
    }
}

/// Ticks so many times a second; what is missed is left out.
fn pace(per_second: u64) -> tokio::time::Interval {
    let mut pace =
        interval(Duration::from_secs(1) / u32::try_from(per_second).expect("a small number"));
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    pace
}

async fn stream(url: &str, tasks: Vec<(i64, uuid::Uuid)>, shared: &Shared) {
    let servers = db::resolve(Some(url), &|_| None, "bench").expect("the address is good");
    let streams = Streams::start(Db::new(servers, RUNS * AGENTS + 1));
    let mut outboxes: Vec<(Outbox, u64)> = tasks
        .into_iter()
        .map(|(task, lease)| (streams.open(task, lease), 0))
        .collect();
    let mut ticks = pace(TOKENS_PER_SECOND);
    while !shared.is_over() {
        ticks.tick().await;
        if !shared.is_going() {
            continue;
        }
        for (outbox, offset) in &mut outboxes {
            outbox.push(Event::Delta {
                offset: *offset,
                text: TOKEN.to_owned(),
            });
            *offset += TOKEN.len() as u64;
        }
    }
    for (outbox, _) in outboxes {
        outbox.flush().await.expect("the leases hold");
    }
}

async fn complete(engine: &Engine, workload: &Workload, shared: &Shared) {
    let mut ticks = pace(STEPS_PER_SECOND);
    while !shared.is_over() {
        ticks.tick().await;
        if !shared.is_going() {
            continue;
        }
        let claimed = match engine.claim().await {
            Some(claimed) => claimed,
            None => {
                engine.launch(workload).await;
                engine.claim().await.expect("a run begins with a task")
            }
        };
        let steps = shared.steps.fetch_add(1, Ordering::SeqCst);
        let reply = workload.reply(&claimed.step_id, steps);
        engine.finish(&claimed, &reply).await;
    }
}

async fn listen(url: &str, channels: &str, shared: &Shared) {
    let (session, mut line) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the server answers");
    let listening = async {
        session
            .batch_execute(channels)
            .await
            .expect("it can listen");
        while !shared.is_over() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let rings = async {
        while let Some(Ok(message)) = poll_fn(|cx| line.poll_message(cx)).await {
            if let AsyncMessage::Notification(_) = message {
                shared.rings.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    tokio::select! {
        () = listening => {}
        () = rings => panic!("the listener lost its line"),
    }
}
