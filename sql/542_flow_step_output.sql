-- The full output of a step; while its agent runs, what it has streamed so far; null before. Raises P0002 for a run or a
-- step that is not there for the caller.
create function conductor.flow_step_output(run bigint, step text) returns text
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_output text;
begin
    perform conductor._require_run(flow_step_output.run);
    select case when s.role = 'render' then r.report
                else coalesce(s.output, conductor._streamed(t.id, t.attempt)) end into v_output
    from conductor.flow_steps s
    join conductor.flow_runs r on r.id = s.run_id
    left join conductor.tasks t on t.id = s.task_id
    where s.run_id = flow_step_output.run and s.step_id = flow_step_output.step;
    if not found then
        raise exception using errcode = 'P0002',
            message = 'no such step',
            detail = format('run: %s, step: %s', flow_step_output.run, flow_step_output.step),
            hint = format('flow_status(%s) lists the steps of the run', flow_step_output.run);
    end if;
    return v_output;
end
$$;
