-- Announces every change of a step's status, adds what it cost to its run, and advances the run when the step has
-- settled. Updating the run, not only locking it, makes a second finisher above READ COMMITTED fail with 40001 rather
-- than read old statuses and lose the wave.
create function conductor._step_changed() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_input    bigint := new.input_tokens - old.input_tokens;
    v_output   bigint := new.output_tokens - old.output_tokens;
    v_within   boolean := conductor._advancing(new.run_id);
    v_advances boolean := false;
    v_spent    boolean;
begin
    if new.status in ('completed', 'failed', 'skipped', 'cancelled') and new.status <> old.status and not v_within then
        update conductor.flow_runs r
        set version = r.version + 1, updated_at = conductor._now(), input_tokens = r.input_tokens + v_input,
            output_tokens = r.output_tokens + v_output, total_tokens = r.total_tokens + v_input + v_output
        where r.id = new.run_id and r.status = 'running'
        returning coalesce(r.total_tokens >= r.token_budget, false) into v_spent;
        v_advances := found;
    end if;
    if not v_advances then
        if v_input <> 0 or v_output <> 0 then
            update conductor.flow_runs r
            set input_tokens = r.input_tokens + v_input, output_tokens = r.output_tokens + v_output,
                total_tokens = r.total_tokens + v_input + v_output
            where r.id = new.run_id;
        elsif not v_within then
            perform 1 from conductor.flow_runs r where r.id = new.run_id for no key update;
        end if;
    end if;
    if new.status <> old.status then
        perform conductor._frame(new.run_id, 'flow_run_step_updated', jsonb_build_object(
            'run_id', new.run_id, 'step_id', new.step_id, 'status', new.status), new.chat_id, new.task_id);
    end if;
    if v_advances then
        perform conductor._run_settled(new.run_id, new.step_id, new.status, v_spent);
    end if;
    return null;
end
$$;

create trigger flow_steps_changed after update of status on conductor.flow_steps
    for each row when (old.status is distinct from new.status or old.total_tokens is distinct from new.total_tokens)
    execute function conductor._step_changed();
