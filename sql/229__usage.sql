-- A number of tokens as a worker tells it; nothing that it may get wrong must keep an output from being stored.
create function conductor._count(p_value jsonb) returns bigint
    language sql immutable
    set search_path = pg_catalog, pg_temp
as $$
    select case when jsonb_typeof(p_value) = 'number'
                then trunc(least(greatest((p_value #>> '{}')::numeric, 0), 1000000000000))::bigint else 0 end
$$;

-- What a check of citations found, in the form in which it is stored: {"total", "broken": [{"cited", "why"}]}; null for
-- anything else.
create function conductor._citations(p_value jsonb) returns jsonb
    language sql immutable
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select case when jsonb_typeof(p_value) = 'object' and jsonb_typeof(p_value -> 'broken') = 'array' then
        jsonb_build_object(
            'total', greatest(least(conductor._count(p_value -> 'total'), 1000000), b.count), 'broken', b.list)
        || case when jsonb_typeof(p_value -> 'note') = 'string' then jsonb_build_object('note', p_value -> 'note') else '{}' end
    end
    from (
        select count(*) as count, coalesce(jsonb_agg(jsonb_build_object(
            'cited', left(e.value ->> 'cited', 1000), 'why', left(e.value ->> 'why', 1000)) order by e.n), '[]') as list
        from jsonb_array_elements(case when jsonb_typeof(p_value -> 'broken') = 'array' then p_value -> 'broken' else '[]' end)
            with ordinality e (value, n)
        where e.n <= 10000) b
$$;
