-- The persona that a step of a run was launched with, for those who may see the run. The texts themselves are shared
-- between runs, so nobody else reads them directly.
create function conductor._system_prompt(p_run bigint, p_step text) returns text
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select x.body
    from conductor.flow_steps s
    join conductor.flow_runs r on r.id = s.run_id
    join conductor.texts x on x.hash = s.persona_hash
    where s.run_id = p_run and s.step_id = p_step
      and (r.launched_by = conductor._caller() or conductor._is_operator(conductor._caller()))
$$;
