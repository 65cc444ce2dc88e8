-- The frames of a run after after_seq, in order, at most max_rows (1 to 10000). The report is put in here, not stored
-- twice. Raises P0002 for a run that the caller may not see.
create function conductor.flow_frames(run bigint, after_seq bigint default 0, max_rows integer default 1000)
    returns table (seq bigint, type text, frame jsonb, at timestamptz)
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._require_run(flow_frames.run);
    return query
    select f.seq, f.type,
           f.payload || jsonb_build_object('type', f.type)
           || case when f.chat_id is not null then jsonb_build_object('chat_id', f.chat_id) else '{}' end
           -- The report belongs to the end that it was rendered for: a run that was retried has had others.
           || case when f.payload ->> 'run_status' <> 'running' and not exists (
                  select from conductor.frames l where l.run_id = f.run_id and l.seq > f.seq and l.payload ? 'run_status')
              then (select jsonb_build_object('report', r.report) from conductor.flow_runs r where r.id = f.run_id)
              else '{}' end,
           f.at
    from conductor.frames f
    where f.run_id = flow_frames.run and f.seq > coalesce(flow_frames.after_seq, 0)
    order by f.seq
    limit greatest(1, least(coalesce(flow_frames.max_rows, 1000), 10000));
end
$$;
