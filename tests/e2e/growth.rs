//! History grows, and pruning keeps up with it: nothing of what has ended stays behind, nothing that runs is touched.

use conductor_tests::harness::runs::LONG;
use std::collections::BTreeMap;

use conductor_tests::harness::{Conductor, Launch, Setup, sql_worker};
use serde_json::json;
use tokio_postgres::Client;

/// Together a thousand runs. The first two make tables and indexes as large as they stay: a page that a vacuum empties
/// is used again one vacuum later.
const ROUNDS: usize = 5;
const RUNS: i32 = 200;
const BATCH: i32 = 80;

/// Two agents, one after the other, and what code does after them.
const FLOW: &str = r#"{"name": "lean", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "look", "persona": "codebase-explorer", "brief": "b"},
    {"id": "say", "persona": "codebase-explorer", "brief": "b", "needs": ["look"]}]}"#;

/// Launches a round of runs and plays their worker: each task streams, calls a tool and ends. Every run asks something
/// of its own, so that texts and prompts are not shared.
const ROUND: &str = "create procedure public.round(p_worker bigint, p_runs integer, p_name text) language plpgsql as $$
declare
    v_task record;
    v_said text := repeat('What was found, line by line. ', 100);
begin
    perform conductor.flow_launch('lean', format('%s %s?', p_name, n), launch_key => format('%s %s', p_name, n))
    from generate_series(1, p_runs) n;
    commit;
    loop
        for v_task in select * from conductor.task_claim(p_worker, 50) loop
            perform conductor.task_stream(v_task.task_id, v_task.lease, jsonb_build_array(
                jsonb_build_object('type', 'message_started'),
                jsonb_build_object('type', 'delta', 'offset', 0, 'text', v_said),
                jsonb_build_object('type', 'tool_call', 'id', '1', 'name', 'glob', 'input', '{}'::jsonb, 'executed', true),
                jsonb_build_object('type', 'tool_result', 'id', '1', 'content', v_said)));
            perform conductor.task_finish(v_task.task_id, v_task.lease, 'completed', format(
                E'# %s of run %s\n\n%s\n\nConfidence: high\n', v_task.step_id, v_task.run_id, v_said));
        end loop;
        exit when not found;
        commit;
    end loop;
end
$$";

/// Size of every table of the extension with its indexes, large values and free space, in bytes.
async fn sizes(sql: &Client) -> BTreeMap<String, i64> {
    let query = "select c.relname::text, pg_total_relation_size(c.oid) from pg_class c
        where c.relnamespace = 'conductor'::regnamespace and c.relkind = 'r'
        union all
        select i.relname::text, pg_relation_size(i.oid) from pg_class i
        where i.relnamespace = 'conductor'::regnamespace and i.relkind = 'i'";
    let rows = sql.query(query, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// How many rows every table of the extension has.
async fn rows(sql: &Client) -> BTreeMap<String, i64> {
    let query = "select string_agg(format('select %L, count(*) from conductor.%I', c.relname, c.relname), ' union all ')
        from pg_class c where c.relnamespace = 'conductor'::regnamespace and c.relkind = 'r'";
    let query: String = sql.query_one(query, &[]).await.unwrap().get(0);
    let rows = sql.query(&query, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Every row that belongs to a run, as one text; what is shared with others is the text of its prompts.
async fn all_of(sql: &Client, run: i64) -> String {
    let query = "select concat_ws(E'\\n',
        (select r::text from flow_runs r where r.id = $1),
        (select string_agg(s::text, E'\\n' order by s.step_id) from flow_steps s where s.run_id = $1),
        (select string_agg(e::text, E'\\n' order by e.need, e.step_id) from flow_edges e where e.run_id = $1),
        (select string_agg(t::text, E'\\n' order by t.id) from tasks t where t.run_id = $1),
        (select string_agg(c::text, E'\\n' order by c.id) from chats c where c.run_id = $1),
        (select string_agg(f::text, E'\\n' order by f.seq) from frames f where f.run_id = $1),
        (select string_agg(x.body, E'\\n' order by x.hash) from texts x where exists (
            select from flow_steps s where s.run_id = $1 and x.hash in (s.prompt_hash, s.persona_hash))))";
    sql.query_one(query, &[&run]).await.unwrap().get(0)
}

async fn number(sql: &Client, query: &str) -> i64 {
    sql.query_one(query, &[]).await.unwrap().get(0)
}

/// Prunes in batches until nothing is left; how many runs each took.
async fn prune(sql: &Client, function: &str) -> Vec<i32> {
    let mut taken = Vec::new();
    loop {
        let query = format!("select {function}('0', {BATCH})");
        let count: i32 = sql.query_one(&query, &[]).await.unwrap().get(0);
        taken.push(count);
        if count < BATCH {
            return taken;
        }
    }
}

/// A run that has ended, and a fork of it that is under way with a task in a worker's hands.
async fn fork_under_way(c: &Conductor, worker: i64) -> (i64, sql_worker::Claimed) {
    let ended = c.launch(Launch::new("lean", "What stays?")).await;
    sql_worker::drive(&c.sql, worker).await.unwrap();
    let fork = c
        .sql
        .query_one("select flow_fork($1, 'say')", &[&ended])
        .await;
    let fork = fork.unwrap().get(0);
    let [held] = sql_worker::claim(&c.sql, worker, 8)
        .await
        .unwrap()
        .try_into()
        .unwrap();
    (fork, held)
}

#[test]
fn a_thousand_finished_runs_leave_nothing_growing_once_they_are_pruned() {
    let setup = Setup::new().without_worker();
    setup.settings("lease = '10 minutes'").run(async |c| {
        c.sql.batch_execute(ROUND).await.unwrap();
        c.sql
            .execute("select flow_define($1::text::jsonb)", &[&FLOW])
            .await
            .unwrap();
        let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
        let (fork, held) = fork_under_way(c, worker).await;
        prune(&c.sql, "flow_prune").await;
        let (base, before) = (rows(&c.sql).await, all_of(&c.sql, fork).await);

        let mut taken_up = Vec::new();
        for round in 0..ROUNDS {
            let play = format!("call public.round({worker}, {RUNS}, 'round {round}')");
            c.sql.batch_execute(&play).await.unwrap();
            let query = "select count(*) from flow_runs where status = 'completed'";
            assert_eq!(number(&c.sql, query).await, i64::from(RUNS));
            let taken = prune(&c.sql, "flow_prune").await;
            assert_eq!(
                taken,
                [BATCH, BATCH, RUNS - 2 * BATCH],
                "in bounded batches"
            );
            assert_eq!(rows(&c.sql).await, base, "rows after round {round}");
            c.sql.batch_execute("vacuum").await.unwrap();
            taken_up.push(sizes(&c.sql).await);
        }
        // What was not pruned would have made them two and a half times as large.
        let (early, late) = (&taken_up[1], &taken_up[ROUNDS - 1]);
        let grown = late
            .iter()
            .filter(|(name, size)| **size > early[*name] * 5 / 4 + (32 << 10));
        let grown: Vec<_> = grown
            .map(|(name, size)| (name, early[name], size))
            .collect();
        assert!(grown.is_empty(), "{grown:?}");
        assert_eq!(
            all_of(&c.sql, fork).await,
            before,
            "the run under way is as it was"
        );
        let state = sql_worker::finish(&c.sql, &held, "# done\n\nConfidence: high\n").await;
        assert_eq!(state.unwrap(), "completed");
        assert_eq!(c.status(fork).await.0, "completed");
    });
}

#[test]
fn frames_of_finished_runs_go_on_a_schedule_of_their_own() {
    Setup::new().without_worker().run(async |c| {
        c.sql.batch_execute(ROUND).await.unwrap();
        c.sql
            .execute("select flow_define($1::text::jsonb)", &[&FLOW])
            .await
            .unwrap();
        let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
        let (fork, _held) = fork_under_way(c, worker).await;
        let before = all_of(&c.sql, fork).await;
        let play = format!("call public.round({worker}, {}, 'frames')", BATCH + 20);
        c.sql.batch_execute(&play).await.unwrap();
        let reports = "select count(*) from flow_runs r where flow_report(r.id) is not null";
        let had = number(&c.sql, reports).await;
        assert_eq!(
            number(&c.sql, "select flow_prune_frames('1 hour')::bigint").await,
            0
        );
        let taken = prune(&c.sql, "flow_prune_frames").await;
        assert_eq!(
            taken,
            [BATCH, 21],
            "in bounded batches, those before the fork included"
        );
        assert_eq!(number(&c.sql, reports).await, had, "runs and reports stay");
        let left = "select count(*) from frames where type not like 'flow_run_%' and run_id in (
            select id from flow_runs where status <> 'running')";
        assert_eq!(number(&c.sql, left).await, 0);
        assert_eq!(
            all_of(&c.sql, fork).await,
            before,
            "the run under way is as it was"
        );
        assert_eq!(
            number(&c.sql, "select flow_prune('1 hour')::bigint").await,
            0
        );
    });
}

#[test]
fn what_runs_goes_on_while_a_pruning_is_under_way() {
    Setup::new().without_worker().run(async |c| {
        c.sql.batch_execute(ROUND).await.unwrap();
        c.sql
            .execute("select flow_define($1::text::jsonb)", &[&FLOW])
            .await
            .unwrap();
        let worker = sql_worker::register(&c.sql, "by-hand", &[]).await.unwrap();
        let play = format!("call public.round({worker}, 20, 'open')");
        c.sql.batch_execute(&play).await.unwrap();
        let run = c.launch(Launch::new("lean", "Does it go on?")).await;
        let mut pruner = c.connect().await;
        let open = pruner.transaction().await.unwrap();
        let taken: i32 = open
            .query_one("select flow_prune('0')", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(taken, 20);
        // Whatever would wait for it fails at once.
        c.sql
            .batch_execute("set lock_timeout = '1s'")
            .await
            .unwrap();
        while let Some(task) = sql_worker::claim(&c.sql, worker, 1).await.unwrap().pop() {
            let beat = "select count(*) from task_heartbeat($1, array[$2::text::uuid])";
            c.sql
                .query_one(beat, &[&worker, &task.lease])
                .await
                .unwrap();
            let events = json!([{"type": "delta", "offset": 0, "text": "so"}]);
            let stream = "select task_stream($1, $2::text::uuid, $3)";
            c.sql
                .query_one(stream, &[&task.task, &task.lease, &events])
                .await
                .unwrap();
            sql_worker::finish(&c.sql, &task, "# so\n\nConfidence: high\n")
                .await
                .unwrap();
        }
        c.completed(run, LONG).await;
        open.commit().await.unwrap();
        assert_eq!(number(&c.sql, "select count(*) from flow_runs").await, 1);
    });
}

#[test]
fn workers_that_have_gone_for_good_are_forgotten_with_their_runs() {
    Setup::new().without_worker().run(async |c| {
        c.sql
            .execute("select flow_define($1::text::jsonb)", &[&FLOW])
            .await
            .unwrap();
        let alive = sql_worker::register(&c.sql, "alive", &[]).await.unwrap();
        let busy = sql_worker::register(&c.sql, "busy", &[]).await.unwrap();
        let run = c.launch(Launch::new("lean", "Who did it?")).await;
        let [task] = sql_worker::claim(&c.sql, busy, 1)
            .await
            .unwrap()
            .try_into()
            .unwrap();
        sql_worker::finish(&c.sql, &task, "# so\n\nConfidence: high\n")
            .await
            .unwrap();
        for number in 0..110 {
            sql_worker::register(&c.sql, &format!("container-{number}"), &[])
                .await
                .unwrap();
        }
        let away = format!(
            "update workers set seen_at = clock_timestamp() - interval '1 day' where id <> {alive}"
        );
        c.sql.batch_execute(&away).await.unwrap();
        let workers = "select count(*) from workers";
        let prune = "select flow_prune('1 hour')::bigint";
        assert_eq!(
            number(&c.sql, "select flow_prune('2 days')::bigint").await,
            0
        );
        assert_eq!(number(&c.sql, workers).await, 112);
        number(&c.sql, prune).await;
        assert_eq!(
            number(&c.sql, workers).await,
            12,
            "a bounded number at a time"
        );
        number(&c.sql, prune).await;
        assert_eq!(
            number(&c.sql, workers).await,
            2,
            "who is alive, and who worked for a run that is there"
        );
        c.sql
            .execute("select flow_cancel($1)", &[&run])
            .await
            .unwrap();
        number(&c.sql, "select flow_prune('0')::bigint").await;
        number(&c.sql, prune).await;
        assert_eq!(number(&c.sql, workers).await, 1);
    });
}
