-- The prompt of a task as its agent gets it: outputs that it quotes put in, each cut to its share of the budget.
-- The folder of the snapshot is still a token, because only the worker knows it.
create function conductor._task_prompt(p_task bigint) returns text
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (
        select conductor._prompt_resolve(
            t.input, u.steps, u.outputs, s.element, r.input -> 'documents',
            (r.limits ->> 'max_prompt_bytes')::integer)
        from conductor.tasks t
        join conductor.flow_runs r on r.id = t.run_id
        left join conductor.flow_steps s on s.run_id = t.run_id and s.task_id = t.id
        cross join lateral conductor._upstream(t.run_id, conductor._prompt_quotes(t.input)) u
        where t.id = p_task);
end
$$;
