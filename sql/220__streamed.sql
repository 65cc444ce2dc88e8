-- What the current attempt of a task has streamed since its message last started.
create function conductor._streamed(p_task bigint, p_attempt integer) returns text
    language sql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select string_agg(f.payload ->> 'text', '' order by f.seq)
    from conductor.frames f
    where f.task_id = p_task and f.attempt = p_attempt and f.type = 'delta'
      and f.seq > coalesce((
          select max(m.seq) from conductor.frames m
          where m.task_id = p_task and m.attempt = p_attempt and m.type = 'message_started'), 0)
$$;
