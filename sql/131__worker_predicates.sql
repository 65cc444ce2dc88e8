-- Whether a worker has asked for anything since then through the session that task_claim() noted. Only its own process is
-- behind that one: a frozen worker's stays and asks nothing. Sessions are seen as the transaction first saw them.
create function conductor._asked_since(p_worker conductor.workers, p_since timestamptz) returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return p_worker.session_pid is not null and exists (
        select from pg_catalog.pg_stat_get_activity(p_worker.session_pid) a
        where a.backend_start = p_worker.session_start and a.query_start > p_since);
end
$$;

-- Whether a worker has been heard of within two leases.
create function conductor._is_live(p_worker conductor.workers) returns boolean
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select p_worker.seen_at > l.since or conductor._asked_since(p_worker, l.since)
    from (select conductor._now() - 2 * s.lease from conductor.settings s) l (since));
end
$$;

-- Whether a worker's version agrees with the extension's: major and minor are the same.
create function conductor._agrees(p_version text) returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (select (split_part(p_version, '.', 1), split_part(p_version, '.', 2))
        is not distinct from (split_part(e.extversion, '.', 1), split_part(e.extversion, '.', 2))
    from pg_catalog.pg_extension e where e.extname = 'conductor');
end
$$;

-- Whether a worker can be given tasks at all.
create function conductor._is_fit(p_worker conductor.workers) returns boolean
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return p_worker.healthy and conductor._is_live(p_worker) and conductor._agrees(p_worker.version);
end
$$;

-- Whether a worker serves a root (null: no project) and a model (null: any). A root is served by itself or a folder above.
create function conductor._serves(p_worker conductor.workers, p_root text, p_model text) returns boolean
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_root text;
begin
    if p_model is not null and cardinality(p_worker.models) > 0 and p_model <> all (p_worker.models) then
        return false;
    elsif p_root is null then
        return true;
    end if;
    foreach v_root in array p_worker.roots loop
        if v_root = '/' or p_root = v_root or starts_with(p_root, rtrim(v_root, '/') || '/') then
            return true;
        end if;
    end loop;
    return false;
end
$$;
