-- Cancels one task; its run goes on without it where it can. Returns the task's state; one that has ended is left as it
-- is. Raises P0002 for a task that the caller may not see.
create function conductor.task_cancel(task bigint) returns text
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run   bigint;
    v_state text;
begin
    -- A task of somebody else's is indistinguishable from none, and does not tell which run it is of.
    select t.run_id into v_run
    from conductor.tasks t join conductor.flow_runs r on r.id = t.run_id
    where t.id = task_cancel.task
      and (r.launched_by = conductor._caller() or conductor._is_operator(conductor._caller()));
    if not found then
        raise exception using errcode = 'P0002',
            message = 'no such task',
            detail = format('task: %s', coalesce(task_cancel.task::text, 'null')),
            hint = 'SELECT id, run_id FROM conductor.tasks lists the tasks that you may see';
    end if;
    perform conductor._lock_run(v_run);
    update conductor.tasks t set state = 'cancelled'
    where t.id = task_cancel.task and t.state in ('pending', 'running');
    select t.state into v_state from conductor.tasks t where t.id = task_cancel.task;
    return v_state;
end
$$;
