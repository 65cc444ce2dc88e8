-- Claims the next task of a run for a worker that serves it; null when there is none for it now. A run that another
-- transaction holds is passed over: its commit rings the doorbell.
create function conductor._claim_one(p_run bigint, p_worker conductor.workers, p_settings conductor.settings)
    returns bigint
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run  record;
    v_task bigint;
begin
    -- Most runs that are passed over are so without a lock.
    select r.status, r.project_root, r.model into v_run from conductor.flow_runs r where r.id = p_run;
    if not found or v_run.status <> 'running' or not conductor._serves(p_worker, v_run.project_root, v_run.model) then
        return null;
    end if;
    select r.status, r.project_root, r.model, r.snapshot_host, (r.limits ->> 'step_timeout_s')::double precision as timeout
    into v_run
    from conductor.flow_runs r where r.id = p_run for no key update skip locked;
    if not found or v_run.status <> 'running' then
        return null;
    end if;
    -- A run stays with the host that holds its snapshot while a worker that could go on with it lives there.
    if v_run.snapshot_host <> p_worker.host then
        if exists (
            select from conductor.workers w
            where w.host = v_run.snapshot_host and conductor._is_fit(w)
              and conductor._serves(w, v_run.project_root, v_run.model))
        then
            return null;
        end if;
    end if;
    if (select count(*) from conductor.tasks t where t.run_id = p_run and t.state = 'running')
        >= p_settings.max_running_per_run
    then
        return null;
    end if;
    update conductor.tasks t
    set state = 'running', attempt = t.attempt + 1, lease = gen_random_uuid(), session_id = gen_random_uuid(),
        lease_expires_at = conductor._now() + p_settings.lease,
        deadline_at = conductor._now() + make_interval(secs => v_run.timeout),
        worker_id = p_worker.id, started_at = coalesce(t.started_at, conductor._now())
    where t.id = (
        select u.id from conductor.tasks u
        where u.run_id = p_run and u.state = 'pending' and u.available_at <= conductor._now()
        order by u.id limit 1 for update skip locked)
    returning t.id into v_task;
    return v_task;
end
$$;
