-- Raises 42501 unless the caller may use the project.
create function conductor._require_grant(p_project conductor.projects) returns void
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    if not conductor._may_use_project(p_project.id, conductor._caller()) then
        raise exception using errcode = '42501',
            message = 'the project was not granted to you',
            detail = format('project: %s, role: %s', p_project.name, conductor._caller()),
            hint = 'an operator grants it with project_grant(project, role)';
    end if;
end
$$;
