-- Defines a flow of the user's own, or replaces one, from the JSON form of its TOML. Returns its name. A run under way
-- keeps the plan it was launched with. Raises 22023 with the field that is wrong, 42710 for a built-in flow's name and 42501
-- for a flow that somebody else has defined.
create function conductor.flow_define(definition jsonb) returns text
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_definition jsonb := conductor._flow_validate(coalesce(flow_define.definition, '{}'), conductor._user_personas());
    v_name       text := v_definition ->> 'name';
begin
    if exists (select from conductor._builtin_flows() b where b.name = v_name) then
        raise exception using errcode = '42710',
            message = 'a built-in flow has this name', detail = format('name: %s', v_name),
            hint = 'give the flow another name';
    end if;
    insert into conductor.flow_definitions as d (name, definition, defined_by)
    values (v_name, v_definition, conductor._caller())
    on conflict on constraint flow_definitions_pkey do update
    set definition = excluded.definition, defined_by = excluded.defined_by, defined_at = conductor._now()
    where d.defined_by = excluded.defined_by or conductor._is_operator(excluded.defined_by);
    if not found then
        raise exception using errcode = '42501',
            message = 'somebody else has defined this flow', detail = format('name: %s', v_name),
            hint = 'choose another name, or ask an operator';
    end if;
    return v_name;
end
$$;
