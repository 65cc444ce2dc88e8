-- The last number given to a frame of a run. A sequence would lose frames to readers: its numbers are given
-- before their transactions commit. This row is always the last lock that a transaction takes.
create table conductor.run_counters (
    run_id    bigint not null,
    last_seq  bigint not null default 0,
    last_type text,
    -- The last frame that concerns the run as a whole, and its type: what the run-level doorbell says.
    run_seq   bigint not null default 0,
    run_type  text,
    constraint run_counters_pkey primary key (run_id),
    constraint run_counters_run_fkey foreign key (run_id) references conductor.flow_runs on delete cascade,
    constraint run_counters_in_order check (run_seq <= last_seq)
) with (fillfactor = 50);
select pg_catalog.pg_extension_config_dump('conductor.run_counters', '');

-- Every frame, durable: a reader that was away goes on from the last seq it saw.
create table conductor.frames (
    run_id  bigint  not null,
    seq     bigint  not null,
    chat_id bigint,
    task_id bigint,
    attempt integer,
    type    text    not null,
    payload jsonb   not null default '{}',
    at      timestamptz not null default conductor._now(),
    constraint frames_pkey primary key (run_id, seq),
    constraint frames_run_fkey foreign key (run_id) references conductor.flow_runs on delete cascade,
    constraint frames_type_known check (type in (
        'flow_run_started', 'flow_run_step_updated', 'message_started', 'delta', 'reasoning_delta',
        'tool_call', 'tool_result', 'usage', 'error', 'message_complete')),
    constraint frames_payload_object check (jsonb_typeof(payload) = 'object')
);
create index frames_task_idx on conductor.frames (task_id, seq) where task_id is not null;
select pg_catalog.pg_extension_config_dump('conductor.frames', '');
