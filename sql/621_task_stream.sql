-- Appends what a child has done, a JSON array of events, as frames of the same type. Raises QC001 on a
-- stale lease and 22023 for what is not an event of a stream.
create function conductor.task_stream(task bigint, lease uuid, events jsonb) returns void
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    v_verdict text;
begin
    select s.verdict into v_verdict
    from conductor._stream(array[task_stream.task], array[task_stream.lease], array[task_stream.events], true) s;
    if v_verdict = 'refused' then
        raise exception using errcode = '22023',
            message = 'not the events of a stream',
            detail = format('task: %s, events: %s', task_stream.task, left(task_stream.events::text, 200)),
            hint = 'send a JSON array of objects whose type is message_started, delta, reasoning_delta, tool_call, '
                || 'tool_result, usage or error';
    elsif v_verdict <> 'stored' then
        perform conductor._stale_lease(task_stream.task);
    end if;
end
$$;
