-- Raises 55000 for a worker of another version than the extension: they may not mean the same by what they say.
create function conductor._require_version(p_version text) returns void
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    if not conductor._agrees(p_version) then
        raise exception using errcode = '55000',
            message = 'the worker and the extension are of different versions',
            detail = (select format('worker: %s, extension: %s', p_version, e.extversion)
                      from pg_catalog.pg_extension e where e.extname = 'conductor'),
            hint = 'install the same version of both, then ALTER EXTENSION conductor UPDATE';
    end if;
end
$$;
