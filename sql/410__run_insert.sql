-- Writes the rows of a new run from an expansion ({plan, texts}) and starts what is due. Returns the run's id, or null
-- when the launcher has used the launch key before.
create function conductor._run_insert(
    p_expansion jsonb, p_input jsonb, p_project conductor.projects, p_model text, p_launch_key text, p_budget bigint
) returns bigint
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_plan jsonb := p_expansion -> 'plan';
    v_run  bigint;
begin
    -- Every text, also those that this snapshot sees: flow_prune() may have deleted one since.
    insert into conductor.texts (hash, body)
    select t.key, t.value from jsonb_each_text(p_expansion -> 'texts') t order by t.key
    on conflict do nothing;

    insert into conductor.flow_runs (project_id, project_name, project_root, flow_name, plan, plan_version, band, fast,
                                     input, model, limits, launched_by, launch_key, token_budget)
    select p_project.id, p_project.name, p_project.root, v_plan ->> 'flow', v_plan, (v_plan ->> 'plan_version')::integer,
           v_plan ->> 'band', (v_plan ->> 'fast')::boolean, p_input, p_model, conductor._limits(),
           conductor._caller(), p_launch_key, p_budget
    on conflict on constraint flow_runs_launch_key_key do nothing
    returning id into v_run;
    if v_run is null then
        return null;
    end if;
    insert into conductor.run_counters (run_id) values (v_run);

    insert into conductor.flow_steps (run_id, step_id, position, wave, label, kind, role, persona, prefix, persona_hash,
                                      prompt_hash, join_rule, when_field, foreach_field, waiting)
    select v_run, s.value ->> 'id', s.n, (s.value ->> 'wave')::integer, s.value ->> 'label', s.value ->> 'kind',
           s.value ->> 'role', s.value ->> 'persona', s.value ->> 'prefix', s.value ->> 'persona_hash',
           s.value ->> 'prompt_hash', s.value ->> 'join', s.value ->> 'when', s.value ->> 'foreach',
           jsonb_array_length(s.value -> 'needs')
    from jsonb_array_elements(v_plan -> 'steps') with ordinality s (value, n);

    insert into conductor.flow_edges (run_id, need, step_id)
    select v_run, n.need, s.value ->> 'id'
    from jsonb_array_elements(v_plan -> 'steps') s, jsonb_array_elements_text(s.value -> 'needs') n (need);

    perform conductor._run_advance(v_run, null);
    perform conductor._frame(v_run, 'flow_run_started', jsonb_build_object(
        'run_id', v_run, 'flow_name', v_plan ->> 'flow', 'band', v_plan ->> 'band',
        'steps', conductor._step_list(v_run)));
    return v_run;
end
$$;
