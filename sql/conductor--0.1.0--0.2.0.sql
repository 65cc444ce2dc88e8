-- From 0.1.0 to 0.2.0. Safe while runs are under way: nothing is rewritten, and what holds a lease keeps it. It needs all
-- tables for a moment. Rather than to make everybody wait behind one who reads for long, it gives up (55P03), at once
-- enough to come before the deadlock detector: run it again.
set local lock_timeout = '500ms';
lock table conductor.settings, conductor.projects, conductor.project_grants, conductor.flow_definitions,
    conductor.persona_definitions, conductor.workers, conductor.flow_runs, conductor.chats, conductor.tasks,
    conductor.flow_steps, conductor.frames in access exclusive mode;

-- 0.1.0 did not look what a schema that it was made in held already. What a superuser has put there is left alone.
do $$
declare
    v_held text;
begin
    select string_agg(k.object, ', ' order by k.object) into v_held
    from (
        select format('%s of %s', pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), r.rolname)
        from pg_catalog.pg_namespace n
        join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = n.oid
        join pg_catalog.pg_shdepend s on s.classid = d.classid and s.objid = d.objid and s.deptype = 'o'
        join pg_catalog.pg_database b on b.oid = s.dbid and b.datname = current_database()
        join pg_catalog.pg_roles r on r.oid = s.refobjid and not r.rolsuper
        where n.nspname = 'conductor' and not exists (
            select from pg_catalog.pg_depend m
            where m.classid = d.classid and m.objid = d.objid and m.deptype = 'e')
        union all
        select format('the right to create of %s',
            case a.grantee when 0 then 'PUBLIC' else pg_catalog.pg_get_userbyid(a.grantee) end)
        from pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) a
        where n.nspname = 'conductor' and a.privilege_type = 'CREATE' and a.grantee <> n.nspowner) k (object);
    if v_held is not null then
        raise exception using errcode = '42501',
            message = 'others have or may create objects in the schema conductor',
            detail = format('found: %s', v_held),
            hint = 'drop those objects, or REVOKE CREATE ON SCHEMA conductor from them, then update the extension';
    end if;
end
$$;

create or replace function conductor._now() returns timestamptz
    language sql volatile
    return pg_catalog.clock_timestamp();

alter table conductor.settings enable always trigger settings_replace;
update conductor.settings set max_output_bytes = 134217728 where max_output_bytes > 134217728;
alter table conductor.settings add constraint settings_output_can_be_stored check (max_output_bytes <= 134217728);
alter table conductor.projects alter column created_at set default conductor._now();
alter table conductor.project_grants alter column granted_at set default conductor._now();
alter table conductor.flow_definitions alter column defined_at set default conductor._now();
alter table conductor.persona_definitions alter column defined_at set default conductor._now();
alter table conductor.workers
    alter column started_at set default conductor._now(), alter column seen_at set default conductor._now(),
    add column session_pid integer, add column session_start timestamptz,
    add constraint workers_session_whole check ((session_pid is null) = (session_start is null));
comment on column conductor.workers.seen_at is
    'When the worker last wrote. One without children only asks: _is_live() looks at its session as well.';
alter table conductor.flow_runs
    alter column created_at set default conductor._now(), alter column updated_at set default conductor._now();
alter table conductor.chats alter column created_at set default conductor._now();
alter table conductor.tasks
    alter column available_at set default conductor._now(), alter column created_at set default conductor._now();
alter table conductor.flow_steps alter column created_at set default conductor._now();
alter table conductor.frames alter column at set default conductor._now();

drop index conductor.tasks_running_idx, conductor.tasks_worker_idx;
create index tasks_running_idx on conductor.tasks (run_id) where state = 'running';

-- What others call by another signature from here on.
drop function conductor._code_step(bigint, text, text), conductor._run_advance_loop(bigint, text);
create or replace function conductor._home() returns text
    language c strict stable
    as 'MODULE_PATHNAME', 'home_wrapper';
create function conductor._advancing(run bigint) returns boolean
    language c strict volatile
    as 'MODULE_PATHNAME', 'advancing_wrapper';
create function conductor._run_settled(run bigint, step text, status text, spent boolean) returns void
    language c strict
    as 'MODULE_PATHNAME', 'run_settled_wrapper';

-- Functions and views, as scripts/draft-upgrade.sh drafts them.

create or replace function conductor._settings_replace() returns trigger
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    delete from conductor.settings;
    -- 0.1.0 let it be set higher.
    new.max_output_bytes := least(new.max_output_bytes, 134217728);
    return new;
end
$$;

create or replace function conductor._asked_since(p_worker conductor.workers, p_since timestamptz) returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return p_worker.session_pid is not null and exists (
        select from pg_catalog.pg_stat_get_activity(p_worker.session_pid) a
        where a.backend_start = p_worker.session_start and a.query_start > p_since);
end
$$;

create or replace function conductor._is_live(p_worker conductor.workers) returns boolean
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select p_worker.seen_at > l.since or conductor._asked_since(p_worker, l.since)
    from (select conductor._now() - 2 * s.lease from conductor.settings s) l (since));
end
$$;

create or replace function conductor._agrees(p_version text) returns boolean
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (select (split_part(p_version, '.', 1), split_part(p_version, '.', 2))
        is not distinct from (split_part(e.extversion, '.', 1), split_part(e.extversion, '.', 2))
    from pg_catalog.pg_extension e where e.extname = 'conductor');
end
$$;

create or replace function conductor._is_fit(p_worker conductor.workers) returns boolean
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return p_worker.healthy and conductor._is_live(p_worker) and conductor._agrees(p_worker.version);
end
$$;

create or replace function conductor._serves(p_worker conductor.workers, p_root text, p_model text) returns boolean
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
declare
    v_root text;
begin
    if p_model is not null and cardinality(p_worker.models) > 0 and p_model <> all (p_worker.models) then
        return false;
    elsif p_root is null then
        return true;
    end if;
    foreach v_root in array p_worker.roots loop
        if v_root = '/' or p_root = v_root or starts_with(p_root, rtrim(v_root, '/') || '/') then
            return true;
        end if;
    end loop;
    return false;
end
$$;

create or replace function conductor._caller() returns text
    language plpgsql stable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case when conductor._restricted() then null
                when current_setting('role') in ('none', '') then session_user::text
                else current_setting('role') end;
end
$$;

create or replace function conductor._is_operator(p_role text) returns boolean
    language plpgsql stable security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    return has_table_privilege(p_role, 'conductor.settings', 'update');
end
$$;

create or replace function conductor._may_use_project(p_project bigint, p_role text) returns boolean
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select pg_has_role(conductor._caller(), p_role, 'member') and (conductor._is_operator(p_role) or exists (
        select from conductor.project_grants g join pg_catalog.pg_roles r on r.rolname = g.grantee
        where g.project_id = p_project and pg_has_role(p_role, r.oid, 'member')))
$$;

create or replace function conductor._user_personas() returns jsonb
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select coalesce(jsonb_agg(jsonb_build_object(
        'name', p.name, 'description', p.description, 'prefix', p.prefix, 'body', p.body) order by p.name), '[]')
    from conductor.persona_definitions p);
end
$$;

create or replace function conductor._lock_run(p_run bigint) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._require_run(p_run);
    perform 1 from conductor.flow_runs r where r.id = p_run for no key update;
    if not found then
        perform conductor._require_run(p_run);
    end if;
end
$$;

create or replace function conductor._frame(
    p_run bigint, p_type text, p_payload jsonb,
    p_chat bigint default null, p_task bigint default null, p_attempt integer default null
) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_level boolean := p_type in ('flow_run_started', 'flow_run_step_updated');
    v_seq   bigint;
begin
    update conductor.run_counters c
    set last_seq = c.last_seq + 1, last_type = p_type,
        run_seq = case when v_level then c.last_seq + 1 else c.run_seq end,
        run_type = case when v_level then p_type else c.run_type end
    where c.run_id = p_run
    returning c.last_seq into v_seq;
    if not found then
        raise exception using errcode = 'XX000', message = 'a run has no counter of its frames',
            detail = format('run: %s', p_run), hint = 'restore conductor.run_counters with the run';
    end if;
    insert into conductor.frames (run_id, seq, chat_id, task_id, attempt, type, payload)
    values (p_run, v_seq, p_chat, p_task, p_attempt, p_type, p_payload);
end
$$;

create or replace function conductor._streamed(p_task bigint, p_attempt integer) returns text
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select string_agg(d.text, '' order by d.seq)
    from (
        select distinct on (coalesce(f.payload ->> 'offset', '#' || f.seq)) f.seq, f.payload ->> 'text' as text
        from conductor.frames f
        where f.task_id = p_task and f.attempt = p_attempt and f.type = 'delta'
          and f.seq > coalesce((
              select max(m.seq) from conductor.frames m
              where m.task_id = p_task and m.attempt = p_attempt and m.type = 'message_started'), 0)
        order by coalesce(f.payload ->> 'offset', '#' || f.seq), f.seq) d);
end
$$;

create or replace function conductor._upstream(p_run bigint, p_steps text[], out steps jsonb, out outputs text[])
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    -- Most prompts quote nothing.
    if cardinality(p_steps) = 0 then
        steps := '[]';
        outputs := '{}';
        return;
    end if;
    select coalesce(jsonb_agg(jsonb_build_object(
               'step_id', s.step_id, 'label', s.label, 'prefix', s.prefix, 'status', s.status,
               'error', s.error, 'citations', s.citations) order by s.position, length(s.step_id), s.step_id), '[]'),
           coalesce(array_agg(s.output order by s.position, length(s.step_id), s.step_id), '{}')
    into steps, outputs
    from (
        select q.* from unnest(p_steps) k (step_id) cross join lateral (
            select d.* from conductor.flow_steps d where d.run_id = p_run and d.step_id = k.step_id offset 0) q
        union all
        select q.* from unnest(p_steps) k (step_id) cross join lateral (
            select d.* from conductor.flow_steps d where d.run_id = p_run and d.parent_step_id = k.step_id offset 0) q
    ) s
    where s.role <> 'fan_out';
end
$$;

create or replace function conductor._task_prompt(p_task bigint) returns text
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (
        select conductor._prompt_resolve(
            t.input, u.steps, u.outputs, s.element, r.input -> 'documents',
            (r.limits ->> 'max_prompt_bytes')::integer)
        from conductor.tasks t
        join conductor.flow_runs r on r.id = t.run_id
        left join conductor.flow_steps s on s.run_id = t.run_id and s.task_id = t.id
        cross join lateral conductor._upstream(t.run_id, conductor._prompt_quotes(t.input)) u
        where t.id = p_task);
end
$$;

create or replace function conductor._step_list(p_run bigint, p_parent text default null) returns jsonb
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select coalesce(jsonb_agg(jsonb_build_object(
        'step_id', s.step_id, 'persona', s.persona, 'kind', s.kind, 'chat_id', s.chat_id, 'label', s.label)
        order by s.position, length(s.step_id), s.step_id), '[]')
    from conductor.flow_steps s
    where s.run_id = p_run and s.parent_step_id is not distinct from p_parent);
end
$$;

create or replace function conductor._agent_count(p_flow text, p_band text) returns integer
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select count(*) from jsonb_array_elements(conductor._preview(p_flow, p_band) -> 'steps') s
            where s.value ->> 'persona' is not null);
exception
    when invalid_parameter_value or undefined_object then
        return null;
end
$$;

create or replace function conductor._limits() returns jsonb
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    return (select jsonb_build_object(
        'stall_timeout_s', extract(epoch from s.stall_timeout),
        'first_event_timeout_s', extract(epoch from s.first_event_timeout),
        'step_timeout_s', extract(epoch from s.step_timeout),
        'max_attempts', s.max_attempts, 'max_deaths', s.max_deaths,
        'max_prompt_bytes', s.max_prompt_bytes, 'max_output_bytes', s.max_output_bytes, 'max_fanout', s.max_fanout)
    from conductor.settings s);
end
$$;

create or replace function conductor._count(p_value jsonb) returns bigint
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return case when jsonb_typeof(p_value) = 'number'
                then trunc(least(greatest((p_value #>> '{}')::numeric, 0), 1000000000000))::bigint else 0 end;
end
$$;

create or replace function conductor._citations(p_value jsonb) returns jsonb
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
begin
    if p_value is null or jsonb_typeof(p_value) <> 'object' or jsonb_typeof(p_value -> 'broken') is distinct from 'array' then
        return null;
    end if;
    return (
        select jsonb_build_object(
                'total', greatest(least(conductor._count(p_value -> 'total'), 1000000), b.count), 'broken', b.list)
            || case when jsonb_typeof(p_value -> 'note') = 'string'
                    then jsonb_build_object('note', p_value -> 'note') else '{}' end
        from (
            select count(*) as count, coalesce(jsonb_agg(jsonb_build_object(
                'cited', left(e.value ->> 'cited', 1000), 'why', left(e.value ->> 'why', 1000)) order by e.n), '[]') as list
            from jsonb_array_elements(p_value -> 'broken') with ordinality e (value, n)
            where e.n <= 10000) b);
end
$$;

create or replace function conductor._task_guard() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    if new.run_id <> old.run_id then
        raise exception using errcode = 'QC002',
            message = 'a task cannot move to another run',
            detail = format('task: %s, run: %s, new run: %s', old.id, old.run_id, new.run_id),
            hint = 'launch another run instead';
    end if;
    if new.state is distinct from old.state then
        if old.state in ('completed', 'failed', 'blocked', 'cancelled') then
            raise exception using errcode = 'QC002',
                message = 'a task that has ended cannot change its state',
                detail = format('task: %s, state: %s, new state: %s', old.id, old.state, new.state),
                hint = 'flow_retry() dispatches what is not completed again';
        end if;
        if new.state in ('completed', 'failed', 'blocked', 'cancelled') then
            new.ended_at := coalesce(new.ended_at, conductor._now());
        end if;
        if new.state <> 'running' then
            new.lease_expires_at := null;
        end if;
    end if;
    return new;
end
$$;

create or replace function conductor._task_changed() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_ended    boolean := new.state in ('completed', 'failed', 'blocked', 'cancelled');
    v_streamed text;
begin
    perform 1 from conductor.flow_runs r where r.id = new.run_id for no key update;

    if new.state = 'pending' and new.error is not null then
        perform conductor._frame(new.run_id, 'error', jsonb_build_object('message', new.error, 'retried', true),
            new.chat_id, new.id, old.attempt);
    end if;
    if v_ended and new.chat_id is not null then
        perform conductor._frame(new.run_id, 'message_complete',
            jsonb_build_object('chat_id', new.chat_id, 'status', case new.state
                when 'completed' then 'complete' when 'failed' then 'failed' else 'cancelled' end),
            new.chat_id, new.id, new.attempt);
    end if;
    if old.state = 'running' then
        -- A stream of this attempt may be about to commit: it holds the counter while it writes, and a frame has waited
        -- for it.
        if not v_ended or new.chat_id is null then
            perform 1 from conductor.run_counters c where c.run_id = new.run_id for no key update;
        end if;
        if v_ended and new.state <> 'completed' then
            v_streamed := conductor._streamed(new.id, old.attempt);
        end if;
        -- The full text of an attempt that counts is the step's output; one that does not is void.
        delete from conductor.frames f
        where f.task_id = new.id and f.attempt = old.attempt and f.type in ('delta', 'reasoning_delta');
    end if;

    update conductor.flow_steps s
    set status = case new.state when 'blocked' then 'cancelled' else new.state end,
        started_at = case when new.state = 'running' then coalesce(s.started_at, conductor._now()) else s.started_at end,
        ended_at = case when v_ended then conductor._now() end,
        output = case when new.state = 'completed' then coalesce(s.output, '')
                      when v_ended then coalesce(s.output, v_streamed) else s.output end,
        error = case when new.state = 'failed' then coalesce(new.error, 'the task failed without saying why')
                     when new.state = 'blocked' then 'the token budget of the run is spent'
                     when new.state = 'completed' then null
                     else s.error end
    where s.run_id = new.run_id and s.task_id = new.id and s.status in ('pending', 'running')
      and (s.status <> new.state);
    return null;
end
$$;

create or replace function conductor._step_changed() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_input    bigint := new.input_tokens - old.input_tokens;
    v_output   bigint := new.output_tokens - old.output_tokens;
    v_within   boolean := conductor._advancing(new.run_id);
    v_advances boolean := false;
    v_spent    boolean;
begin
    if new.status in ('completed', 'failed', 'skipped', 'cancelled') and new.status <> old.status and not v_within then
        update conductor.flow_runs r
        set version = r.version + 1, updated_at = conductor._now(), input_tokens = r.input_tokens + v_input,
            output_tokens = r.output_tokens + v_output, total_tokens = r.total_tokens + v_input + v_output
        where r.id = new.run_id and r.status = 'running'
        returning coalesce(r.total_tokens >= r.token_budget, false) into v_spent;
        v_advances := found;
    end if;
    if not v_advances then
        if v_input <> 0 or v_output <> 0 then
            update conductor.flow_runs r
            set input_tokens = r.input_tokens + v_input, output_tokens = r.output_tokens + v_output,
                total_tokens = r.total_tokens + v_input + v_output
            where r.id = new.run_id;
        elsif not v_within then
            perform 1 from conductor.flow_runs r where r.id = new.run_id for no key update;
        end if;
    end if;
    if new.status <> old.status then
        perform conductor._frame(new.run_id, 'flow_run_step_updated', jsonb_build_object(
            'run_id', new.run_id, 'step_id', new.step_id, 'status', new.status), new.chat_id, new.task_id);
    end if;
    if v_advances then
        perform conductor._run_settled(new.run_id, new.step_id, new.status, v_spent);
    end if;
    return null;
end
$$;

drop trigger flow_steps_changed on conductor.flow_steps;
create trigger flow_steps_changed after update of status on conductor.flow_steps
    for each row when (old.status is distinct from new.status or old.total_tokens is distinct from new.total_tokens)
    execute function conductor._step_changed();

create or replace function conductor._count_waiting(p_run bigint) returns void
    language sql
    set search_path = pg_catalog, conductor, pg_temp
as $$
    update conductor.flow_steps s set waiting = (
        select count(*) from conductor.flow_edges e
        join conductor.flow_steps n on n.run_id = e.run_id and n.step_id = e.need
        where e.run_id = s.run_id and e.step_id = s.step_id and n.status in ('pending', 'running'))
    where s.run_id = p_run and s.status = 'pending'
$$;

create or replace function conductor._settle_lagging(p_run bigint) returns void
    language sql
    set search_path = pg_catalog, conductor, pg_temp
as $$
    update conductor.flow_steps s
    set status = case t.state when 'blocked' then 'cancelled' else t.state end, ended_at = conductor._now(),
        output = coalesce(s.output, case when t.state = 'completed' then '' else conductor._streamed(t.id, t.attempt) end),
        error = case when t.state = 'failed' then coalesce(t.error, 'the task failed without saying why') else s.error end
    from conductor.tasks t
    where s.run_id = p_run and s.status in ('pending', 'running') and t.id = s.task_id
      and t.state in ('completed', 'failed', 'blocked', 'cancelled')
$$;

create or replace function conductor._dispatch(p_run bigint, p_steps text[]) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_model  text;
    v_step   text;
    v_prompt text;
    v_chat   bigint;
    v_parent bigint;
    v_task   bigint;
begin
    foreach v_step in array p_steps loop
        -- A launch above READ COMMITTED sees a text twice that flow_prune() has deleted and the launch stored again. A step
        -- whose text is gone fails below, by a constraint, rather than never to start.
        select r.model, s.chat_id, (select x.body from conductor.texts x where x.hash = s.prompt_hash limit 1)
        into v_model, v_chat, v_prompt
        from conductor.flow_steps s join conductor.flow_runs r on r.id = s.run_id
        where s.run_id = p_run and s.step_id = v_step;
        if v_chat is null then
            v_parent := null;
            insert into conductor.chats (run_id, step_id) values (p_run, v_step) returning id into v_chat;
        else
            v_parent := (select max(f.id) from conductor.tasks f where f.chat_id = v_chat);
        end if;
        insert into conductor.tasks (run_id, chat_id, parent_task_id, input, model)
        values (p_run, v_chat, v_parent, v_prompt, v_model) returning id into v_task;
        update conductor.flow_steps s
        set task_id = v_task, chat_id = v_chat, waiting = 0, output = null, error = null, note = null
        where s.run_id = p_run and s.step_id = v_step;
    end loop;
end
$$;

create or replace function conductor._code_step(p_run bigint, p_step text, p_role text, out report text, out failed boolean)
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_started timestamptz := conductor._now();
    v_output  text := '';
    v_error   text;
    v_detail  text;
begin
    begin
        case p_role
            when 'fold' then
                select conductor._fold(u.steps, u.outputs) into v_output from conductor._upstream(p_run, array(
                    select e.need from conductor.flow_edges e where e.run_id = p_run and e.step_id = p_step)) u;
            when 'merge_findings' then
                select conductor._merge_findings(u.steps, u.outputs, (
                    select p.value -> 'merge' from conductor.flow_runs r, jsonb_array_elements(r.plan -> 'steps') p
                    where r.id = p_run and p.value ->> 'id' = p_step)) into v_output
                from conductor._upstream(p_run, array(
                    select e.need from conductor.flow_edges e where e.run_id = p_run and e.step_id = p_step)) u;
            when 'fan_out' then
                v_output := conductor._step_fan_out(p_run, p_step);
            when 'render' then
                select conductor._report_markdown(d.data, d.outputs) into report
                from conductor._report_data(p_run, 'completed') d;
        end case;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error then
            raise;
        when others then
            get stacked diagnostics v_detail = pg_exception_detail;
            v_error := concat_ws(': ', sqlerrm, nullif(v_detail, ''));
    end;
    update conductor.flow_steps s
    set status = case when v_error is null then 'completed' else 'failed' end,
        output = case when v_error is null then v_output end,
        error = v_error, waiting = 0, started_at = v_started, ended_at = conductor._now()
    where s.run_id = p_run and s.step_id = p_step;
    failed := v_error is not null;
end
$$;

create or replace function conductor._run_end(p_run bigint, p_status text, p_error text, p_budget_spent boolean default false)
    returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_last   text;
    v_report text;
begin
    update conductor.flow_runs r
    set status = p_status, error = p_error, ended_at = conductor._now(), updated_at = conductor._now(),
        version = r.version + 1
    where r.id = p_run;

    perform conductor._settle_lagging(p_run);
    perform conductor._end_tasks(p_run, p_budget_spent);

    update conductor.flow_steps s
    set status = 'cancelled', ended_at = conductor._now()
    where s.run_id = p_run and s.status in ('pending', 'running')
      and not exists (select from conductor.tasks t where t.id = s.task_id and t.state in ('pending', 'running'));

    begin
        select conductor._report_markdown(d.data, d.outputs) into v_report from conductor._report_data(p_run, p_status) d;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error then
            raise;
        when others then
            -- Ending a run always works.
            v_report := format(E'# Run %s: %s\n\n%s\n\nThe report cannot be rendered: %s\n', p_run, p_status, p_error, sqlerrm);
    end;
    update conductor.flow_runs r set report = v_report where r.id = p_run;

    select s.step_id into v_last from conductor.flow_steps s
    where s.run_id = p_run order by s.ended_at desc nulls last, s.position desc limit 1;
    perform conductor._frame(p_run, 'flow_run_step_updated', jsonb_build_object(
        'run_id', p_run, 'step_id', v_last, 'status',
        (select s.status from conductor.flow_steps s where s.run_id = p_run and s.step_id = v_last),
        'run_status', p_status));
end
$$;

create or replace function conductor._run_advance_loop(
    p_run bigint, p_step text, p_status text default null, p_spent boolean default null
) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_settled text[] := array_remove(array[p_step], null);
    -- Whether one of them has not completed.
    v_failed  boolean := p_status in ('failed', 'cancelled');
    v_budget  boolean := p_spent;
    v_ready   text[];
    v_step    record;
    -- Of what is ready: whether some of it joins any of its needs, and whether all of it are agents without a condition.
    v_any     boolean := true;
    v_plain   boolean := false;
    -- What goes on waiting, and for how many fewer; and whether agents were dispatched: then something is left to be done.
    v_waiting text[];
    v_less    integer[];
    v_sent    boolean := false;
    v_bad     text;
    v_outcome text;
    v_why     text;
    v_report  text;
begin
    if p_step is null then
        update conductor.flow_runs r
        set version = r.version + 1, updated_at = conductor._now()
        where r.id = p_run and r.status = 'running'
        returning coalesce(r.total_tokens >= r.token_budget, false) into v_budget;
        if not found then
            return;
        end if;
    end if;
    -- A spent budget stops agents; what is left for the database itself is still done.
    if v_budget then
        if exists (
            select from conductor.flow_steps s where s.run_id = p_run and s.status in ('pending', 'running')
               and (s.kind = 'agent' or s.role = 'fan_out'))
        then
            perform conductor._run_end(p_run, 'failed', 'the token budget of the run is spent', true);
            return;
        end if;
    end if;

    if p_step is null then
        select array_agg(s.step_id order by s.position, length(s.step_id), s.step_id) into v_ready
        from conductor.flow_steps s left join conductor.tasks t on t.id = s.task_id
        where s.run_id = p_run and s.status = 'pending' and s.waiting = 0
          and (t.id is null or t.state in ('completed', 'failed', 'blocked', 'cancelled'));
    end if;

    loop
        if v_failed then
            -- A settled step that failed and that something cannot do without ends the run. Nothing unvalidated is ever
            -- presented as done, so a synthesizer, a validator and the render are such steps whatever joins them.
            select s.step_id, s.status, s.error into v_bad, v_outcome, v_why
            from conductor.flow_steps s
            where s.run_id = p_run and s.step_id = any (v_settled) and s.status in ('failed', 'cancelled')
              and (s.role in ('synthesizer', 'validator', 'render') or exists (
                  select from conductor.flow_edges e
                  join conductor.flow_steps d on d.run_id = e.run_id and d.step_id = e.step_id
                  where e.run_id = p_run and e.need = s.step_id and d.join_rule = 'all' and d.status = 'pending'))
            order by s.status = 'failed' desc, s.position limit 1;
            exit when found;
        end if;
        if cardinality(v_settled) > 0 then
            -- One probe for each settled step, and one for each that waits for it: lists in the conditions would read all
            -- edges and steps of the run.
            select array_agg(f.step_id order by f.position, length(f.step_id), f.step_id) filter (where f.waiting = f.n),
                   array_agg(f.step_id) filter (where f.waiting > f.n), array_agg(f.n) filter (where f.waiting > f.n),
                   bool_or(f.join_rule = 'any') filter (where f.waiting = f.n),
                   bool_and(f.kind = 'agent' and f.when_field is null) filter (where f.waiting = f.n)
            into v_ready, v_waiting, v_less, v_any, v_plain
            from (
                select e.step_id, count(*)::integer as n
                from unnest(v_settled) k (need) cross join lateral (
                    select f.step_id from conductor.flow_edges f
                    where f.run_id = p_run and f.need = k.need offset 0) e
                group by e.step_id) due
            cross join lateral (
                select d.step_id, d.status, d.waiting, d.position, d.join_rule, d.kind, d.when_field, due.n
                from conductor.flow_steps d where d.run_id = p_run and d.step_id = due.step_id offset 0) f
            where f.status = 'pending';
            -- What is ready is written by whoever starts or settles it.
            if v_waiting is not null then
                update conductor.flow_steps s set waiting = s.waiting - k.less
                from unnest(v_waiting, v_less) k (step_id, less)
                where s.run_id = p_run and s.step_id = k.step_id;
            end if;
        end if;
        v_settled := '{}';
        v_failed := false;
        exit when v_ready is null;
        -- A report that something follows is rendered again at the end.
        v_report := null;

        if v_any then
            -- A step that joins any of its needs cannot go without one that completed.
            for v_step in
                select s.step_id, bool_or(n.status = 'failed') or bool_and(n.status = 'skipped') as fails,
                       string_agg(n.step_id || ': ' || coalesce(n.error, n.status), '; ' order by n.position) as why
                from unnest(v_ready) k (step_id) cross join lateral (
                    select d.step_id from conductor.flow_steps d
                    where d.run_id = p_run and d.step_id = k.step_id and d.join_rule = 'any' offset 0) s
                cross join lateral (
                    select f.need from conductor.flow_edges f
                    where f.run_id = p_run and f.step_id = s.step_id offset 0) e
                cross join lateral (
                    select m.step_id, m.status, m.error, m.position from conductor.flow_steps m
                    where m.run_id = p_run and m.step_id = e.need offset 0) n
                group by s.step_id having not bool_or(n.status = 'completed')
            loop
                update conductor.flow_steps s
                set status = case when v_step.fails then 'failed' else 'cancelled' end, ended_at = conductor._now(),
                    waiting = 0, error = 'nothing that it joins has completed: ' || v_step.why
                where s.run_id = p_run and s.step_id = v_step.step_id;
                v_settled := v_settled || v_step.step_id;
                v_failed := true;
                v_ready := array_remove(v_ready, v_step.step_id);
            end loop;
        end if;

        if v_plain then
            perform conductor._dispatch(p_run, v_ready);
            v_sent := v_sent or cardinality(v_ready) > 0;
        else
            perform conductor._dispatch(p_run, array(
                select s.step_id from conductor.flow_steps s
                where s.run_id = p_run and s.step_id = any (v_ready) and s.kind = 'agent' and s.when_field is null));

            for v_step in
                select s.step_id, s.kind, s.role, s.when_field,
                       s.when_field is not null and not coalesce(o.status = 'completed'
                           and conductor._output_holds(o.output, split_part(s.when_field, '.', 2)), false)
                       -- A fan-out over what was decided against is decided against too.
                       or coalesce(f.status = 'skipped', false) as skipped
                from conductor.flow_steps s
                left join conductor.flow_steps o
                    on o.run_id = p_run and o.step_id = split_part(s.when_field, '.', 1)
                left join conductor.flow_steps f
                    on f.run_id = p_run and f.step_id = split_part(s.foreach_field, '.', 1)
                where s.run_id = p_run and s.step_id = any (v_ready) and (s.kind = 'code' or s.when_field is not null)
                order by s.role = 'render', s.position
            loop
                if v_step.skipped then
                    update conductor.flow_steps s set status = 'skipped', ended_at = conductor._now(), waiting = 0
                    where s.run_id = p_run and s.step_id = v_step.step_id;
                    v_settled := v_settled || v_step.step_id;
                elsif v_step.kind = 'agent' then
                    perform conductor._dispatch(p_run, array[v_step.step_id]);
                else
                    select c.report, v_failed or c.failed into v_why, v_failed
                    from conductor._code_step(p_run, v_step.step_id, v_step.role) c;
                    v_report := coalesce(v_why, v_report);
                    v_settled := v_settled || v_step.step_id;
                end if;
            end loop;
        end if;
        v_ready := null;
        exit when cardinality(v_settled) = 0;
    end loop;

    if v_bad is not null then
        perform conductor._run_end(p_run, v_outcome,
            case when v_outcome = 'failed' then format('step %s failed: %s', v_bad, v_why)
                 else format('step %s was cancelled', v_bad) end);
    elsif v_waiting is not null or v_sent then
        return;
    elsif not exists (
        select from conductor.flow_steps s where s.run_id = p_run and s.status in ('pending', 'running'))
    then
        perform conductor._run_complete(p_run, v_report);
    end if;
end
$$;

create or replace function conductor._run_complete(p_run bigint, p_report text) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_step   text;
    v_status text;
    v_error  text;
    v_report text := p_report;
begin
    select s.step_id, s.status, s.error into v_step, v_status, v_error
    from conductor.flow_steps s where s.run_id = p_run and s.role = 'render' order by s.position desc limit 1;
    if v_report is null and v_status = 'completed' then
        select c.report into v_report from conductor._code_step(p_run, v_step, 'render') c;
        select s.status, s.error into v_status, v_error
        from conductor.flow_steps s where s.run_id = p_run and s.step_id = v_step;
    end if;
    if v_report is null then
        perform conductor._run_end(p_run, 'failed', format('step %s %s: %s', v_step, v_status, coalesce(v_error, '')));
        return;
    end if;
    update conductor.flow_runs r
    set status = 'completed', report = v_report, ended_at = conductor._now(), updated_at = conductor._now()
    where r.id = p_run;
    perform conductor._frame(p_run, 'flow_run_step_updated', jsonb_build_object(
        'run_id', p_run, 'step_id', v_step, 'status', v_status, 'run_status', 'completed'));
end
$$;

create or replace function conductor._report_data(
    p_run bigint, p_status text default null, p_outputs boolean default true, out data jsonb, out outputs text[]
)
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    select jsonb_build_object(
        'run', jsonb_build_object(
            'run_id', r.id, 'flow_name', r.flow_name, 'band', r.band, 'fast', r.fast,
            'status', coalesce(p_status, r.status), 'model', r.model, 'question', r.input ->> 'question',
            'project', r.project_name, 'commit', r.commit, 'tree_digest', r.tree_digest,
            'snapshot_notes', r.snapshot_notes, 'base', r.input ->> 'base',
            'forked_from', r.forked_from, 'forked_at', r.forked_at,
            'documents', (select jsonb_agg(jsonb_build_object('name', d.value -> 'name',
                                                              'bytes', octet_length(d.value ->> 'text')) order by d.n)
                          from jsonb_array_elements(r.input -> 'documents') with ordinality d (value, n)), 'launched_by', r.launched_by,
            'created_at', conductor._timestamp(r.created_at),
            'ended_at', conductor._timestamp(case when p_status is null then r.ended_at else conductor._now() end),
            'wall_seconds', extract(epoch from case when p_status is null then coalesce(r.ended_at, conductor._now())
                                                    else conductor._now() end - r.created_at),
            'input_tokens', r.input_tokens, 'output_tokens', r.output_tokens,
            'citations_total', c.total, 'citations_broken', c.broken, 'error', r.error, 'plan', r.plan),
        'steps', c.steps), c.outputs
    into data, outputs
    from conductor.flow_runs r
    cross join lateral (
        select coalesce(sum(s.citations_total), 0) as total, coalesce(sum(s.citations_broken), 0) as broken,
               jsonb_agg(jsonb_build_object(
                   'step_id', s.step_id, 'label', s.label, 'kind', s.kind, 'role', s.role, 'persona', s.persona,
                   'prefix', s.prefix,
                   'status', case when s.role = 'render' and p_status = 'completed' then 'completed' else s.status end,
                   'attempts', coalesce(t.attempt, 0),
                   'seconds', extract(epoch from s.ended_at - s.started_at), 'tokens', s.total_tokens,
                   'error', s.error, 'note', s.note, 'citations', s.citations)
                   order by s.position, length(s.step_id), s.step_id) as steps,
               -- The fold repeats what its inputs say.
               array_agg(case when p_outputs and s.role <> 'fold' then s.output end
                         order by s.position, length(s.step_id), s.step_id) as outputs
        from conductor.flow_steps s left join conductor.tasks t on t.id = s.task_id
        where s.run_id = r.id) c
    where r.id = p_run;
end
$$;

create or replace function conductor.project_register(name text, root text) returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_root text := regexp_replace(project_register.root, '(?<=.)/+$', '');
    v_id   bigint;
begin
    if project_register.name is null or project_register.name !~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$' then
        raise exception using errcode = '22023',
            message = 'not a project name',
            detail = format('name: %s', coalesce(quote_literal(project_register.name), 'null')),
            hint = 'use 1 to 63 letters, digits, dots, dashes and underscores, beginning with a letter or digit';
    end if;
    if v_root is null or v_root !~ '^/' or v_root ~ '(^|/)[.][.]?(/|$)' or v_root ~ '[[:cntrl:]]' then
        raise exception using errcode = '22023',
            message = 'a project root must be a plain absolute path',
            detail = format('root: %s', coalesce(quote_literal(project_register.root), 'null')),
            hint = 'give the directory as the workers see it, for instance /srv/shop, without . or .. in it';
    end if;
    insert into conductor.projects as p (name, root, registered_by)
    values (project_register.name, v_root, conductor._caller())
    on conflict on constraint projects_name_key do update set root = excluded.root, registered_by = excluded.registered_by
    returning p.id into v_id;
    return v_id;
end
$$;

create or replace function conductor._require_grant(p_project conductor.projects) returns void
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    if not conductor._may_use_project(p_project.id, conductor._caller()) then
        raise exception using errcode = '42501',
            message = 'the project was not granted to you',
            detail = format('project: %s, role: %s', p_project.name, conductor._caller()),
            hint = 'an operator grants it with project_grant(project, role)';
    end if;
end
$$;

create or replace function conductor._check_input(p_input jsonb) returns void
    language plpgsql immutable
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_document record;
    v_wrong    text;
begin
    if p_input is null then
        return;
    end if;
    if jsonb_typeof(p_input) <> 'object' then
        v_wrong := format('input: %s', jsonb_typeof(p_input));
    elsif not conductor._json_readable(p_input::text) then
        v_wrong := 'input: nested too deeply, or a number out of range';
    elsif p_input ? 'question' then
        v_wrong := 'input.question: the question is an argument of its own';
    elsif p_input ? 'base' and (jsonb_typeof(p_input -> 'base') <> 'string'
            or p_input ->> 'base' !~ '^[A-Za-z0-9_][A-Za-z0-9_./@{}^~-]{0,199}$') then
        v_wrong := format('input.base: %s', p_input -> 'base');
    elsif p_input ? 'documents' and jsonb_typeof(p_input -> 'documents') <> 'array' then
        v_wrong := format('input.documents: %s', jsonb_typeof(p_input -> 'documents'));
    elsif p_input ? 'documents' then
        for v_document in
            select d.value, d.n from jsonb_array_elements(p_input -> 'documents') with ordinality d (value, n)
        loop
            if jsonb_typeof(v_document.value) <> 'object'
                or jsonb_typeof(v_document.value -> 'name') is distinct from 'string'
                or jsonb_typeof(v_document.value -> 'text') is distinct from 'string'
                or v_document.value ->> 'name' !~ E'\\S'
            then
                v_wrong := format('input.documents[%s]: %s', v_document.n - 1, left(v_document.value::text, 120));
                exit;
            end if;
        end loop;
    end if;
    if v_wrong is not null then
        raise exception using errcode = '22023',
            message = 'the input of a run is not in the form it must have',
            detail = v_wrong,
            hint = 'give input => ''{"documents": [{"name": "spec.md", "text": "…"}], "base": "main"}''';
    end if;
end
$$;

create or replace function conductor.flow_launch(
    flow text, question text, project text default null, band text default 'small', fast boolean default false,
    model text default null, input jsonb default null, launch_key text default null, token_budget bigint default null
) returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    v_project  conductor.projects;
    v_settings conductor.settings;
    v_run      bigint;
begin
    if flow_launch.question is null or flow_launch.question !~ E'\\S' then
        raise exception using errcode = '22023',
            message = 'the question is empty',
            detail = format('flow: %s', coalesce(flow_launch.flow, 'null')),
            hint = 'say in a sentence what the run should find out';
    end if;
    select * into strict v_settings from conductor.settings;
    if octet_length(flow_launch.question) > v_settings.max_prompt_bytes / 2 then
        raise exception using errcode = '54000',
            message = 'the question is too long',
            detail = format('question: %s bytes, at most: %s', octet_length(flow_launch.question),
                v_settings.max_prompt_bytes / 2),
            hint = 'ask in short, and provide long material as input.documents';
    end if;
    if flow_launch.token_budget <= 0 then
        raise exception using errcode = '22023',
            message = 'a token budget must be positive',
            detail = format('token_budget: %s', flow_launch.token_budget),
            hint = 'leave it out for a run without a budget';
    end if;
    if flow_launch.model is not null and flow_launch.model !~ '^[[:graph:]]{1,200}$' then
        raise exception using errcode = '22023',
            message = 'not a model name', detail = format('model: %s', quote_literal(flow_launch.model)),
            hint = 'name a model as its server lists it, or leave it out for the default of conductor.settings';
    end if;
    perform conductor._check_input(flow_launch.input);
    if flow_launch.project is not null then
        select * into v_project from conductor.projects p where p.name = flow_launch.project;
        if not found then
            perform conductor._unknown_project(flow_launch.project);
        end if;
        perform conductor._require_grant(v_project);
    end if;

    if flow_launch.launch_key is null or not exists (
        select from conductor.flow_runs r
        where r.launched_by = conductor._caller() and r.launch_key = flow_launch.launch_key)
    then
        v_run := conductor._run_insert(
            conductor._flow_expand(
                flow_launch.flow,
                (select d.definition from conductor.flow_definitions d where d.name = flow_launch.flow),
                conductor._user_personas(),
                jsonb_build_object(
                    'question', flow_launch.question, 'band', coalesce(flow_launch.band, 'small'),
                    'fast', coalesce(flow_launch.fast, false), 'project', flow_launch.project,
                    'base', flow_launch.input -> 'base',
                    'documents', coalesce(flow_launch.input -> 'documents', '[]'))),
            coalesce(flow_launch.input, '{}') || jsonb_build_object('question', flow_launch.question),
            v_project, coalesce(flow_launch.model, v_settings.model), flow_launch.launch_key, flow_launch.token_budget);
    end if;
    if v_run is null then
        select r.id into v_run from conductor.flow_runs r
        where r.launched_by = conductor._caller() and r.launch_key = flow_launch.launch_key;
    else
        perform conductor._warn_no_document(v_run);
        perform conductor._warn_unserved(v_run);
    end if;
    return v_run;
end
$$;

create or replace function conductor._unserved(p_run bigint) returns text
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run  record;
    v_live bigint[];
    v_fit  bigint[];
    v_why  text;
begin
    select r.project_name, r.project_root, r.model into v_run from conductor.flow_runs r where r.id = p_run;
    if (select s.home from conductor.settings s) <> conductor._home() then
        return 'this database is a copy: flow_resume() lets it dispatch';
    end if;
    -- The transaction may have begun long ago: what sessions do is looked at anew.
    perform pg_stat_clear_snapshot();
    v_live := array(select w.id from conductor.workers w where conductor._is_live(w));
    if v_live = '{}' then
        return 'no worker is alive: start one with conductor worker';
    end if;
    if not exists (select from conductor.workers w where w.id = any (v_live) and conductor._agrees(w.version)) then
        return (select format('worker and extension are of different versions (%s, extension %s): install the same of both',
                    string_agg(distinct w.version, ', '), max(e.extversion))
                from conductor.workers w, pg_catalog.pg_extension e
                where w.id = any (v_live) and e.extname = 'conductor');
    end if;
    v_fit := array(select w.id from conductor.workers w
                   where w.id = any (v_live) and w.healthy and conductor._agrees(w.version));
    if v_fit = '{}' then
        select string_agg(distinct coalesce(c.value ->> 'detail', c.value ->> 'name'), '; ') into v_why
        from conductor.workers w, jsonb_path_query(w.self_check, '$.checks[*] ? (@.ok == false)') c (value)
        where w.id = any (v_live);
        return 'no worker is fit to run: ' || coalesce(v_why, 'see self_check in conductor.workers');
    end if;
    if not exists (select from conductor.workers w where w.id = any (v_fit)
                   and conductor._serves(w, v_run.project_root, v_run.model)) then
        if exists (select from conductor.workers w where w.id = any (v_fit)
                   and conductor._serves(w, v_run.project_root, null)) then
            return format('no live worker serves model %s', v_run.model);
        end if;
        return format('no live worker serves root %s (its --allow-root list)', v_run.project_root);
    end if;
    return null;
end
$$;

create or replace function conductor.flow_define(definition jsonb) returns text
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_definition jsonb := conductor._flow_validate(coalesce(flow_define.definition, '{}'), conductor._user_personas());
    v_name       text := v_definition ->> 'name';
begin
    if exists (select from conductor._builtin_flows() b where b.name = v_name) then
        raise exception using errcode = '42710',
            message = 'a built-in flow has this name', detail = format('name: %s', v_name),
            hint = 'give the flow another name';
    end if;
    insert into conductor.flow_definitions as d (name, definition, defined_by)
    values (v_name, v_definition, conductor._caller())
    on conflict on constraint flow_definitions_pkey do update
    set definition = excluded.definition, defined_by = excluded.defined_by, defined_at = conductor._now()
    where d.defined_by = excluded.defined_by or conductor._is_operator(excluded.defined_by);
    if not found then
        raise exception using errcode = '42501',
            message = 'somebody else has defined this flow', detail = format('name: %s', v_name),
            hint = 'choose another name, or ask an operator';
    end if;
    return v_name;
end
$$;

create or replace function conductor.persona_define(name text, description text, body text, prefix text default null) returns text
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_prefix text := coalesce(persona_define.prefix, upper(left(regexp_replace(persona_define.name,
        '([a-z0-9])[a-z0-9]*(-|$)', E'\\1', 'g'), 4)));
begin
    if coalesce(persona_define.name, '') !~ '^[a-z][a-z0-9-]{0,39}$' or coalesce(persona_define.body, '') !~ E'\\S'
        or coalesce(persona_define.description, '') !~ E'\\S' or v_prefix !~ '^[A-Z]{1,4}$'
    then
        raise exception using errcode = '22023',
            message = 'not a persona',
            detail = format('name: %s, prefix: %s, description: %s characters, body: %s characters',
                coalesce(quote_literal(persona_define.name), 'null'), v_prefix,
                coalesce(length(persona_define.description), 0), coalesce(length(persona_define.body), 0)),
            hint = 'a name of a-z, 0-9 and -, a prefix of 1 to 4 capital letters, a description and a body';
    end if;
    if exists (select from conductor._builtin_personas() b where b.name = persona_define.name) then
        raise exception using errcode = '42710',
            message = 'a built-in persona has this name', detail = format('name: %s', persona_define.name),
            hint = 'give the persona another name';
    end if;
    insert into conductor.persona_definitions as d (name, description, prefix, body, defined_by)
    values (persona_define.name, persona_define.description, v_prefix, persona_define.body, conductor._caller())
    on conflict on constraint persona_definitions_pkey do update
    set description = excluded.description, prefix = excluded.prefix, body = excluded.body,
        defined_by = excluded.defined_by, defined_at = conductor._now()
    where d.defined_by = excluded.defined_by or conductor._is_operator(excluded.defined_by);
    if not found then
        raise exception using errcode = '42501',
            message = 'somebody else has defined this persona', detail = format('name: %s', persona_define.name),
            hint = 'choose another name, or ask an operator';
    end if;
    return persona_define.name;
end
$$;

create or replace function conductor._over_limits(p_run bigint) returns text
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select case
        when k.of_run >= s.max_running_per_run then
            format('waits for another step of its run: %s run, and no more may (max_running_per_run)', k.of_run)
        when k.of_all >= s.max_running then
            format('waits for steps of any run: %s run, and no more may (max_running)', k.of_all) end
    from conductor.settings s, (
        select count(*) as of_all, count(*) filter (where t.run_id = p_run) as of_run
        from conductor.tasks t where t.state = 'running') k
$$;

create or replace function conductor._doing(p_step conductor.flow_steps) returns text
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_task  record;
    v_frame record;
begin
    if p_step.status in ('failed', 'cancelled') then
        return p_step.error;
    elsif p_step.status in ('completed', 'skipped') then
        return p_step.note;
    end if;
    if p_step.task_id is null then
        return case when p_step.waiting > 0 then 'waits for ' || (
            select string_agg(n.step_id, ', ' order by n.position, length(n.step_id), n.step_id)
            from conductor.flow_edges e
            join conductor.flow_steps n on n.run_id = e.run_id and n.step_id = e.need
            where e.run_id = p_step.run_id and e.step_id = p_step.step_id and n.status in ('pending', 'running')) end;
    end if;
    select t.state, t.attempt, t.error, t.available_at into v_task from conductor.tasks t where t.id = p_step.task_id;
    if v_task.state = 'pending' then
        return case
            when v_task.available_at > conductor._now() then
                format('next attempt at %s after: %s', to_char(v_task.available_at, 'HH24:MI:SS'), v_task.error)
            else coalesce(conductor._unserved(p_step.run_id), conductor._over_limits(p_step.run_id),
                'waits for a free slot') end;
    end if;
    select f.type, f.payload into v_frame from conductor.frames f
    where f.task_id = p_step.task_id and f.type <> 'usage' order by f.seq desc limit 1;
    return case v_frame.type
        when 'tool_call' then concat_ws(' ', v_frame.payload ->> 'name', left(coalesce(
            v_frame.payload #>> '{input,file_path}', v_frame.payload #>> '{input,pattern}',
            v_frame.payload #>> '{input,path}'), 120))
        when 'tool_result' then 'reads what its tool returned'
        when 'reasoning_delta' then 'thinks'
        when 'delta' then 'writes its reply'
        when 'error' then case when v_frame.payload ? 'retried' then 'waits for the model'
                               else left(v_frame.payload ->> 'message', 200) end
        else 'waits for the model' end;
end
$$;

create or replace function conductor.flow_status(run bigint)
    returns table (step_id text, label text, persona text, state text, elapsed interval, attempt integer,
                   doing text, tokens bigint, progress text)
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._require_run(flow_status.run);
    return query
    select s.step_id, s.label, s.persona, s.status,
           date_trunc('second', coalesce(s.ended_at, conductor._now()) - s.started_at),
           t.attempt, conductor._doing(s), s.total_tokens,
           case when s.status = 'running' then concat_ws(', ',
                    case f.tools when 0 then null when 1 then '1 tool call' else f.tools || ' tool calls' end, nullif(f.chars, 0) || ' characters')
                -- Its size, unlike its length, is known without reading it.
                when octet_length(s.output) > 0 and s.kind = 'agent' then pg_size_pretty(octet_length(s.output)::bigint) end
    from conductor.flow_steps s
    left join conductor.tasks t on t.id = s.task_id
    left join lateral (
        select count(*) filter (where f.type = 'tool_call') as tools,
               coalesce(sum(length(f.payload ->> 'text')) filter (where f.type = 'delta'), 0) as chars
        from conductor.frames f
        where f.task_id = t.id and f.attempt = t.attempt and t.state = 'running') f on true
    where s.run_id = flow_status.run
    order by s.position, length(s.step_id), s.step_id;
end
$$;

create or replace function conductor.flow_history(project text default null, max_rows integer default 50)
    returns table (run_id bigint, flow text, band text, status text, project_name text, question text, launched_by text,
                   created_at timestamptz, elapsed interval, tokens bigint)
    language sql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
    select r.id, r.flow_name, r.band, r.status, r.project_name, left(r.input ->> 'question', 200), r.launched_by,
           r.created_at, date_trunc('second', coalesce(r.ended_at, conductor._now()) - r.created_at), r.total_tokens
    from conductor.flow_runs r
    where (flow_history.project is null or r.project_name = flow_history.project)
      and (r.launched_by = (select conductor._caller()) or (select conductor._is_operator(conductor._caller())))
    order by r.created_at desc, r.id desc
    limit greatest(1, least(coalesce(flow_history.max_rows, 50), 1000))
$$;

create or replace function conductor.worker_register(
    name text, host text, pid integer, version text, slots integer, roots text[], models text[], self_check jsonb
) returns jsonb
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_version text := (select e.extversion from pg_catalog.pg_extension e where e.extname = 'conductor');
    v_former  integer;
    v_id      bigint;
begin
    if coalesce(worker_register.name, '') !~ '\S' or coalesce(worker_register.host, '') !~ '\S'
        or worker_register.pid is null or coalesce(worker_register.slots, -1) < 0
    then
        raise exception using errcode = '22023',
            message = 'a worker needs a name, a host, a pid and slots',
            detail = format('name: %s, host: %s, pid: %s, slots: %s', worker_register.name, worker_register.host,
                worker_register.pid, worker_register.slots),
            hint = 'conductor worker gives them';
    end if;
    perform conductor._require_version(worker_register.version);
    select w.pid into v_former from conductor.workers w
    where w.host = worker_register.host and w.name = worker_register.name for update;

    insert into conductor.workers as w (name, host, pid, version, slots, roots, models, self_check, healthy)
    values (worker_register.name, worker_register.host, worker_register.pid, worker_register.version,
            worker_register.slots, array(select r.root from unnest(worker_register.roots) r (root) where r.root ~ '^/'), coalesce(worker_register.models, '{}'),
            coalesce(worker_register.self_check, '{}'), coalesce(worker_register.self_check -> 'ok' = 'true', false))
    on conflict on constraint workers_host_name_key do update
    set pid = excluded.pid, version = excluded.version, slots = excluded.slots, roots = excluded.roots,
        models = excluded.models, self_check = excluded.self_check, healthy = excluded.healthy,
        started_at = case when w.pid = excluded.pid then w.started_at else conductor._now() end,
        seen_at = conductor._now()
    returning w.id into v_id;

    if v_former is distinct from worker_register.pid then
        perform conductor._rescue(v_id);
    end if;
    return (
        select jsonb_build_object(
            'worker_id', v_id, 'extension_version', v_version,
            'system_identifier', split_part(conductor._home(), '/', 1),
            'lease_seconds', extract(epoch from s.lease), 'settings', conductor._limits())
        from conductor.settings s);
end
$$;

create or replace function conductor._rescue(
    p_worker bigint default null, p_spare bigint default null, p_deaths integer default 1
) returns integer
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run   bigint;
    v_count integer := 0;
    v_taken integer;
    v_lease interval := (select s.lease from conductor.settings s);
    v_lost  bigint[];
    v_since timestamptz;
begin
    -- After a restart every worker first gets the time of a lease to find its way back. The WAL writer begins when writes
    -- are taken: also after a crash that the postmaster outlived, and when a standby was promoted.
    select greatest(pg_postmaster_start_time(), max(a.backend_start)) into v_since
    from pg_catalog.pg_stat_activity a where a.backend_type = 'walwriter';
    if p_worker is null and v_since > conductor._now() - v_lease then
        return 0;
    end if;
    select array_agg(t.id) into v_lost from conductor.tasks t
    where t.state = 'running'
      and case when p_worker is null
               then t.lease_expires_at < conductor._now() - case when t.worker_id = p_spare then v_lease else interval '0' end
               else t.worker_id = p_worker end;
    for v_run in
        select t.run_id from conductor.tasks t where t.id = any (v_lost)
        group by t.run_id order by t.run_id
    loop
        perform 1 from conductor.flow_runs r where r.id = v_run for no key update skip locked;
        continue when not found;
        if exists (select from conductor.flow_runs r where r.id = v_run and r.status <> 'running') then
            perform conductor._end_tasks(v_run);
            continue;
        end if;
        update conductor.tasks t
        set state = case when p_deaths > 0 and t.deaths + p_deaths >= (r.limits ->> 'max_deaths')::integer then 'failed' else 'pending' end,
            deaths = t.deaths + p_deaths, lease = null, worker_id = null,
            error = case when p_deaths > 0 and t.deaths + p_deaths >= (r.limits ->> 'max_deaths')::integer
                         then format('%s workers were lost while they ran this step', t.deaths + p_deaths)
                         else 'the worker was lost' end
        from conductor.flow_runs r
        where r.id = v_run and t.id in (
            select u.id from conductor.tasks u
            where u.run_id = v_run and u.state = 'running' and u.id = any (v_lost)
              -- It may have been renewed or given away meanwhile.
              and (u.worker_id = p_worker or p_worker is null and u.lease_expires_at < conductor._now())
            order by u.id for update skip locked);
        get diagnostics v_taken = row_count;
        v_count := v_count + v_taken;
    end loop;
    return v_count;
end
$$;

create or replace function conductor.task_claim(worker bigint, slots integer)
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

create or replace function conductor._claim_one(p_run bigint, p_worker conductor.workers, p_settings conductor.settings)
    returns bigint
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run  record;
    v_task bigint;
begin
    -- Most runs that are passed over are so without a lock.
    select r.status, r.project_root, r.model into v_run from conductor.flow_runs r where r.id = p_run;
    if not found or v_run.status <> 'running' or not conductor._serves(p_worker, v_run.project_root, v_run.model) then
        return null;
    end if;
    select r.status, r.project_root, r.model, r.snapshot_host, (r.limits ->> 'step_timeout_s')::double precision as timeout
    into v_run
    from conductor.flow_runs r where r.id = p_run for no key update skip locked;
    if not found or v_run.status <> 'running' then
        return null;
    end if;
    -- A run stays with the host that holds its snapshot while a worker that could go on with it lives there.
    if v_run.snapshot_host <> p_worker.host then
        if exists (
            select from conductor.workers w
            where w.host = v_run.snapshot_host and conductor._is_fit(w)
              and conductor._serves(w, v_run.project_root, v_run.model))
        then
            return null;
        end if;
    end if;
    if (select count(*) from conductor.tasks t where t.run_id = p_run and t.state = 'running')
        >= p_settings.max_running_per_run
    then
        return null;
    end if;
    update conductor.tasks t
    set state = 'running', attempt = t.attempt + 1, lease = gen_random_uuid(), session_id = gen_random_uuid(),
        lease_expires_at = conductor._now() + p_settings.lease,
        deadline_at = conductor._now() + make_interval(secs => v_run.timeout),
        worker_id = p_worker.id, started_at = coalesce(t.started_at, conductor._now())
    where t.id = (
        select u.id from conductor.tasks u
        where u.run_id = p_run and u.state = 'pending' and u.available_at <= conductor._now()
        order by u.id limit 1 for update skip locked)
    returning t.id into v_task;
    return v_task;
end
$$;

create or replace function conductor._require_version(p_version text) returns void
    language plpgsql stable
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    if not conductor._agrees(p_version) then
        raise exception using errcode = '55000',
            message = 'the worker and the extension are of different versions',
            detail = (select format('worker: %s, extension: %s', p_version, e.extversion)
                      from pg_catalog.pg_extension e where e.extname = 'conductor'),
            hint = 'install the same version of both, then ALTER EXTENSION conductor UPDATE';
    end if;
end
$$;

create or replace function conductor._note_session(p_worker conductor.workers, p_lease interval) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    if p_worker.session_pid = pg_backend_pid() and conductor._asked_since(p_worker, conductor._now() - p_lease) then
        return;
    end if;
    update conductor.workers w
    set seen_at = conductor._now(), session_pid = a.pid, session_start = a.backend_start
    from pg_catalog.pg_stat_get_activity(pg_backend_pid()) a
    where w.id = p_worker.id;
    if not found then
        raise exception using errcode = 'P0002', message = 'no such worker',
            detail = format('worker: %s', p_worker.id), hint = 'call worker_register() first';
    end if;
end
$$;

create or replace function conductor._is_stream(p_events jsonb) returns boolean
    language plpgsql immutable
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(jsonb_typeof(p_events) = 'array', false) and not exists (
        select from jsonb_array_elements(case jsonb_typeof(p_events) when 'array' then p_events else '[]' end) e
        where jsonb_typeof(e.value) <> 'object' or coalesce(e.value ->> 'type', '') not in (
            'message_started', 'delta', 'reasoning_delta', 'tool_call', 'tool_result', 'usage', 'error'));
end
$$;

create or replace function conductor._stream(p_tasks bigint[], p_leases uuid[], p_events jsonb[], p_wait boolean)
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

create or replace function conductor.task_stream(task bigint, lease uuid, events jsonb) returns void
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    v_verdict text;
begin
    select s.verdict into v_verdict
    from conductor._stream(array[task_stream.task], array[task_stream.lease], array[task_stream.events], true) s;
    if v_verdict = 'refused' then
        raise exception using errcode = '22023',
            message = 'not the events of a stream',
            detail = format('task: %s, events: %s', task_stream.task, left(task_stream.events::text, 200)),
            hint = 'send a JSON array of objects whose type is message_started, delta, reasoning_delta, tool_call, '
                || 'tool_result, usage or error';
    elsif v_verdict <> 'stored' then
        perform conductor._stale_lease(task_stream.task);
    end if;
end
$$;

create or replace function conductor.task_heartbeat(worker bigint, leases uuid[])
    returns table (lease uuid, verdict text)
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run bigint;
begin
    perform conductor._require_home();
    update conductor.workers w set seen_at = conductor._now() where w.id = task_heartbeat.worker;
    if not found then
        raise exception using errcode = 'P0002', message = 'no such worker',
            detail = format('worker: %s', task_heartbeat.worker), hint = 'call worker_register() first';
    end if;
    -- A task that is locked is being finished or cancelled; the next beat sees what became of it.
    update conductor.tasks t
    set lease_expires_at = conductor._now() + s.lease
    from conductor.settings s
    where t.id in (
        select u.id from conductor.tasks u
        where u.worker_id = task_heartbeat.worker and u.state = 'running' and u.lease = any (task_heartbeat.leases)
        order by u.id for update skip locked);
    -- Only passing over what is locked from here on: tasks are held already.
    if exists (select from conductor.tasks t where t.state = 'running' and t.lease_expires_at < conductor._now()) then
        perform conductor._rescue();
    end if;
    -- Tasks that outlived their run because somebody had them locked when it ended.
    for v_run in
        select r.id from conductor.tasks t join conductor.flow_runs r on r.id = t.run_id
        where t.worker_id = task_heartbeat.worker and t.state = 'running' and r.status <> 'running'
        group by r.id order by r.id
    loop
        perform 1 from conductor.flow_runs r where r.id = v_run for no key update skip locked;
        if found then
            perform conductor._end_tasks(v_run);
        end if;
    end loop;
    return query
    select l.lease, case when t.state = 'cancelled' or r.status = 'cancelled' then 'cancel' else 'lost' end
    from unnest(task_heartbeat.leases) l (lease)
    left join conductor.tasks t on t.worker_id = task_heartbeat.worker and t.lease = l.lease
    left join conductor.flow_runs r on r.id = t.run_id
    where t.id is null or t.state <> 'running' or r.status <> 'running';
end
$$;

create or replace function conductor.task_finish(
    task bigint, lease uuid, state text, output text default null, error text default null, usage jsonb default null,
    citations jsonb default null, retryable boolean default false, note text default null
) returns text
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    v_run    bigint;
    v_limits jsonb;
    v_status text;
    v_task   record;
    v_state  text := task_finish.state;
    v_error  text := task_finish.error;
    v_cited  jsonb := conductor._citations(task_finish.citations);
    -- Of a long output, no more is looked at than can be kept.
    v_summary text := left(btrim(left(task_finish.output, 4000)), 500);
    v_input  bigint := conductor._count(task_finish.usage -> 'input_tokens');
    v_output bigint := conductor._count(task_finish.usage -> 'output_tokens');
begin
    if v_state is null or v_state not in ('completed', 'failed', 'cancelled') then
        raise exception using errcode = '22023', message = 'not a state that an attempt can end in',
            detail = format('state: %s', coalesce(v_state, 'null')), hint = 'completed, failed or cancelled';
    end if;
    select t.run_id into v_run from conductor.tasks t where t.id = task_finish.task and t.lease = task_finish.lease;
    if not found then
        perform conductor._stale_lease(task_finish.task);
    end if;
    select r.limits, r.status into v_limits, v_status from conductor.flow_runs r where r.id = v_run for no key update;
    select t.state, t.attempt, t.deaths, t.lease into v_task
    from conductor.tasks t where t.id = task_finish.task for update;
    if v_task.lease is distinct from task_finish.lease then
        perform conductor._stale_lease(task_finish.task);
    elsif v_task.state <> 'running' then
        return v_task.state;
    end if;

    if v_status <> 'running' then
        -- The task outlived its run because somebody had it locked when the run ended.
        v_state := 'cancelled';
    elsif v_state = 'completed' and coalesce(task_finish.output, '') !~ '\S' then
        v_state := 'failed';
        v_error := 'the reply was empty';
    elsif v_state = 'completed' and octet_length(task_finish.output) > (v_limits ->> 'max_output_bytes')::bigint then
        v_state := 'failed';
        v_error := format('the output is too large: %s bytes, max_output_bytes: %s',
            octet_length(task_finish.output), v_limits ->> 'max_output_bytes');
    end if;
    if v_state = 'failed' and (task_finish.retryable or v_error = 'the reply was empty')
        and v_task.attempt - v_task.deaths < (v_limits ->> 'max_attempts')::integer
    then
        v_state := 'pending';
    end if;

    if v_state = 'completed' then
        -- The task first, then its step, each written once; the triggers of both follow in this order.
        with ended as (
            update conductor.tasks t
            set state = 'completed', error = null, output_summary = v_summary, cost_tokens = t.cost_tokens + v_input + v_output
            where t.id = task_finish.task
            returning t.id
        )
        update conductor.flow_steps s
        set status = case when s.status in ('pending', 'running') then 'completed' else s.status end,
            ended_at = coalesce(s.ended_at, conductor._now()),
            output = task_finish.output, error = null, note = left(task_finish.note, 1000),
            citations = v_cited,
            citations_total = coalesce((v_cited ->> 'total')::integer, 0),
            citations_broken = coalesce(jsonb_array_length(v_cited -> 'broken'), 0),
            input_tokens = s.input_tokens + v_input, output_tokens = s.output_tokens + v_output,
            total_tokens = s.total_tokens + v_input + v_output
        from ended e
        where s.run_id = v_run and s.task_id = e.id;
        return v_state;
    end if;

    -- What it cost is counted before its end is told, which may end the run.
    update conductor.flow_steps s
    set status = s.status, output = case when v_state = 'pending' then s.output else task_finish.output end,
        note = null,
        citations = v_cited,
        citations_total = coalesce((v_cited ->> 'total')::integer, 0),
        citations_broken = coalesce(jsonb_array_length(v_cited -> 'broken'), 0),
        input_tokens = s.input_tokens + v_input, output_tokens = s.output_tokens + v_output,
        total_tokens = s.total_tokens + v_input + v_output
    where s.run_id = v_run and s.task_id = task_finish.task;
    update conductor.tasks t
    set state = v_state, error = v_error, output_summary = v_summary, cost_tokens = t.cost_tokens + v_input + v_output,
        lease = case when v_state = 'pending' then null else t.lease end,
        worker_id = case when v_state = 'pending' then null else t.worker_id end,
        available_at = case when v_state = 'pending' then conductor._now() + (
            -- Doubles with each attempt, with jitter, so that what failed together is not tried again together.
            select s.retry_backoff * power(2, greatest(v_task.attempt - v_task.deaths - 1, 0)) * (0.5 + random())
            from conductor.settings s) else t.available_at end
    where t.id = task_finish.task;
    -- A failure that would be tried again settles nothing, so the advance does not look at the budget.
    if v_state = 'pending' and exists (
        select from conductor.flow_runs r where r.id = v_run and r.total_tokens >= r.token_budget)
    then
        perform conductor._run_end(v_run, 'failed', 'the token budget of the run is spent', true);
        v_state := 'blocked';
    end if;
    return v_state;
end
$$;

create or replace function conductor.run_snapshot(
    task bigint, lease uuid, commit text, tree_digest text, host text, notes jsonb default '[]'
) returns boolean
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run   bigint;
    v_agree boolean;
    v_note  jsonb := jsonb_build_array(format(
        'the project changed during the run: a later snapshot has digest %s', run_snapshot.tree_digest));
begin
    select t.run_id into v_run from conductor.tasks t
    where t.id = run_snapshot.task and t.lease = run_snapshot.lease;
    perform 1 from conductor.flow_runs r where r.id = v_run for no key update;
    -- The task may have been taken back while the run was waited for.
    perform 1 from conductor.tasks t
    where t.id = run_snapshot.task and t.lease = run_snapshot.lease and t.state = 'running';
    if not found then
        perform conductor._stale_lease(run_snapshot.task);
    end if;
    if run_snapshot.tree_digest is null or run_snapshot.host is null then
        raise exception using errcode = '22023',
            message = 'a snapshot needs a digest and a host', detail = format('task: %s', run_snapshot.task),
            hint = 'say what was read and where';
    end if;
    select coalesce(r.tree_digest = run_snapshot.tree_digest, true) into v_agree
    from conductor.flow_runs r where r.id = v_run;
    update conductor.flow_runs r
    set commit = coalesce(r.commit, run_snapshot.commit),
        tree_digest = coalesce(r.tree_digest, run_snapshot.tree_digest),
        snapshot_host = run_snapshot.host,
        snapshot_notes = case
            when r.tree_digest is null then coalesce(run_snapshot.notes, '[]')
            when not v_agree and not r.snapshot_notes @> v_note then r.snapshot_notes || v_note
            else r.snapshot_notes end
    where r.id = v_run
      and (r.tree_digest is null or not v_agree or r.snapshot_host is distinct from run_snapshot.host);
    -- Whoever claimed meanwhile has passed the run over, because it was locked here.
    if exists (select from conductor.tasks t where t.run_id = v_run and t.state = 'pending') then
        perform pg_notify('conductor_frames', json_build_object('type', c.run_type, 'run_id', v_run, 'seq', c.run_seq)::text)
        from conductor.run_counters c where c.run_id = v_run;
    end if;
    return v_agree;
end
$$;

create or replace function conductor.worker_stream(tasks bigint[], leases uuid[], events jsonb[])
    returns table (batch integer, verdict text, message text)
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
begin
    if (cardinality(worker_stream.leases) = cardinality(worker_stream.tasks)
        and cardinality(worker_stream.events) = cardinality(worker_stream.tasks)) is not true
    then
        raise exception using errcode = '22023',
            message = 'not one lease and one batch of events for each task',
            detail = format('tasks: %s, leases: %s, batches: %s', coalesce(cardinality(worker_stream.tasks)::text, 'null'),
                coalesce(cardinality(worker_stream.leases)::text, 'null'),
                coalesce(cardinality(worker_stream.events)::text, 'null')),
            hint = 'give three arrays of the same length';
    end if;
    return query
    select s.batch, s.verdict, case s.verdict when 'refused' then format('not the events of a stream: %s',
        coalesce(left((worker_stream.events)[s.batch + array_lower(worker_stream.events, 1) - 1]::text, 200), 'null')) end
    from conductor._stream(worker_stream.tasks, worker_stream.leases, worker_stream.events, false) s;
end
$$;

create or replace function conductor.flow_cancel(run bigint) returns text
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_status text;
begin
    perform conductor._lock_run(flow_cancel.run);
    select r.status into v_status from conductor.flow_runs r where r.id = flow_cancel.run;
    if v_status = 'running' then
        perform conductor._run_end(flow_cancel.run, 'cancelled', format('cancelled by %s', conductor._caller()));
        v_status := 'cancelled';
    end if;
    return v_status;
end
$$;

create or replace function conductor.task_cancel(task bigint) returns text
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run   bigint;
    v_state text;
begin
    -- A task of somebody else's is indistinguishable from none, and does not tell which run it is of.
    select t.run_id into v_run
    from conductor.tasks t join conductor.flow_runs r on r.id = t.run_id
    where t.id = task_cancel.task
      and (r.launched_by = conductor._caller() or conductor._is_operator(conductor._caller()));
    if not found then
        raise exception using errcode = 'P0002',
            message = 'no such task',
            detail = format('task: %s', coalesce(task_cancel.task::text, 'null')),
            hint = 'SELECT id, run_id FROM conductor.tasks lists the tasks that you may see';
    end if;
    perform conductor._lock_run(v_run);
    update conductor.tasks t set state = 'cancelled'
    where t.id = task_cancel.task and t.state in ('pending', 'running');
    select t.state into v_state from conductor.tasks t where t.id = task_cancel.task;
    return v_state;
end
$$;

create or replace function conductor.flow_retry(run bigint, token_budget bigint default null) returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run record;
begin
    perform conductor._lock_run(flow_retry.run);
    select r.status, r.project_id, r.project_name, r.total_tokens,
           coalesce(flow_retry.token_budget, r.token_budget) as budget into v_run
    from conductor.flow_runs r where r.id = flow_retry.run;
    if v_run.status not in ('failed', 'cancelled') then
        raise exception using errcode = '55000',
            message = 'only a failed or cancelled run can be retried',
            detail = format('run: %s, status: %s', flow_retry.run, v_run.status),
            hint = 'flow_launch() starts a new run';
    elsif v_run.budget <= v_run.total_tokens then
        raise exception using errcode = '22023',
            message = 'the token budget of the run is spent',
            detail = format('token_budget: %s, spent: %s', v_run.budget, v_run.total_tokens),
            hint = format('SELECT flow_retry(%s, token_budget => …) with more', flow_retry.run);
    end if;
    if v_run.project_id is not null then
        -- What could be read at launch may have been withdrawn since.
        perform conductor._require_grant(jsonb_populate_record(null::conductor.projects,
            jsonb_build_object('id', v_run.project_id, 'name', v_run.project_name)));
    end if;
    update conductor.flow_runs r
    set status = 'running', error = null, report = null, ended_at = null, frames_pruned = false, version = r.version + 1,
        token_budget = v_run.budget, limits = conductor._limits(), updated_at = conductor._now()
    where r.id = flow_retry.run;
    -- What failed and is needed by nothing that is still to come stays as it is.
    update conductor.flow_steps s
    set status = 'pending', task_id = null, error = null, output = null, started_at = null, ended_at = null
    where s.run_id = flow_retry.run and s.status in ('failed', 'cancelled')
      and (not exists (select from conductor.flow_edges e where e.run_id = s.run_id and e.need = s.step_id)
           or exists (select from conductor.flow_edges e
                      join conductor.flow_steps d on d.run_id = e.run_id and d.step_id = e.step_id
                      where e.run_id = s.run_id and e.need = s.step_id and d.status not in ('completed', 'skipped')));
    -- What was decided by an output that is made again is decided again.
    loop
        update conductor.flow_steps s set status = 'pending', ended_at = null
        where s.run_id = flow_retry.run and s.status = 'skipped' and exists (
            select from conductor.flow_steps d
            where d.run_id = s.run_id and d.status = 'pending'
              and d.step_id in (split_part(s.when_field, '.', 1), split_part(s.foreach_field, '.', 1)));
        exit when not found;
    end loop;
    perform conductor._count_waiting(flow_retry.run);
    perform conductor._frame(flow_retry.run, 'flow_run_step_updated', jsonb_build_object(
        'run_id', flow_retry.run, 'step_id', s.step_id, 'status', s.status, 'run_status', 'running'))
    from conductor.flow_steps s
    where s.run_id = flow_retry.run and s.status = 'pending' order by s.position, length(s.step_id), s.step_id limit 1;
    perform conductor._run_advance(flow_retry.run, null);
    return flow_retry.run;
end
$$;

create or replace function conductor.flow_fork(run bigint, from_step text) returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_run     conductor.flow_runs;
    v_project conductor.projects;
    v_again   text[];
    v_new     bigint;
begin
    -- A copy of a run that is just being advanced must not be of two minds.
    perform conductor._lock_run(flow_fork.run);
    select * into v_run from conductor.flow_runs r where r.id = flow_fork.run;
    if not exists (select from conductor.flow_steps s where s.run_id = v_run.id and s.step_id = flow_fork.from_step) then
        raise exception using errcode = 'P0002', message = 'no such step',
            detail = format('run: %s, step: %s', flow_fork.run, coalesce(flow_fork.from_step, 'null')),
            hint = format('SELECT step_id FROM flow_status(%s) lists the steps', flow_fork.run);
    end if;
    if v_run.project_id is not null then
        -- The project may have moved since, or gone.
        select * into v_project from conductor.projects p where p.id = v_run.project_id;
        if not found then
            perform conductor._unknown_project(v_run.project_name);
        end if;
        perform conductor._require_grant(v_project);
    end if;

    -- The step and everything that follows it; and what is not there to be copied, with everything that follows that.
    with recursive again (step_id) as (
        select s.step_id from conductor.flow_steps s
        where s.run_id = v_run.id and (s.step_id = flow_fork.from_step or s.status not in ('completed', 'skipped'))
        union
        select e.step_id from again a join conductor.flow_edges e on e.run_id = v_run.id and e.need = a.step_id
    )
    select array_agg(a.step_id) into v_again from again a;

    insert into conductor.flow_runs (project_id, project_name, project_root, flow_name, plan, plan_version, band, fast,
                                     input, model, limits, launched_by, token_budget, forked_from, forked_at)
    select v_project.id, v_project.name, v_project.root, r.flow_name, r.plan, r.plan_version, r.band, r.fast,
           r.input, r.model, conductor._limits(), conductor._caller(), r.token_budget, r.id, flow_fork.from_step
    from conductor.flow_runs r where r.id = v_run.id
    returning id into v_new;
    insert into conductor.run_counters (run_id) values (v_new);

    -- A fan-out that runs anew makes its children anew.
    insert into conductor.flow_steps (run_id, step_id, position, wave, label, kind, role, persona, prefix, persona_hash,
        prompt_hash, join_rule, when_field, foreach_field, parent_step_id, element, status, output, note, citations,
        citations_total, citations_broken, started_at, ended_at)
    select v_new, s.step_id, s.position, s.wave, s.label, s.kind, s.role, s.persona, s.prefix, s.persona_hash,
        s.prompt_hash, s.join_rule, s.when_field, s.foreach_field, s.parent_step_id, s.element,
        case when x.again then 'pending' else s.status end,
        case when not x.again then s.output end, case when not x.again then s.note end,
        case when not x.again then s.citations end,
        case when x.again then 0 else s.citations_total end, case when x.again then 0 else s.citations_broken end,
        case when not x.again then s.started_at end, case when not x.again then s.ended_at end
    from conductor.flow_steps s cross join lateral (select s.step_id = any (v_again) as again) x
    where s.run_id = v_run.id and coalesce(s.parent_step_id <> all (v_again), true);
    insert into conductor.flow_edges (run_id, need, step_id)
    select v_new, e.need, e.step_id
    from conductor.flow_edges e
    join conductor.flow_steps n on n.run_id = v_new and n.step_id = e.need
    join conductor.flow_steps d on d.run_id = v_new and d.step_id = e.step_id
    where e.run_id = v_run.id;
    perform conductor._count_waiting(v_new);

    -- Before the run goes on: what is left of it may be code, which ends it at once.
    perform conductor._frame(v_new, 'flow_run_started', jsonb_build_object(
        'run_id', v_new, 'flow_name', v_run.flow_name, 'band', v_run.band, 'steps', conductor._step_list(v_new)));
    perform conductor._run_advance(v_new, null);
    perform conductor._warn_unserved(v_new);
    return v_new;
end
$$;

create or replace function conductor.flow_prune(older_than interval, max_runs integer default 1000) returns integer
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

create or replace function conductor.flow_prune_frames(older_than interval, max_runs integer default 1000) returns integer
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

create or replace function conductor._check_prune(p_older_than interval, p_max_runs integer) returns void
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

create or replace function conductor._prune_workers(p_older_than interval) returns void
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

create or replace function conductor._prune_texts(p_hashes text[]) returns void
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

create or replace function conductor.grant_worker(role text) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._grant_execute(grant_worker.role, array[
        'worker_register', 'worker_runs_over', 'task_claim', 'run_snapshot', 'task_heartbeat', 'task_stream',
        'worker_stream', 'task_finish', 'task_release']);
end
$$;

create or replace function conductor.regrant() returns integer
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_role  record;
    v_count integer := 0;
begin
    -- A right of its own stands for each; somebody who was granted single functions is none of them.
    for v_role in
        select r.rolname, bool_or(k.kind = 'operator') as operator, bool_or(k.kind = 'launcher') as launcher,
               bool_or(k.kind = 'worker') as worker
        from (
            select a.grantee, 'operator'
            from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
            where c.oid = 'conductor.settings'::regclass and a.privilege_type = 'UPDATE' and a.grantee <> c.relowner
            union all
            select a.grantee, 'launcher'
            from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
            where c.oid = 'conductor.flow_steps'::regclass and a.privilege_type = 'SELECT' and a.grantee <> c.relowner
            union all
            select a.grantee, 'worker'
            from pg_catalog.pg_proc p cross join lateral pg_catalog.aclexplode(p.proacl) a
            where p.pronamespace = 'conductor'::regnamespace and p.proname = 'task_finish'
              and a.grantee <> p.proowner) k (grantee, kind)
        join pg_catalog.pg_roles r on r.oid = k.grantee
        group by r.rolname order by r.rolname
    loop
        if v_role.operator then
            perform conductor.grant_operator(v_role.rolname);
        elsif v_role.launcher then
            perform conductor.grant_launcher(v_role.rolname);
        end if;
        if v_role.worker then
            perform conductor.grant_worker(v_role.rolname);
        end if;
        v_count := v_count + 1;
    end loop;
    return v_count;
end
$$;

-- What is new belongs to whom the rest belongs to, and is nobody else's. By name: a REVOKE on what has been granted would
-- make those grants a part of the extension, and dumps would leave them out.
do $$
declare
    v_new   record;
    v_owner regrole := (select e.extowner from pg_catalog.pg_extension e where e.extname = 'conductor');
begin
    -- What was there before is nobody's whom it was not granted to: PUBLIC may call only what is new. ALTER DEFAULT
    -- PRIVILEGES may have given that to others as well.
    for v_new in
        select p.oid::regprocedure as function, array(
            select a.grantee::regrole from pg_catalog.aclexplode(p.proacl) a
            where a.grantee not in (0, p.proowner, v_owner)) as others
        from pg_catalog.pg_depend d
        join pg_catalog.pg_extension e on d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid
        join pg_catalog.pg_proc p on d.classid = 'pg_catalog.pg_proc'::regclass and p.oid = d.objid
        where e.extname = 'conductor' and d.deptype = 'e'
          and (p.proacl is null or exists (select from pg_catalog.aclexplode(p.proacl) a where a.grantee = 0))
    loop
        execute format('alter function %s owner to %s', v_new.function, v_owner);
        execute format('revoke all on function %s from %s', v_new.function,
            array_to_string(array['public'] || v_new.others::text[], ', '));
    end loop;
end
$$;
