-- Ends a run that is not completed: cancels what is under way, keeps what was produced, and says why.
-- The caller holds the run's lock.
create function conductor._run_end(p_run bigint, p_status text, p_error text, p_budget_spent boolean default false)
    returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_last   text;
    v_report text;
begin
    update conductor.flow_runs r
    set status = p_status, error = p_error, ended_at = conductor._now(), updated_at = conductor._now(),
        version = r.version + 1
    where r.id = p_run;

    perform conductor._settle_lagging(p_run);
    perform conductor._end_tasks(p_run, p_budget_spent);

    update conductor.flow_steps s
    set status = 'cancelled', ended_at = conductor._now()
    where s.run_id = p_run and s.status in ('pending', 'running')
      and not exists (select from conductor.tasks t where t.id = s.task_id and t.state in ('pending', 'running'));

    begin
        select conductor._report_markdown(d.data, d.outputs) into v_report from conductor._report_data(p_run, p_status) d;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error then
            raise;
        when others then
            -- Ending a run always works.
            v_report := format(E'# Run %s: %s\n\n%s\n\nThe report cannot be rendered: %s\n', p_run, p_status, p_error, sqlerrm);
    end;
    update conductor.flow_runs r set report = v_report where r.id = p_run;

    select s.step_id into v_last from conductor.flow_steps s
    where s.run_id = p_run order by s.ended_at desc nulls last, s.position desc limit 1;
    perform conductor._frame(p_run, 'flow_run_step_updated', jsonb_build_object(
        'run_id', p_run, 'step_id', v_last, 'status',
        (select s.status from conductor.flow_steps s where s.run_id = p_run and s.step_id = v_last),
        'run_status', p_status));
end
$$;
