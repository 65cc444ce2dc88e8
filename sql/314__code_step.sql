-- Runs a code step that is due and settles it. An error of its own fails the step; what another transaction or the
-- machine caused (retryable, cancelled, out of resources) is raised, and nothing is changed.
-- Returns the report when the step rendered one, and whether it failed.
create function conductor._code_step(p_run bigint, p_step text, p_role text, out report text, out failed boolean)
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_started timestamptz := conductor._now();
    v_output  text := '';
    v_error   text;
    v_detail  text;
begin
    begin
        case p_role
            when 'fold' then
                select conductor._fold(u.steps, u.outputs) into v_output from conductor._upstream(p_run, array(
                    select e.need from conductor.flow_edges e where e.run_id = p_run and e.step_id = p_step)) u;
            when 'merge_findings' then
                select conductor._merge_findings(u.steps, u.outputs, (
                    select p.value -> 'merge' from conductor.flow_runs r, jsonb_array_elements(r.plan -> 'steps') p
                    where r.id = p_run and p.value ->> 'id' = p_step)) into v_output
                from conductor._upstream(p_run, array(
                    select e.need from conductor.flow_edges e where e.run_id = p_run and e.step_id = p_step)) u;
            when 'fan_out' then
                v_output := conductor._step_fan_out(p_run, p_step);
            when 'render' then
                select conductor._report_markdown(d.data, d.outputs) into report
                from conductor._report_data(p_run, 'completed') d;
        end case;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error then
            raise;
        when others then
            get stacked diagnostics v_detail = pg_exception_detail;
            v_error := concat_ws(': ', sqlerrm, nullif(v_detail, ''));
    end;
    update conductor.flow_steps s
    set status = case when v_error is null then 'completed' else 'failed' end,
        output = case when v_error is null then v_output end,
        error = v_error, waiting = 0, started_at = v_started, ended_at = conductor._now()
    where s.run_id = p_run and s.step_id = p_step;
    failed := v_error is not null;
end
$$;
