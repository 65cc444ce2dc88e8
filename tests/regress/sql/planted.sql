-- Functions, operators, casts, types and tables that somebody has planted where names are looked up change nothing and are
-- never called: when the extension is created and upgraded, and in all that is done with it.
\set VERBOSITY terse
\set SHOW_CONTEXT never
\set before :DBNAME
set client_min_messages = error;
create database conductor_regress_planted template template0;
create role conductor_regress_planter login;
create role conductor_regress_launcher login;
create role conductor_regress_worker login;
create role conductor_regress_operator login;
\c conductor_regress_planted
set client_min_messages = error;
grant create on schema public to conductor_regress_planter;
-- What counts the calls of what is planted: it is not taken back when a transaction is.
create sequence public.told;
grant usage, select on sequence public.told to public;

set role conductor_regress_planter;
set check_function_bodies = off;
-- Of every function and operator of the server's, one in public that takes precedence wherever public is looked in first.
create function public.planted(what pg_catalog.text) returns boolean language plpgsql as $$
begin perform pg_catalog.nextval('public.told'); raise exception 'planted: %', what; end $$;
create function pg_temp.plant() returns table (kind text, planted bigint) language plpgsql as $plant$
declare
    v_body  constant text := 'begin perform public.planted(%L); end';
    v_thing record;
    v_functions bigint := 0;
    v_operators bigint := 0;
    v_views bigint := 0;
begin
    for v_thing in
        select p.oid, p.proname, pg_get_function_identity_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result
        from pg_proc p
        where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not p.prorettype::regtype::text ~ '(internal|trigger|handler)'
          and not p.proargtypes::oid[] && array['internal', 'cstring', '"any"', 'trigger']::regtype[]::oid[]
    loop
        begin
            execute format('create function public.%I(%s) returns %s language plpgsql as %L', v_thing.proname, v_thing.arguments,
                v_thing.result, format(v_body, 'function ' || v_thing.proname));
            v_functions := v_functions + 1;
        exception when others then null;
        end;
    end loop;
    for v_thing in
        select o.oid, o.oprname, nullif(o.oprleft, 0)::regtype as l, o.oprright::regtype as r, o.oprresult::regtype as result
        from pg_operator o where o.oprnamespace = 'pg_catalog'::regnamespace
    loop
        begin
            execute format('create function public.planted_%s(%s) returns %s language plpgsql as %L', v_thing.oid,
                concat_ws(', ', v_thing.l, v_thing.r), v_thing.result, format(v_body, 'operator ' || v_thing.oprname));
            execute format('create operator public.%s (%s rightarg = %s, function = public.planted_%s)', v_thing.oprname,
                'leftarg = ' || v_thing.l || ',', v_thing.r, v_thing.oid);
            v_operators := v_operators + 1;
        exception when others then null;
        end;
    end loop;
    -- Whoever reads one of these views calls something.
    foreach v_thing.oprname in array array['settings', 'projects', 'project_grants', 'texts', 'flow_definitions',
        'persona_definitions', 'workers', 'dispatch', 'flow_runs', 'chats', 'tasks', 'flow_steps', 'flow_edges', 'run_counters',
        'frames', 'messages', 'flows', 'personas', 'pg_extension', 'pg_roles', 'pg_proc', 'pg_class', 'pg_namespace',
        'pg_database', 'pg_stat_activity']
    loop
        execute format('create view public.%I as select public.planted(%L) as id, true as singleton', v_thing.oprname,
            'view ' || v_thing.oprname);
        v_views := v_views + 1;
    end loop;
    return query values ('functions', v_functions), ('operators', v_operators), ('views', v_views);
end $plant$;
select kind, planted >= case kind when 'functions' then 2000 when 'operators' then 700 else 25 end as many from pg_temp.plant();
-- What takes arguments of any type, and aggregates, by hand.
create function public.format(pg_catalog.text, variadic anyarray) returns text language plpgsql as $$
begin perform public.planted('format'); end $$;
create function public.jsonb_build_object(variadic anyarray) returns jsonb language plpgsql as $$
begin perform public.planted('jsonb_build_object'); end $$;
create function public.concat_ws(pg_catalog.text, variadic anyarray) returns text language plpgsql as $$
begin perform public.planted('concat_ws'); end $$;
create function public.planted_state(s bigint) returns bigint language plpgsql as $$
begin perform public.planted('aggregate'); end $$;
create function public.planted_state(s bigint, anyelement) returns bigint language plpgsql as $$
begin perform public.planted('aggregate'); end $$;
create aggregate public.count(*) (sfunc = public.planted_state, stype = bigint, initcond = '0');
create aggregate public.jsonb_agg(anyelement) (sfunc = public.planted_state, stype = bigint, initcond = '0');
create aggregate public.array_agg(anyelement) (sfunc = public.planted_state, stype = bigint, initcond = '0');
create aggregate public.max(anyelement) (sfunc = public.planted_state, stype = bigint, initcond = '0');
create aggregate public.sum(anyelement) (sfunc = public.planted_state, stype = bigint, initcond = '0');
-- A cast between types of the planter's own is all that it may make; types named like the server's.
create type public.mine as (n integer);
create function public.as_text(public.mine) returns pg_catalog.text language plpgsql as $$
begin perform public.planted('cast'); end $$;
create cast (public.mine as pg_catalog.text) with function public.as_text(public.mine) as implicit;
create domain public.jsonb as pg_catalog.jsonb check (public.planted('domain jsonb'));
create domain public.uuid as pg_catalog.uuid check (public.planted('domain uuid'));
create domain public.timestamptz as pg_catalog.timestamptz check (public.planted('domain timestamptz'));
create domain public.regclass as pg_catalog.regclass check (public.planted('domain regclass'));
create domain public.regprocedure as pg_catalog.regprocedure check (public.planted('domain regprocedure'));
create domain public.text as pg_catalog.text check (public.planted('domain text'));
reset role;
reset check_function_bodies;

-- What each session below begins with: public is looked in before the server's own, and tables and types in pg_temp before
-- both. From here on whatever is not qualified is a planted one.
\set hostile 'create temp view flow_runs as select public.planted(''temporary flow_runs''); create temp view tasks as select public.planted(''temporary tasks''); create temp view settings as select public.planted(''temporary settings''); create temp view pg_extension as select public.planted(''temporary pg_extension''); create domain pg_temp.text as pg_catalog.text check (public.planted(''temporary text'')); create domain pg_temp.jsonb as pg_catalog.jsonb check (public.planted(''temporary jsonb'')); create function pg_temp.clock_timestamp() returns pg_catalog.timestamptz language plpgsql as ''begin perform public.planted(''''temporary''''); end''; set client_min_messages = error; set search_path = public, pg_catalog, conductor;'
:hostile
create extension conductor;
select conductor.grant_launcher('conductor_regress_launcher'), conductor.grant_worker('conductor_regress_worker'),
       conductor.grant_operator('conductor_regress_operator');
select conductor.regrant();
select is_called from public.told;

\c - conductor_regress_operator
:hostile
select conductor.project_register('planted', '/srv/planted') as project;
select conductor.project_grant('planted', 'conductor_regress_launcher');
update conductor.settings set retry_backoff = '0';
\c - conductor_regress_worker
:hostile
select conductor.worker_register('w', 'h', 1, e.extversion, 8, '{/}', '{}', '{"ok": true}') as registered
from pg_catalog.pg_extension e where e.extname operator(pg_catalog.=) 'conductor' \g /dev/null
\c - conductor_regress_launcher
:hostile
select conductor.flow_launch('architectural-analysis', 'Is it safe?', 'planted', 'medium', launch_key => 'k',
    input => '{"documents": [{"name": "a.md", "text": "b"}]}') as run \gset
select conductor.flow_launch('architectural-analysis', 'Is it safe?', 'planted', 'medium', launch_key => 'k') as again;
select conductor.flow_command('/flow research --band medium What?', 'planted') as other \gset
-- Suggestions are looked for as well.
select conductor.flow_launch('reserch', 'q');
select conductor.flow_launch('research', 'q', 'plantd');
select conductor.persona_define('planted-expert', 'Knows.', 'You know.');
select conductor.flow_define('{"name": "planted", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "find", "persona": "planted-expert", "brief": "b"},
    {"id": "each", "persona": "planted-expert", "brief": "b", "needs": ["find"], "foreach": "find.all"}]}');
select conductor.flow_launch('planted', 'q') as fan \gset
\c - conductor_regress_worker
:hostile
-- Each claim hands out one task: the runs in turn.
select task_id as a, lease as la from conductor.task_claim(1, 1) \gset
select task_id as b, lease as lb from conductor.task_claim(1, 1) \gset
select task_id as c, lease as lc from conductor.task_claim(1, 1) \gset
select task_id as d, lease as ld from conductor.task_claim(1, 1) \gset
select conductor.run_snapshot(:a, :'la', 'c', 'd', 'h');
select conductor.task_stream(:a, :'la', '[{"type": "message_started"}, {"type": "delta", "offset": 0, "text": "so far"},
    {"type": "tool_call", "name": "grep_search", "input": {"pattern": "x"}}]');
select lease from conductor.task_heartbeat(1, array[:'la', :'lb']::pg_catalog.uuid[]);
select conductor.task_release(:d, :'ld');
select task_id as d, lease as ld from conductor.task_claim(1, 1) \gset
\c - conductor_regress_launcher
:hostile
select state, doing from conductor.flow_status(:run);
select conductor.flow_step_output(:run, 'structure') as so_far;
select role, content from conductor.messages where chat_id operator(pg_catalog.=) 1 and status operator(pg_catalog.=) 'streaming';
\c - conductor_regress_worker
:hostile
select conductor.task_finish(:a, :'la', 'completed', E'# A\n\n### S1. One\n- Evidence (codebase): `a.rs:1`',
    usage => '{"input_tokens": 10, "output_tokens": 1}', citations => '{"total": 1, "broken": []}');
select conductor.task_finish(:b, :'lb', 'failed', error => 'HTTP 500', retryable => true);
select conductor.task_finish(:c, :'lc', 'completed', '{"all": [1, 2]}');
select conductor.task_finish(:d, :'ld', 'completed', 'What the other says.');
select conductor.worker_runs_over(1, '{1,2,3,4}');
-- What is left, whichever it is, until nothing is.
create function pg_temp.rest() returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare v_task record;
begin
    loop
        select * into v_task from conductor.task_claim(1, 1);
        exit when not found;
        perform set_config('search_path', 'public, pg_catalog, conductor', true);
        perform conductor.task_finish(v_task.task_id, v_task.lease, 'completed', E'## Verdict\n\nstands\n\nConfidence: high');
        perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    end loop;
end $$;
select pg_temp.rest();
\c - conductor_regress_launcher
:hostile
select id, flow_name, status, error from conductor.flow_runs order by id using operator(pg_catalog.<);
select conductor.flow_report(:run) \g /dev/null
select conductor.flow_report(:run, 'html') \g /dev/null
select conductor.flow_report(:run, 'json') \g /dev/null
select conductor.flow_graph(:run) \g /dev/null
select conductor.flow_graph(:run, 'svg') \g /dev/null
select conductor.flow_show(:run) \g /dev/null
select * from conductor.flow_frames(:run) \g /dev/null
select * from conductor.flow_history('planted') \g /dev/null
select * from conductor.flow_catalog() \g /dev/null
select * from conductor.flow_plan('planted') \g /dev/null
select * from conductor.messages \g /dev/null
select * from conductor.flows \g /dev/null
select * from conductor.personas \g /dev/null
select * from conductor.tasks, conductor.flow_steps, conductor.chats, conductor.projects \g /dev/null
select role, status from conductor.chat_messages(1);
select conductor.flow_fork(:run, 'synthesis') as fork \gset
select conductor.flow_cancel(:fork);
select conductor.flow_retry(:fork) as retried;
select id as task from conductor.tasks order by id using operator(pg_catalog.>) limit 1 \gset
select conductor.task_cancel(:task);
\c - conductor_regress_operator
:hostile
select conductor.flow_resume() \g /dev/null
select invariant from conductor.flow_check();
select conductor.flow_prune_frames('0', 1);
select conductor.flow_prune('0', 1);
select is_called from public.told;

-- Upgrading, in the middle of a run of the former version's.
\c - postgres
:hostile
drop extension conductor;
create extension conductor version '0.1.0';
select conductor.grant_launcher('conductor_regress_launcher'), conductor.grant_worker('conductor_regress_worker');
select conductor.worker_register('w', 'h', 1, '0.1.0', 8, '{/}', '{}', '{"ok": true}') \g /dev/null
select conductor.flow_launch('architectural-analysis', 'Is it safe?', band => 'medium') as run \gset
select task_id as a, lease as la from conductor.task_claim(1, 1) \gset
-- Who could create in the schema could have planted in it.
grant create on schema conductor to conductor_regress_planter;
alter extension conductor update;
set role conductor_regress_planter;
create function conductor._nearest(pg_catalog.name, pg_catalog.name[]) returns setof pg_catalog.name language sql as 'select null';
reset role;
revoke create on schema conductor from conductor_regress_planter;
\set VERBOSITY default
alter extension conductor update;
\set VERBOSITY terse
drop function conductor._nearest(pg_catalog.name, pg_catalog.name[]);
alter extension conductor update;
select conductor.regrant();
select conductor.worker_register('w', 'h', 1, e.extversion, 8, '{/}', '{}', '{"ok": true}')
from pg_catalog.pg_extension e where e.extname operator(pg_catalog.=) 'conductor' \g /dev/null
select conductor.task_finish(:a, :'la', 'completed', 'S1 so it is');
select is_called from public.told;

-- All of that is worth something only because whoever does not look where the engine looks does call what was planted. So
-- does a caller who hands over a value of a planted type: before the engine has it.
select conductor.flow_launch('research', row(1)::public.mine);
select conductor.flow_launch('research', 'q'::pg_temp.text);
select now();
select 1 = 1;
select count(*) from pg_catalog.pg_class;
select '{}'::jsonb;
select * from flow_runs;
select is_called from public.told;
drop extension conductor;
drop schema conductor;

-- A schema that somebody else has prepared is refused: its owner could replace what is made in it, and what is in it could
-- be called in place of it.
reset search_path;
\set VERBOSITY default
create schema conductor authorization conductor_regress_planter;
create extension conductor;
drop schema conductor;
create schema conductor;
grant create on schema conductor to conductor_regress_planter;
create extension conductor;
set role conductor_regress_planter;
create function conductor._nearest(name, name[]) returns setof name language sql as 'select null';
create domain conductor.jsonb as pg_catalog.jsonb;
reset role;
create extension conductor;
revoke create on schema conductor from conductor_regress_planter;
create extension conductor;
drop schema conductor cascade;
-- An empty one of a superuser's, as a restore makes it, is taken.
create schema conductor;
create extension conductor;
\c :before
drop database conductor_regress_planted;
drop role conductor_regress_planter, conductor_regress_launcher, conductor_regress_worker, conductor_regress_operator;
