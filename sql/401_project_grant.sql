-- Lets a role (and its members) launch runs on a project. Operators only. Raises 42704 for an unknown project or role.
create function conductor.project_grant(project text, role text) returns void
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform 1 from pg_catalog.pg_roles r where r.rolname = project_grant.role;
    if not found then
        raise exception using errcode = '42704',
            message = 'no such role', detail = format('role: %s', coalesce(project_grant.role, 'null')),
            hint = 'create the role first';
    end if;
    insert into conductor.project_grants (project_id, grantee, granted_by)
    select p.id, project_grant.role, conductor._caller() from conductor.projects p where p.name = project_grant.project
    on conflict do nothing;
    if not found and not exists (select from conductor.projects p where p.name = project_grant.project) then
        perform conductor._unknown_project(project_grant.project);
    end if;
end
$$;
