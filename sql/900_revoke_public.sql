-- PUBLIC may do nothing here; grant_launcher(), grant_worker() and grant_operator() say who may do what.
revoke all on all functions in schema conductor from public;
revoke all on all tables in schema conductor from public;
revoke all on schema conductor from public;

-- Nor may those to whom ALTER DEFAULT PRIVILEGES gives whatever is created: a role that reads all tables, for example.
do $$
declare
    v_right record;
begin
    for v_right in
        select case c.relkind when 'S' then 'sequence' else 'table' end as kind, c.oid::regclass::text as object, a.grantee
        from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
        where c.relnamespace = 'conductor'::regnamespace and a.grantee <> c.relowner
        union
        select 'function', p.oid::regprocedure::text, a.grantee
        from pg_catalog.pg_proc p cross join lateral pg_catalog.aclexplode(p.proacl) a
        where p.pronamespace = 'conductor'::regnamespace and a.grantee <> p.proowner
    loop
        execute format('revoke all on %s %s from %s', v_right.kind, v_right.object, v_right.grantee::regrole);
    end loop;
end
$$;
