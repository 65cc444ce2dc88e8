-- Ends an attempt: stores the full output, counts its tokens and settles or re-dispatches the task, all in one
-- transaction with what follows from it. state is completed, failed or cancelled; a failure that is retryable is tried
-- again until max_attempts. note is what is to be said of a reply that is taken. Returns the task's new state. A finish
-- repeated with the same lease changes nothing.
-- Raises QC001 on a stale lease, 22023 for another state; 40001 and 40P01 are to be retried.
create function conductor.task_finish(
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
