-- Ends the live tasks of a run that has ended; the caller holds the run's lock. A heartbeat may hold a task for a moment
-- and is waited for. A raw UPDATE that holds one is itself waiting for the run, so it is not waited for long: it settles
-- its task when the run is free, and what is left is ended by the next heartbeat, rescue or resume.
create function conductor._end_tasks(p_run bigint, p_budget_spent boolean default false) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_timeout text := current_setting('lock_timeout');
begin
    update conductor.tasks t
    set state = case when p_budget_spent and t.state = 'pending' then 'blocked' else 'cancelled' end
    where t.id in (
        select u.id from conductor.tasks u
        where u.run_id = p_run and u.state in ('pending', 'running')
        order by u.id for update skip locked);
    if not exists (select from conductor.tasks t where t.run_id = p_run and t.state in ('pending', 'running')) then
        return;
    end if;
    begin
        -- Well below deadlock_timeout, so that nobody is made a victim.
        perform set_config('lock_timeout', '250ms', true);
        update conductor.tasks t
        set state = case when p_budget_spent and t.state = 'pending' then 'blocked' else 'cancelled' end
        where t.id in (
            select u.id from conductor.tasks u
            where u.run_id = p_run and u.state in ('pending', 'running')
            order by u.id for update);
    exception when lock_not_available then
        null;
    end;
    perform set_config('lock_timeout', v_timeout, true);
end
$$;
