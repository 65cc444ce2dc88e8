-- How a run advances, driven by hand: claims and finishes, and a raw UPDATE that takes the same way.
\set VERBOSITY terse
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
update settings set retry_backoff = '0', max_attempts = 2;
select (worker_register('by-hand', 'here', 1, (select extversion from pg_extension where extname = 'conductor'),
    64, '{/}', '{}', '{"ok": true}') ->> 'worker_id')::bigint as worker \gset

-- Finishes a step as the worker that claimed it would.
create function pg_temp.finish(p_run bigint, p_step text, p_state text, p_text text, p_retryable boolean default false)
    returns text language sql as $$
    select conductor.task_finish(t.id, t.lease, p_state,
        case when p_state = 'completed' then p_text end, case when p_state <> 'completed' then p_text end,
        '{"input_tokens": 100, "output_tokens": 10}', null, p_retryable)
    from conductor.tasks t join conductor.flow_steps s on s.task_id = t.id where s.run_id = p_run and s.step_id = p_step
$$;
create view pg_temp.now as select run_id, step_id, status, waiting, error, left(output, 60) as output
    from conductor.flow_steps order by run_id, position, length(step_id), step_id;

-- The whole way.
select flow_launch('architectural-analysis', 'How is it built?', band => 'medium') as run \gset
select step_id, attempt, prompt like '%How is it built?%' as asked from task_claim(:worker, 8);
select count(*) as claimed_again from task_claim(:worker, 8);
select pg_temp.finish(:run, 'structure', 'completed', E'# Structure\n\n### S1. Two rooms\n- Evidence (codebase): `a.rs:1`');
select step_id, status, waiting from pg_temp.now where run_id = :run;
select pg_temp.finish(:run, 'behavior', 'completed', E'# Behaviour\n\n### B1. It retries');
select step_id, status, waiting from pg_temp.now where run_id = :run;
select step_id, prompt like '%structure/S1%' as qualified, prompt like '%It retries%' as quoted from task_claim(:worker, 8);
select pg_temp.finish(:run, 'synthesis', 'completed', E'# Answer\n\nKeep structure/S1.');
select step_id, prompt like '%Keep structure/S1.%' as quoted from task_claim(:worker, 8);
select pg_temp.finish(:run, 'validation', 'completed', E'## Verdict\n\nstands\n\nConfidence: high\n\n## Remains open\n\nNothing.');
select status, error, report like '%Keep structure/S1.%' as has_answer, total_tokens from flow_runs where id = :run;
select seq, type, frame ->> 'step_id' as step, frame ->> 'status' as status, frame ->> 'run_status' as run_status,
       frame ? 'report' as report from flow_frames(:run);
select role, status, content like '%structure/S1%' as content from chat_messages(
    (select chat_id from flow_steps where run_id = :run and step_id = 'synthesis'));
-- Above the answer stands the validation.
select position('Confidence' in report) < position('Keep structure/S1.' in report) as validation_first from flow_runs where id = :run;
select flow_report(:run, 'json')::jsonb -> 'run' ->> 'status' as status;
select flow_report(:run, 'pdf');

-- An angle that fails is named, and the run goes on without it.
select flow_launch('architectural-analysis', 'q', band => 'medium') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'structure', 'failed', 'HTTP 500', true) as first_try;
select step_id, attempt from task_claim(:worker, 8);
select pg_temp.finish(:run, 'structure', 'failed', 'HTTP 500', true) as second_try;
select pg_temp.finish(:run, 'behavior', 'completed', 'B1 all is well');
select step_id, status, error from pg_temp.now where run_id = :run;
select step_id, prompt like '%HTTP 500%' as names_what_is_missing from task_claim(:worker, 8);
-- A synthesizer that fails fails the run; what was produced is kept, and a retry does only the rest.
select pg_temp.finish(:run, 'synthesis', 'failed', 'HTTP 400', false);
select status, error, report like '%B1 all is well%' as keeps_what_it_has from flow_runs where id = :run;
select step_id, status from pg_temp.now where run_id = :run;
select * from flow_check();
select flow_retry(:run) = :run as retried;
select step_id, status, waiting from pg_temp.now where run_id = :run;
select step_id, attempt from task_claim(:worker, 8);
select pg_temp.finish(:run, 'synthesis', 'completed', 'The answer.');
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'validation', 'failed', 'gone', false);
select status, error from flow_runs where id = :run;

-- No angle completed.
select flow_launch('architectural-analysis', 'q', band => 'medium') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'structure', 'failed', 'no', false), pg_temp.finish(:run, 'behavior', 'failed', 'no', false);
select status, error from flow_runs where id = :run;

-- Cancelled while running: what had streamed is kept; twice is safe; a late finish changes nothing.
select flow_launch('research', 'q') as run \gset
select step_id from task_claim(:worker, 8);
select task_stream(id, lease, '[{"type": "message_started", "turn": 1}, {"type": "delta", "offset": 0, "text": "half a re"},
    {"type": "delta", "offset": 9, "text": "port"}]') from tasks where run_id = :run;
select role, content, status from chat_messages((select chat_id from tasks where run_id = :run)) where role = 'assistant';
select flow_cancel(:run), flow_cancel(:run);
select step_id, status, output from pg_temp.now where run_id = :run;
select status, error like 'cancelled by %' as says_who from flow_runs where id = :run;
select role, content, status from chat_messages((select chat_id from tasks where run_id = :run)) where role = 'assistant';
select verdict from tasks t, task_heartbeat(:worker, array[t.lease]) where t.run_id = :run;
select pg_temp.finish(:run, 'sources', 'completed', 'too late');
select task_stream(id, lease, '[{"type": "delta", "offset": 13, "text": "!"}]') from tasks where run_id = :run;
select state from tasks where run_id = :run;
update tasks set state = 'completed' where run_id = :run;

-- A raw UPDATE advances as a finish does, several tasks in one statement too.
select flow_launch('architectural-analysis', 'q', band => 'medium') as run \gset
update tasks set state = 'completed' where run_id = :run;
select step_id, status, waiting from pg_temp.now where run_id = :run;
update tasks set state = 'completed' where run_id = :run and state = 'pending';
update tasks set state = 'completed' where run_id = :run and state = 'pending';
select status from flow_runs where id = :run;

-- Handing back costs no attempt; a lost worker costs none of the step's own, and a poisonous task ends.
select flow_launch('research', 'q') as run \gset
select step_id, attempt from task_claim(:worker, 8);
select task_release(id, lease), task_release(id, gen_random_uuid()) from tasks where run_id = :run;
select state, attempt from tasks where run_id = :run;
select attempt from task_claim(:worker, 8);
select (worker_register('by-hand', 'here', 2, (select extversion from pg_extension where extname = 'conductor'),
    64, '{/}', '{}', '{"ok": true}') ->> 'worker_id')::bigint = :worker as same_worker;
select state, attempt, deaths, error from tasks where run_id = :run;
select attempt from task_claim(:worker, 8);
select worker_register('by-hand', 'here', 3, (select extversion from pg_extension where extname = 'conductor'), 64, '{/}', '{}', '{"ok": true}') is not null;
select attempt from task_claim(:worker, 8);
select worker_register('by-hand', 'here', 4, (select extversion from pg_extension where extname = 'conductor'), 64, '{/}', '{}', '{"ok": true}') is not null;
select state, attempt, deaths, error from tasks where run_id = :run;
select status, error from flow_runs where id = :run;
select worker_register('by-hand', 'here', 5, '99.0.0', 64, '{/}', '{}', '{"ok": true}');

-- A budget that is spent blocks what is pending, says so, and can be raised.
update settings set max_running_per_run = 1;
select flow_launch('architectural-analysis', 'q', band => 'medium', token_budget => 100) as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'structure', 'completed', 'S1 done');
select state from tasks where run_id = :run order by id;
select status, error, report is not null as has_report from flow_runs where id = :run;
select flow_retry(:run);
select flow_retry(:run, 10000) = :run as retried;
update settings set max_running_per_run = 16;
select step_id from task_claim(:worker, 8);

-- Roots and models that no worker serves wait, and the status says why.
select project_register('elsewhere', '/srv/elsewhere') is not null;
select flow_launch('research', 'q', project => 'elsewhere') as run \gset
select worker_register('by-hand', 'here', 5, (select extversion from pg_extension where extname = 'conductor'), 64, '{/srv/shop}', '{}', '{"ok": true}') is not null;
select count(*) from task_claim(:worker, 8) where run_id = :run;
select step_id, doing from flow_status(:run) where step_id in ('sources', 'codebase');
select worker_register('by-hand', 'here', 5, (select extversion from pg_extension where extname = 'conductor'), 64, '{/srv}', '{}',
    '{"ok": false, "checks": [{"name": "qwen", "ok": false, "detail": "qwen was not found"}]}') is not null;
select count(*) from task_claim(:worker, 8);
select step_id, doing from flow_status(:run) where step_id = 'sources';
select * from flow_check();

-- Resuming is safe at any time, and mends a step that lags behind its task.
select flow_launch('research', 'q') as run \gset
select flow_resume() > 0 as looked;
select count(*) from tasks where run_id = :run;
set session_replication_role = replica;
update tasks set state = 'completed', ended_at = now() where run_id = :run;
reset session_replication_role;
select invariant from flow_check();
select flow_resume() > 0 as looked;
select step_id, status from pg_temp.now where run_id = :run;
-- A copy of the database does not dispatch until it is adopted.
update settings set home = 'elsewhere/1';
select * from task_claim(:worker, 1);
select doing from flow_status(:run) where step_id = 'validation';
select flow_resume() > 0 as adopted;
select worker_register('by-hand', 'here', 5, (select extversion from pg_extension where extname = 'conductor'), 64, '{/}', '{}', '{"ok": true}') is not null as fit;
select step_id from task_claim(:worker, 64) where run_id = :run;
select * from flow_check();

-- What a worker may get wrong keeps no output from being stored, and no other frame than a stream's comes from one.
select flow_launch('research', 'q') as run \gset
select step_id from task_claim(:worker, 64) where run_id = :run;
select task_stream(id, lease, '[{"type": "flow_run_step_updated", "run_status": "completed"}]') from tasks where run_id = :run;
select task_stream(id, lease, null) from tasks where run_id = :run;
select task_stream(id, lease, '[{"text": "no type"}]') from tasks where run_id = :run;
select task_stream(id, lease, '[{"type": "delta", "offset": 0, "text": "once"}]'),
       task_stream(id, lease, '[{"type": "delta", "offset": 0, "text": "once"}]') from tasks where run_id = :run;
select content from chat_messages((select chat_id from tasks where run_id = :run)) where role = 'assistant';
select task_finish(id, lease, 'completed', 'fine', null, '{"input_tokens": "many", "output_tokens": -1.5}',
    '{"total": "all", "broken": [{"cited": "a:1", "why": {"deep": [1]}}, 7]}') from tasks where run_id = :run;
select total_tokens, citations, citations_total, citations_broken from flow_steps where run_id = :run and step_id = 'sources';
-- A budget also ends what would be tried again.
select flow_launch('research', 'q', token_budget => 50) as run \gset
select step_id from task_claim(:worker, 64) where run_id = :run;
select pg_temp.finish(:run, 'sources', 'failed', 'HTTP 500', true);
select status, error from flow_runs where id = :run;
select flow_retry(:run, 100000) = :run as retried;
select frame ->> 'run_status' as run_status, frame ? 'report' as report from flow_frames(:run) where frame ? 'run_status';
select flow_cancel(:run);
-- Absurd arguments.
select count(*) from task_claim(:worker, null);
select * from task_claim(-1, 1);
select * from task_heartbeat(-1, '{}');
select count(*) from task_heartbeat(:worker, null);
select worker_register(null, 'h', 1, '0.1.0', 1, null, null, null);
select (worker_register('unchecked', 'h', 1, (select extversion from pg_extension where extname = 'conductor'), 1, null, null, null)
    ->> 'worker_id')::bigint as unchecked \gset
select healthy, roots from workers where id = :unchecked;
select flow_launch('research', 'q', input => ('{"x": ' || repeat('[', 200) || repeat(']', 200) || '}')::jsonb);
select flow_launch('research', 'q', input => '{"ticket": 1e999}');
select * from flow_check();
-- More could not be stored.
update settings set max_output_bytes = 134217729;
