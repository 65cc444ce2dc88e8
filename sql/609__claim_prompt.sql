-- The prompt of a task that was just claimed. One that cannot be built fails its task, and nobody else's claim.
create function conductor._claim_prompt(p_task bigint) returns text
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return conductor._task_prompt(p_task);
exception
    when transaction_rollback or insufficient_resources or operator_intervention or system_error then
        raise;
    when others then
        update conductor.tasks t set state = 'failed', error = 'the prompt cannot be built: ' || sqlerrm where t.id = p_task;
        return null;
end
$$;
