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

-- What became of each task, and under which lease it was given out.
create table torture.states (
    task_id bigint not null, run_id bigint not null, attempt integer not null, state text not null, lease text,
    at timestamptz not null
);
create index on torture.states (task_id);
create index on torture.states (run_id);
create function torture.note_state() returns trigger language plpgsql as $$
begin
    insert into torture.states values (new.id, new.run_id, new.attempt, new.state, replace(new.lease::text, '-', ''),
        clock_timestamp());
    return null;
end $$;
create trigger torture_state after update of state on conductor.tasks
    for each row when (old.state is distinct from new.state) execute function torture.note_state();

-- Runs that flow_prune() took.
create table torture.pruned (run_id bigint not null, status text not null, ended_at timestamptz, at timestamptz not null);
create function torture.note_pruned() returns trigger language plpgsql as $$
begin
    insert into torture.pruned select r.id, r.status, r.ended_at, clock_timestamp() from old_rows r;
    return null;
end $$;
create trigger torture_pruned after delete on conductor.flow_runs
    referencing old table as old_rows for each statement execute function torture.note_pruned();

-- doomed: the attempt that was hit cannot go on, so only another one, or the end of the task, is a recovery.
create table torture.struck (
    kind text not null, doomed boolean not null, task_id bigint not null, attempt integer not null,
    at timestamptz not null
);
