-- Cancelling a run or a task, whatever state it is in: cancelled everywhere, never complete, never failed; what was done
-- or had streamed stays.
\set VERBOSITY terse
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
select (worker_register('by-hand', 'here', 1, (select extversion from pg_extension where extname = 'conductor'),
    64, '{/}', '{}', '{"ok": true}') ->> 'worker_id')::bigint as worker \gset
create function pg_temp.finish(p_run bigint, p_step text, p_text text) returns text language sql as $$
    select conductor.task_finish(t.id, t.lease, 'completed', p_text, null, '{"input_tokens": 100, "output_tokens": 10}')
    from conductor.tasks t join conductor.flow_steps s on s.task_id = t.id where s.run_id = p_run and s.step_id = p_step
$$;
create function pg_temp.cancel_task(p_run bigint, p_step text) returns text language sql as $$
    select conductor.task_cancel(s.task_id) from conductor.flow_steps s where s.run_id = p_run and s.step_id = p_step
$$;
-- What every place says of each step: its own status, its task's, its message's, and the last words of its frames on both.
create function pg_temp.said(p_run bigint)
    returns table (step_id text, step text, task text, message text, step_frame text, message_frame text)
    language sql as $$
    select s.step_id, s.status, t.state,
           (select m.status from conductor.messages m where m.run_id = p_run and m.step_id = s.step_id and m.role = 'assistant'),
           (select f.payload ->> 'status' from conductor.frames f
            where f.run_id = p_run and (f.payload ->> 'step_id' = s.step_id and not f.payload ? 'run_status')
            order by f.seq desc limit 1),
           (select f.payload ->> 'status' from conductor.frames f
            where f.run_id = p_run and f.type = 'message_complete' and f.payload ->> 'chat_id' = s.chat_id::text
            order by f.seq desc limit 1)
    from conductor.flow_steps s left join conductor.tasks t on t.id = s.task_id
    where s.run_id = p_run order by s.position, length(s.step_id), s.step_id
$$;
create function pg_temp.ended(p_run bigint) returns table (status text, error text, announced text, report boolean)
    language sql as $$
    select r.status, regexp_replace(r.error, 'cancelled by .*', 'cancelled by …'),
           (select string_agg(f.payload ->> 'run_status', ', ' order by f.seq) from conductor.frames f
            where f.run_id = p_run and f.payload ? 'run_status'), r.report is not null
    from conductor.flow_runs r where r.id = p_run
$$;

-- Before anybody took anything.
select flow_launch('architectural-analysis', 'q', band => 'medium') as run \gset
select flow_cancel(:run), flow_cancel(:run) as twice;
select * from pg_temp.said(:run);
select * from pg_temp.ended(:run);
select count(*) as claimed from task_claim(:worker, 8);

-- One done, one at work that has streamed.
select flow_launch('architectural-analysis', 'q', band => 'medium') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'structure', 'S1 done');
select task_stream(id, lease, '[{"type": "message_started"}, {"type": "delta", "offset": 0, "text": "half a "},
    {"type": "reasoning_delta", "text": "hm"}, {"type": "delta", "offset": 7, "text": "reply"}]')
from tasks where run_id = :run and state = 'running';
select flow_cancel(:run);
select * from pg_temp.said(:run);
select * from pg_temp.ended(:run);
select flow_step_output(:run, 'structure') as structure, flow_step_output(:run, 'behavior') as behavior;
select role, status, content from chat_messages((select chat_id from flow_steps where run_id = :run and step_id = 'behavior'))
where role = 'assistant';
select flow_report(:run) like '%S1 done%' as keeps_what_is_done, flow_report(:run) like '%half a reply%' as and_the_half;
select verdict from tasks t, task_heartbeat(:worker, array[t.lease]) where t.run_id = :run and t.state = 'cancelled' and t.lease is not null;

-- Between two waves: the next one waits to be claimed.
select flow_launch('architectural-analysis', 'q', band => 'medium') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'structure', 'S1'), pg_temp.finish(:run, 'behavior', 'B1');
select flow_cancel(:run);
select * from pg_temp.said(:run);
select * from pg_temp.ended(:run);

-- After the end, whichever it was.
select flow_launch('research', 'q') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'sources', 'S1');
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'validation', '## Verdict\nstands');
select flow_cancel(:run), pg_temp.cancel_task(:run, 'sources') as task;
select * from pg_temp.ended(:run);
update settings set max_running_per_run = 1;
select flow_launch('architectural-analysis', 'q', band => 'medium', token_budget => 100) as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'structure', 'S1');
select flow_cancel(:run), pg_temp.cancel_task(:run, 'behavior') as blocked;
select * from pg_temp.ended(:run);
select state, count(*) from tasks where run_id = :run group by state order by state;
update settings set max_running_per_run = 16;

-- One angle: the run goes on without it and says so. Twice is once.
select flow_launch('architectural-analysis', 'q', band => 'medium') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.cancel_task(:run, 'structure'), pg_temp.cancel_task(:run, 'structure') as twice;
select verdict from tasks t join flow_steps s on s.task_id = t.id, task_heartbeat(:worker, array[t.lease])
where t.run_id = :run and s.step_id = 'structure';
select pg_temp.finish(:run, 'behavior', 'B1 alone');
select * from pg_temp.said(:run);
select step_id, prompt like '%B1 alone%' as quotes, prompt like '%cancelled%' as names_what_is_missing from task_claim(:worker, 8);
select pg_temp.finish(:run, 'synthesis', 'The answer.');
select step_id from task_claim(:worker, 8);
-- The validation: nothing unvalidated is presented as done.
select pg_temp.cancel_task(:run, 'validation');
select * from pg_temp.said(:run);
select * from pg_temp.ended(:run);
select flow_retry(:run) = :run as retried;
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'validation', '## Verdict\nstands');
select * from pg_temp.ended(:run);

-- Every angle, one of them before it was claimed: cancelled, not failed.
update settings set max_running_per_run = 1;
select flow_launch('architectural-analysis', 'q', band => 'medium') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.cancel_task(:run, 'behavior'), pg_temp.cancel_task(:run, 'structure');
select * from pg_temp.said(:run);
select status, error from pg_temp.ended(:run);
update settings set max_running_per_run = 16;

-- A verifier of a fan-out: its findings are unproven.
select flow_launch('code-review', 'q') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'correctness', E'## Findings\n### B1. warning: one\n- Where: `a.rs:1`\n'),
       pg_temp.finish(:run, 'structure', E'## Findings\n### S1. warning: two\n- Where: `b.rs:1`\n');
select step_id from task_claim(:worker, 8);
select pg_temp.cancel_task(:run, 'verify/2');
select pg_temp.finish(:run, 'verify/1', E'## Counter-evidence\n### V1. correctness/B1: confirmed\n\nConfidence: high\n');
select * from pg_temp.said(:run);
select status, error from pg_temp.ended(:run);
select flow_report(:run) like '%### Unproven (1)%' as unproven;

-- In a user's flow a step that something needs cannot be spared: the run is cancelled, and its siblings.
select flow_define('{"name": "needy", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "a", "persona": "codebase-explorer", "brief": "b"}, {"id": "b", "persona": "codebase-explorer", "brief": "b"},
    {"id": "c", "persona": "codebase-explorer", "brief": "b", "needs": ["a"]}]}');
select flow_launch('needy', 'q') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.cancel_task(:run, 'a');
select * from pg_temp.said(:run);
select status, error from pg_temp.ended(:run);
-- One that nothing needs can.
select flow_launch('needy', 'q') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.cancel_task(:run, 'b'), pg_temp.finish(:run, 'a', 'A');
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'c', 'C');
select * from pg_temp.said(:run);
select status, error from pg_temp.ended(:run);

-- While an attempt that failed waits for its next one: the task alone, then the run.
select flow_launch('architectural-analysis', 'q', band => 'medium') as run \gset
select step_id from task_claim(:worker, 8);
select s.step_id, task_finish(t.id, t.lease, 'failed', null, 'the model stalled', retryable => true) as state
from tasks t join flow_steps s on s.task_id = t.id where t.run_id = :run order by t.id;
select pg_temp.cancel_task(:run, 'structure');
select flow_cancel(:run);
select * from pg_temp.said(:run);
select * from pg_temp.ended(:run);
select count(*) as claimed from task_claim(:worker, 8);

-- Not there.
select flow_cancel(0);
select task_cancel(0);
select flow_cancel(null);
select * from flow_check();
