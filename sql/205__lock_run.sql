-- Locks a run that the caller may see. Raises P0002 for any other, and for one that was pruned while it was waited for.
create function conductor._lock_run(p_run bigint) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._require_run(p_run);
    perform 1 from conductor.flow_runs r where r.id = p_run for no key update;
    if not found then
        perform conductor._require_run(p_run);
    end if;
end
$$;
