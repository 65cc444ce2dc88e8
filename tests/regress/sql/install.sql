-- CREATE EXTENSION works, applying it twice is clean, and so are dropping and creating again.
\set VERBOSITY default
set client_min_messages = warning;
drop extension if exists conductor;
create extension conductor;
create extension conductor;
create extension if not exists conductor;
drop extension conductor;
select count(*) as leftovers from pg_class where relnamespace = 'conductor'::regnamespace;
create extension conductor;

-- The schema, its constraints and indexes: names are a contract.
select table_name, string_agg(column_name, ' ' order by ordinal_position) as columns
from information_schema.columns where table_schema = 'conductor' group by table_name order by table_name;
select conrelid::regclass::text as on_table, conname from pg_constraint
where connamespace = 'conductor'::regnamespace order by 1, 2;
select indexrelid::regclass::text as index from pg_index i join pg_class c on c.oid = i.indrelid
where c.relnamespace = 'conductor'::regnamespace order by 1;

-- Everything of a user's is dumped: each table and sequence but the dispatcher's own row.
select c.oid::regclass::text as not_dumped from pg_class c
where c.relnamespace = 'conductor'::regnamespace and c.relkind in ('r', 'S')
  and not c.oid = any (select unnest(extconfig) from pg_extension where extname = 'conductor') order by 1;

-- PUBLIC may do nothing; every definer function pins its search_path.
select p.oid::regprocedure::text as public_may_execute from pg_proc p
where p.pronamespace = 'conductor'::regnamespace and has_function_privilege('public', p.oid, 'execute') order by 1;
select p.oid::regprocedure::text as unpinned from pg_proc p
where p.pronamespace = 'conductor'::regnamespace and p.prosecdef
  and not coalesce(array_to_string(p.proconfig, ','), '') like '%search_path=pg_catalog%' order by 1;
select p.oid::regprocedure::text as unpinned_sql from pg_proc p join pg_language l on l.oid = p.prolang
where p.pronamespace = 'conductor'::regnamespace and l.lanname <> 'c'
  -- What was parsed when it was created looks nothing up when it runs.
  and p.prosqlbody is null
  and not coalesce(array_to_string(p.proconfig, ','), '') like '%search_path=pg_catalog%' order by 1;

-- The surface.
select p.proname, pg_get_function_identity_arguments(p.oid) as arguments, pg_get_function_result(p.oid) as result
from pg_proc p where p.pronamespace = 'conductor'::regnamespace and p.proname !~ '^_' order by 1;
