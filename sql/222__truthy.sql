-- Whether a field lets a conditional step run: present, and not false, null, zero, or empty.
create function conductor._truthy(p_value jsonb) returns boolean
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select coalesce(p_value not in ('false', 'null', '0', '""', '[]', '{}'), false)
$$;
