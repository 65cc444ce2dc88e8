-- Runs again what a failed or cancelled run did not complete; completed steps are kept, and a larger token budget may be
-- given. Returns the run. Raises P0002 for a run that the caller may not see, 55000 for one that is not failed or
-- cancelled, 22023 for a budget that is already spent, and 42501 for a project that is not granted any more.
create function conductor.flow_retry(run bigint, token_budget bigint default null) returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run record;
begin
    perform conductor._lock_run(flow_retry.run);
    select r.status, r.project_id, r.project_name, r.total_tokens,
           coalesce(flow_retry.token_budget, r.token_budget) as budget into v_run
    from conductor.flow_runs r where r.id = flow_retry.run;
    if v_run.status not in ('failed', 'cancelled') then
        raise exception using errcode = '55000',
            message = 'only a failed or cancelled run can be retried',
            detail = format('run: %s, status: %s', flow_retry.run, v_run.status),
            hint = 'flow_launch() starts a new run';
    elsif v_run.budget <= v_run.total_tokens then
        raise exception using errcode = '22023',
            message = 'the token budget of the run is spent',
            detail = format('token_budget: %s, spent: %s', v_run.budget, v_run.total_tokens),
            hint = format('SELECT flow_retry(%s, token_budget => …) with more', flow_retry.run);
    end if;
    if v_run.project_id is not null then
        -- What could be read at launch may have been withdrawn since.
        perform conductor._require_grant(jsonb_populate_record(null::conductor.projects,
            jsonb_build_object('id', v_run.project_id, 'name', v_run.project_name)));
    end if;
    update conductor.flow_runs r
    set status = 'running', error = null, report = null, ended_at = null, frames_pruned = false, version = r.version + 1,
        token_budget = v_run.budget, limits = conductor._limits(), updated_at = conductor._now()
    where r.id = flow_retry.run;
    -- What failed and is needed by nothing that is still to come stays as it is.
    update conductor.flow_steps s
    set status = 'pending', task_id = null, error = null, output = null, started_at = null, ended_at = null
    where s.run_id = flow_retry.run and s.status in ('failed', 'cancelled')
      and (not exists (select from conductor.flow_edges e where e.run_id = s.run_id and e.need = s.step_id)
           or exists (select from conductor.flow_edges e
                      join conductor.flow_steps d on d.run_id = e.run_id and d.step_id = e.step_id
                      where e.run_id = s.run_id and e.need = s.step_id and d.status not in ('completed', 'skipped')));
    -- What was decided by an output that is made again is decided again.
    loop
        update conductor.flow_steps s set status = 'pending', ended_at = null
        where s.run_id = flow_retry.run and s.status = 'skipped' and exists (
            select from conductor.flow_steps d
            where d.run_id = s.run_id and d.status = 'pending'
              and d.step_id in (split_part(s.when_field, '.', 1), split_part(s.foreach_field, '.', 1)));
        exit when not found;
    end loop;
    perform conductor._count_waiting(flow_retry.run);
    perform conductor._frame(flow_retry.run, 'flow_run_step_updated', jsonb_build_object(
        'run_id', flow_retry.run, 'step_id', s.step_id, 'status', s.status, 'run_status', 'running'))
    from conductor.flow_steps s
    where s.run_id = flow_retry.run and s.status = 'pending' order by s.position, length(s.step_id), s.step_id limit 1;
    perform conductor._run_advance(flow_retry.run, null);
    return flow_retry.run;
end
$$;
