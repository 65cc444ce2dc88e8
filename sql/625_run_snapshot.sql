-- Records what the agents of a run read. Returns whether it agrees with what was recorded before; a difference is noted
-- and told by the report. Raises QC001 on a stale lease.
create function conductor.run_snapshot(
    task bigint, lease uuid, commit text, tree_digest text, host text, notes jsonb default '[]'
) returns boolean
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run   bigint;
    v_agree boolean;
    v_note  jsonb := jsonb_build_array(format(
        'the project changed during the run: a later snapshot has digest %s', run_snapshot.tree_digest));
begin
    select t.run_id into v_run from conductor.tasks t
    where t.id = run_snapshot.task and t.lease = run_snapshot.lease;
    perform 1 from conductor.flow_runs r where r.id = v_run for no key update;
    -- The task may have been taken back while the run was waited for.
    perform 1 from conductor.tasks t
    where t.id = run_snapshot.task and t.lease = run_snapshot.lease and t.state = 'running';
    if not found then
        perform conductor._stale_lease(run_snapshot.task);
    end if;
    if run_snapshot.tree_digest is null or run_snapshot.host is null then
        raise exception using errcode = '22023',
            message = 'a snapshot needs a digest and a host', detail = format('task: %s', run_snapshot.task),
            hint = 'say what was read and where';
    end if;
    select coalesce(r.tree_digest = run_snapshot.tree_digest, true) into v_agree
    from conductor.flow_runs r where r.id = v_run;
    update conductor.flow_runs r
    set commit = coalesce(r.commit, run_snapshot.commit),
        tree_digest = coalesce(r.tree_digest, run_snapshot.tree_digest),
        snapshot_host = run_snapshot.host,
        snapshot_notes = case
            when r.tree_digest is null then coalesce(run_snapshot.notes, '[]')
            when not v_agree and not r.snapshot_notes @> v_note then r.snapshot_notes || v_note
            else r.snapshot_notes end
    where r.id = v_run
      and (r.tree_digest is null or not v_agree or r.snapshot_host is distinct from run_snapshot.host);
    -- Whoever claimed meanwhile has passed the run over, because it was locked here.
    if exists (select from conductor.tasks t where t.run_id = v_run and t.state = 'pending') then
        perform pg_notify('conductor_frames', json_build_object('type', c.run_type, 'run_id', v_run, 'seq', c.run_seq)::text)
        from conductor.run_counters c where c.run_id = v_run;
    end if;
    return v_agree;
end
$$;
