-- Rings at commit, once per channel and transaction: NOTIFY takes a lock that all commits share. The payload names
-- the run and the last frame and holds no content, because anyone who may connect can LISTEN.
create function conductor._doorbell() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_now conductor.run_counters;
begin
    select * into v_now from conductor.run_counters c where c.run_id = new.run_id;
    if not found then
        return null;
    end if;
    -- Of several updates in one transaction only the last one rings.
    if new.last_seq = v_now.last_seq then
        perform pg_notify('conductor_run_' || new.run_id, json_build_object(
            'type', new.last_type, 'run_id', new.run_id, 'seq', new.last_seq)::text);
    end if;
    if new.run_seq <> old.run_seq and new.run_seq = v_now.run_seq then
        perform pg_notify('conductor_frames', json_build_object(
            'type', new.run_type, 'run_id', new.run_id, 'seq', new.run_seq)::text);
    end if;
    return null;
end
$$;

-- On UPDATE only: a restore COPYs rows while this trigger already exists.
create constraint trigger run_counters_doorbell
    after update on conductor.run_counters
    deferrable initially deferred
    for each row execute function conductor._doorbell();
