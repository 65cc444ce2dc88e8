-- The oracle itself: each invariant of flow_check() is violated behind the engine's back, and its name comes back.
\set VERBOSITY terse
\set SHOW_CONTEXT never
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
select (worker_register('by-hand', 'here', 1, (select extversion from pg_extension where extname = 'conductor'),
    64, '{/}', '{}', '{"ok": true}') ->> 'worker_id')::bigint as worker \gset
-- Claims and completes whatever a run has, until nothing is left.
create procedure pg_temp.work(p_run bigint) language plpgsql as $$
declare
    v_task   record;
    v_worker bigint := (select max(id) from conductor.workers);
begin
    loop
        for v_task in select * from conductor.task_claim(v_worker, 16) c where c.run_id = p_run loop
            perform conductor.task_stream(v_task.task_id, v_task.lease, '[{"type": "message_started"}]');
            perform conductor.task_finish(v_task.task_id, v_task.lease, 'completed',
                E'# Said\n\n### S1. So\n\nConfidence: high\n');
        end loop;
        exit when not found;
    end loop;
end
$$;

-- What changes behind the engine's back report, and that it is undone. A row of `proven` for each name.
create temp table proven (invariant text);
create function pg_temp.violated(p_change text) returns text language plpgsql as $$
declare
    v_names text[];
begin
    begin
        -- No triggers, no foreign keys.
        perform set_config('session_replication_role', 'replica', true);
        execute p_change;
        v_names := array(select distinct c.invariant from conductor.flow_check() c order by 1);
        raise sqlstate 'UNDO1';
    exception when sqlstate 'UNDO1' then
        null;
    end;
    insert into proven select unnest(v_names);
    return array_to_string(v_names, ' ');
end
$$;

-- A run that has completed, one that was cancelled, and one under way: an angle running, the other still pending.
select flow_launch('architectural-analysis', 'How is it built?', band => 'medium') as completed \gset
call pg_temp.work(:completed);
select flow_launch('architectural-analysis', 'How is it built?', band => 'medium') as cancelled \gset
select flow_cancel(:cancelled);
select flow_launch('architectural-analysis', 'How is it built?', band => 'medium') as open \gset
select step_id from task_claim(:worker, 1);
select task_stream(t.id, t.lease, '[{"type": "message_started"}, {"type": "delta", "text": "So"}]') is not null as streamed
from tasks t where t.run_id = :open and t.state = 'running';
select id, status from (values (1, :completed), (2, :cancelled), (3, :open)) r (n, run) join flow_runs on id = run order by n;
select step_id, kind, status, waiting from flow_steps where run_id = :open order by position;
select * from flow_check();
select pg_temp.violated('select') = '' as nothing;

-- Runs and their steps.
select pg_temp.violated(format($$update conductor.flow_runs set status = 'running', ended_at = null where id = %s$$, :completed));
select pg_temp.violated(format($$update conductor.flow_steps set status = 'pending', ended_at = null
    where run_id = %s and step_id = 'synthesis'$$, :cancelled));
select pg_temp.violated(format($$insert into conductor.tasks (run_id, input, model) values (%s, '', '')$$, :completed));
select pg_temp.violated(format($$update conductor.flow_steps set status = 'skipped' where run_id = %s and role = 'render'$$, :completed));
select pg_temp.violated(format($$update conductor.flow_steps set status = 'cancelled', task_id = null
    where run_id = %s and role = 'synthesizer'$$, :completed));
select pg_temp.violated(format($$update conductor.flow_steps set status = 'cancelled', task_id = null
    where run_id = %s and role = 'validator'$$, :completed));
-- A validator that its own condition has skipped is the author's decision.
select pg_temp.violated(format($$update conductor.flow_steps set status = 'skipped', task_id = null
    where run_id = %s and role = 'validator'$$, :completed)) = '' as nothing;

-- Steps and their tasks.
select pg_temp.violated(format($$update conductor.flow_steps set status = 'cancelled'
    where run_id = %s and step_id = 'structure'$$, :completed));
select pg_temp.violated(format($$update conductor.tasks set state = 'blocked' where run_id = %1$s;
    update conductor.flow_steps set status = 'cancelled' where run_id = %1$s and step_id = 'structure'$$, :cancelled)) = '' as nothing;
select pg_temp.violated(format($$delete from conductor.frames where run_id = %1$s;
    delete from conductor.tasks where run_id = %1$s and state = 'running';
    update conductor.flow_steps set task_id = null where run_id = %1$s and status = 'running'$$, :open));
select pg_temp.violated(format($$insert into conductor.tasks (run_id, input, model) values (%s, '', '')$$, :open));
select pg_temp.violated(format($$update conductor.tasks set chat_id = (select min(chat_id) from conductor.tasks where run_id = %1$s)
    where run_id = %1$s$$, :open));

-- Nothing starts before its needs are settled, and nothing due is forgotten.
select pg_temp.violated(format($$update conductor.flow_steps set waiting = waiting + 1
    where run_id = %s and step_id = 'synthesis'$$, :open));
select pg_temp.violated(format($$update conductor.flow_steps set status = 'running' where run_id = %s and role = 'render'$$, :open));
select pg_temp.violated(format($$delete from conductor.tasks where run_id = %1$s and state = 'pending';
    update conductor.flow_steps set task_id = null where run_id = %1$s and status = 'pending'$$, :open));

-- Frames: of an attempt that has ended, of one before, of a task that is gone.
select pg_temp.violated(format($$update conductor.run_counters set last_seq = 1, run_seq = 1 where run_id = %s$$, :completed));
select pg_temp.violated(format($$delete from conductor.run_counters where run_id = %s$$, :open));
select pg_temp.violated(format($$update conductor.frames set type = 'delta' where run_id = %s and type = 'message_started'$$, :completed));
select pg_temp.violated(format($$update conductor.frames set type = 'reasoning_delta', attempt = attempt - 1
    where run_id = %s and type = 'delta'$$, :open));
select pg_temp.violated(format($$update conductor.frames set task_id = 0 where run_id = %s and type = 'delta'$$, :open));
select pg_temp.violated(format($$delete from conductor.frames where run_id = %s and payload ? 'run_status'$$, :cancelled));
select pg_temp.violated(format($$update conductor.frames set payload = payload || '{"run_status": "completed"}'
    where run_id = %s and payload ? 'run_status'$$, :cancelled));

-- What a run needs to go on with.
select pg_temp.violated($$delete from conductor.texts where hash in (select prompt_hash from conductor.flow_steps)$$);
select pg_temp.violated($$delete from conductor.texts where hash in (select persona_hash from conductor.flow_steps)$$);

-- Every invariant has its case: the names are those that stand in the function.
select name as never_violated from regexp_matches(
    pg_get_functiondef('conductor.flow_check'::regproc), $$select '(\w+)'$$, 'g') found (names), unnest(names) name
except select invariant from proven;
select count(distinct invariant) as proven from proven;
select * from flow_check();
