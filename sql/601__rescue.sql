-- Takes back the tasks of running runs whose lease has run out, or all that a worker holds whose process is gone.
-- A worker that asks for others (p_spare) may be about to renew its own: they are spared for one more lease.
-- What is taken is dispatched again, unless too many workers have died with one: then it fails. Returns how many it took.
create function conductor._rescue(
    p_worker bigint default null, p_spare bigint default null, p_deaths integer default 1
) returns integer
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run   bigint;
    v_count integer := 0;
    v_taken integer;
    v_lease interval := (select s.lease from conductor.settings s);
    v_lost  bigint[];
    v_since timestamptz;
begin
    -- After a restart every worker first gets the time of a lease to find its way back. The WAL writer begins when writes
    -- are taken: also after a crash that the postmaster outlived, and when a standby was promoted.
    select greatest(pg_postmaster_start_time(), max(a.backend_start)) into v_since
    from pg_catalog.pg_stat_activity a where a.backend_type = 'walwriter';
    if p_worker is null and v_since > conductor._now() - v_lease then
        return 0;
    end if;
    select array_agg(t.id) into v_lost from conductor.tasks t
    where t.state = 'running'
      and case when p_worker is null
               then t.lease_expires_at < conductor._now() - case when t.worker_id = p_spare then v_lease else interval '0' end
               else t.worker_id = p_worker end;
    for v_run in
        select t.run_id from conductor.tasks t where t.id = any (v_lost)
        group by t.run_id order by t.run_id
    loop
        perform 1 from conductor.flow_runs r where r.id = v_run for no key update skip locked;
        continue when not found;
        if exists (select from conductor.flow_runs r where r.id = v_run and r.status <> 'running') then
            perform conductor._end_tasks(v_run);
            continue;
        end if;
        update conductor.tasks t
        set state = case when p_deaths > 0 and t.deaths + p_deaths >= (r.limits ->> 'max_deaths')::integer then 'failed' else 'pending' end,
            deaths = t.deaths + p_deaths, lease = null, worker_id = null,
            error = case when p_deaths > 0 and t.deaths + p_deaths >= (r.limits ->> 'max_deaths')::integer
                         then format('%s workers were lost while they ran this step', t.deaths + p_deaths)
                         else 'the worker was lost' end
        from conductor.flow_runs r
        where r.id = v_run and t.id in (
            select u.id from conductor.tasks u
            where u.run_id = v_run and u.state = 'running' and u.id = any (v_lost)
              -- It may have been renewed or given away meanwhile.
              and (u.worker_id = p_worker or p_worker is null and u.lease_expires_at < conductor._now())
            order by u.id for update skip locked);
        get diagnostics v_taken = row_count;
        v_count := v_count + v_taken;
    end loop;
    return v_count;
end
$$;
