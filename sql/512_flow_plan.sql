-- The waves of a flow at a band, before any launch (with a project). Raises 42704 for an unknown flow and 22023 for an
-- unknown band.
create function conductor.flow_plan(flow text, band text default 'small')
    returns table (wave integer, step_id text, label text, kind text, persona text, needs text[])
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select (s.value ->> 'wave')::integer, s.value ->> 'id', s.value ->> 'label', s.value ->> 'kind', s.value ->> 'persona',
           array(select n.need from jsonb_array_elements_text(s.value -> 'needs') n (need))
    from jsonb_array_elements(conductor._preview(flow_plan.flow, flow_plan.band) -> 'steps') with ordinality s (value, n)
    order by 1, s.n
$$;
