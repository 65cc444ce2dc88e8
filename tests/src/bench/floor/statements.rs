//! The statements of the floor, prepared; all of one transaction are sent before the first is answered.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use serde_json::json;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::Task;
use super::plan::Effects;
use crate::bench::stage::Stage;
use crate::bench::trace::Trace;

/// Where the rows that all runs of a workload have in common wait to be copied.
const TEMPLATES: &str = "
    create schema if not exists floor;
    drop table if exists floor.runs, floor.steps, floor.edges, floor.prompts;
    create table floor.runs (like conductor.flow_runs);
    create table floor.steps (like conductor.flow_steps);
    create table floor.edges (like conductor.flow_edges);
    create table floor.prompts (step_id text primary key, input text not null)";

const LAUNCH_RUN: &str = "insert into flow_runs (id, flow_name, plan, plan_version, band, fast, input, model, limits, launched_by, version)
    select $1, flow_name, plan, plan_version, band, fast, input, model, limits, launched_by, 1 from floor.runs";
const LAUNCH_COUNTER: &str =
    "insert into run_counters (run_id, last_seq, last_type, run_seq, run_type)
    values ($1, 1, 'flow_run_started', 1, 'flow_run_started')";
const CHATS: &str = "insert into chats (id, run_id, step_id)
    select d.id, $1, d.step_id from unnest($2::bigint[], $3::text[]) d (id, step_id)";
const TASKS: &str = "insert into tasks (id, run_id, chat_id, input, model)
    select d.id, $1, d.id, p.input, $4 from unnest($2::bigint[], $3::text[]) d (id, step_id)
    join floor.prompts p on p.step_id = d.step_id";
/// New steps, with the task and chat of those that are dispatched: those of the plan, or those that a fan-out adds.
const STEPS: &str = "insert into flow_steps (run_id, step_id, position, wave, label, kind, role, persona, prefix, persona_hash,
        prompt_hash, join_rule, when_field, foreach_field, parent_step_id, element, waiting, task_id, chat_id)
    select $1, s.step_id, s.position, s.wave, s.label, s.kind, s.role, s.persona, s.prefix, s.persona_hash, s.prompt_hash,
        s.join_rule, s.when_field, s.foreach_field, s.parent_step_id, s.element, s.waiting, d.id, d.id
    from floor.steps s left join unnest($2::bigint[], $3::text[]) d (id, step_id) on d.step_id = s.step_id
    where (s.parent_step_id is not null) = $4 order by s.position";
const EDGES: &str = "insert into flow_edges (run_id, need, step_id)
    select $1, e.need, e.step_id from floor.edges e join floor.steps s on s.step_id = e.need
    where (s.parent_step_id is not null) = $2";
const STARTED: &str =
    "insert into frames (run_id, seq, type, payload) values ($1, 1, 'flow_run_started', $2)";
const RING: &str =
    "select pg_notify('conductor_run_' || $1::bigint, $2), pg_notify('conductor_frames', $2)";

const CLAIM_TASK: &str = "update tasks set state = 'running', attempt = attempt + 1, lease = gen_random_uuid(),
        session_id = gen_random_uuid(), lease_expires_at = clock_timestamp() + interval '1 hour',
        deadline_at = clock_timestamp() + interval '10 hours', worker_id = $2, started_at = clock_timestamp()
    where id = $1";
const CLAIM_STEP: &str = "update flow_steps set status = 'running', started_at = clock_timestamp()
    where run_id = $1 and step_id = $2";
const CLAIM_ROUND: &str = "update dispatch set last_run_id = $1";

const COUNT: &str = "update flow_runs set version = version + 1, updated_at = clock_timestamp(), input_tokens = input_tokens + 1200,
        output_tokens = output_tokens + 900, total_tokens = total_tokens + 2100 where id = $1";
const END: &str = "update flow_runs set version = version + 1, updated_at = clock_timestamp(), input_tokens = input_tokens + 1200,
        output_tokens = output_tokens + 900, total_tokens = total_tokens + 2100, status = 'completed', ended_at = clock_timestamp(),
        report = (select report from floor.runs) where id = $1";
const FINISH_TASK: &str =
    "update tasks set state = 'completed', ended_at = clock_timestamp(), lease_expires_at = null,
        output_summary = $2, cost_tokens = 2100 where id = $1";
const FINISH_STEP: &str = "update flow_steps set status = 'completed', output = $3, ended_at = clock_timestamp(),
        input_tokens = input_tokens + 1200, output_tokens = output_tokens + 900, total_tokens = total_tokens + 2100
    where run_id = $1 and step_id = $2";
const WAITING: &str = "update flow_steps s set waiting = s.waiting - d.less
    from unnest($2::text[], $3::integer[]) d (step_id, less) where s.run_id = $1 and s.step_id = d.step_id";
const DISPATCHED: &str = "update flow_steps s set waiting = s.waiting - d.less, task_id = d.id, chat_id = d.id
    from unnest($2::bigint[], $3::text[], $4::integer[]) d (id, step_id, less) where s.run_id = $1 and s.step_id = d.step_id";
const RAN: &str = "update flow_steps s set status = 'completed', waiting = s.waiting - d.less, output = t.output, started_at = clock_timestamp(),
        ended_at = clock_timestamp()
    from unnest($2::text[], $3::integer[]) d (step_id, less) join floor.steps t on t.step_id = d.step_id
    where s.run_id = $1 and s.step_id = d.step_id";
const FRAMES: &str = "with counter as (
        update run_counters set last_seq = last_seq + cardinality($2::text[]), last_type = 'flow_run_step_updated',
            run_seq = last_seq + cardinality($2::text[]), run_type = 'flow_run_step_updated'
        where run_id = $1 returning last_seq - cardinality($2::text[]) as before)
    insert into frames (run_id, seq, chat_id, task_id, attempt, type, payload)
    select $1, c.before + f.n, f.task, f.task, case when f.type = 'message_complete' then 1 end, f.type, f.payload
    from counter c, unnest($2::text[], $3::jsonb[], $4::bigint[]) with ordinality f (type, payload, task, n)";

type Bound<'a> = (&'a Statement, Vec<&'a (dyn ToSql + Sync)>);

pub struct Statements {
    launch_run: Statement,
    launch_counter: Statement,
    chats: Statement,
    tasks: Statement,
    steps: Statement,
    edges: Statement,
    started: Statement,
    ring: Statement,
    claim_task: Statement,
    claim_step: Statement,
    claim_round: Statement,
    count: Statement,
    end: Statement,
    finish_task: Statement,
    finish_step: Statement,
    waiting: Statement,
    dispatched: Statement,
    ran: Statement,
    frames: Statement,
}

/// Frames of one transaction: types, payloads, and the tasks that they are about.
#[derive(Default)]
struct Frames {
    types: Vec<&'static str>,
    payloads: Vec<serde_json::Value>,
    tasks: Vec<Option<i64>>,
}

impl Frames {
    fn add(&mut self, kind: &'static str, payload: serde_json::Value, task: Option<i64>) {
        self.types.push(kind);
        self.payloads.push(payload);
        self.tasks.push(task);
    }

    fn step(&mut self, run: i64, step: &str, status: &str, task: Option<i64>) {
        let payload = json!({"run_id": run, "step_id": step, "status": status});
        self.add("flow_run_step_updated", payload, task);
    }
}

/// Puts the rows that all runs of a workload have in common into tables of their own.
pub async fn prepare_templates(stage: &Stage, trace: &Trace) {
    stage
        .admin
        .batch_execute(TEMPLATES)
        .await
        .expect("the templates can be made");
    for (query, rows) in [
        (
            "insert into floor.runs select r.* from jsonb_populate_record(null::conductor.flow_runs, $1) r",
            &trace.run,
        ),
        (
            "insert into floor.steps select s.* from jsonb_populate_recordset(null::conductor.flow_steps, $1) s",
            &trace.rows,
        ),
        (
            "insert into floor.edges select e.* from jsonb_populate_recordset(null::conductor.flow_edges, $1) e",
            &trace.edges,
        ),
        (
            "insert into floor.prompts select p.* from jsonb_populate_recordset(null::floor.prompts, $1) p",
            &trace.prompts,
        ),
    ] {
        let inserted = stage.admin.execute(query, &[rows]).await;
        inserted.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    }
    // What waits for something has its count as it was when the run began.
    let waiting: Vec<(&String, i32)> = trace
        .steps
        .iter()
        .map(|(id, step)| (id, step.needs))
        .collect();
    let (ids, needs): (Vec<&String>, Vec<i32>) = waiting.into_iter().unzip();
    let reset = "update floor.steps s set waiting = d.needs, status = 'pending'
        from unnest($1::text[], $2::integer[]) d (step_id, needs) where d.step_id = s.step_id";
    stage
        .admin
        .execute(reset, &[&ids, &needs])
        .await
        .expect("the templates can be reset");
    stage.vacuum().await;
}

impl Statements {
    pub async fn prepare(session: &Client) -> Self {
        let prepare = async |sql: &str| {
            let prepared = session.prepare(sql).await;
            prepared.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
        };
        Statements {
            launch_run: prepare(LAUNCH_RUN).await,
            launch_counter: prepare(LAUNCH_COUNTER).await,
            chats: prepare(CHATS).await,
            tasks: prepare(TASKS).await,
            steps: prepare(STEPS).await,
            edges: prepare(EDGES).await,
            started: prepare(STARTED).await,
            ring: prepare(RING).await,
            claim_task: prepare(CLAIM_TASK).await,
            claim_step: prepare(CLAIM_STEP).await,
            claim_round: prepare(CLAIM_ROUND).await,
            count: prepare(COUNT).await,
            end: prepare(END).await,
            finish_task: prepare(FINISH_TASK).await,
            finish_step: prepare(FINISH_STEP).await,
            waiting: prepare(WAITING).await,
            dispatched: prepare(DISPATCHED).await,
            ran: prepare(RAN).await,
            frames: prepare(FRAMES).await,
        }
    }

    pub async fn launch(&self, session: &Client, trace: &Trace, run: i64, effects: &Effects) {
        let (ids, steps) = dispatched(effects, false);
        let bell = bell(run);
        let model = trace.run["model"].as_str().expect("a run has a model");
        transaction(
            session,
            vec![
                (&self.launch_run, vec![&run]),
                (&self.launch_counter, vec![&run]),
                (&self.chats, vec![&run, &ids, &steps]),
                (&self.tasks, vec![&run, &ids, &steps, &model]),
                (&self.steps, vec![&run, &ids, &steps, &false]),
                (&self.edges, vec![&run, &false]),
                (&self.started, vec![&run, &trace.started]),
                (&self.ring, vec![&run, &bell]),
            ],
        )
        .await;
    }

    pub async fn claim(&self, session: &Client, task: &Task, worker: i64) {
        let mut frames = Frames::default();
        frames.step(task.run_id, &task.step_id, "running", Some(task.id));
        let bell = bell(task.run_id);
        transaction(
            session,
            vec![
                (&self.claim_round, vec![&task.run_id]),
                (&self.claim_task, vec![&task.id, &worker]),
                (&self.claim_step, vec![&task.run_id, &task.step_id]),
                (
                    &self.frames,
                    vec![&task.run_id, &frames.types, &frames.payloads, &frames.tasks],
                ),
                (&self.ring, vec![&task.run_id, &bell]),
            ],
        )
        .await;
    }

    pub async fn finish(
        &self,
        session: &Client,
        trace: &Trace,
        task: &Task,
        output: &str,
        effects: &Effects,
    ) {
        let mut frames = Frames::default();
        let complete = json!({"chat_id": task.id, "status": "complete"});
        frames.add("message_complete", complete, Some(task.id));
        frames.step(task.run_id, &task.step_id, "completed", Some(task.id));
        effects
            .ran
            .iter()
            .for_each(|(step, _)| frames.step(task.run_id, step, "completed", None));
        if effects.ended {
            let last = trace.order.last().expect("a run has steps");
            let payload = json!({"run_id": task.run_id, "step_id": last, "status": "completed", "run_status": "completed"});
            frames.add("flow_run_step_updated", payload, None);
        }
        let summary: String = output.chars().take(500).collect();
        let (waiting, less): (Vec<&String>, Vec<i32>) =
            effects.waiting.iter().map(|(id, less)| (id, *less)).unzip();
        let (ids, steps) = dispatched(effects, false);
        let (added_ids, added) = dispatched(effects, true);
        let model = trace.run["model"].as_str().expect("a run has a model");
        let planned = effects.dispatched.iter().filter(|d| !d.added);
        let fewer: Vec<i32> = planned.map(|d| d.less).collect();
        let (ran, ran_fewer): (Vec<&String>, Vec<i32>) =
            effects.ran.iter().map(|(id, less)| (id, *less)).unzip();
        let bell = bell(task.run_id);
        let run = &task.run_id;
        let mut sent: Vec<Bound<'_>> = vec![
            (
                if effects.ended {
                    &self.end
                } else {
                    &self.count
                },
                vec![run],
            ),
            (&self.finish_task, vec![&task.id, &summary]),
            (&self.finish_step, vec![run, &task.step_id, &output]),
        ];
        if !waiting.is_empty() {
            sent.push((&self.waiting, vec![run, &waiting, &less]));
        }
        if !ids.is_empty() {
            sent.push((&self.chats, vec![run, &ids, &steps]));
            sent.push((&self.tasks, vec![run, &ids, &steps, &model]));
            sent.push((&self.dispatched, vec![run, &ids, &steps, &fewer]));
        }
        if !added.is_empty() {
            sent.push((&self.chats, vec![run, &added_ids, &added]));
            sent.push((&self.tasks, vec![run, &added_ids, &added, &model]));
            sent.push((&self.steps, vec![run, &added_ids, &added, &true]));
            sent.push((&self.edges, vec![run, &true]));
        }
        if !effects.ran.is_empty() {
            sent.push((&self.ran, vec![run, &ran, &ran_fewer]));
        }
        sent.push((
            &self.frames,
            vec![run, &frames.types, &frames.payloads, &frames.tasks],
        ));
        sent.push((&self.ring, vec![run, &bell]));
        transaction(session, sent).await;
    }
}

fn dispatched(effects: &Effects, added: bool) -> (Vec<i64>, Vec<&str>) {
    let which = effects.dispatched.iter().filter(|d| d.added == added);
    which.map(|d| (d.id, d.step_id.as_str())).unzip()
}

fn bell(run: i64) -> String {
    json!({"type": "flow_run_step_updated", "run_id": run, "seq": 0}).to_string()
}

/// Sends everything at once: the server has the next statement before it has answered the last.
async fn transaction(session: &Client, statements: Vec<Bound<'_>>) {
    let begin = session.batch_execute("begin");
    let commit = session.batch_execute("commit");
    let mut sent: Vec<BoxFuture<'_, Result<(), tokio_postgres::Error>>> = vec![begin.boxed()];
    for (statement, values) in &statements {
        sent.push(
            session
                .execute(*statement, values)
                .map(|done| done.map(drop))
                .boxed(),
        );
    }
    sent.push(commit.boxed());
    for answer in join_all(sent).await {
        answer.unwrap_or_else(|error| panic!("the floor: {error:?}"));
    }
}
