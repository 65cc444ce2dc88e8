-- Grants the functions of these names to a role, with the use of the schema. Raises 42704 for an unknown role.
create function conductor._grant_execute(p_role text, p_names text[]) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_function regprocedure;
begin
    perform 1 from pg_catalog.pg_roles r where r.rolname = p_role;
    if not found then
        raise exception using errcode = '42704',
            message = 'no such role', detail = format('role: %s', coalesce(p_role, 'null')),
            hint = 'create the role first';
    end if;
    execute format('grant usage on schema conductor to %I', p_role);
    for v_function in
        select p.oid::regprocedure from pg_catalog.pg_proc p
        where p.pronamespace = 'conductor'::regnamespace and p.proname = any (p_names)
    loop
        execute format('grant execute on function %s to %I', v_function, p_role);
    end loop;
end
$$;
