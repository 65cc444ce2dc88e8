-- The steps that a prompt or a fold quotes, with those that were added for them at run time, in plan order: a JSON array
-- of {step_id, label, prefix, status, error, citations}, and their outputs beside it, because one JSON value cannot
-- hold many large ones.
create function conductor._upstream(p_run bigint, p_steps text[], out steps jsonb, out outputs text[])
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    -- Most prompts quote nothing.
    if cardinality(p_steps) = 0 then
        steps := '[]';
        outputs := '{}';
        return;
    end if;
    select coalesce(jsonb_agg(jsonb_build_object(
               'step_id', s.step_id, 'label', s.label, 'prefix', s.prefix, 'status', s.status,
               'error', s.error, 'citations', s.citations) order by s.position, length(s.step_id), s.step_id), '[]'),
           coalesce(array_agg(s.output order by s.position, length(s.step_id), s.step_id), '{}')
    into steps, outputs
    from (
        select q.* from unnest(p_steps) k (step_id) cross join lateral (
            select d.* from conductor.flow_steps d where d.run_id = p_run and d.step_id = k.step_id offset 0) q
        union all
        select q.* from unnest(p_steps) k (step_id) cross join lateral (
            select d.* from conductor.flow_steps d where d.run_id = p_run and d.parent_step_id = k.step_id offset 0) q
    ) s
    where s.role <> 'fan_out';
end
$$;
