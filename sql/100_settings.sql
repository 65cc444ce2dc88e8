-- One row of limits. They stand in a table because a trigger would otherwise obey whichever client fires it.
create table conductor.settings (
    singleton           boolean  not null default true,
    stall_timeout       interval not null default '90 seconds',
    first_event_timeout interval not null default '15 minutes',
    step_timeout        interval not null default '60 minutes',
    lease               interval not null default '60 seconds',
    retry_backoff       interval not null default '5 seconds',
    max_attempts        integer  not null default 2,
    max_deaths          integer  not null default 3,
    max_running         integer  not null default 64,
    max_running_per_run integer  not null default 16,
    max_prompt_bytes    integer  not null default 262144,
    max_output_bytes    bigint   not null default 67108864,
    max_fanout          integer  not null default 50,
    model               text     not null default 'qwen3.6-35b-a3b-mxfp4',
    -- Which database this is: a copy of a live one must not start to dispatch by itself.
    home                text     not null,
    constraint settings_pkey primary key (singleton),
    constraint settings_one_row check (singleton),
    constraint settings_timeouts_positive check (
        least(stall_timeout, first_event_timeout, step_timeout, lease) > interval '0'
        and retry_backoff >= interval '0'),
    constraint settings_limits_positive check (
        least(max_attempts, max_deaths, max_running, max_running_per_run, max_fanout) >= 1
        and max_prompt_bytes >= 16384 and max_output_bytes >= 1024),
    -- A result is a JSON text of up to six times its size on its way in, and the server takes 1 GB at most.
    constraint settings_output_can_be_stored check (max_output_bytes <= 134217728),
    constraint settings_model_named check (model ~ '\S')
);

comment on table conductor.settings is 'Limits of the engine: exactly one row, changed with UPDATE by an operator.';
select pg_catalog.pg_extension_config_dump('conductor.settings', '');
