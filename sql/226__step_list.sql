-- How frames name the steps of a run (or those added for one step): [{step_id, persona, kind, chat_id, label}].
create function conductor._step_list(p_run bigint, p_parent text default null) returns jsonb
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select coalesce(jsonb_agg(jsonb_build_object(
        'step_id', s.step_id, 'persona', s.persona, 'kind', s.kind, 'chat_id', s.chat_id, 'label', s.label)
        order by s.position, length(s.step_id), s.step_id), '[]')
    from conductor.flow_steps s
    where s.run_id = p_run and s.parent_step_id is not distinct from p_parent);
end
$$;
