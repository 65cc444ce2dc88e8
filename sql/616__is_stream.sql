-- Whether this is what a child streams: a JSON array of objects, each of a type that a child may send.
create function conductor._is_stream(p_events jsonb) returns boolean
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(jsonb_typeof(p_events) = 'array', false) and not exists (
        select from jsonb_array_elements(case jsonb_typeof(p_events) when 'array' then p_events else '[]' end) e
        where jsonb_typeof(e.value) <> 'object' or coalesce(e.value ->> 'type', '') not in (
            'message_started', 'delta', 'reasoning_delta', 'tool_call', 'tool_result', 'usage', 'error'));
end
$$;
