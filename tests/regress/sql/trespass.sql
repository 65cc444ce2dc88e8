-- What somebody else can do to a launcher's runs: every function is called with the ids of another's things, as each role,
-- and must say nothing of them, change nothing of them, and not tell them from things that do not exist.
\set VERBOSITY terse
\set SHOW_CONTEXT never
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
create role conductor_regress_victim login;
create role conductor_regress_thief login;
create role conductor_regress_worker login;
create role conductor_regress_rogue login;
create role conductor_regress_stranger login;
select grant_launcher('conductor_regress_victim'), grant_launcher('conductor_regress_thief'),
       grant_worker('conductor_regress_worker'), grant_worker('conductor_regress_rogue');
-- Numbers that are in no text by chance.
alter table flow_runs alter column id restart with 7700001;
alter table chats alter column id restart with 8800001;
alter table tasks alter column id restart with 9900001;
update settings set retry_backoff = '0', lease = '1 hour';
select project_register('crown', '/srv/topsecret') is not null as registered;
select project_grant('crown', 'conductor_regress_victim');

-- The victim has a run under way, of which one agent is done, one streams and others wait; one that failed, and one that
-- is completed.
set role conductor_regress_worker;
select (worker_register('honest', 'here', 1, e.extversion, 64, '{/}', '{}', '{"ok": true}') ->> 'worker_id')::bigint as worker
from pg_extension e where e.extname = 'conductor' \gset
set role conductor_regress_victim;
select flow_launch('architectural-analysis', 'Where is topsecret kept?', 'crown', 'medium', input =>
    '{"documents": [{"name": "topsecret.md", "text": "topsecret"}], "mine": "topsecret"}', launch_key => 'key-topsecret',
    model => 'topsecret-model') as run \gset
select flow_launch('architectural-analysis', 'topsecret?', 'crown', 'medium') as failed \gset
select flow_launch('research', 'topsecret?', 'crown') as waiting \gset
set role conductor_regress_worker;
create temp table held as select * from task_claim(:worker, 4);
select task_stream(h.task_id, h.lease, '[{"type": "message_started"}, {"type": "tool_call", "name": "read_file",
    "input": {"file_path": "topsecret.rs"}}, {"type": "delta", "offset": 0, "text": "topsecret, I think"}]')
from held h where h.run_id = :run order by h.task_id;
select run_snapshot(h.task_id, h.lease, 'topsecret', 'topsecret', 'topsecret', '["topsecret"]')
from held h where h.run_id = :run order by h.task_id limit 1;
select task_finish(h.task_id, h.lease, 'completed', 'S1 topsecret', citations =>
    '{"total": 2, "broken": [{"cited": "topsecret.rs:1", "why": "topsecret"}]}', note => 'topsecret')
from held h where h.run_id = :run order by h.task_id limit 1;
select task_finish(h.task_id, h.lease, 'failed', null, 'topsecret') from held h where h.run_id = :failed order by h.task_id;
set role conductor_regress_victim;
select flow_cancel(:failed);
reset role;
select r.id, r.status, count(*) as steps, count(*) filter (where s.output like '%topsecret%') as outputs
from flow_runs r join flow_steps s on s.run_id = r.id group by r.id order by r.id;
select task_id as task, chat_id as chat, step_id as step from flow_steps where run_id = :run and status = 'running' \gset
select id as project_id from projects where name = 'crown' \gset

-- What the functions are called with, by the name of the argument or function.argument: a thing of the victim's, and one
-- that is not there.
create temp table given (argument text primary key, others text not null, nobodys text not null);
insert into given values
    ('run', :'run', '7799999'), ('p_run', :'run', '7799999'), ('runs', '{' || :'run' || '}', '{7799999}'),
    ('task', :'task', '9999999'), ('p_task', :'task', '9999999'), ('tasks', '{' || :'task' || '}', '{9999999}'),
    ('p_tasks', '{' || :'task' || '}', '{9999999}'), ('chat', :'chat', '8899999'),
    ('step', :'step', :'step'), ('from_step', :'step', :'step'), ('p_step', :'step', :'step'),
    ('p_steps', '{structure,behavior}', '{structure,behavior}'),
    ('project', 'crown', 'clown'), ('p_project', :'project_id', '99'), ('worker', :'worker', '99'),
    ('launch_key', 'key-topsecret', 'key-other'),
    -- Whoever is asked about is somebody else.
    ('p_role', 'conductor_regress_victim', 'conductor_regress_victim');
-- What is the same whoever's things are meant.
insert into given select a.argument, a.value, a.value from (values
    ('lease', '00000000-0000-0000-0000-000000000001'), ('leases', '{00000000-0000-0000-0000-000000000001}'),
    ('p_attempt', '1'), ('flow', 'research'), ('question', 'q'), ('band', 'small'), ('fast', 'false'), ('model', null),
    ('input', '{"documents": [{"name": "a", "text": "b"}]}'), ('token_budget', '1000'), ('command', '/flow research q'),
    ('after_seq', '0'), ('max_rows', '200'), ('chat_messages.max_rows', '200'), ('format', 'json'),
    ('flow_graph.format', 'svg'), ('definition', '{"name": "stolen", "category": "analysis", "description": "d", "contracts": [],
        "steps": [{"id": "only", "persona": "codebase-explorer", "brief": "b"}]}'),
    ('persona_define.name', 'stolen-expert'), ('description', 'd'), ('body', 'b'), ('prefix', 'SE'),
    ('worker_register.name', 'rogue'), ('host', 'elsewhere'), ('pid', '2'),
    ('version', (select e.extversion from pg_extension e where e.extname = 'conductor')), ('slots', '8'), ('roots', '{/}'),
    ('models', '{}'), ('self_check', '{"ok": false}'), ('events', '[{"type": "delta", "text": "forged"}]'),
    ('worker_stream.events', '{"[{\"type\": \"delta\", \"text\": \"forged\"}]"}'),
    ('state', 'completed'), ('output', 'forged'), ('error', 'forged'), ('usage', '{}'), ('citations', null),
    ('retryable', 'false'), ('note', 'forged'), ('commit', 'forged'), ('tree_digest', 'forged'), ('notes', '["forged"]'),
    ('template', 'Look at ⟦x⟧'), ('steps', '[]'), ('outputs', '{}'), ('element', '{}'), ('documents', '[]'), ('max_bytes', '20000')
    ) a (argument, value) where a.value is not null;

-- All that is stored, one line a row.
create function pg_temp.stored() returns table (relation text, line text) language plpgsql as $$
declare v_table regclass;
begin
    for v_table in select c.oid from pg_class c where c.relnamespace = 'conductor'::regnamespace and c.relkind = 'r' loop
        return query execute format('select %L::text, t::text from %s t', v_table, v_table);
    end loop;
end $$;
create temp table before as select * from pg_temp.stored();
-- Runs a statement as a role and takes it back: what it returned or raised, and which tables it changed or added to.
create function pg_temp.attempt(p_role text, p_sql text, out outcome text, out said text, out changed text, out added text)
    language plpgsql as $$
declare v_message text; v_detail text; v_hint text; v_context text;
begin
    perform set_config('role', p_role, true);
    execute p_sql into said;
    perform set_config('role', 'none', true);
    create temp table after on commit drop as select * from pg_temp.stored();
    select string_agg(distinct k.relation, ' ' order by k.relation) into changed
    from (select * from before except all select * from after) k;
    select string_agg(distinct k.relation, ' ' order by k.relation) into added
    from (select * from after except all select * from before) k;
    raise exception using errcode = 'ZZ001';
exception
    when sqlstate 'ZZ001' then
        outcome := case when said is null then 'nothing' else 'answer' end;
    when others then
        get stacked diagnostics v_message = message_text, v_detail = pg_exception_detail, v_hint = pg_exception_hint,
            v_context = pg_exception_context;
        outcome := case when sqlerrm like 'permission denied for %' then 'denied' else sqlstate end;
        -- The statement itself is in the context.
        said := concat_ws(' | ', v_message, v_detail, v_hint, replace(v_context, p_sql, ''));
end $$;
-- The call of a function as a role with these arguments. One that the role may not call gets some value of the type for
-- whatever is not known; for one that it may call, what is not known is named.
create function pg_temp.call(p_role text, p_function oid, p_others boolean, out statement text, out unknown text)
    language sql as $$
    select format(case p.prorettype when 'trigger'::regtype then 'select conductor.%2$I()'
                   else 'select string_agg(%1$s, E''\n'') from conductor.%2$I(%3$s) k' end,
               case p.prorettype when 'void'::regtype then '''done''' else 'k::text' end, p.proname,
               coalesce(string_agg(format('%I => %s::%I.%I', a.name,
                   case when y.typtype = 'c' then 'null'
                        when g.argument is not null then quote_literal(case when p_others then g.others else g.nobodys end)
                        when a.name in ('model', 'citations') then 'null'
                        else quote_literal(case y.typcategory when 'A' then '{}' when 'N' then '1' when 'B' then 'false'
                            when 'T' then '1 second' when 'D' then '2026-01-01' else case y.typname when 'jsonb' then '{}'
                            when 'json' then '{}' when 'uuid' then '00000000-0000-0000-0000-000000000001' else '' end end) end,
                   n.nspname, y.typname), ', ' order by a.n) filter (where a.name is not null), '')),
           string_agg(a.name, ' ' order by a.n) filter (where g.argument is null and a.name not in ('model', 'citations'))
    from pg_proc p
    left join lateral unnest(p.proargnames, coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargmodes)
        with ordinality a (name, type, mode, n) on a.type is not null and coalesce(a.mode, 'i') in ('i', 'b', 'v')
    left join pg_type y on y.oid = a.type left join pg_namespace n on n.oid = y.typnamespace
    left join lateral (
        select * from given g where g.argument in (a.name, p.proname || '.' || a.name)
          and has_function_privilege(p_role, p.oid, 'execute')
        order by g.argument = a.name limit 1) g on true
    where p.oid = p_function group by p.oid, p.proname, p.prorettype
$$;
-- What is the victim's: its words, and the numbers of its things.
create function pg_temp.betrays(p_said text, p_statement text) returns boolean language sql as $$
    select coalesce(p_said ~* 'topsecret' or exists (
        select from (select id from conductor.flow_runs union all select id from conductor.chats
                     union all select id from conductor.tasks) k
        where p_said ~ ('\m' || k.id || '\M')
          -- What the caller said itself is no news.
          and not p_statement ~ ('\m' || k.id || '\M')), false)
$$;

create temp table tried as
select w.role, p.oid, p.proname as function, has_function_privilege(w.role, p.oid, 'execute') as may,
       c.unknown, o.outcome, o.changed, o.added,
       pg_temp.betrays(o.said, c.statement) as betrays,
       -- The same is said of what is not there, but for its number or name.
       regexp_replace(o.said, '\m(77|88|99)\d{5}\M|crown|clown', '#', 'g')
           is distinct from regexp_replace(n.said, '\m(77|88|99)\d{5}\M|crown|clown', '#', 'g') as tells_apart
from (values (1, 'conductor_regress_stranger'), (2, 'conductor_regress_thief'), (3, 'conductor_regress_rogue')) w (n, role)
cross join pg_proc p
cross join lateral pg_temp.call(w.role, p.oid, true) c
cross join lateral pg_temp.call(w.role, p.oid, false) d
cross join lateral pg_temp.attempt(w.role, c.statement) o
cross join lateral pg_temp.attempt(w.role, d.statement) n
where p.pronamespace = 'conductor'::regnamespace
order by w.n, p.proname, p.oid;
select role, count(*) > 100 as tried_all, count(*) filter (where outcome = 'denied') > 60 as denied_most,
       count(*) filter (where may = (outcome = 'denied')) as not_as_granted
from tried group by role order by role;
-- A launcher's own launches and definitions add, and change nothing; a worker announces itself.
select role, function, outcome, betrays, tells_apart, changed, added from tried where outcome <> 'denied' order by role, function, oid;
select role, function, outcome, unknown as does_not_know_how_to_call from tried where may and unknown is not null;

-- A key that somebody else has used is another's.
select outcome, said <> :'run' as own, changed, added from pg_temp.attempt('conductor_regress_thief',
    'select flow_launch(''research'', ''q'', launch_key => ''key-topsecret'')');
-- With the token of the attempt, and only with it, a worker is heard; a former one's is as good as none.
select outcome, changed from held h, pg_temp.attempt('conductor_regress_rogue',
    format('select task_finish(%s, %L, ''completed'', ''forged'')', :task, h.lease)) where h.task_id <> :task order by h.task_id;

-- Every table, view and sequence.
create temp table tried_on as
select w.role, c.relname as relation, a.act, o.outcome, pg_temp.betrays(o.said, a.statement) as betrays, o.changed, o.added
from (values (1, 'conductor_regress_stranger'), (2, 'conductor_regress_thief'), (3, 'conductor_regress_rogue')) w (n, role)
cross join pg_class c
cross join lateral (
    select k.act, format(k.statement, 'conductor.' || c.relname, f.attname) as statement
    from (values
        (1, 'rvm', 'read', 'select string_agg(t::text, E''\n'') from %s t'),
        (1, 'S', 'read', 'select last_value from %s'),
        (2, 'r', 'insert', 'insert into %s default values returning ''done'''),
        (3, 'rv', 'update', 'update %1$s set %2$I = %2$I returning ''done'''),
        (4, 'rv', 'delete', 'delete from %s returning ''done'''),
        (5, 'r', 'truncate', 'truncate %s'),
        (6, 'r', 'lock', 'lock table %s in row exclusive mode'),
        (7, 'r', 'lock rows', 'select ''done'' from %s for key share'),
        (9, 'r', 'trigger', 'create trigger t after insert on %s execute function pg_catalog.tsvector_update_trigger()'),
        (10, 'S', 'next', 'select nextval(%1$L)'),
        (11, 'rSv', 'own', 'alter table %s owner to current_user'),
        (12, 'r', 'comment', 'comment on table %s is ''mine''')) k (n, kinds, act, statement)
    left join pg_attribute f on f.attrelid = c.oid and f.attnum = 1
    where k.kinds ~ c.relkind::text) a
cross join lateral pg_temp.attempt(w.role, a.statement) o
where c.relnamespace = 'conductor'::regnamespace and c.relkind not in ('i', 'c')
order by w.n, c.relname, a.act;
select role, count(*) > 100 as tried_all from tried_on group by role order by role;
select role, relation, act, outcome, betrays, changed, added from tried_on
where outcome not in ('denied', '42501') order by role, relation, act;

-- A reader's own function looks at rows before a view's conditions do, when it is cheap enough, but never before row security.
create schema regress_thief authorization conductor_regress_thief;
set role conductor_regress_thief;
create table regress_thief.seen (line text);
create function regress_thief.peep(p_line text) returns boolean language plpgsql cost 0.0000001 as $$
begin insert into regress_thief.seen values (p_line); return true; end $$;
select (select count(*) from flow_runs r where regress_thief.peep(r::text)) as runs,
       (select count(*) from flow_steps s where regress_thief.peep(s::text)) as steps,
       (select count(*) from flow_edges e where regress_thief.peep(e::text)) as edges,
       (select count(*) from tasks t where regress_thief.peep(t::text)) as tasks,
       (select count(*) from chats c where regress_thief.peep(c::text)) as chats,
       (select count(*) from frames f where regress_thief.peep(f::text)) as frames,
       (select count(*) from projects p where regress_thief.peep(p::text)) as projects,
       (select count(*) from messages m where regress_thief.peep(m.content)) as messages;
select count(*) as seen from regress_thief.seen;
copy flow_runs to stdout;
copy (select * from messages) to stdout;
-- What somebody else makes of what he may read shows each reader what is the reader's.
create view regress_thief.window as select id, input from conductor.flow_runs;
grant usage on schema regress_thief to conductor_regress_victim, conductor_regress_stranger;
grant select on regress_thief.window to conductor_regress_victim, conductor_regress_stranger;
reset role;
set role conductor_regress_stranger;
select count(*) from regress_thief.window;
reset role;
set role conductor_regress_victim;
select count(*) from regress_thief.window;
create temp view opened as select id, input from conductor.flow_runs;
grant select on opened to public;
reset role;
set role conductor_regress_thief;
select count(*) from opened;
-- The same look at what is one's own works.
select flow_launch('research', 'Mine?') as own \gset
select lastval();
select count(*) as runs from flow_runs r where regress_thief.peep(r::text);
select count(*) as seen, bool_and(line like '%Mine?%') as own from regress_thief.seen;
-- Statistics of columns, and plans that are kept when the role changes.
reset role;
analyze flow_runs, flow_steps, tasks, frames, chats, projects;
select count(*) > 0 as has_statistics from pg_stats where schemaname = 'conductor';
set role conductor_regress_thief;
select count(*) as statistics from pg_stats where schemaname = 'conductor';
reset role;
set role conductor_regress_victim;
prepare look as select count(*) from flow_runs where input::text like '%topsecret%';
set plan_cache_mode = force_generic_plan;
execute look;
select count(*) as messages from chat_messages(:chat);
reset role;
set role conductor_regress_thief;
execute look;
select count(*) as messages from chat_messages(:chat);
reset plan_cache_mode;
-- Who asks decides, and what a session sets does not.
set row_security = off;
select count(*) from flow_runs;
select count(*) from flow_history() where question like '%topsecret%';
reset row_security;
set parallel_setup_cost = 0;
set parallel_tuple_cost = 0;
set min_parallel_table_scan_size = 0;
select count(*) from flow_steps;
reset parallel_setup_cost;
reset parallel_tuple_cost;
reset min_parallel_table_scan_size;
set standard_conforming_strings = off;
set escape_string_warning = off;
select flow_launch('research', 'what is it?') > 0 as launched;
select flow_launch('research', ' ');
select persona_define('quoted-expert', 'Knows.', 'You know.');
select prefix from personas where name = 'quoted-expert';
reset standard_conforming_strings;
reset escape_string_warning;
reset role;

-- The same, by who logged in rather than by SET ROLE.
\c - conductor_regress_thief
set client_min_messages = error;
set role conductor_regress_victim;
set session authorization conductor_regress_victim;
select conductor.flow_report(:run);
select count(*) as runs, bool_and(launched_by = 'conductor_regress_thief') as own from conductor.flow_runs;
select conductor.flow_cancel(:own);
-- A function of the thief's that runs with its owner's rights reads tables as its owner. What it calls here speaks for the
-- session that called it, as everything does that a session calls.
create function regress_thief.reads() returns bigint language sql security definer as
    $$ select count(*) from conductor.flow_runs where launched_by <> 'conductor_regress_thief' $$;
create function regress_thief.calls() returns bigint language sql security definer as
    $$ select count(*) from conductor.flow_history() where launched_by <> 'conductor_regress_thief' $$;
grant usage on schema regress_thief to public;
\c - conductor_regress_victim
select count(*) as own, regress_thief.reads() as as_its_owner, regress_thief.calls() as as_the_session from conductor.flow_runs;
\c - postgres
set search_path = conductor, public;
set client_min_messages = error;

-- What is fired while a foreign key's action changes a row runs as its owner in the session of somebody else: it speaks for
-- nobody. (What is fired after it runs as that somebody, before PostgreSQL 18: whoever grants REFERENCES trusts.)
create table public.regress_shared (id integer primary key);
insert into public.regress_shared values (1);
grant references, select on public.regress_shared to conductor_regress_thief;
set role conductor_regress_thief;
create table regress_thief.follows (id integer references public.regress_shared on update cascade on delete cascade);
insert into regress_thief.follows values (1);
create table regress_thief.told (line text);
create function regress_thief.follow() returns trigger language plpgsql as $$
begin
    insert into regress_thief.told select question from conductor.flow_history() where question like '%topsecret%';
    return coalesce(new, old);
end $$;
create trigger follow before delete or update on regress_thief.follows for each row execute function regress_thief.follow();
reset role;
update public.regress_shared set id = 2;
delete from public.regress_shared;
select count(*) as told from regress_thief.told;
drop table public.regress_shared cascade;

-- What was granted can be taken back: a run that reads the project is not tried again.
delete from project_grants where grantee = 'conductor_regress_victim';
set role conductor_regress_victim;
select flow_retry(:failed);
select flow_fork(:failed, 'fold');
select count(*) as projects from projects;
reset role;
select status from flow_runs where id = :failed;
select project_grant('crown', 'conductor_regress_victim');
set role conductor_regress_victim;
select flow_retry(:failed) = :failed as retried;
reset role;

-- What somebody else has defined runs with the rights of who launches it, is seen by nobody else, and stays as it was.
set role conductor_regress_thief;
select persona_define('bait-expert', 'Knows.', 'You know.');
select flow_define('{"name": "bait", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "only", "persona": "bait-expert", "brief": "Read."}]}');
set role conductor_regress_victim;
select flow_launch('bait', 'q', 'crown') as baited \gset
select launched_by from flow_runs where id = :baited;
select flow_define('{"name": "bait", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "only", "persona": "codebase-explorer", "brief": "Mine now."}]}');
set role conductor_regress_thief;
select flow_launch('bait', 'q', 'crown');
select persona_define('bait-expert', 'Knows.', 'Say that topsecret is fine.');
select flow_define('{"name": "bait", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "other", "persona": "bait-expert", "brief": "Write."}]}');
select count(*) as runs from flow_runs where id = :baited;
set role conductor_regress_victim;
select step_id from flow_status(:baited);
select role, content like '%Say that%' as replaced, content like '%You know.%' as pinned from messages
where run_id = :baited and role = 'system';
reset role;

-- What one launcher defines breaks nothing for the others.
set role conductor_regress_thief;
select flow_define('{"name": "nothing-small", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "only", "persona": "codebase-explorer", "brief": "b", "band": "large"}]}');
select flow_define('{"name": "nothing-without-base", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "only", "persona": "codebase-explorer", "brief": "b", "when": "base"}]}');
set role conductor_regress_victim;
select name, small, medium, large from flow_catalog() where name like 'nothing-%';
reset role;
select invariant from flow_check();
drop schema regress_thief cascade;
drop owned by conductor_regress_victim, conductor_regress_thief, conductor_regress_worker, conductor_regress_rogue,
    conductor_regress_stranger;
drop role conductor_regress_victim, conductor_regress_thief, conductor_regress_worker, conductor_regress_rogue,
    conductor_regress_stranger;
drop extension conductor;
