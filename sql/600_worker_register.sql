-- Announces a worker, or what has changed of it: {worker_id, extension_version, system_identifier, lease_seconds,
-- settings}. A new process of a known name means that the former one is gone: its tasks are dispatched again at once.
-- Without a self-check that says ok it is fit for nothing. Raises 55000 when the versions of worker and extension do not
-- agree (major and minor) and 22023 for a worker without a name, host or slots.
create function conductor.worker_register(
    name text, host text, pid integer, version text, slots integer, roots text[], models text[], self_check jsonb
) returns jsonb
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_version text := (select e.extversion from pg_catalog.pg_extension e where e.extname = 'conductor');
    v_former  integer;
    v_id      bigint;
begin
    if coalesce(worker_register.name, '') !~ '\S' or coalesce(worker_register.host, '') !~ '\S'
        or worker_register.pid is null or coalesce(worker_register.slots, -1) < 0
    then
        raise exception using errcode = '22023',
            message = 'a worker needs a name, a host, a pid and slots',
            detail = format('name: %s, host: %s, pid: %s, slots: %s', worker_register.name, worker_register.host,
                worker_register.pid, worker_register.slots),
            hint = 'conductor worker gives them';
    end if;
    perform conductor._require_version(worker_register.version);
    select w.pid into v_former from conductor.workers w
    where w.host = worker_register.host and w.name = worker_register.name for update;

    insert into conductor.workers as w (name, host, pid, version, slots, roots, models, self_check, healthy)
    values (worker_register.name, worker_register.host, worker_register.pid, worker_register.version,
            worker_register.slots, array(select r.root from unnest(worker_register.roots) r (root) where r.root ~ '^/'), coalesce(worker_register.models, '{}'),
            coalesce(worker_register.self_check, '{}'), coalesce(worker_register.self_check -> 'ok' = 'true', false))
    on conflict on constraint workers_host_name_key do update
    set pid = excluded.pid, version = excluded.version, slots = excluded.slots, roots = excluded.roots,
        models = excluded.models, self_check = excluded.self_check, healthy = excluded.healthy,
        started_at = case when w.pid = excluded.pid then w.started_at else conductor._now() end,
        seen_at = conductor._now()
    returning w.id into v_id;

    if v_former is distinct from worker_register.pid then
        perform conductor._rescue(v_id);
    end if;
    return (
        select jsonb_build_object(
            'worker_id', v_id, 'extension_version', v_version,
            'system_identifier', split_part(conductor._home(), '/', 1),
            'lease_seconds', extract(epoch from s.lease), 'settings', conductor._limits())
        from conductor.settings s);
end
$$;
