-- What the crash test notes in the database that it tests: frames that were deleted, and tasks that a fault has hit.
create schema torture;

create table torture.gone (
    run_id bigint not null, seq bigint not null, task_id bigint, attempt integer, type text not null,
    at timestamptz not null, payload jsonb not null,
    -- The run was over.
    ended boolean not null
);
create index on torture.gone (run_id);
create index on torture.gone (task_id);

create function torture.keep() returns trigger language plpgsql as $$
begin
    insert into torture.gone select f.run_id, f.seq, f.task_id, f.attempt, f.type, f.at, '{}', r.status <> 'running'
    from old_rows f join conductor.flow_runs r on r.id = f.run_id;
    return null;
end $$;
create trigger torture_keep after delete on conductor.frames
    referencing old table as old_rows for each statement execute function torture.keep();

-- Every frame that was ever written.
create view torture.frames as
    select f.run_id, f.seq, f.task_id, f.attempt, f.type, f.at, f.payload, false as gone from conductor.frames f
    union all
    select g.run_id, g.seq, g.task_id, g.attempt, g.type, g.at, g.payload, true from torture.gone g;

-- doomed: the attempt that was hit cannot go on, so only another one, or the end of the task, is a recovery.
create table torture.struck (
    kind text not null, doomed boolean not null, task_id bigint not null, attempt integer not null,
    at timestamptz not null
);
