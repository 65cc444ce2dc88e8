-- Raises 55000 in a copy of the database that nobody has adopted: two of them must not dispatch the same runs.
create function conductor._require_home() returns void
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    if (select s.home from conductor.settings s) <> conductor._home() then
        raise exception using errcode = '55000',
            message = 'this database is a copy and does not dispatch',
            detail = format('made in: %s, this is: %s', (select s.home from conductor.settings s), conductor._home()),
            hint = 'if it has taken the place of the original, adopt it with SELECT conductor.flow_resume()';
    end if;
end
$$;
