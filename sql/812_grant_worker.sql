-- Lets a role call the worker functions, and nothing else. For the extension's owner.
create function conductor.grant_worker(role text) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._grant_execute(grant_worker.role, array[
        'worker_register', 'worker_runs_over', 'task_claim', 'run_snapshot', 'task_heartbeat', 'task_stream',
        'worker_stream', 'task_finish', 'task_release']);
end
$$;
