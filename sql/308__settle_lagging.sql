-- Settles the steps of a run whose task has ended without them: another task of the same statement ended the run first,
-- or triggers were off. The caller holds the run's lock.
create function conductor._settle_lagging(p_run bigint) returns void
    language sql
    set search_path = pg_catalog, conductor, pg_temp
as $$
    update conductor.flow_steps s
    set status = case t.state when 'blocked' then 'cancelled' else t.state end, ended_at = conductor._now(),
        output = coalesce(s.output, case when t.state = 'completed' then '' else conductor._streamed(t.id, t.attempt) end),
        error = case when t.state = 'failed' then coalesce(t.error, 'the task failed without saying why') else s.error end
    from conductor.tasks t
    where s.run_id = p_run and s.status in ('pending', 'running') and t.id = s.task_id
      and t.state in ('completed', 'failed', 'blocked', 'cancelled')
$$;
