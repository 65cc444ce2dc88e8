-- The steps that a prompt or a fold quotes, with those that were added for them at run time, in plan order:
-- a JSON array of {step_id, label, prefix, status, error, output, citations}.
create function conductor._upstream(p_run bigint, p_steps text[]) returns jsonb
    language sql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'step_id', s.step_id, 'label', s.label, 'prefix', s.prefix, 'status', s.status,
        'error', s.error, 'output', s.output, 'citations', s.citations) order by s.position, s.step_id), '[]')
    from conductor.flow_steps s
    where s.run_id = p_run
      and (s.step_id = any (p_steps) or s.parent_step_id = any (p_steps))
      and s.role <> 'fan_out'
$$;
