-- What a step is doing now, or why it is not, in words for a person.
create function conductor._doing(p_step conductor.flow_steps) returns text
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_task  record;
    v_frame record;
begin
    if p_step.status in ('failed', 'cancelled') then
        return p_step.error;
    elsif p_step.status in ('completed', 'skipped') then
        return p_step.note;
    end if;
    if p_step.task_id is null then
        return case when p_step.waiting > 0 then 'waits for ' || (
            select string_agg(n.step_id, ', ' order by n.position, length(n.step_id), n.step_id)
            from conductor.flow_edges e
            join conductor.flow_steps n on n.run_id = e.run_id and n.step_id = e.need
            where e.run_id = p_step.run_id and e.step_id = p_step.step_id and n.status in ('pending', 'running')) end;
    end if;
    select t.state, t.attempt, t.error, t.available_at into v_task from conductor.tasks t where t.id = p_step.task_id;
    if v_task.state = 'pending' then
        return case
            when v_task.available_at > conductor._now() then
                format('next attempt at %s after: %s', to_char(v_task.available_at, 'HH24:MI:SS'), v_task.error)
            else coalesce(conductor._unserved(p_step.run_id), conductor._over_limits(p_step.run_id),
                'waits for a free slot') end;
    end if;
    select f.type, f.payload into v_frame from conductor.frames f
    where f.task_id = p_step.task_id and f.type <> 'usage' order by f.seq desc limit 1;
    return case v_frame.type
        when 'tool_call' then concat_ws(' ', v_frame.payload ->> 'name', left(coalesce(
            v_frame.payload #>> '{input,file_path}', v_frame.payload #>> '{input,pattern}',
            v_frame.payload #>> '{input,path}'), 120))
        when 'tool_result' then 'reads what its tool returned'
        when 'reasoning_delta' then 'thinks'
        when 'delta' then 'writes its reply'
        when 'error' then case when v_frame.payload ? 'retried' then 'waits for the model'
                               else left(v_frame.payload ->> 'message', 200) end
        else 'waits for the model' end;
end
$$;
