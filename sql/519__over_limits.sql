-- Which limit keeps the pending tasks of a run from being dispatched now, in words for a person; null when none does.
create function conductor._over_limits(p_run bigint) returns text
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select case
        when k.of_run >= s.max_running_per_run then
            format('waits for another step of its run: %s run, and no more may (max_running_per_run)', k.of_run)
        when k.of_all >= s.max_running then
            format('waits for steps of any run: %s run, and no more may (max_running)', k.of_all) end
    from conductor.settings s, (
        select count(*) as of_all, count(*) filter (where t.run_id = p_run) as of_run
        from conductor.tasks t where t.state = 'running') k
$$;
