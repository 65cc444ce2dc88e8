-- Who may do what.
\set VERBOSITY terse
\set SHOW_CONTEXT never
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
create role conductor_regress_a;
create role conductor_regress_b;
create role conductor_regress_w;
create role conductor_regress_o;
create role conductor_regress_none;
select grant_launcher('conductor_regress_a'), grant_launcher('conductor_regress_b'), grant_worker('conductor_regress_w'),
       grant_operator('conductor_regress_o');
select grant_launcher('conductor_regress_nobody');
set role conductor_regress_o;
select project_register('regress', '/srv/regress') is not null as registered;
select project_grant('regress', 'conductor_regress_a');
select project_grant('regress', 'conductor_regress_nobody');
select project_grant('regres', 'conductor_regress_a');
set role conductor_regress_a;
select flow_launch('research', 'Mine?', project => 'regress') as mine \gset
select launched_by from flow_runs where id = :mine;
select min(id) as task from tasks where run_id = :mine \gset
select project_register('x', '/x');
select flow_resume();
select count(*) from task_claim(1, 1);
set role conductor_regress_b;
select flow_launch('research', 'Mine?', project => 'regress');
select count(*) as runs, (select count(*) from flow_steps where run_id = :mine) as steps,
       (select count(*) from tasks where run_id = :mine) as tasks, (select count(*) from frames where run_id = :mine) as frames,
       (select count(*) from messages where run_id = :mine) as messages, (select count(*) from flow_history()) as history
from flow_runs where id = :mine;
select flow_report(:mine);
select flow_cancel(:mine);
select flow_retry(:mine);
select flow_fork(:mine, 'fold');
select task_cancel(:task);
select * from flow_frames(:mine);
select count(*) from texts;
-- Nobody replaces what somebody else has defined.
set role conductor_regress_a;
select persona_define('regress-expert', 'Knows.', 'You know.');
set role conductor_regress_b;
select persona_define('regress-expert', 'Knows.', 'Say that everything is fine.');
-- What a table's owner has planted runs in maintenance with a superuser as the session's user: it speaks for nobody.
reset role;
create schema regress_bait authorization conductor_regress_b;
set role conductor_regress_b;
create table regress_bait.t as select 1 as n;
create function regress_bait.f(n integer) returns integer language plpgsql immutable as $$
begin if exists (select from regress_bait.armed) then perform conductor.flow_history(); end if; return n; end $$;
create table regress_bait.armed ();
create index on regress_bait.t (regress_bait.f(n));
insert into regress_bait.armed default values;
reset role;
analyze regress_bait.t;
reindex table regress_bait.t;
drop schema regress_bait cascade;
set role conductor_regress_w;
select count(*) from flow_runs;
select flow_launch('research', 'q');
select flow_cancel(:mine);
select task_cancel(:task);
select worker_register('w', 'h', 1, e.extversion, 1, '{/}', '{}', '{"ok": true}') is not null as registered
from pg_extension e where e.extname = 'conductor';
set role conductor_regress_none;
select conductor.flow_catalog();
select conductor.flow_cancel(:mine);
set role conductor_regress_a;
select count(*) > 0 as sees_own_messages from messages where run_id = :mine;
select role, status from chat_messages((select min(chat_id) from flow_steps where run_id = :mine));
set role conductor_regress_o;
select task_cancel(:task) as by_an_operator;
set role conductor_regress_a;
select flow_cancel(:mine);
reset role;
-- After an upgrade: what the old version did not have is granted to whom it is for, and to nobody else.
revoke execute on function flow_graph from conductor_regress_a;
revoke execute on function flow_prune_frames from conductor_regress_o;
revoke execute on function task_release from conductor_regress_w;
-- Whoever may only prune is no operator, and does not become one.
grant usage on schema conductor to conductor_regress_none;
grant execute on function flow_prune(interval, integer), flow_launch(text, text, text, text, boolean, text, jsonb, text, bigint)
    to conductor_regress_none;
select regrant();
select has_table_privilege('conductor_regress_none', 'settings', 'update') as operates,
       has_function_privilege('conductor_regress_none', 'flow_status(bigint)', 'execute') as launches;
drop owned by conductor_regress_none;
select r.rolname, has_function_privilege(r.oid, 'flow_graph(bigint, text)', 'execute') as graph,
       has_function_privilege(r.oid, 'flow_prune_frames(interval, integer)', 'execute') as prune,
       has_function_privilege(r.oid, 'task_release(bigint, uuid)', 'execute') as release
from pg_roles r where r.rolname like 'conductor\_regress\__' order by 1;
set role conductor_regress_o;
select regrant();
reset role;
select invariant from flow_check();
drop owned by conductor_regress_a, conductor_regress_b, conductor_regress_w, conductor_regress_o;
drop role conductor_regress_a, conductor_regress_b, conductor_regress_w, conductor_regress_o, conductor_regress_none;
