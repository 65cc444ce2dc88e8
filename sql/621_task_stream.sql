-- Appends what a child has done, a JSON array of events, as frames of the same type. Raises QC001 on a stale lease.
create function conductor.task_stream(task bigint, lease uuid, events jsonb) returns void
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_task  record;
    v_count integer := jsonb_array_length(task_stream.events);
    v_seq   bigint;
begin
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
