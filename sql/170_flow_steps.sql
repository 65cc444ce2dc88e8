-- A step of a run. Angles below the run's band have no row.
create table conductor.flow_steps (
    run_id           bigint  not null,
    step_id          text    not null,
    position         integer not null,
    wave             integer not null,
    label            text    not null,
    kind             text    not null,
    role             text    not null,
    persona          text,
    prefix           text,
    persona_hash     text,
    prompt_hash      text,
    join_rule        text    not null default 'all',
    when_field       text,
    foreach_field    text,
    -- What a step that was added at run time was made from.
    parent_step_id   text,
    element          jsonb,
    status           text    not null default 'pending',
    -- Needs that are not settled yet: a completion costs in proportion to its successors.
    waiting          integer not null default 0,
    task_id          bigint,
    chat_id          bigint,
    output           text,
    error            text,
    -- What is to be said of a reply that was taken: that it is in another language than the question, for example.
    note             text,
    citations        jsonb,
    citations_total  integer not null default 0,
    citations_broken integer not null default 0,
    input_tokens     bigint  not null default 0,
    output_tokens    bigint  not null default 0,
    total_tokens     bigint  not null default 0,
    created_at       timestamptz not null default conductor._now(),
    started_at       timestamptz,
    ended_at         timestamptz,
    constraint flow_steps_run_step_key unique (run_id, step_id),
    constraint flow_steps_run_fkey foreign key (run_id) references conductor.flow_runs on delete cascade,
    constraint flow_steps_task_fkey foreign key (task_id) references conductor.tasks on delete set null,
    constraint flow_steps_chat_fkey foreign key (chat_id) references conductor.chats on delete set null,
    constraint flow_steps_step_id_form check (step_id ~ '^[a-z][a-z0-9-]{0,39}(/[1-9][0-9]{0,5})?$'),
    constraint flow_steps_kind_known check (kind in ('agent', 'code')),
    constraint flow_steps_role_known check (role in
        ('angle', 'synthesizer', 'validator', 'step', 'fold', 'merge_findings', 'render', 'fan_out')),
    constraint flow_steps_agent_has_persona check (
        kind <> 'agent' or (persona is not null and persona_hash is not null and prompt_hash is not null)),
    constraint flow_steps_join_known check (join_rule in ('all', 'any')),
    constraint flow_steps_status_known check (
        status in ('pending', 'running', 'completed', 'failed', 'skipped', 'cancelled')),
    constraint flow_steps_ended_when_settled check (
        (status in ('completed', 'failed', 'skipped', 'cancelled')) = (ended_at is not null)),
    constraint flow_steps_completed_has_output check (status <> 'completed' or output is not null),
    constraint flow_steps_failed_says_why check (status <> 'failed' or error is not null),
    constraint flow_steps_waiting_not_negative check (waiting >= 0),
    constraint flow_steps_element_has_parent check (element is null or parent_step_id is not null),
    constraint flow_steps_citations_counted check (citations_broken between 0 and citations_total)
);
create index flow_steps_run_status_idx on conductor.flow_steps (run_id, status);
create unique index flow_steps_task_idx on conductor.flow_steps (task_id);
create index flow_steps_parent_idx on conductor.flow_steps (run_id, parent_step_id) where parent_step_id is not null;
create index flow_steps_chat_idx on conductor.flow_steps (chat_id);
select pg_catalog.pg_extension_config_dump('conductor.flow_steps', '');

-- Which step waits for which: the plan's needs, and those of steps added at run time.
create table conductor.flow_edges (
    run_id  bigint not null,
    need    text   not null,
    step_id text   not null,
    constraint flow_edges_pkey primary key (run_id, need, step_id),
    constraint flow_edges_run_fkey foreign key (run_id) references conductor.flow_runs on delete cascade,
    constraint flow_edges_no_loop check (need <> step_id)
);
create index flow_edges_step_idx on conductor.flow_edges (run_id, step_id);
select pg_catalog.pg_extension_config_dump('conductor.flow_edges', '');
