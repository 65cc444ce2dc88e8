-- What the current attempt of a task has streamed since its message last started. A batch that was sent again after a lost
-- answer counts once: what it says stands at the same offsets.
create function conductor._streamed(p_task bigint, p_attempt integer) returns text
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select string_agg(d.text, '' order by d.seq)
    from (
        select distinct on (coalesce(f.payload ->> 'offset', '#' || f.seq)) f.seq, f.payload ->> 'text' as text
        from conductor.frames f
        where f.task_id = p_task and f.attempt = p_attempt and f.type = 'delta'
          and f.seq > coalesce((
              select max(m.seq) from conductor.frames m
              where m.task_id = p_task and m.attempt = p_attempt and m.type = 'message_started'), 0)
        order by coalesce(f.payload ->> 'offset', '#' || f.seq), f.seq) d);
end
$$;
