-- Appends what a child has done, a JSON array of events, as frames of the same type. Raises QC001 on a
-- stale lease and 22023 for what is not an event of a stream.
create function conductor.task_stream(task bigint, lease uuid, events jsonb) returns void
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_task  record;
    v_count integer;
    v_seq   bigint;
begin
    if task_stream.events is null or jsonb_typeof(task_stream.events) <> 'array'
        or exists (select from jsonb_array_elements(task_stream.events) e
                   where jsonb_typeof(e.value) <> 'object' or coalesce(e.value ->> 'type', '') not in (
                       'message_started', 'delta', 'reasoning_delta', 'tool_call', 'tool_result', 'usage', 'error'))
    then
        raise exception using errcode = '22023',
            message = 'not the events of a stream',
            detail = format('task: %s, events: %s', task_stream.task, left(task_stream.events::text, 200)),
            hint = 'send a JSON array of objects whose type is message_started, delta, reasoning_delta, tool_call, '
                || 'tool_result, usage or error';
    end if;
    v_count := jsonb_array_length(task_stream.events);
    select t.run_id, t.chat_id, t.attempt into v_task from conductor.tasks t
    where t.id = task_stream.task and t.lease = task_stream.lease and t.state = 'running';
    if not found then
        perform conductor._stale_lease(task_stream.task);
    end if;
    if v_count = 0 then
        return;
    end if;
    -- Only the counter is locked, and nothing is waited for while it is held. A finish takes it as well, so the lease is
    -- looked at again once it is ours.
    update conductor.run_counters c
    set last_seq = c.last_seq + v_count, last_type = task_stream.events -> -1 ->> 'type'
    where c.run_id = v_task.run_id
    returning c.last_seq - v_count into v_seq;
    perform 1 from conductor.tasks t
    where t.id = task_stream.task and t.lease = task_stream.lease and t.state = 'running';
    if not found then
        perform conductor._stale_lease(task_stream.task);
    end if;

    insert into conductor.frames (run_id, seq, chat_id, task_id, attempt, type, payload)
    select v_task.run_id, v_seq + e.n, v_task.chat_id, task_stream.task, v_task.attempt, e.value ->> 'type',
           e.value - 'type'
    from jsonb_array_elements(task_stream.events) with ordinality e (value, n);
end
$$;
