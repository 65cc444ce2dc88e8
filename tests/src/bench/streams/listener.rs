//! Whoever watches: it is rung for, reads the frames, and notes when each token reached it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::mpsc as ended;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::scripted::clocked;

/// What a listener has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// When each token came, in microseconds since 1970, and how long after it was said, in milliseconds.
    pub delays: Vec<(u64, f64)>,
    /// The text of each chat, put together as it came.
    pub texts: HashMap<i64, String>,
    /// When each statement of its own ended: each is a transaction.
    pub statements: Vec<u64>,
    /// What was not as it must be.
    pub wrong: Vec<String>,
}

/// A listener on a thread of its own.
pub struct Listener {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Seen>,
}

impl Listener {
    /// Listens to these runs; returns when it does.
    pub fn start(url: String, runs: Vec<i64>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready, listening) = ended::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be built");
            runtime.block_on(listen(url, runs, ready, stopped))
        });
        listening.recv().expect("the listener listens");
        Listener { stop, thread }
    }

    /// Lets it read what is left, and returns what it saw.
    pub fn stop(self) -> Seen {
        let _ = self.stop.send(());
        self.thread.join().expect("the listener does not panic")
    }
}

async fn listen(
    url: String,
    runs: Vec<i64>,
    ready: ended::Sender<()>,
    mut stop: oneshot::Receiver<()>,
) -> Seen {
    let (bell, mut line) = tokio_postgres::connect(&url, NoTls)
        .await
        .expect("the server answers");
    let (heard, mut rings) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|cx| line.poll_message(cx)).await {
            if let AsyncMessage::Notification(ring) = message {
                let run = ring
                    .channel()
                    .rsplit('_')
                    .next()
                    .and_then(|run| run.parse::<i64>().ok());
                let _ = heard.send(run);
            }
        }
    });
    for run in &runs {
        bell.batch_execute(&format!("listen conductor_run_{run}"))
            .await
            .expect("it can listen");
    }
    let mut reader = Reader::new(&url, &runs).await;
    let _ = ready.send(());
    loop {
        let mut rung = BTreeSet::new();
        tokio::select! {
            run = rings.recv() => rung.extend(run.flatten()),
            _ = &mut stop => break,
        }
        while let Ok(run) = rings.try_recv() {
            rung.extend(run);
        }
        for run in rung {
            reader.read(run).await;
        }
    }
    for run in runs {
        reader.read(run).await;
    }
    reader.seen
}

struct Reader {
    session: Client,
    statement: tokio_postgres::Statement,
    /// The last frame of each run that was read.
    after: BTreeMap<i64, i64>,
    seen: Seen,
}

impl Reader {
    async fn new(url: &str, runs: &[i64]) -> Self {
        let (session, line) = tokio_postgres::connect(url, NoTls)
            .await
            .expect("the server answers");
        tokio::spawn(line);
        // What it does itself is to be told apart from what others do, so it is counted at once.
        let query = "select seq, type, (frame ->> 'chat_id')::bigint, (frame ->> 'offset')::bigint, frame ->> 'text'
            from conductor.flow_frames($1, $2, 100000), pg_stat_force_next_flush()";
        let statement = session
            .prepare(query)
            .await
            .expect("the frames can be asked for");
        Reader {
            session,
            statement,
            after: runs.iter().map(|run| (*run, 0)).collect(),
            seen: Seen::default(),
        }
    }

    async fn read(&mut self, run: i64) {
        let after = self.after[&run];
        let rows = self.session.query(&self.statement, &[&run, &after]).await;
        let rows = rows.expect("the frames can be read");
        let now = clocked::now();
        self.seen.statements.push(now);
        for (expected, row) in (after + 1..).zip(&rows) {
            let seq: i64 = row.get(0);
            if seq != expected {
                self.seen
                    .wrong
                    .push(format!("run {run}: frame {seq} after {}", expected - 1));
            }
            self.after.insert(run, seq);
            if row.get::<_, &str>(1) == "delta" {
                self.delta(row.get(2), row.get(3), row.get(4), now);
            }
        }
    }

    fn delta(&mut self, chat: i64, offset: i64, text: &str, now: u64) {
        let so_far = self.seen.texts.entry(chat).or_default();
        // Every character is one byte.
        if so_far.len() as i64 != offset {
            self.seen.wrong.push(format!(
                "chat {chat}: text at {offset} after {}",
                so_far.len()
            ));
        }
        so_far.push_str(text);
        match clocked::read(text) {
            Some(tokens) => {
                let delay = |said: u64| now.saturating_sub(said) as f64 / 1000.0;
                self.seen
                    .delays
                    .extend(tokens.iter().map(|(_, said)| (now, delay(*said))));
            }
            None => self.seen.wrong.push(format!("chat {chat}: {text:?}")),
        }
    }
}

/// Listeners that are in nobody's way, however slow they are: one that never reads what it is sent, and one that sits in
/// a transaction, which holds its notifications back.
pub struct Slow {
    /// Nobody drives its connection.
    _deaf: Box<dyn std::any::Any>,
    _idle: Client,
}

impl Slow {
    pub async fn start(url: &str, runs: &[i64]) -> Self {
        let listen: String = runs
            .iter()
            .map(|run| format!("listen conductor_run_{run};"))
            .collect();
        let (deaf, mut line) = tokio_postgres::connect(url, NoTls)
            .await
            .expect("the server answers");
        {
            let mut listening = std::pin::pin!(deaf.batch_execute(&listen));
            loop {
                tokio::select! {
                    listened = &mut listening => break listened.expect("it can listen"),
                    _ = poll_fn(|cx| line.poll_message(cx)) => {}
                }
            }
        }
        let (idle, driven) = tokio_postgres::connect(url, NoTls)
            .await
            .expect("the server answers");
        tokio::spawn(driven);
        idle.batch_execute(&listen).await.expect("it can listen");
        idle.batch_execute("begin; select count(*) from conductor.flow_runs")
            .await
            .expect("it can begin");
        // Time for the server to have something to hold back.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Slow {
            _deaf: Box::new((deaf, line)),
            _idle: idle,
        }
    }
}
