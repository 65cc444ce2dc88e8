-- A moment as reports print it: UTC, to the second.
create function conductor._timestamp(p_at timestamptz) returns text
    language sql stable
    set search_path = pg_catalog, pg_temp
as $$
    select to_char(p_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
$$;
