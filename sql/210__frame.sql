-- Appends one frame to a run. Frames about the run as a whole also ring the run-level doorbell.
create function conductor._frame(
    p_run bigint, p_type text, p_payload jsonb,
    p_chat bigint default null, p_task bigint default null, p_attempt integer default null
) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_level boolean := p_type in ('flow_run_started', 'flow_run_step_updated');
    v_seq   bigint;
begin
    update conductor.run_counters c
    set last_seq = c.last_seq + 1, last_type = p_type,
        run_seq = case when v_level then c.last_seq + 1 else c.run_seq end,
        run_type = case when v_level then p_type else c.run_type end
    where c.run_id = p_run
    returning c.last_seq into v_seq;
    if not found then
        raise exception using errcode = 'XX000', message = 'a run has no counter of its frames',
            detail = format('run: %s', p_run), hint = 'restore conductor.run_counters with the run';
    end if;
    insert into conductor.frames (run_id, seq, chat_id, task_id, attempt, type, payload)
    values (p_run, v_seq, p_chat, p_task, p_attempt, p_type, p_payload);
end
$$;
