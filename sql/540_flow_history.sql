-- The newest runs that the caller may see, of one project or of all, at most max_rows (1 to 1000).
create function conductor.flow_history(project text default null, max_rows integer default 50)
    returns table (run_id bigint, flow text, band text, status text, project_name text, question text, launched_by text,
                   created_at timestamptz, elapsed interval, tokens bigint)
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select r.id, r.flow_name, r.band, r.status, r.project_name, left(r.input ->> 'question', 200), r.launched_by,
           r.created_at, date_trunc('second', coalesce(r.ended_at, conductor._now()) - r.created_at), r.total_tokens
    from conductor.flow_runs r
    where (flow_history.project is null or r.project_name = flow_history.project)
      and (r.launched_by = (select conductor._caller()) or (select conductor._is_operator(conductor._caller())))
    order by r.created_at desc, r.id desc
    limit greatest(1, least(coalesce(flow_history.max_rows, 50), 1000))
$$;
