-- Whether a role may launch runs on a project: an operator, or a member of a role it was granted to. Of a role that the
-- caller is not a member of nothing is told: launchers may call this, because a policy does.
create function conductor._may_use_project(p_project bigint, p_role text) returns boolean
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select pg_has_role(conductor._caller(), p_role, 'member') and (conductor._is_operator(p_role) or exists (
        select from conductor.project_grants g join pg_catalog.pg_roles r on r.rolname = g.grantee
        where g.project_id = p_project and pg_has_role(p_role, r.oid, 'member')))
$$;
