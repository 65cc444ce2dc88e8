-- Expands a fan-out step into one agent step per element of a field of the step that it names. Whatever waits for the
-- fan-out waits for its children too. Children are numbered, never named by text that a model wrote.
-- Returns what the fan-out did; raises 22023 when the field is no array and 54000 when it is too wide.
create function conductor._step_fan_out(p_run bigint, p_step text) returns text
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_step     conductor.flow_steps;
    v_source   text;
    v_elements jsonb;
    v_count    integer;
    v_max      integer;
begin
    select * into v_step from conductor.flow_steps s where s.run_id = p_run and s.step_id = p_step;
    select s.output into v_source from conductor.flow_steps s
    where s.run_id = p_run and s.step_id = split_part(v_step.foreach_field, '.', 1) and s.status = 'completed';
    v_elements := conductor._output_field(v_source, split_part(v_step.foreach_field, '.', 2));
    -- An answer that cannot be read must not look like an empty one.
    if v_elements is null or jsonb_typeof(v_elements) <> 'array' then
        raise exception using errcode = '22023',
            message = 'there is no list to fan out over',
            detail = format('step: %s, foreach: %s, found: %s', p_step, v_step.foreach_field,
                coalesce(jsonb_typeof(v_elements), 'nothing')),
            hint = 'let that step reply with a JSON object whose field is an array';
    end if;
    v_count := jsonb_array_length(v_elements);
    select (r.limits ->> 'max_fanout')::integer into v_max from conductor.flow_runs r where r.id = p_run;
    if v_count > v_max then
        raise exception using errcode = '54000',
            message = 'a fan-out is too wide',
            detail = format('step: %s, elements: %s, max_fanout: %s', p_step, v_count, v_max),
            hint = 'raise max_fanout in conductor.settings, or let the step before it return fewer elements';
    end if;
    if v_count = 0 then
        return 'no elements';
    end if;

    insert into conductor.flow_steps (run_id, step_id, position, wave, label, kind, role, persona, prefix, persona_hash,
                                      prompt_hash, parent_step_id, element)
    select p_run, p_step || '/' || e.n, v_step.position, v_step.wave + 1, v_step.label || ' ' || e.n, 'agent', 'step',
           v_step.persona, v_step.prefix, v_step.persona_hash, v_step.prompt_hash, p_step, e.value
    from jsonb_array_elements(v_elements) with ordinality e (value, n);

    insert into conductor.flow_edges (run_id, need, step_id)
    select p_run, c.step_id, e.step_id
    from conductor.flow_edges e, conductor.flow_steps c
    where e.run_id = p_run and e.need = p_step and c.run_id = p_run and c.parent_step_id = p_step;

    update conductor.flow_steps s set waiting = s.waiting + v_count
    from conductor.flow_edges e
    where e.run_id = p_run and e.need = p_step and s.run_id = p_run and s.step_id = e.step_id;

    perform conductor._dispatch(p_run, array(
        select c.step_id from conductor.flow_steps c where c.run_id = p_run and c.parent_step_id = p_step));
    perform conductor._frame(p_run, 'flow_run_step_updated', jsonb_build_object(
        'run_id', p_run, 'step_id', p_step, 'status', 'running', 'added', conductor._step_list(p_run, p_step)));
    return format('%s elements', v_count);
end
$$;
