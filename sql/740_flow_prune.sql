-- Deletes at most max_runs runs that ended longer than older_than ago, oldest first, with everything that belongs to them,
-- the texts that no run pins any more, and workers that have not been heard of for so long. Returns how many runs it
-- deleted: call it until it returns less than max_runs.
-- A run that is running, or that somebody has locked, is passed over, and so are workers beyond the first hundred.
-- Launches wait until the transaction ends, so call it in one of its own. Operators only.
-- Raises 22023 for an age or number that makes no sense, and 25001 above READ COMMITTED, where it could not see what a
-- launch has pinned meanwhile.
create function conductor.flow_prune(older_than interval, max_runs integer default 1000) returns integer
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_runs   bigint[];
    v_hashes text[];
begin
    perform conductor._check_prune(flow_prune.older_than, flow_prune.max_runs);
    if current_setting('transaction_isolation') not in ('read committed', 'read uncommitted') then
        raise exception using errcode = '25001', message = 'flow_prune() runs at READ COMMITTED only',
            detail = format('transaction_isolation: %s', current_setting('transaction_isolation')),
            hint = 'BEGIN ISOLATION LEVEL READ COMMITTED first';
    end if;
    -- One at a time: two would wait for each other's texts. Not by an advisory lock, which anybody could hold.
    lock table conductor.dispatch in share update exclusive mode;
    select array_agg(k.id) into v_runs from (
        select r.id from conductor.flow_runs r
        where r.status <> 'running' and r.ended_at < conductor._now() - flow_prune.older_than
        order by r.ended_at limit flow_prune.max_runs for update skip locked) k;
    perform conductor._prune_workers(flow_prune.older_than);
    select array_agg(distinct h.hash) into v_hashes
    from conductor.flow_steps s, unnest(array[s.prompt_hash, s.persona_hash]) h (hash)
    where s.run_id = any (v_runs) and h.hash is not null;
    delete from conductor.flow_runs r where r.id = any (v_runs);
    perform conductor._prune_texts(v_hashes);
    return coalesce(cardinality(v_runs), 0);
end
$$;

-- Deletes what agents did on their way (tool calls, messages, token counts) from at most max_runs runs that ended longer
-- than older_than ago. The runs themselves, their outputs, reports and what flow_run_* frames say of them stay. Returns how
-- many runs it looked at: call it until it returns less than max_runs. Operators only. Raises 22023 for a negative age or
-- number.
create function conductor.flow_prune_frames(older_than interval, max_runs integer default 1000) returns integer
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_runs bigint[];
begin
    perform conductor._check_prune(flow_prune_frames.older_than, flow_prune_frames.max_runs);
    select array_agg(k.id) into v_runs from (
        select r.id from conductor.flow_runs r
        where r.status <> 'running' and not r.frames_pruned
          and r.ended_at < conductor._now() - flow_prune_frames.older_than
        order by r.ended_at limit flow_prune_frames.max_runs for no key update skip locked) k;
    delete from conductor.frames f
    where f.run_id = any (v_runs) and f.type not in ('flow_run_started', 'flow_run_step_updated');
    update conductor.flow_runs r set frames_pruned = true where r.id = any (v_runs);
    return coalesce(cardinality(v_runs), 0);
end
$$;

create function conductor._check_prune(p_older_than interval, p_max_runs integer) returns void
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_far boolean := false;
begin
    begin
        perform conductor._now() - p_older_than;
    exception when datetime_field_overflow then
        v_far := true;
    end;
    if p_older_than is null or p_older_than < '0' or coalesce(p_max_runs, 0) <= 0 or v_far then
        raise exception using errcode = '22023', message = 'nothing can be pruned by this',
            detail = format('older_than: %s, max_runs: %s', coalesce(p_older_than::text, 'null'), coalesce(p_max_runs::text, 'null')),
            hint = 'flow_prune(older_than => ''90 days'', max_runs => 1000)';
    end if;
end
$$;

-- Deletes a few of the workers that have not been heard of for so long and that no task names any more: where each start
-- of a worker has a host of its own, their number grows with time. A few, because the foreign key looks at all tasks for
-- each. One that comes back announces itself anew.
create function conductor._prune_workers(p_older_than interval) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_gone bigint[];
begin
    -- The transaction may have begun long ago: what the sessions of idle workers do is looked at anew.
    perform pg_stat_clear_snapshot();
    select array_agg(w.id) into v_gone from conductor.workers w
    where w.seen_at < conductor._now() - p_older_than and not conductor._is_live(w);
    -- Most often there are none, and tasks need not be looked at.
    if v_gone is null then
        return;
    end if;
    delete from conductor.workers w
    where w.id in (
        select d.id from conductor.workers d
        where d.id = any (v_gone) and not exists (select from conductor.tasks t where t.worker_id = d.id)
        order by d.seen_at limit 100 for update skip locked);
end
$$;

-- Deletes those of the texts, and those that an earlier call had to leave, that no step pins. A launch that is under way
-- may be about to pin one of them, so this waits for none: it leaves them to the next call.
create function conductor._prune_texts(p_hashes text[]) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    update conductor.texts x set stale = true where x.hash = any (p_hashes) and not x.stale;
    if not exists (select from conductor.texts x where x.stale) or not conductor._lock_texts() then
        return;
    end if;
    delete from conductor.texts x
    where x.stale
      and not exists (select from conductor.flow_steps s where s.prompt_hash = x.hash)
      and not exists (select from conductor.flow_steps s where s.persona_hash = x.hash);
    update conductor.texts x set stale = false where x.stale;
end
$$;

-- Keeps launches from pinning texts until the transaction ends; false when one is under way.
create function conductor._lock_texts() returns boolean
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
    set lock_timeout = '100ms'
as $$
begin
    lock table conductor.texts in share row exclusive mode;
    return true;
exception
    when lock_not_available then
        return false;
end
$$;
