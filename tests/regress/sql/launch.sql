-- What a launch does, and what it refuses: SQLSTATE, the value in DETAIL, the cure in HINT, and nothing half-done.
\set VERBOSITY default
\set SHOW_CONTEXT never
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
select flow_launch('reserch', 'q');
\echo :LAST_ERROR_SQLSTATE
select flow_launch(null, 'q');
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', '');
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', E' \n\t ');
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', null);
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', 'q', band => 'huge');
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', 'q', project => 'shop');
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', 'q', project => '/srv/shop');
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', 'q', token_budget => 0);
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', 'q', model => 'two words');
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', repeat('x', 200000));
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', 'q', input => '[]');
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', 'q', input => '{"question": "another"}');
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', 'q', input => '{"base": "--output=/tmp/x"}');
\echo :LAST_ERROR_SQLSTATE
select flow_launch('research', 'q', input => '{"documents": [{"name": "a", "text": "b"}, {"name": "c"}]}');
\echo :LAST_ERROR_SQLSTATE
select project_register('a b', '/srv');
\echo :LAST_ERROR_SQLSTATE
select project_register('shop', 'srv/shop');
\echo :LAST_ERROR_SQLSTATE
select project_register('shop', '/srv/../etc');
\echo :LAST_ERROR_SQLSTATE
select flow_command('research why');
\echo :LAST_ERROR_SQLSTATE
select flow_command('/flow');
\echo :LAST_ERROR_SQLSTATE
select flow_command('/flow research --quick why');
\echo :LAST_ERROR_SQLSTATE
select flow_command('/flow reserch why');
\echo :LAST_ERROR_SQLSTATE
select flow_plan('research', 'tiny');
\echo :LAST_ERROR_SQLSTATE
select * from flow_status(4711);
\echo :LAST_ERROR_SQLSTATE
select flow_report(4711);
\echo :LAST_ERROR_SQLSTATE
select flow_cancel(4711);
\echo :LAST_ERROR_SQLSTATE
select count(*) as half_done from flow_runs;

-- A launch is part of the caller's transaction and vanishes with it.
begin;
select flow_launch('research', 'Gone?') is not null as launched;
select count(*) from tasks;
rollback;
select (select count(*) from flow_runs) as runs, (select count(*) from tasks) as tasks,
       (select count(*) from frames) as frames, (select count(*) from texts) as texts;

-- One key, one run.
select flow_launch('research', 'Once?', launch_key => 'k') = flow_launch('research', 'Twice?', launch_key => 'k') as same;
select count(*) from flow_runs;

-- Everything is pinned.
select project_register('shop', '/srv/shop/') is not null as registered;
select root from projects;
select flow_launch('research', 'How?', project => 'shop', band => 'large', fast => true, model => 'my-model',
    input => '{"base": "main", "documents": [{"name": "spec.md", "text": "It must."}], "ticket": 7}',
    token_budget => 1000) as run \gset
select flow_name, band, fast, status, model, project_name, project_root, plan_version, token_budget, input,
       launched_by = current_user as launched_by_me
from flow_runs where id = :run;
select step_id, kind, role, persona, status, wave, waiting, join_rule, task_id is not null as dispatched
from flow_steps where run_id = :run order by position;
select state, mode_id, agent, model, attempt from tasks where run_id = :run order by id;
\set VERBOSITY terse
update tasks set mode_id = 'yolo' where run_id = :run;
\set VERBOSITY default
select distinct input like '%How?%' as has_question, _task_prompt(id) like '%It must.%' as has_document from tasks where run_id = :run;
select seq, type, frame -> 'band' as band, jsonb_array_length(frame -> 'steps') as steps from flow_frames(:run);

-- The other door.
select flow_command('/flow gap-analysis --band medium --fast What of the spec is missing?', 'shop') as run \gset
select flow_name, band, fast, input, project_name from flow_runs where id = :run;
-- Choosing.
select category, name, small, medium, large from flow_catalog();
select * from flow_plan('architectural-analysis', 'medium');
select * from flow_check();
