-- Hands a task back: it is pending again at once, and the attempt does not count. Returns false when the lease was not
-- the worker's any more.
create function conductor.task_release(task bigint, lease uuid) returns boolean
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform 1 from conductor.flow_runs r join conductor.tasks t on t.run_id = r.id
    where t.id = task_release.task for no key update of r;
    update conductor.tasks t
    set state = case r.status when 'running' then 'pending' else 'cancelled' end,
        attempt = t.attempt - 1, lease = null, worker_id = null
    from conductor.flow_runs r
    where r.id = t.run_id and t.id = task_release.task and t.lease = task_release.lease and t.state = 'running';
    return found;
end
$$;
