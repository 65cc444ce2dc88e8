-- Calls grant_launcher(), grant_operator() and grant_worker() again for the roles that have what these give, after ALTER
-- EXTENSION UPDATE: a new version may have functions for them. Returns how many roles that were. For the extension's owner.
-- Not done by upgrade scripts: what those grant counts as part of the extension, and a dump leaves it out.
create function conductor.regrant() returns integer
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_role  record;
    v_count integer := 0;
begin
    -- A right of its own stands for each; somebody who was granted single functions is none of them.
    for v_role in
        select r.rolname, bool_or(k.kind = 'operator') as operator, bool_or(k.kind = 'launcher') as launcher,
               bool_or(k.kind = 'worker') as worker
        from (
            select a.grantee, 'operator'
            from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
            where c.oid = 'conductor.settings'::regclass and a.privilege_type = 'UPDATE' and a.grantee <> c.relowner
            union all
            select a.grantee, 'launcher'
            from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
            where c.oid = 'conductor.flow_steps'::regclass and a.privilege_type = 'SELECT' and a.grantee <> c.relowner
            union all
            select a.grantee, 'worker'
            from pg_catalog.pg_proc p cross join lateral pg_catalog.aclexplode(p.proacl) a
            where p.pronamespace = 'conductor'::regnamespace and p.proname = 'task_finish'
              and a.grantee <> p.proowner) k (grantee, kind)
        join pg_catalog.pg_roles r on r.oid = k.grantee
        group by r.rolname order by r.rolname
    loop
        if v_role.operator then
            perform conductor.grant_operator(v_role.rolname);
        elsif v_role.launcher then
            perform conductor.grant_launcher(v_role.rolname);
        end if;
        if v_role.worker then
            perform conductor.grant_worker(v_role.rolname);
        end if;
        v_count := v_count + 1;
    end loop;
    return v_count;
end
$$;
