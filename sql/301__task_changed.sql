-- A task's state decides its step's status. The rule lives here, not in a process: whoever updates the state of a
-- task gets the same advancement. The run is locked first; see the lock order in ARCHITECTURE.md.
create function conductor._task_changed() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_ended    boolean := new.state in ('completed', 'failed', 'blocked', 'cancelled');
    v_streamed text;
begin
    perform 1 from conductor.flow_runs r where r.id = new.run_id for no key update;

    if new.state = 'pending' and new.error is not null then
        perform conductor._frame(new.run_id, 'error', jsonb_build_object('message', new.error, 'retried', true),
            new.chat_id, new.id, old.attempt);
    end if;
    if v_ended and new.chat_id is not null then
        perform conductor._frame(new.run_id, 'message_complete',
            jsonb_build_object('chat_id', new.chat_id, 'status', case new.state
                when 'completed' then 'complete' when 'failed' then 'failed' else 'cancelled' end),
            new.chat_id, new.id, new.attempt);
    end if;
    if old.state = 'running' then
        -- A stream of this attempt may be about to commit: it holds the counter while it writes, and a frame has waited
        -- for it.
        if not v_ended or new.chat_id is null then
            perform 1 from conductor.run_counters c where c.run_id = new.run_id for no key update;
        end if;
        if v_ended and new.state <> 'completed' then
            v_streamed := conductor._streamed(new.id, old.attempt);
        end if;
        -- The full text of an attempt that counts is the step's output; one that does not is void.
        delete from conductor.frames f
        where f.task_id = new.id and f.attempt = old.attempt and f.type in ('delta', 'reasoning_delta');
    end if;

    update conductor.flow_steps s
    set status = case new.state when 'blocked' then 'cancelled' else new.state end,
        started_at = case when new.state = 'running' then coalesce(s.started_at, conductor._now()) else s.started_at end,
        ended_at = case when v_ended then conductor._now() end,
        output = case when new.state = 'completed' then coalesce(s.output, '')
                      when v_ended then coalesce(s.output, v_streamed) else s.output end,
        error = case when new.state = 'failed' then coalesce(new.error, 'the task failed without saying why')
                     when new.state = 'blocked' then 'the token budget of the run is spent'
                     when new.state = 'completed' then null
                     else s.error end
    where s.run_id = new.run_id and s.task_id = new.id and s.status in ('pending', 'running')
      and (s.status <> new.state);
    return null;
end
$$;

create trigger tasks_changed after update of state on conductor.tasks
    for each row when (old.state is distinct from new.state)
    execute function conductor._task_changed();
