-- Completes a run all of whose steps have settled. A report that was rendered before the last of them is rendered again.
-- When the report step did not complete the run has failed: there is nothing to present.
create function conductor._run_complete(p_run bigint, p_report text) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_step   text;
    v_status text;
    v_error  text;
    v_report text := p_report;
begin
    select s.step_id, s.status, s.error into v_step, v_status, v_error
    from conductor.flow_steps s where s.run_id = p_run and s.role = 'render' order by s.position desc limit 1;
    if v_report is null and v_status = 'completed' then
        select c.report into v_report from conductor._code_step(p_run, v_step, 'render') c;
        select s.status, s.error into v_status, v_error
        from conductor.flow_steps s where s.run_id = p_run and s.step_id = v_step;
    end if;
    if v_report is null then
        perform conductor._run_end(p_run, 'failed', format('step %s %s: %s', v_step, v_status, coalesce(v_error, '')));
        return;
    end if;
    update conductor.flow_runs r
    set status = 'completed', report = v_report, ended_at = conductor._now(), updated_at = conductor._now()
    where r.id = p_run;
    perform conductor._frame(p_run, 'flow_run_step_updated', jsonb_build_object(
        'run_id', p_run, 'step_id', v_step, 'status', v_status, 'run_status', 'completed'));
end
$$;
