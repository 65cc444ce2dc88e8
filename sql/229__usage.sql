-- A number of tokens as a worker tells it; nothing that it may get wrong must keep an output from being stored.
create function conductor._count(p_value jsonb) returns bigint
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case when jsonb_typeof(p_value) = 'number'
                then trunc(least(greatest((p_value #>> '{}')::numeric, 0), 1000000000000))::bigint else 0 end;
end
$$;

-- What a check of citations found, in the form in which it is stored: {"total", "broken": [{"cited", "why"}]}; null for
-- anything else.
create function conductor._citations(p_value jsonb) returns jsonb
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
begin
    if p_value is null or jsonb_typeof(p_value) <> 'object' or jsonb_typeof(p_value -> 'broken') is distinct from 'array' then
        return null;
    end if;
    return (
        select jsonb_build_object(
                'total', greatest(least(conductor._count(p_value -> 'total'), 1000000), b.count), 'broken', b.list)
            || case when jsonb_typeof(p_value -> 'note') = 'string'
                    then jsonb_build_object('note', p_value -> 'note') else '{}' end
        from (
            select count(*) as count, coalesce(jsonb_agg(jsonb_build_object(
                'cited', left(e.value ->> 'cited', 1000), 'why', left(e.value ->> 'why', 1000)) order by e.n), '[]') as list
            from jsonb_array_elements(p_value -> 'broken') with ordinality e (value, n)
            where e.n <= 10000) b);
end
$$;
