-- Hands a worker up to slots pending tasks that it serves, each with a fresh lease, one per run in turn, within the
-- limits of conductor.settings. No rows: nothing to do now. Asking says that the worker lives, also with no slots: one
-- that has no leases to renew need not call task_heartbeat(), if its session is its own (no pooler gives it to others) and
-- it asks at least once a lease. Raises P0002 for a worker that is not registered, and 55000
-- in a copy that nobody adopted and for a worker of another version than the extension has by now.
create function conductor.task_claim(worker bigint, slots integer)
    returns table (task_id bigint, run_id bigint, step_id text, lease uuid, attempt integer, agent text, model text,
                   mode_id text, system_prompt text, prompt text, chat_id bigint, project text, root text, input jsonb,
                   deadline_at timestamptz, snapshot jsonb, limits jsonb)
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    v_known    record;
    v_worker   conductor.workers;
    v_settings conductor.settings;
    v_last     bigint;
    v_free     integer;
    v_cursor   bigint;
    v_run      bigint;
    v_task     bigint;
    v_taken    bigint[] := '{}';
    v_prompts  text[] := '{}';
    v_prompt   text;
    v_before   integer;
    v_wrapped  boolean;
begin
    select w as worker, s as settings, e.extversion as version into v_known
    from conductor.workers w, conductor.settings s, pg_catalog.pg_extension e
    where w.id = task_claim.worker and e.extname = 'conductor';
    if not found then
        raise exception using errcode = 'P0002', message = 'no such worker',
            detail = format('worker: %s', task_claim.worker), hint = 'call worker_register() first';
    end if;
    v_worker := v_known.worker;
    v_settings := v_known.settings;
    if v_settings.home <> conductor._home() then
        perform conductor._require_home();
    end if;
    if v_worker.version <> v_known.version then
        perform conductor._require_version(v_worker.version);
    end if;
    if v_worker.seen_at <= conductor._now() - v_settings.lease then
        perform conductor._note_session(v_worker, v_settings.lease);
    end if;
    if not v_worker.healthy or coalesce(task_claim.slots, 0) < 1 then
        return;
    end if;
    -- An idle system is only read: nothing is locked, and no transaction id is taken.
    select exists (select from conductor.tasks t where t.state = 'running' and t.lease_expires_at < conductor._now()) as lost,
           -- In the order of an index: whatever the planner thinks of how many are pending, it reads one entry.
           (select t.run_id from conductor.tasks t where t.state = 'pending' order by t.run_id limit 1) as first
    into v_known;
    if v_known.lost then
        perform conductor._rescue(p_spare => v_worker.id);
        select t.run_id as first into v_known from conductor.tasks t where t.state = 'pending' order by t.run_id limit 1;
    end if;
    if v_known.first is null then
        return;
    end if;

    -- flow_prune() may be forgetting the worker: that is waited for before anybody else waits for this claim.
    perform 1 from conductor.workers w where w.id = v_worker.id for key share;
    if not found then
        raise exception using errcode = 'P0002', message = 'no such worker',
            detail = format('worker: %s', task_claim.worker), hint = 'call worker_register() first';
    end if;
    -- The short lock: claims at once cannot overrun the limits.
    select d.last_run_id into v_last from conductor.dispatch d for update;
    v_free := least(task_claim.slots, v_settings.max_running
        - (select count(*)::integer from conductor.tasks t where t.state = 'running'));

    -- Rounds over the runs that have pending tasks, one probe of an index for each, one task from each in a round.
    while cardinality(v_taken) < v_free loop
        v_before := cardinality(v_taken);
        v_cursor := v_last;
        v_wrapped := false;
        while cardinality(v_taken) < v_free loop
            select t.run_id into v_run from conductor.tasks t
            where t.state = 'pending' and t.run_id > v_cursor order by t.run_id limit 1;
            if not found then
                exit when v_wrapped;
                v_wrapped := true;
                v_cursor := 0;
                continue;
            end if;
            exit when v_wrapped and v_run > v_last;
            v_cursor := v_run;
            v_task := conductor._claim_one(v_run, v_worker, v_settings);
            if v_task is not null then
                v_last := v_run;
                v_prompt := conductor._claim_prompt(v_task);
                if v_prompt is not null then
                    v_taken := v_taken || v_task;
                    v_prompts := v_prompts || v_prompt;
                end if;
            end if;
        end loop;
        exit when cardinality(v_taken) = v_before;
    end loop;
    update conductor.dispatch d set last_run_id = v_last where d.last_run_id <> v_last;

    return query
    select t.id, t.run_id, s.step_id, t.lease, t.attempt, t.agent, t.model, t.mode_id,
           (select x.body from conductor.texts x where x.hash = s.persona_hash), k.prompt, t.chat_id,
           r.project_name, r.project_root, r.input, t.deadline_at,
           case when r.tree_digest is not null then
               jsonb_build_object('commit', r.commit, 'tree_digest', r.tree_digest, 'host', r.snapshot_host) end,
           r.limits
    from unnest(v_taken, v_prompts) with ordinality k (id, prompt, n)
    -- One probe for each: the planner does not know how few they are.
    cross join lateral (select d.* from conductor.tasks d where d.id = k.id offset 0) t
    cross join lateral (select d.* from conductor.flow_runs d where d.id = t.run_id offset 0) r
    cross join lateral (select d.* from conductor.flow_steps d where d.task_id = t.id offset 0) s
    order by k.n;
end
$$;
