-- Gives the roles that may launch, operate or work what a new version has in addition, after ALTER EXTENSION UPDATE. Who
-- they are follows from who was granted the function that stands for each. Returns how many grants it renewed. For the
-- extension's owner. Not called by upgrade scripts: what those grant counts as part of the extension, and a dump leaves
-- it out.
create function conductor.regrant() returns integer
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_role  record;
    v_count integer := 0;
begin
    for v_role in
        select distinct p.proname, r.rolname
        from pg_catalog.pg_proc p
        cross join lateral pg_catalog.aclexplode(p.proacl) a
        join pg_catalog.pg_roles r on r.oid = a.grantee
        where p.pronamespace = 'conductor'::regnamespace and p.proname in ('flow_launch', 'flow_prune', 'task_claim')
          and a.privilege_type = 'EXECUTE' and a.grantee <> p.proowner
        order by r.rolname, p.proname
    loop
        case v_role.proname
            when 'flow_launch' then perform conductor.grant_launcher(v_role.rolname);
            when 'flow_prune' then perform conductor.grant_operator(v_role.rolname);
            when 'task_claim' then perform conductor.grant_worker(v_role.rolname);
        end case;
        v_count := v_count + 1;
    end loop;
    return v_count;
end
$$;
