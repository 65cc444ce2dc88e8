-- One row a step, in plan order, made for \watch: what each is doing, for how long, and what it cost.
-- Raises P0002 for a run that the caller may not see.
create function conductor.flow_status(run bigint)
    returns table (step_id text, label text, persona text, state text, elapsed interval, attempt integer,
                   doing text, tokens bigint, progress text)
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._require_run(flow_status.run);
    return query
    select s.step_id, s.label, s.persona, s.status,
           date_trunc('second', coalesce(s.ended_at, conductor._now()) - s.started_at),
           t.attempt, conductor._doing(s), s.total_tokens,
           case when s.status = 'running' then concat_ws(', ',
                    case f.tools when 0 then null when 1 then '1 tool call' else f.tools || ' tool calls' end, nullif(f.chars, 0) || ' characters')
                -- Its size, unlike its length, is known without reading it.
                when octet_length(s.output) > 0 and s.kind = 'agent' then pg_size_pretty(octet_length(s.output)::bigint) end
    from conductor.flow_steps s
    left join conductor.tasks t on t.id = s.task_id
    left join lateral (
        select count(*) filter (where f.type = 'tool_call') as tools,
               coalesce(sum(length(f.payload ->> 'text')) filter (where f.type = 'delta'), 0) as chars
        from conductor.frames f
        where f.task_id = t.id and f.attempt = t.attempt and t.state = 'running') f on true
    where s.run_id = flow_status.run
    order by s.position, length(s.step_id), s.step_id;
end
$$;
