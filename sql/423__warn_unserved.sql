-- Says at launch why a run will have to wait. A warning, because a worker may come later.
create function conductor._warn_unserved(p_run bigint) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_why text := conductor._unserved(p_run);
begin
    if v_why is not null then
        raise warning using errcode = '01000', message = v_why, detail = format('run: %s', p_run),
            hint = 'the run is launched and waits; conductor doctor names the cure';
    end if;
end
$$;
