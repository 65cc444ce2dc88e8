-- Raises P0002 unless the run exists and the caller may see it: its launcher, or an operator.
-- A run of somebody else's is indistinguishable from none.
create function conductor._require_run(p_run bigint) returns void
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform 1 from conductor.flow_runs r
    where r.id = p_run
      and (r.launched_by = conductor._caller() or conductor._is_operator(conductor._caller()));
    if not found then
        raise exception using errcode = 'P0002',
            message = 'no such run',
            detail = format('run: %s', coalesce(p_run::text, 'null')),
            hint = 'flow_history() lists the runs that you may see';
    end if;
end
$$;
