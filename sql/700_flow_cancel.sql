-- Cancels a run: children are ended by their workers, what had streamed is kept, and every unsettled step is cancelled.
-- Returns the run's status; a run that has ended is left as it is. Raises P0002 for a run that the caller may not see.
create function conductor.flow_cancel(run bigint) returns text
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_status text;
begin
    perform conductor._lock_run(flow_cancel.run);
    select r.status into v_status from conductor.flow_runs r where r.id = flow_cancel.run;
    if v_status = 'running' then
        perform conductor._run_end(flow_cancel.run, 'cancelled', format('cancelled by %s', conductor._caller()));
        v_status := 'cancelled';
    end if;
    return v_status;
end
$$;
