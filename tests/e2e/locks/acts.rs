//! The calls that meet, as SQL, and the runs that they meet over.

use conductor_tests::harness::sql_worker::{self, Claimed};
use conductor_tests::harness::{Launch, Meeting};

pub fn finish(task: &Claimed, output: &str) -> String {
    let (id, lease) = (task.task, &task.lease);
    format!("select conductor.task_finish({id}, '{lease}', 'completed', '{output}')")
}

pub fn stream(task: &Claimed, text: &str) -> String {
    let (id, lease) = (task.task, &task.lease);
    format!(
        "select conductor.task_stream({id}, '{lease}', '[{{\"type\": \"message_started\"}},
            {{\"type\": \"delta\", \"offset\": 0, \"text\": \"{text}\"}}]')"
    )
}

/// Streams for all of them in one call; the verdicts.
pub fn stream_together(tasks: &[&Claimed], text: &str) -> String {
    let list = |of: &dyn Fn(&Claimed) -> String| {
        let all: Vec<String> = tasks.iter().map(|task| of(task)).collect();
        all.join(", ")
    };
    let events = format!(
        "'[{{\"type\": \"message_started\"}}, {{\"type\": \"delta\", \"offset\": 0, \"text\": \"{text}\"}}]'"
    );
    format!(
        "select verdict from conductor.worker_stream(array[{}], array[{}]::uuid[], array[{}]::jsonb[])",
        list(&|task| task.task.to_string()),
        list(&|task| format!("'{}'", task.lease)),
        list(&|_| events.clone()),
    )
}

pub fn release(task: &Claimed) -> String {
    format!(
        "select conductor.task_release({}, '{}')",
        task.task, task.lease
    )
}

pub fn snapshot(task: &Claimed, host: &str) -> String {
    let (id, lease) = (task.task, &task.lease);
    format!("select conductor.run_snapshot({id}, '{lease}', 'c0ffee', 'digest-{host}', '{host}')")
}

pub fn raw_update(task: &Claimed) -> String {
    let id = task.task;
    format!("update conductor.tasks set state = 'completed' where id = {id}")
}

/// Rows only for leases that are to be given up.
pub fn beat(worker: i64, task: &Claimed) -> String {
    format!(
        "select verdict from conductor.task_heartbeat({worker}, array['{}'::uuid])",
        task.lease
    )
}

/// The steps that are claimed.
pub fn claim(worker: i64, slots: i32) -> String {
    format!("select step_id from conductor.task_claim({worker}, {slots})")
}

/// The process `pid` of the worker `name`: another than before takes back what that one held.
pub fn register(name: &str, pid: i32) -> String {
    format!(
        "select conductor.worker_register('{name}', 'test-host', {pid}, e.extversion, 8, '{{}}', '{{}}', '{{\"ok\": true}}') ->> 'worker_id'
         from pg_extension e where e.extname = 'conductor'"
    )
}

pub fn launch(flow: &str, key: &str) -> String {
    format!("select conductor.flow_launch('{flow}', 'What is there?', launch_key => {key})")
}

pub fn cancel(run: i64) -> String {
    format!("select conductor.flow_cancel({run})")
}

pub fn task_cancel(task: &Claimed) -> String {
    format!("select conductor.task_cancel({})", task.task)
}

pub fn retry(run: i64) -> String {
    format!("select conductor.flow_retry({run})")
}

pub fn fork(run: i64, step: &str) -> String {
    format!("select conductor.flow_fork({run}, '{step}')")
}

pub fn resume() -> String {
    "select conductor.flow_resume()".into()
}

pub fn prune(runs: i32) -> String {
    format!("select conductor.flow_prune('0', {runs})")
}

/// A run whose two angles are claimed.
pub struct Angles {
    pub run: i64,
    pub worker: i64,
    pub structure: Claimed,
    pub behavior: Claimed,
}

impl Angles {
    pub async fn new(two: &Meeting<'_>) -> Self {
        let worker = worker(two).await;
        let launch = Launch::new("architectural-analysis", "What depends on what?").band("medium");
        let run = two.c.launch(launch).await;
        let claimed = sql_worker::claim(&two.c.sql, worker, 8).await.unwrap();
        let [structure, behavior]: [Claimed; 2] = claimed.try_into().expect("two angles are ready");
        Self {
            run,
            worker,
            structure,
            behavior,
        }
    }

    /// With one of them done: the other is the last of its wave.
    pub async fn last(two: &Meeting<'_>) -> Self {
        let angles = Self::new(two).await;
        does(two, &finish(&angles.structure, "one angle")).await;
        angles
    }
}

/// A run of which only the validation is left, and that is claimed.
pub async fn validating(two: &Meeting<'_>) -> (i64, Claimed) {
    let angles = Angles::last(two).await;
    does(two, &finish(&angles.behavior, "other angle")).await;
    let [synthesis] = claimed(two, angles.worker).await;
    does(two, &finish(&synthesis, "the answer")).await;
    let [validation] = claimed(two, angles.worker).await;
    (angles.run, validation)
}

/// A run that was cancelled with one angle done.
pub async fn cancelled(two: &Meeting<'_>) -> i64 {
    let angles = Angles::last(two).await;
    does(two, &cancel(angles.run)).await;
    angles.run
}

/// A review with the finding of one reviewer, and the task of the last other.
pub async fn reviewing(two: &Meeting<'_>) -> (i64, Claimed) {
    let worker = worker(two).await;
    let launch = Launch::new("code-review", "Is the retry path safe?");
    let run = two.c.launch(launch).await;
    let [correctness, structure] = claimed(two, worker).await;
    does(two, &finish(&correctness, &finding("B1", "one"))).await;
    (run, structure)
}

/// A reviewer's reply with one finding.
pub fn finding(id: &str, claim: &str) -> String {
    format!("## Findings\n### {id}. warning: {claim}\n- Where: `{id}.rs:1`\n")
}

pub async fn worker(two: &Meeting<'_>) -> i64 {
    sql_worker::register(&two.c.sql, "by-hand", &[])
        .await
        .unwrap()
}

/// Claims what is ready: so many tasks.
pub async fn claimed<const N: usize>(two: &Meeting<'_>, worker: i64) -> [Claimed; N] {
    let claimed = sql_worker::claim(&two.c.sql, worker, 8).await.unwrap();
    let steps: Vec<String> = claimed.iter().map(|task| task.step_id.clone()).collect();
    claimed
        .try_into()
        .unwrap_or_else(|_| panic!("not {N}: {steps:?}"))
}

/// Calls this in a transaction of its own.
pub async fn does(two: &Meeting<'_>, call: &str) {
    two.c.sql.batch_execute(call).await.unwrap();
}

/// What every meeting leaves behind: no violation, and nothing of this run was done or said twice.
pub async fn sound(two: &Meeting<'_>, run: i64) {
    let level = two.level;
    assert_eq!(two.c.violations().await.unwrap(), [""; 0], "{level}");
    let twice = "
        select 'completed twice: ' || min(s.step_id) from flow_steps s join tasks t on t.chat_id = s.chat_id
        where s.run_id = $1 and t.state = 'completed' group by s.chat_id having count(*) > 1
        union all
        select 'announced twice: ' || (f.payload ->> 'step_id') from frames f
        where f.run_id = $1 and f.payload ->> 'status' = 'completed' and not f.payload ? 'run_status'
        group by f.payload ->> 'step_id' having count(*) > 1
        union all
        select 'two prompts: ' || min(s.step_id) from flow_steps s join tasks t on t.chat_id = s.chat_id
        where s.run_id = $1 and t.state <> 'cancelled' group by s.chat_id having count(*) > 1";
    let rows = two.c.sql.query(twice, &[&run]).await.unwrap();
    let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(rows, [""; 0], "{level}");
}

/// The statuses of the steps named, in the order in which they are named.
pub async fn statuses<const N: usize>(
    two: &Meeting<'_>,
    run: i64,
    steps: [&str; N],
) -> [String; N] {
    let all = two.c.steps(run).await;
    steps.map(|name| {
        let step = all.iter().find(|step| step.step_id == name);
        step.map_or_else(|| "none".to_owned(), |step| step.status.clone())
    })
}

/// Works until nothing is left and expects the run to complete.
pub async fn goes_on(two: &Meeting<'_>, run: i64) {
    let worker = worker(two).await;
    sql_worker::drive(&two.c.sql, worker).await.unwrap();
    let (status, error) = two.c.status(run).await;
    assert_eq!(status, "completed", "{}: {error:?}", two.level);
    sound(two, run).await;
}

/// Expects the run and all that had not ended to be cancelled, and that a retry completes it.
pub async fn cancelled_and_goes_on(two: &Meeting<'_>, run: i64) {
    assert_eq!(two.c.status(run).await.0, "cancelled", "{}", two.level);
    sound(two, run).await;
    does(two, &retry(run)).await;
    goes_on(two, run).await;
}

/// One number.
pub async fn count(two: &Meeting<'_>, query: &str) -> i64 {
    two.c.sql.query_one(query, &[]).await.unwrap().get(0)
}
