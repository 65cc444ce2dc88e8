-- Notes the session through which a worker asks for tasks of which nothing has been heard for a lease: from then on
-- asking there says it, and nothing is written (see _is_live). A worker whose heartbeats come writes nothing here; one that
-- asks through ever new sessions, or on a server that does not tell when a session last asked (track_activities), once a
-- lease. Raises P0002 when the worker was forgotten meanwhile.
create function conductor._note_session(p_worker conductor.workers, p_lease interval) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    if p_worker.session_pid = pg_backend_pid() and conductor._asked_since(p_worker, conductor._now() - p_lease) then
        return;
    end if;
    update conductor.workers w
    set seen_at = conductor._now(), session_pid = a.pid, session_start = a.backend_start
    from pg_catalog.pg_stat_get_activity(pg_backend_pid()) a
    where w.id = p_worker.id;
    if not found then
        raise exception using errcode = 'P0002', message = 'no such worker',
            detail = format('worker: %s', p_worker.id), hint = 'call worker_register() first';
    end if;
end
$$;
