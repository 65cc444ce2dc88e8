-- The plan that a launch with a project would pin.
create function conductor._preview(p_flow text, p_band text) returns jsonb
    language sql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select conductor._flow_expand(
        p_flow, (select d.definition from conductor.flow_definitions d where d.name = p_flow),
        conductor._user_personas(),
        jsonb_build_object('question', '?', 'band', p_band, 'fast', false, 'project', 'project', 'documents',
            '[{"name": "document", "text": "?"}]'::jsonb)) -> 'plan'
$$;

-- How many agents a launch with a project would dispatch; a fan-out counts once. Null for a flow of a user's that cannot be
-- launched so: it must not keep everybody from seeing the others.
create function conductor._agent_count(p_flow text, p_band text) returns integer
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select count(*) from jsonb_array_elements(conductor._preview(p_flow, p_band) -> 'steps') s
            where s.value ->> 'persona' is not null);
exception
    when invalid_parameter_value or undefined_object then
        return null;
end
$$;
