-- Forks and pruning.
\set VERBOSITY terse
\set SHOW_CONTEXT never
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
select (worker_register('by-hand', 'here', 1, (select extversion from pg_extension where extname = 'conductor'),
    64, '{/}', '{}', '{"ok": true}') ->> 'worker_id')::bigint as worker \gset
-- Claims and completes whatever there is, until nothing is left.
create procedure pg_temp.work() language plpgsql as $$
declare
    v_task   record;
    v_worker bigint := (select max(id) from conductor.workers);
begin
    loop
        for v_task in select * from conductor.task_claim(v_worker, 16) loop
            perform conductor.task_stream(v_task.task_id, v_task.lease, '[{"type": "message_started"},
                {"type": "tool_call", "id": "1", "name": "glob", "input": {}, "executed": true}]');
            perform conductor.task_finish(v_task.task_id, v_task.lease, 'completed', format(E'# %s\n\n### S1. said in run %s\n\nConfidence: high\n',
                v_task.step_id, v_task.run_id));
        end loop;
        exit when not found;
    end loop;
end
$$;

-- A fork keeps what came before the step, and runs the step and what follows it anew.
select flow_launch('architectural-analysis', 'How is it built?', band => 'medium') as first \gset
call pg_temp.work();
select flow_fork(:first, 'synthesis') as fork \gset
select step_id, status, waiting, output like '%run ' || :first || '%' as of_the_first from flow_steps where run_id = :fork order by position;
select type, frame ->> 'flow_name' as flow, jsonb_array_length(frame -> 'steps') as steps from flow_frames(:fork) where type = 'flow_run_started';
select step_id, prompt like '%said in run ' || :first || '%' as quotes_the_first from task_claim(:worker, 8);
select task_finish(t.id, t.lease, 'completed', 'anew') from tasks t where t.run_id = :fork and t.state = 'running';
call pg_temp.work();
select status, forked_from = :first as from_the_first, forked_at,
       report like '%**Forked**: from run % at `synthesis`%' as says_so from flow_runs where id = :fork;
select status from flow_runs where id = :first;
select * from flow_check();
-- Of a fan-out, one child by itself or all of it.
select flow_define('{"name": "wide", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "list", "persona": "codebase-explorer", "brief": "b"},
    {"id": "each", "persona": "codebase-explorer", "brief": "b", "needs": ["list"], "foreach": "list.items"},
    {"id": "end", "persona": "codebase-explorer", "brief": "b", "needs": ["each"]}]}');
select flow_launch('wide', 'q') as wide \gset
select task_finish(c.task_id, c.lease, 'completed', '{"items": [1, 2]}') from task_claim(:worker, 8) c where c.run_id = :wide;
call pg_temp.work();
select flow_fork(:wide, 'each/2') as fork \gset
select step_id, status, waiting from flow_steps where run_id = :fork order by position, length(step_id), step_id;
call pg_temp.work();
select flow_fork(:wide, 'each') as fork \gset
select step_id, status, waiting from flow_steps where run_id = :fork order by position, length(step_id), step_id;
call pg_temp.work();
select status, count(*) from flow_runs group by status;
select * from flow_check();
-- What is left may be code alone: the run is announced before it ends.
select flow_fork(:first, 'report') as fork \gset
select seq, type, frame ->> 'run_status' as run_status from flow_frames(:fork);
-- A project that has moved is read where it is now; one that has gone is no project.
select project_register('here', '/srv/old');
select flow_launch('research', 'q', project => 'here') as moved \gset
select project_register('here', '/srv/new');
select flow_fork(:moved, 'fold') as fork \gset
select project_root from flow_runs where id = :fork;
delete from projects where name = 'here';
select flow_fork(:moved, 'fold');
select count(*) from (select flow_cancel(r.id) from flow_runs r where r.status = 'running') k;
select flow_fork(:wide, 'nowhere');
select flow_fork(0, 'list');
-- From a run that failed: what did not complete runs anew as well.
select flow_launch('wide', 'q') as failed \gset
select task_finish(c.task_id, c.lease, 'failed', null, 'no') from task_claim(:worker, 8) c where c.run_id = :failed;
select flow_fork(:failed, 'end') as fork \gset
select step_id, status from flow_steps where run_id = :fork order by position, length(step_id), step_id;
select task_finish(c.task_id, c.lease, 'completed', '{"items": []}') from task_claim(:worker, 8) c where c.run_id = :fork;
call pg_temp.work();
select * from flow_check();

-- What agents did on their way goes by itself; runs, outputs and reports stay.
select flow_prune_frames('1 hour') as too_young;
select flow_prune_frames('0', 3) as some, flow_prune_frames('0') as rest, flow_prune_frames('0') as none;
select type, count(*) > 0 as left from frames group by type order by type;
select count(*) from flow_runs where report is null and status = 'completed';
-- A run that is gone on with makes frames again.
select flow_retry(:moved) = :moved as retried;
select frames_pruned from flow_runs where id = :moved;
select flow_cancel(:moved);
select flow_prune_frames('0') as again;
select * from flow_check();

-- A thousand runs that have ended leave nothing behind; one that runs stays, with the texts that it shares with them.
select flow_launch('research', 'Is it so?') as open \gset
select count(*) from (select flow_launch('research', 'Is it so?') from generate_series(1, 20)) k;
select count(*) from (select flow_cancel(r.id) from flow_runs r where r.status = 'running' and r.id <> :open) k;
insert into flow_runs (flow_name, plan, plan_version, band, input, model, limits, launched_by, status, error, ended_at)
select flow_name, plan, plan_version, band, input, model, limits, launched_by, 'failed', 'made for this test', clock_timestamp()
from flow_runs, generate_series(1, 1000) where id = :open;
insert into run_counters (run_id) select id from flow_runs r where error = 'made for this test';
select flow_prune('1 hour') as too_young;
select flow_prune('0', 1000) as thousand;
select flow_prune('0', 1000) > 0 as rest, flow_prune('0', 1000) as none;
select (select count(*) from flow_runs) as runs, (select count(distinct run_id) from flow_steps) as steps,
       (select count(distinct run_id) from tasks) as tasks, (select count(distinct run_id) from frames) as frames,
       (select count(*) from chats where run_id <> :open) as chats, (select count(*) from flow_edges where run_id <> :open) as edges,
       (select count(*) from run_counters) as counters,
       (select count(*) from texts x where not exists (
           select from flow_steps s where x.hash in (s.prompt_hash, s.persona_hash))) as texts_of_nobody,
       (select count(*) > 0 from texts) as texts_of_the_open_run;
call pg_temp.work();
select status from flow_runs where id = :open;
select * from flow_check();
select flow_prune('-1 hour');
select flow_prune('1 hour', 0);

-- An age beyond all times, and a transaction that could not see what others have pinned meanwhile.
\set VERBOSITY default
select flow_prune('9999 years');
select flow_prune_frames('9999 years');
begin isolation level repeatable read;
select flow_prune('1 day');
rollback;
\set VERBOSITY terse
