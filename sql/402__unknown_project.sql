-- Raises 42704 for a project that is not registered, with the names that are nearest.
create function conductor._unknown_project(p_name text) returns void
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    raise exception using errcode = '42704',
        message = 'no such project',
        detail = format('project: %s', quote_literal(p_name)),
        hint = coalesce('did you mean ' || (
                select string_agg(n.name, ', ') from conductor._nearest(p_name, array(
                    select p.name from conductor.projects p
                    where conductor._may_use_project(p.id, conductor._caller()))) n(name)) || '? ', '')
            || 'an operator registers a project with project_register(name, root)';
end
$$;
