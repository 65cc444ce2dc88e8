-- Flows of users' own: needs, when, foreach, and definitions that are refused with the place that is wrong.
\set VERBOSITY default
\set SHOW_CONTEXT never
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
select flow_define('{"name": "triage", "category": "analysis", "description": "Finds, then checks each.", "contracts": ["evidence"],
  "steps": [
    {"id": "find", "label": "Find", "persona": "codebase-explorer", "brief": "List suspects as JSON."},
    {"id": "deep", "label": "Deep", "persona": "concurrency-analyst", "brief": "Look deeper.", "needs": ["find"], "when": "find.deep"},
    {"id": "check", "label": "Check", "persona": "adversarial-validator", "brief": "Check this one.", "needs": ["find"], "foreach": "find.suspects"},
    {"id": "sum", "label": "Sum up", "persona": "software-architect", "brief": "Sum up.", "needs": ["deep", "check"], "join": "any"}]}');
select * from flow_plan('triage', 'small');
select flow_define('{"name": "Bad Name", "category": "analysis", "description": "d", "steps": []}');
select flow_define('{"name": "x", "category": "analysis", "description": "d", "contracts": [], "steps": [{"id": "a", "persona": "codebase-explorr", "brief": "b"}]}');
select flow_define('{"name": "x", "category": "analysis", "description": "d", "contracts": [], "steps": [{"id": "a", "persona": "codebase-explorer", "brief": "b", "needs": ["c"]}]}');
select flow_define('{"name": "x", "category": "analysis", "description": "d", "contracts": [], "steps": [{"id": "a", "persona": "codebase-explorer", "brief": "b", "needs": ["c"]}, {"id": "c", "persona": "codebase-explorer", "brief": "b", "needs": ["a"]}]}');
select flow_define('{"name": "research", "category": "analysis", "description": "d", "contracts": [], "steps": [{"id": "a", "persona": "codebase-explorer", "brief": "b"}]}');
select persona_define('my-expert', 'Knows.', 'You know.');
select name, prefix, builtin from personas where name = 'my-expert';
select persona_define('My Expert', 'Knows.', '');
select persona_define('codebase-explorer', 'Knows.', 'You know.');
\set VERBOSITY terse

select (worker_register('by-hand', 'here', 1, (select extversion from pg_extension where extname = 'conductor'),
    64, '{/}', '{}', '{"ok": true}') ->> 'worker_id')::bigint as worker \gset
create function pg_temp.finish(p_run bigint, p_step text, p_state text, p_text text) returns text language sql as $$
    select conductor.task_finish(t.id, t.lease, p_state, case when p_state = 'completed' then p_text end,
        case when p_state <> 'completed' then p_text end)
    from conductor.tasks t join conductor.flow_steps s on s.task_id = t.id where s.run_id = p_run and s.step_id = p_step
$$;
-- A condition that does not hold skips its step; a fan-out makes one step for each element.
select flow_launch('triage', 'Where?') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'find', 'completed', E'Two suspects.\n```json\n{"deep": false, "suspects": [{"at": "a.rs:1"}, {"at": "b.rs:2"}]}\n```');
select step_id, kind, role, status, waiting, parent_step_id, element from flow_steps where run_id = :run order by position, length(step_id), step_id;
select frame -> 'added' from flow_frames(:run) where frame ? 'added';
select step_id, prompt like '%b.rs:2%' as has_its_element from task_claim(:worker, 8);
select pg_temp.finish(:run, 'check/1', 'failed', 'no');
select status from flow_steps where run_id = :run and step_id = 'sum';
select pg_temp.finish(:run, 'check/2', 'completed', 'V1 confirmed');
select step_id, prompt like '%V1 confirmed%' as quotes_child from task_claim(:worker, 8);
select pg_temp.finish(:run, 'sum', 'completed', 'Done.');
select status, error from flow_runs where id = :run;
-- Nothing to fan out over, and too much.
select flow_launch('triage', 'Where?') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'find', 'completed', '{"deep": true, "suspects": []}');
select step_id, status from flow_steps where run_id = :run order by position;
update settings set max_fanout = 2;
select flow_launch('triage', 'Where?') as run \gset
select step_id from task_claim(:worker, 8) where run_id = :run;
select pg_temp.finish(:run, 'find', 'completed', '{"deep": true, "suspects": [1, 2, 3]}');
select step_id, status, error from flow_steps where run_id = :run order by position;
select status, error from flow_runs where id = :run;
-- Editing a flow changes no run under way.
select md5(plan::text) as before from flow_runs where id = :run \gset
select flow_define('{"name": "triage", "category": "analysis", "description": "Another.", "contracts": [], "steps": [{"id": "only", "persona": "codebase-explorer", "brief": "b"}]}');
select md5(plan::text) = :'before' as unchanged from flow_runs where id = :run;
select * from flow_check();

-- A validator that fails fails the run, whatever joins it.
select flow_define('{"name": "checked", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "a", "persona": "codebase-explorer", "brief": "b"}, {"id": "v", "persona": "adversarial-validator", "brief": "b"}]}');
select flow_launch('checked', 'q') as run \gset
select step_id from task_claim(:worker, 64) where run_id = :run;
select pg_temp.finish(:run, 'v', 'failed', 'no');
select status, error from flow_runs where id = :run;
-- A retried step may have dependents that are settled already; two siblings may settle in one statement.
select flow_define('{"name": "joined", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "a", "persona": "codebase-explorer", "brief": "b"}, {"id": "b", "persona": "codebase-explorer", "brief": "b"},
    {"id": "x", "persona": "codebase-explorer", "brief": "b", "needs": ["a", "b"], "join": "any"},
    {"id": "y", "persona": "codebase-explorer", "brief": "b", "needs": ["a", "b"], "join": "any"},
    {"id": "z", "persona": "codebase-explorer", "brief": "b", "needs": ["x", "y"]}]}');
select flow_launch('joined', 'q') as run \gset
select step_id from task_claim(:worker, 64) where run_id = :run;
select pg_temp.finish(:run, 'a', 'failed', 'no'), pg_temp.finish(:run, 'b', 'completed', 'yes');
select step_id from task_claim(:worker, 64) where run_id = :run;
select pg_temp.finish(:run, 'x', 'completed', 'yes'), pg_temp.finish(:run, 'y', 'failed', 'no');
select flow_retry(:run) = :run as retried;
select * from flow_check();
select step_id from task_claim(:worker, 64) where run_id = :run;
select pg_temp.finish(:run, 'a', 'completed', 'now');
select step_id, status, waiting from flow_steps where run_id = :run order by position;
update tasks set state = case id % 2 when 0 then 'failed' else 'completed' end where run_id = :run and state in ('pending', 'running');
select * from flow_check();
