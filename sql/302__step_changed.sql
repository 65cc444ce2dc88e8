-- Announces every change of a step's status; a settled step advances its run.
create function conductor._step_changed() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform 1 from conductor.flow_runs r where r.id = new.run_id for no key update;
    perform conductor._frame(new.run_id, 'flow_run_step_updated', jsonb_build_object(
        'run_id', new.run_id, 'step_id', new.step_id, 'status', new.status), new.chat_id, new.task_id);
    if new.status in ('completed', 'failed', 'skipped', 'cancelled') then
        perform conductor._run_advance(new.run_id, new.step_id);
    end if;
    return null;
end
$$;

create trigger flow_steps_changed after update of status on conductor.flow_steps
    for each row when (old.status is distinct from new.status)
    execute function conductor._step_changed();
