-- Raises QC001 for a write by a former holder of a task: its worker ends the child.
create function conductor._stale_lease(p_task bigint) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception using errcode = 'QC001',
        message = 'the lease is no longer valid',
        detail = format('task: %s', p_task),
        hint = 'end the child: the task was cancelled, has ended, or runs elsewhere';
end
$$;
