-- Brings every running run to where it should be: adopts this database if it is a copy, takes back tasks whose lease has
-- run out, settles steps that lag behind their task, and dispatches what is due. Returns how many runs it looked at.
-- Operators only. Safe at any time.
create function conductor.flow_resume() returns integer
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run    bigint;
    v_copy   boolean;
    v_count  integer := 0;
begin
    update conductor.settings s set home = conductor._home() where s.home <> conductor._home();
    v_copy := found;
    -- The workers of the original do not serve a copy: what they held is taken back at once.
    if v_copy then
        perform conductor._rescue(w.id, p_deaths => 0) from conductor.workers w;
    end if;
    perform conductor._rescue();
    for v_run in
        select t.run_id from conductor.tasks t join conductor.flow_runs r on r.id = t.run_id
        where t.state in ('pending', 'running') and r.status <> 'running' group by t.run_id order by t.run_id
    loop
        perform 1 from conductor.flow_runs r where r.id = v_run for no key update skip locked;
        if found then
            perform conductor._end_tasks(v_run);
        end if;
    end loop;
    for v_run in select r.id from conductor.flow_runs r where r.status = 'running' order by r.id loop
        perform 1 from conductor.flow_runs r where r.id = v_run and r.status = 'running' for no key update skip locked;
        continue when not found;
        v_count := v_count + 1;
        perform conductor._settle_lagging(v_run);
        -- A task that somebody deleted is dispatched again.
        update conductor.flow_steps s set status = 'pending', started_at = null
        where s.run_id = v_run and s.kind = 'agent' and s.status = 'running' and s.task_id is null;
        perform conductor._run_advance(v_run, null);
    end loop;
    return v_count;
end
$$;
