-- Appends batches of what children have done, each of a task under its lease, as frames of the same types, and says what
-- became of each batch: stored; stale, its lease is no longer valid; refused, these are not events of a stream; busy,
-- somebody holds the run's counter. Whatever is not stored has changed nothing. Batches of one task keep their order.
-- With p_wait a counter is waited for, so it is for one run alone; without it, what is locked is passed over: whoever
-- holds one counter must not wait for another.
create function conductor._stream(p_tasks bigint[], p_leases uuid[], p_events jsonb[], p_wait boolean)
    returns table (batch integer, verdict text)
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_fit  boolean[];
    v_runs bigint[];
    v_held bigint[];
begin
    v_fit := array(
        select conductor._is_stream(b.events) from unnest(p_events) with ordinality b (events, n) order by b.n);
    v_runs := array(
        select distinct t.run_id
        from unnest(p_tasks, p_leases, p_events, v_fit) b (task, lease, events, fit)
        join conductor.tasks t on t.id = b.task and t.lease = b.lease and t.state = 'running'
        where b.fit and b.events <> '[]');
    if p_wait then
        v_held := array(
            select c.run_id from conductor.run_counters c where c.run_id = any (v_runs) for no key update);
    else
        v_held := array(
            select c.run_id from conductor.run_counters c where c.run_id = any (v_runs) for no key update skip locked);
    end if;
    -- Only counters are locked, and nothing is waited for while they are held. A finish takes its run's as well, so the
    -- leases are looked at again once they are ours.
    return query
    with batches as materialized (
        select b.n, b.task, b.events, b.fit, t.id is not null as leased, b.fit and t.run_id = any (v_held) as held,
               t.run_id, t.chat_id, t.attempt
        from unnest(p_tasks, p_leases, p_events, v_fit) with ordinality b (task, lease, events, fit, n)
        left join conductor.tasks t on t.id = b.task and t.lease = b.lease and t.state = 'running'
    ), events as materialized (
        select b.run_id, b.chat_id, b.task, b.attempt, e.value ->> 'type' as type, e.value - 'type' as payload,
               row_number() over (partition by b.run_id order by b.n, e.n) as place
        from batches b cross join lateral jsonb_array_elements(b.events) with ordinality e (value, n)
        where b.held
    ), counted as (
        update conductor.run_counters c
        set last_seq = c.last_seq + k.events, last_type = k.last_type
        from (select e.run_id, count(*) as events, (array_agg(e.type order by e.place desc))[1] as last_type
              from events e group by e.run_id) k
        where c.run_id = k.run_id
        returning c.run_id, c.last_seq - k.events as before
    ), stored as (
        insert into conductor.frames (run_id, seq, chat_id, task_id, attempt, type, payload)
        select e.run_id, c.before + e.place, e.chat_id, e.task, e.attempt, e.type, e.payload
        from events e join counted c on c.run_id = e.run_id
    )
    select b.n::integer, case
            when not b.fit then 'refused'
            when not b.leased then 'stale'
            when b.held or b.events = '[]' then 'stored'
            else 'busy' end
    from batches b order by b.n;
end
$$;
