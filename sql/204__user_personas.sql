-- The personas that users defined: [{name, description, prefix, body}].
create function conductor._user_personas() returns jsonb
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select coalesce(jsonb_agg(jsonb_build_object(
        'name', p.name, 'description', p.description, 'prefix', p.prefix, 'body', p.body) order by p.name), '[]')
    from conductor.persona_definitions p);
end
$$;
