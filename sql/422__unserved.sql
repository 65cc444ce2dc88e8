-- Why no worker can take a run's tasks now, in words for a person; null when one can.
create function conductor._unserved(p_run bigint) returns text
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run  record;
    v_live bigint[];
    v_fit  bigint[];
    v_why  text;
begin
    select r.project_name, r.project_root, r.model into v_run from conductor.flow_runs r where r.id = p_run;
    if (select s.home from conductor.settings s) <> conductor._home() then
        return 'this database is a copy: flow_resume() lets it dispatch';
    end if;
    -- The transaction may have begun long ago: what sessions do is looked at anew.
    perform pg_stat_clear_snapshot();
    v_live := array(select w.id from conductor.workers w where conductor._is_live(w));
    if v_live = '{}' then
        return 'no worker is alive: start one with conductor worker';
    end if;
    if not exists (select from conductor.workers w where w.id = any (v_live) and conductor._agrees(w.version)) then
        return (select format('worker and extension are of different versions (%s, extension %s): install the same of both',
                    string_agg(distinct w.version, ', '), max(e.extversion))
                from conductor.workers w, pg_catalog.pg_extension e
                where w.id = any (v_live) and e.extname = 'conductor');
    end if;
    v_fit := array(select w.id from conductor.workers w
                   where w.id = any (v_live) and w.healthy and conductor._agrees(w.version));
    if v_fit = '{}' then
        select string_agg(distinct coalesce(c.value ->> 'detail', c.value ->> 'name'), '; ') into v_why
        from conductor.workers w, jsonb_path_query(w.self_check, '$.checks[*] ? (@.ok == false)') c (value)
        where w.id = any (v_live);
        return 'no worker is fit to run: ' || coalesce(v_why, 'see self_check in conductor.workers');
    end if;
    if not exists (select from conductor.workers w where w.id = any (v_fit)
                   and conductor._serves(w, v_run.project_root, v_run.model)) then
        if exists (select from conductor.workers w where w.id = any (v_fit)
                   and conductor._serves(w, v_run.project_root, null)) then
            return format('no live worker serves model %s', v_run.model);
        end if;
        return format('no live worker serves root %s (its --allow-root list)', v_run.project_root);
    end if;
    return null;
end
$$;
