-- What children stream, of many tasks in one call.
\set VERBOSITY terse
\set SHOW_CONTEXT never
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
select (worker_register('by-hand', 'here', 1, (select extversion from pg_extension where extname = 'conductor'),
    64, '{/}', '{}', '{"ok": true}') ->> 'worker_id')::bigint as worker \gset
select flow_launch('architectural-analysis', 'q', band => 'medium') as one \gset
select flow_launch('research', 'q') as other \gset
create temp table held as select row_number() over (order by task_id) as n, * from task_claim(:worker, 8);
select n, run_id = :one as one, step_id from held order by n;
-- A call with a batch of one event, a delta of this text at this offset, for each of these tasks.
create function pg_temp.stream(p_tasks bigint[], p_texts text[], p_offset integer default 0)
    returns table (batch integer, verdict text, message text) language sql as $$
    select s.* from (
        select array_agg(h.task_id order by k.n) as tasks, array_agg(h.lease order by k.n) as leases,
               array_agg(jsonb_build_array(jsonb_build_object('type', 'delta', 'offset', p_offset, 'text', k.text))
                   order by k.n) as events
        from unnest(p_tasks, p_texts) with ordinality k (held, text, n) join held h on h.n = k.held) c
    cross join lateral conductor.worker_stream(c.tasks, c.leases, c.events) s
$$;
create view pg_temp.streamed as
select h.n, f.seq, f.type, f.payload, f.attempt, f.chat_id = t.chat_id as chat
from conductor.frames f join held h on h.task_id = f.task_id join conductor.tasks t on t.id = f.task_id
where f.type not in ('flow_run_step_updated', 'message_complete');

-- Two runs in one call: each run's frames follow each other without a gap, in the order of the batches.
select * from pg_temp.stream('{1,3,2,1}', '{a,x,b,c}');
select h.run_id = :one as one, s.* from pg_temp.streamed s join held h on h.n = s.n order by h.run_id, s.seq;
select run_id = :one as one, last_type, last_seq = (select max(f.seq) from frames f where f.run_id = c.run_id) as counted
from run_counters c order by run_id;
select * from flow_check();

-- All the events of one batch, as task_stream() stores them.
select * from worker_stream(
    array[(select task_id from held where n = 3)], array[(select lease from held where n = 3)], array['[
    {"type": "message_started", "turn": 2}, {"type": "delta", "offset": 0, "text": "half a "},
    {"type": "reasoning_delta", "text": "hm"}, {"type": "tool_call", "id": "1", "name": "glob", "input": {}, "executed": true},
    {"type": "tool_result", "id": "1", "is_error": false, "content": "", "bytes": 0},
    {"type": "delta", "offset": 7, "text": "report"}, {"type": "usage", "turns": 1}, {"type": "error", "message": "no"}]'::jsonb]);
select type, payload from pg_temp.streamed where n = 3 order by seq;
select content from chat_messages((select t.chat_id from tasks t join held h on h.task_id = t.id where h.n = 3)) where role = 'assistant';
-- What is sent again after a lost answer counts once when it is read.
select verdict from pg_temp.stream('{3,3}', '{!,!}', 13);
select content from chat_messages((select t.chat_id from tasks t join held h on h.task_id = t.id where h.n = 3)) where role = 'assistant';

-- One batch that is not a stream's, or whose lease is another's, nobody's or no more, leaves the others as they are.
create temp table frames_before as select * from pg_temp.streamed;
create function pg_temp.odd(p_first jsonb, p_lease uuid) returns table (batch integer, verdict text, message text)
    language sql as $$
    select s.* from held a cross join held b
    cross join lateral conductor.worker_stream(array[a.task_id, b.task_id], array[coalesce(p_lease, a.lease), b.lease],
        array[p_first, '[{"type": "usage", "turns": 7}]']) s
    where a.n = 1 and b.n = 2
$$;
select k.n, o.* from (values
    (1, null::jsonb, null::uuid), (2, 'null', null), (3, '{}', null), (4, '"delta"', null), (5, '["delta"]', null),
    (6, '[{"text": "no type"}]', null), (7, '[{"type": "delta", "text": "a"}, {"type": "flow_run_step_updated"}]', null),
    (8, '[{"type": "delta"}]', '00000000-0000-0000-0000-000000000001'), (9, '[]', '00000000-0000-0000-0000-000000000001'),
    (10, '{}', '00000000-0000-0000-0000-000000000001'), (11, '[]', null)) k (n, first, lease)
cross join lateral pg_temp.odd(k.first, k.lease) o order by k.n, o.batch;
select count(*), min(payload::text) from pg_temp.streamed where n = 2 and type = 'usage';
select count(*) from (select * from pg_temp.streamed where n <> 2 except select * from frames_before) k;
select task_finish(task_id, lease, 'completed', 'done') from held where n = 1;
select * from pg_temp.stream('{1,2,3}', '{late,b,x}', 20);
-- A message of a refusal is short.
select batch, verdict, length(message) < 300 as short from held h cross join lateral worker_stream(
    array[h.task_id], array[h.lease], array[to_jsonb(repeat('x', 100000))]) s where h.n = 2;
select * from flow_check();

-- Three arrays of one length; none at all is nothing.
select * from worker_stream('{}', '{}', '{}');
select * from worker_stream('{1}', '{}', '{}');
select * from worker_stream('{1}', array[gen_random_uuid()], '{}');
select * from worker_stream(null, null, null);
select * from worker_stream('{null}', '{null}', array['[]'::jsonb]);
