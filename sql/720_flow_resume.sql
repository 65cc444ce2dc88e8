-- Brings every running run to where it should be: adopts this database if it is a copy, takes back tasks whose lease has
-- run out, settles steps that lag behind their task, and dispatches what is due. Returns how many runs it looked at.
-- Operators only. Safe at any time.
create function conductor.flow_resume() returns integer
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run    bigint;
    v_step   record;
    v_copy   boolean;
    v_count  integer := 0;
begin
    update conductor.settings s set home = conductor._home() where s.home <> conductor._home();
    v_copy := found;
    -- The workers of the original do not serve a copy: what they held is taken back at once.
    if v_copy then
        perform conductor._rescue(w.id) from conductor.workers w;
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
        for v_step in
            select s.step_id, t.state, t.error from conductor.flow_steps s join conductor.tasks t on t.id = s.task_id
            where s.run_id = v_run and s.status in ('pending', 'running')
              and t.state in ('completed', 'failed', 'blocked', 'cancelled')
        loop
            update conductor.flow_steps s
            set status = case v_step.state when 'blocked' then 'cancelled' else v_step.state end,
                ended_at = clock_timestamp(),
                output = case when v_step.state = 'completed' then coalesce(s.output, '') else s.output end,
                error = case when v_step.state = 'failed' then coalesce(v_step.error, 'the task failed') else s.error end
            where s.run_id = v_run and s.step_id = v_step.step_id;
        end loop;
        perform conductor._run_advance(v_run, null);
    end loop;
    return v_count;
end
$$;
