-- Appends what many children have done, in one transaction: the nth batch is the array of events of the nth task, under
-- the nth lease. Says what became of each batch: 'stored'; 'stale', where its lease is no longer valid: end the child;
-- 'refused', with a message, where it is not the events of a stream; 'busy', where somebody is writing to its run: send
-- it again, or with task_stream(), which waits. One batch does not touch what becomes of the others, and what is not
-- stored has changed nothing. Waits for nobody. Raises 22023 unless there are as many leases and batches as tasks.
create function conductor.worker_stream(tasks bigint[], leases uuid[], events jsonb[])
    returns table (batch integer, verdict text, message text)
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
begin
    if (cardinality(worker_stream.leases) = cardinality(worker_stream.tasks)
        and cardinality(worker_stream.events) = cardinality(worker_stream.tasks)) is not true
    then
        raise exception using errcode = '22023',
            message = 'not one lease and one batch of events for each task',
            detail = format('tasks: %s, leases: %s, batches: %s', coalesce(cardinality(worker_stream.tasks)::text, 'null'),
                coalesce(cardinality(worker_stream.leases)::text, 'null'),
                coalesce(cardinality(worker_stream.events)::text, 'null')),
            hint = 'give three arrays of the same length';
    end if;
    return query
    select s.batch, s.verdict, case s.verdict when 'refused' then format('not the events of a stream: %s',
        coalesce(left((worker_stream.events)[s.batch + array_lower(worker_stream.events, 1) - 1]::text, 200), 'null')) end
    from conductor._stream(worker_stream.tasks, worker_stream.leases, worker_stream.events, false) s;
end
$$;
