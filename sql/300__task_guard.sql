-- Refuses illegal changes of a task, and keeps the columns that follow from its state in step with it,
-- so that any client may simply update the state, with no right but that.
create function conductor._task_guard() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    if new.run_id <> old.run_id then
        raise exception using errcode = 'QC002',
            message = 'a task cannot move to another run',
            detail = format('task: %s, run: %s, new run: %s', old.id, old.run_id, new.run_id),
            hint = 'launch another run instead';
    end if;
    if new.state is distinct from old.state then
        if old.state in ('completed', 'failed', 'blocked', 'cancelled') then
            raise exception using errcode = 'QC002',
                message = 'a task that has ended cannot change its state',
                detail = format('task: %s, state: %s, new state: %s', old.id, old.state, new.state),
                hint = 'flow_retry() dispatches what is not completed again';
        end if;
        if new.state in ('completed', 'failed', 'blocked', 'cancelled') then
            new.ended_at := coalesce(new.ended_at, conductor._now());
        end if;
        if new.state <> 'running' then
            new.lease_expires_at := null;
        end if;
    end if;
    return new;
end
$$;

create trigger tasks_guard before update on conductor.tasks
    for each row execute function conductor._task_guard();
