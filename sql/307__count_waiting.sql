-- Counts anew what the pending steps of a run wait for, after steps were put back or copied.
create function conductor._count_waiting(p_run bigint) returns void
    language sql
    set search_path = pg_catalog, conductor, pg_temp
as $$
    update conductor.flow_steps s set waiting = (
        select count(*) from conductor.flow_edges e
        join conductor.flow_steps n on n.run_id = e.run_id and n.step_id = e.need
        where e.run_id = s.run_id and e.step_id = s.step_id and n.status in ('pending', 'running'))
    where s.run_id = p_run and s.status = 'pending'
$$;
