-- The invariants of the engine: one row per violation, so always none. Run after every fault in the tests.
create function conductor.flow_check()
    returns table (invariant text, run_id bigint, detail text)
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    -- A run is running exactly while a step of it is unsettled.
    select 'running_run_has_unsettled_step', r.id, r.status from conductor.flow_runs r
    where r.status = 'running' and not exists (
        select from conductor.flow_steps s where s.run_id = r.id and s.status in ('pending', 'running'))
    union all
    select 'ended_run_has_no_unsettled_step', s.run_id, s.step_id || ': ' || s.status
    from conductor.flow_runs r join conductor.flow_steps s on s.run_id = r.id
    where r.status <> 'running' and s.status in ('pending', 'running')
    union all
    select 'ended_run_has_no_live_task', t.run_id, t.id || ': ' || t.state
    from conductor.tasks t join conductor.flow_runs r on r.id = t.run_id
    where t.state in ('pending', 'running') and r.status <> 'running'
    union all
    select 'completed_run_has_validated_report', r.id, s.step_id || ': ' || s.status
    from conductor.flow_runs r join conductor.flow_steps s on s.run_id = r.id
    where r.status = 'completed' and s.status <> 'completed'
      -- A validator that its own condition has skipped is the author's decision.
      and (s.role = 'render' or s.role in ('synthesizer', 'validator') and s.status <> 'skipped')
    union all
    -- A step and its task say the same.
    select 'step_follows_task', s.run_id, s.step_id || ': ' || s.status || ', task ' || t.id || ': ' || t.state
    from conductor.flow_steps s join conductor.tasks t on t.id = s.task_id
    where s.status <> case t.state when 'blocked' then 'cancelled' else t.state end
    union all
    select 'running_agent_step_has_task', s.run_id, s.step_id from conductor.flow_steps s
    where s.kind = 'agent' and s.status = 'running' and s.task_id is null
    union all
    select 'live_task_belongs_to_step', t.run_id, t.id::text from conductor.tasks t
    where t.state in ('pending', 'running')
      and not exists (select from conductor.flow_steps s where s.run_id = t.run_id and s.task_id = t.id)
    union all
    select 'one_live_task_per_chat', t.run_id, t.chat_id || ': ' || count(*) from conductor.tasks t
    where t.state in ('pending', 'running') and t.chat_id is not null group by t.run_id, t.chat_id having count(*) > 1
    union all
    -- Nothing starts before its needs are settled, and nothing due is forgotten.
    select 'waiting_counts_unsettled_needs', s.run_id, s.step_id || ': ' || s.waiting || ', counted ' || n.unsettled
    from conductor.flow_steps s
    join conductor.flow_runs r on r.id = s.run_id and r.status = 'running'
    cross join lateral (
        select count(*) as unsettled from conductor.flow_edges e
        join conductor.flow_steps d on d.run_id = e.run_id and d.step_id = e.need
        where e.run_id = s.run_id and e.step_id = s.step_id and d.status in ('pending', 'running')) n
    where s.status = 'pending' and s.waiting <> n.unsettled
    union all
    select 'started_step_has_settled_needs', s.run_id, s.step_id || ' before ' || d.step_id
    from conductor.flow_steps s
    join conductor.flow_edges e on e.run_id = s.run_id and e.step_id = s.step_id
    join conductor.flow_steps d on d.run_id = e.run_id and d.step_id = e.need
    where s.status = 'running' and d.status in ('pending', 'running')
    union all
    select 'due_step_is_dispatched', s.run_id, s.step_id
    from conductor.flow_steps s join conductor.flow_runs r on r.id = s.run_id
    where r.status = 'running' and s.status = 'pending' and s.waiting = 0 and s.task_id is null
    union all
    -- Frames.
    select 'counter_is_past_every_frame', c.run_id, c.last_seq || ' < ' || f.seq
    from conductor.run_counters c
    cross join lateral (select max(f.seq) as seq from conductor.frames f where f.run_id = c.run_id) f
    where f.seq > c.last_seq
    union all
    select 'run_has_counter', r.id, null from conductor.flow_runs r
    where not exists (select from conductor.run_counters c where c.run_id = r.id)
    union all
    select 'ended_attempt_keeps_no_deltas', f.run_id, 'task ' || f.task_id || ' attempt ' || f.attempt
    from conductor.frames f left join conductor.tasks t on t.id = f.task_id
    where f.type in ('delta', 'reasoning_delta') and (t.id is null or t.state <> 'running' or t.attempt <> f.attempt)
    union all
    select 'ended_run_is_announced', r.id, r.status from conductor.flow_runs r
    where r.status <> 'running' and not exists (
        select from conductor.frames f where f.run_id = r.id and f.payload ->> 'run_status' = r.status)
    union all
    select 'run_text_is_stored', s.run_id, s.step_id from conductor.flow_steps s
    where exists (
        select from unnest(array[s.prompt_hash, s.persona_hash]) h (hash)
        where h.hash is not null and not exists (select from conductor.texts x where x.hash = h.hash))
$$;
