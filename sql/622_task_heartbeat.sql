-- Renews the leases of a worker, and says which children to end: 'cancel' (the run or task was cancelled) or 'lost'
-- (somebody else has the task). A lease that nobody took renews whatever the time.
create function conductor.task_heartbeat(worker bigint, leases uuid[])
    returns table (lease uuid, verdict text)
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run bigint;
begin
    perform conductor._require_home();
    update conductor.workers w set seen_at = conductor._now() where w.id = task_heartbeat.worker;
    if not found then
        raise exception using errcode = 'P0002', message = 'no such worker',
            detail = format('worker: %s', task_heartbeat.worker), hint = 'call worker_register() first';
    end if;
    -- A task that is locked is being finished or cancelled; the next beat sees what became of it.
    update conductor.tasks t
    set lease_expires_at = conductor._now() + s.lease
    from conductor.settings s
    where t.id in (
        select u.id from conductor.tasks u
        where u.worker_id = task_heartbeat.worker and u.state = 'running' and u.lease = any (task_heartbeat.leases)
        order by u.id for update skip locked);
    -- Only passing over what is locked from here on: tasks are held already.
    if exists (select from conductor.tasks t where t.state = 'running' and t.lease_expires_at < conductor._now()) then
        perform conductor._rescue();
    end if;
    -- Tasks that outlived their run because somebody had them locked when it ended.
    for v_run in
        select r.id from conductor.tasks t join conductor.flow_runs r on r.id = t.run_id
        where t.worker_id = task_heartbeat.worker and t.state = 'running' and r.status <> 'running'
        group by r.id order by r.id
    loop
        perform 1 from conductor.flow_runs r where r.id = v_run for no key update skip locked;
        if found then
            perform conductor._end_tasks(v_run);
        end if;
    end loop;
    return query
    select l.lease, case when t.state = 'cancelled' or r.status = 'cancelled' then 'cancel' else 'lost' end
    from unnest(task_heartbeat.leases) l (lease)
    left join conductor.tasks t on t.worker_id = task_heartbeat.worker and t.lease = l.lease
    left join conductor.flow_runs r on r.id = t.run_id
    where t.id is null or t.state <> 'running' or r.status <> 'running';
end
$$;
