-- Every function, table, view, sequence and type, and what each role may do with it. What is added later shows up here as a
-- difference: decide who it is for.
\set VERBOSITY terse
\set SHOW_CONTEXT never
set client_min_messages = error;
drop extension if exists conductor;
create role conductor_regress_stranger;
create role conductor_regress_launcher;
create role conductor_regress_granted;
create role conductor_regress_worker;
create role conductor_regress_operator;
-- Whoever is given all that is created is not given this.
alter default privileges grant all on tables to conductor_regress_stranger;
alter default privileges grant all on sequences to conductor_regress_stranger;
alter default privileges grant all on functions to conductor_regress_stranger, public;
create extension conductor;
alter default privileges revoke all on tables from conductor_regress_stranger;
alter default privileges revoke all on sequences from conductor_regress_stranger;
alter default privileges revoke all on functions from conductor_regress_stranger;
select conductor.grant_launcher('conductor_regress_launcher'), conductor.grant_launcher('conductor_regress_granted'),
       conductor.grant_worker('conductor_regress_worker'), conductor.grant_operator('conductor_regress_operator');
select conductor.project_register('rights', '/srv/rights') is not null as registered;
select conductor.project_grant('rights', 'conductor_regress_granted');
-- Short names; launchers with and without a project must have the same rights on objects.
create temp table who (letter text, role text);
insert into who values ('p', 'public'), ('s', 'conductor_regress_stranger'), ('l', 'conductor_regress_launcher'),
    ('g', 'conductor_regress_granted'), ('w', 'conductor_regress_worker'), ('o', 'conductor_regress_operator');

-- p(ublic), s(tranger), l(auncher), g: a launcher with a project, w(orker), o(perator); - : the owner only.
select coalesce((select string_agg(w.letter, '' order by array_position('{p,s,l,g,w,o}', w.letter)) from who w
                 where has_function_privilege(w.role, p.oid, 'execute')), '-') as may_call,
       case when p.prosecdef then 'definer' else 'invoker' end as runs_as, p.proname as function,
       pg_get_function_identity_arguments(p.oid) as arguments
from pg_proc p where p.pronamespace = 'conductor'::regnamespace order by p.proname, 4;

-- What may be done with each table, view and sequence, by table or by any column of it; U: a sequence's usage.
select c.relname as relation, c.relkind as kind, case when c.relrowsecurity then 'own rows' end as rows,
       coalesce((
           select string_agg(k.letter || ':' || k.may, ' ' order by array_position('{p,s,l,g,w,o}', k.letter))
           from (select w.letter, string_agg(r.short, '' order by r.n) as may
                 from who w cross join (values (1, 'r', 'select'), (2, 'a', 'insert'), (3, 'w', 'update'), (4, 'd', 'delete'),
                     (5, 'D', 'truncate'), (6, 'x', 'references'), (7, 't', 'trigger'), (8, 'U', 'usage')) r (n, short, right_)
                 where case when c.relkind = 'S' then r.n in (1, 3, 8) and has_sequence_privilege(w.role, c.oid, r.right_)
                            when r.n in (4, 5, 7) then has_table_privilege(w.role, c.oid, r.right_)
                            else r.n < 8 and has_any_column_privilege(w.role, c.oid, r.right_) end
                 group by w.letter) k), '-') as may
from pg_class c where c.relnamespace = 'conductor'::regnamespace and c.relkind not in ('i', 'c') order by 2, 1;
select w.letter, has_schema_privilege(w.role, 'conductor', 'usage') as usage,
       has_schema_privilege(w.role, 'conductor', 'create') as create
from who w order by array_position('{p,s,l,g,w,o}', w.letter);

-- A table of which launchers may read rows has row security; the others nobody reads but operators.
select c.relname as readable_whole from pg_class c
where c.relnamespace = 'conductor'::regnamespace and c.relkind in ('r', 'p', 'm', 'f') and not c.relrowsecurity
  and has_any_column_privilege('conductor_regress_launcher', c.oid, 'select');
select p.polrelid::regclass::text as policy_on, p.polname as policy, p.polpermissive as permissive,
       p.polroles = '{0}' as everybody, regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g') as condition
from pg_policy p join pg_class c on c.oid = p.polrelid
where c.relnamespace = 'conductor'::regnamespace order by 1, 2;
-- A view reads with its reader's rights. These two read with their owner's, and hide no row of what they read.
select c.relname as owners_view, pg_get_viewdef(c.oid) ~ '(?i)\mwhere\M' as hides_rows from pg_class c
where c.relnamespace = 'conductor'::regnamespace and c.relkind = 'v'
  and not coalesce('security_invoker=true' = any (c.reloptions), false) order by 1;

-- Every function looks names up in pg_catalog first, then in conductor, and in pg_temp last; what was parsed when it was
-- created looks nothing up.
select l.lanname as language, p.prosecdef as definer, p.prosqlbody is not null as parsed, k.setting, count(*)
from pg_proc p join pg_language l on l.oid = p.prolang
left join lateral (select c.setting from unnest(p.proconfig) c (setting) where c.setting like 'search\_path=%') k on true
where p.pronamespace = 'conductor'::regnamespace and (p.prosecdef or l.lanname <> 'c')
group by 1, 2, 3, 4 order by 1, 2, 3, 4;
-- None is believed not to leak: a condition of a reader's is never looked at before row security is.
select p.oid::regprocedure::text as leakproof from pg_proc p
where p.pronamespace = 'conductor'::regnamespace and p.proleakproof;
-- Everything in the schema is the extension's, and everything of it belongs to its owner.
select pg_describe_object(d.classid, d.objid, d.objsubid) as not_of_the_extension from pg_depend d
where d.refclassid = 'pg_namespace'::regclass and d.refobjid = 'conductor'::regnamespace and d.classid <> 'pg_extension'::regclass
  and not exists (
      select from pg_depend m join pg_extension e on m.refclassid = 'pg_extension'::regclass and m.refobjid = e.oid
      where m.classid = d.classid and m.objid = d.objid and m.deptype = 'e' and e.extname = 'conductor');
select count(*) as owned_by_others from (
    select c.relowner from pg_class c where c.relnamespace = 'conductor'::regnamespace
    union all select p.proowner from pg_proc p where p.pronamespace = 'conductor'::regnamespace) k (owner)
where k.owner <> (select e.extowner from pg_extension e where e.extname = 'conductor');
-- Whoever could create in the schema could stand in for what is called there.
select a.grantee::regrole::text as may_create from pg_namespace n cross join lateral aclexplode(n.nspacl) a
where n.nspname = 'conductor' and a.privilege_type = 'CREATE' and a.grantee <> n.nspowner;

-- The same after an upgrade, for what is new.
drop extension conductor;
create extension conductor version '0.1.0';
alter default privileges grant all on functions to conductor_regress_stranger;
alter extension conductor update;
alter default privileges revoke all on functions from conductor_regress_stranger;
select count(*) as stranger_may_call from pg_proc p
where p.pronamespace = 'conductor'::regnamespace and has_function_privilege('conductor_regress_stranger', p.oid, 'execute');
select conductor.grant_launcher('conductor_regress_launcher'), conductor.grant_operator('conductor_regress_operator');

-- What was given can be taken back, as the reference says, and leaves nothing.
revoke all on schema conductor from conductor_regress_operator;
revoke all on all functions in schema conductor from conductor_regress_operator;
revoke all on all tables in schema conductor from conductor_regress_operator;
select count(*) > 0 as others_keep_theirs, count(*) filter (where k.grantee = 'conductor_regress_operator'::regrole) as left
from (
    select a.grantee from pg_class c cross join lateral aclexplode(c.relacl) a where c.relnamespace = 'conductor'::regnamespace
    union all
    select a.grantee from pg_proc p cross join lateral aclexplode(p.proacl) a where p.pronamespace = 'conductor'::regnamespace
    union all
    select a.grantee from pg_namespace n cross join lateral aclexplode(n.nspacl) a where n.nspname = 'conductor') k
where k.grantee <> (select e.extowner from pg_extension e where e.extname = 'conductor');

drop owned by conductor_regress_stranger, conductor_regress_launcher, conductor_regress_granted, conductor_regress_worker,
    conductor_regress_operator;
drop role conductor_regress_stranger, conductor_regress_launcher, conductor_regress_granted, conductor_regress_worker,
    conductor_regress_operator;
drop extension conductor;
