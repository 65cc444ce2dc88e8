//! The floor: the rows that a run writes, written by hand by a driver that knows the plan. No triggers, no derivation, no
//! prompts; the same transactions, each row written once in each of them, all statements of a transaction sent at once.

mod plan;
mod statements;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio_postgres::Client;

use self::plan::{Effects, Run};
use self::statements::Statements;
use super::crowd::Player;
use super::stage::Stage;
use super::trace::Trace;
use super::workload::Workload;

/// What all drivers of one database know together: the runs under way and the tasks that are ready.
pub struct Board {
    trace: Trace,
    shared: RefCell<Shared>,
}

struct Shared {
    runs: i64,
    /// Tasks and chats get numbers of their own; both count the same.
    dispatched: i64,
    ready: VecDeque<Task>,
}

/// A task that is ready or taken.
#[derive(Clone)]
pub struct Task {
    pub run: Rc<RefCell<Run>>,
    pub run_id: i64,
    pub step_id: String,
    /// The number of the task and of its chat.
    pub id: i64,
}

impl Board {
    /// Puts what is common to all runs where the statements find it.
    pub async fn new(stage: &Stage, trace: Trace) -> Rc<Self> {
        statements::prepare_templates(stage, &trace).await;
        let row = stage
            .admin
            .query_one(
                "select (select coalesce(max(id), 0) from flow_runs),
                    (select greatest(coalesce(max(t.id), 0), (select coalesce(max(c.id), 0) from chats c)) from tasks t)",
                &[],
            )
            .await
            .expect("ids can be read");
        let (runs, dispatched) = (row.get(0), row.get(1));
        let shared = Shared {
            runs,
            dispatched,
            ready: VecDeque::new(),
        };
        Rc::new(Board {
            trace,
            shared: RefCell::new(shared),
        })
    }

    fn next_run(&self) -> i64 {
        let mut shared = self.shared.borrow_mut();
        shared.runs += 1;
        shared.runs
    }

    fn number(&self, effects: &mut Effects) {
        let mut shared = self.shared.borrow_mut();
        for dispatched in &mut effects.dispatched {
            shared.dispatched += 1;
            dispatched.id = shared.dispatched;
        }
    }

    /// What was dispatched can be taken, now that its transaction has committed.
    fn publish(&self, run: &Rc<RefCell<Run>>, run_id: i64, effects: Effects) {
        let mut shared = self.shared.borrow_mut();
        shared
            .ready
            .extend(effects.dispatched.into_iter().map(|d| Task {
                run: run.clone(),
                run_id,
                step_id: d.step_id,
                id: d.id,
            }));
    }
}

/// A session that writes what a launch, a claim and a finish write.
pub struct Floor {
    pub session: Client,
    board: Rc<Board>,
    statements: Statements,
    worker: i64,
}

impl Floor {
    pub async fn new(stage: &Stage, board: &Rc<Board>) -> Self {
        let session = stage.session().await;
        let statements = Statements::prepare(&session).await;
        Floor {
            session,
            board: board.clone(),
            statements,
            worker: stage.worker,
        }
    }

    /// The next task that is ready, if any; nothing is written yet.
    pub fn next(&self) -> Option<Task> {
        self.board.shared.borrow_mut().ready.pop_front()
    }

    /// Writes what a claim writes.
    pub async fn claim(&self, task: &Task) {
        self.statements
            .claim(&self.session, task, self.worker)
            .await;
    }

    /// Writes what a completion writes.
    pub async fn finish(&self, task: &Task, output: &str) {
        // The run's row is what serialises its completions; what follows from one is known before the next.
        let mut effects = task
            .run
            .borrow_mut()
            .settle(&self.board.trace, &task.step_id);
        self.board.number(&mut effects);
        self.statements
            .finish(&self.session, &self.board.trace, task, output, &effects)
            .await;
        self.board.publish(&task.run, task.run_id, effects);
    }

    /// Writes what a launch writes; the run's number.
    pub async fn launch(&self) -> i64 {
        let trace = &self.board.trace;
        let run_id = self.board.next_run();
        let (run, mut effects) = Run::begin(trace);
        self.board.number(&mut effects);
        self.statements
            .launch(&self.session, trace, run_id, &effects)
            .await;
        self.board
            .publish(&Rc::new(RefCell::new(run)), run_id, effects);
        run_id
    }
}

impl Player for Floor {
    type Task = Task;

    async fn begin(&self, _: &Workload) {
        self.launch().await;
    }

    async fn take(&self) -> Option<Task> {
        let task = self.next()?;
        self.claim(&task).await;
        Some(task)
    }

    async fn complete(&self, workload: &Workload, task: Task, seed: u64) {
        self.finish(&task, &workload.reply(&task.step_id, seed))
            .await;
    }

    fn session(&self) -> &Client {
        &self.session
    }
}
