-- The flows that can be launched, in the launcher's order, with the number of agents at each band (with a project).
create function conductor.flow_catalog()
    returns table (category text, name text, description text, small integer, medium integer, large integer)
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select f.category, f.name, f.description,
           conductor._agent_count(f.name, 'small'), conductor._agent_count(f.name, 'medium'),
           conductor._agent_count(f.name, 'large')
    from conductor.flows f
    -- Users' own stand behind the library's.
    left join conductor._builtin_flows() with ordinality b (name, category, description, definition, n)
        on b.name = f.name
    order by array_position(array['analysis', 'discovery', 'planning', 'authoring', 'review'], f.category), b.n, f.name
$$;
