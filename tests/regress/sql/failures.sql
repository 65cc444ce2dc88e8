-- What is tried again, when, how often, and what a failure ends.
\set VERBOSITY terse
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
update settings set retry_backoff = '100 seconds', max_attempts = 3, max_deaths = 3;
select (worker_register('by-hand', 'here', 1, (select extversion from pg_extension where extname = 'conductor'),
    64, '{/}', '{}', '{"ok": true}') ->> 'worker_id')::bigint as worker \gset
create function pg_temp.ends(p_run bigint, p_step text, p_state text, p_text text, p_retryable boolean default false)
    returns text language sql as $$
    select conductor.task_finish(t.id, t.lease, p_state,
        case when p_state = 'completed' then p_text end, case when p_state <> 'completed' then p_text end,
        null, null, p_retryable)
    from conductor.tasks t join conductor.flow_steps s on s.task_id = t.id where s.run_id = p_run and s.step_id = p_step
$$;
-- When what failed is tried again: after 0.5 to 1.5 of the backoff, which doubles each time. Of many, some wait for less
-- than the whole of it, and some for more.
create function pg_temp.later() returns table (attempt integer, deaths integer, within boolean, less boolean, more boolean)
    language sql as $$
    select t.attempt, t.deaths, min(w.share) > 0.4 and max(w.share) <= 1.5, min(w.share) < 0.95, max(w.share) > 1.05
    from conductor.tasks t cross join lateral (
        select extract(epoch from t.available_at - clock_timestamp()) / (100 * 2 ^ (t.attempt - t.deaths - 1)) as share) w
    where t.state = 'pending' group by t.attempt, t.deaths
$$;
create function pg_temp.wait_over() returns void language sql as $$
    update conductor.tasks set available_at = clock_timestamp() where state = 'pending'
$$;
-- A new process of the worker: what the former one held is lost.
create function pg_temp.dies() returns void language sql as $$
    select conductor.worker_register('by-hand', 'here', w.pid + 1, (select extversion from pg_extension where extname = 'conductor'),
        64, '{/}', '{}', '{"ok": true}') from conductor.workers w
$$;

-- A retryable failure waits twice as long each time, up to max_attempts; what failed together is not tried again together.
update settings set max_running = 200;
create function pg_temp.all_fail(p_worker bigint) returns table (attempt integer, state text, tasks bigint) language sql as $$
    select k.attempt, k.state, count(*) from (
        select c.attempt, conductor.task_finish(c.task_id, c.lease, 'failed', null, 'HTTP 503', null, null, true) as state
        from conductor.task_claim(p_worker, 64) c) k
    group by k.attempt, k.state
$$;
select count(flow_launch('research', 'q')) from generate_series(1, 40);
select * from pg_temp.all_fail(:worker);
select * from pg_temp.later();
select count(*) as before_its_time from task_claim(:worker, 8);
select step_id, doing ~ '^next attempt at \d\d:\d\d:\d\d after: HTTP 503$' as says_when from flow_status(1) where step_id = 'sources';
select pg_temp.wait_over();
select * from pg_temp.all_fail(:worker);
select * from pg_temp.later();
select pg_temp.wait_over();
select * from pg_temp.all_fail(:worker);
select status, error, count(*) from flow_runs group by status, error;

-- What cannot be cured by trying again fails at once; an empty reply may be.
select flow_launch('research', 'q') as run \gset
select step_id, attempt from task_claim(:worker, 8);
select pg_temp.ends(:run, 'sources', 'failed', 'HTTP 400', false);
select status, error from flow_runs where id = :run;
select flow_launch('research', 'q') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.ends(:run, 'sources', 'completed', E' \n\t');
select state, attempt, error from tasks where run_id = :run;
select pg_temp.wait_over();
update flow_runs set limits = limits || '{"max_output_bytes": 1024}' where id = :run;
select step_id, attempt from task_claim(:worker, 8);
select pg_temp.ends(:run, 'sources', 'completed', repeat('x', 1025));
select state, attempt, error from tasks where run_id = :run;

-- A lost worker and a task handed back cost the step none of its attempts.
update settings set max_attempts = 2;
select flow_launch('research', 'q') as run \gset
select step_id, attempt from task_claim(:worker, 8);
select pg_temp.dies();
select step_id, attempt from task_claim(:worker, 8);
select task_release(id, lease) from tasks where run_id = :run;
select step_id, attempt from task_claim(:worker, 8);
select pg_temp.dies();
select step_id, attempt from task_claim(:worker, 8);
select pg_temp.ends(:run, 'sources', 'failed', 'HTTP 503', true);
select state, attempt, deaths from tasks where run_id = :run;
select attempt, deaths, within from pg_temp.later();
select pg_temp.wait_over();
select step_id, attempt from task_claim(:worker, 8);
select pg_temp.ends(:run, 'sources', 'failed', 'HTTP 503', true);
select state, attempt, deaths, error from tasks where run_id = :run;
-- However often it is handed back, it can always be handed back; however seldom workers die with it, three are enough.
select flow_launch('research', 'q') as run \gset
select count(task_release(c.task_id, c.lease)) from generate_series(1, 10) n, lateral (select * from task_claim(:worker, 8) where n > 0) c;
select state, attempt, deaths from tasks where run_id = :run;
select count(*) from task_claim(:worker, 8);
select pg_temp.dies();
select count(*) from task_claim(:worker, 8);
select pg_temp.dies();
select state, attempt, deaths from tasks where run_id = :run;
select count(*) from task_claim(:worker, 8);
select pg_temp.dies();
select state, attempt, deaths, error from tasks where run_id = :run;
select status, error from flow_runs where id = :run;

-- In a user's flow a failed step that something needs fails the run and cancels its siblings; what was done is kept.
select flow_define('{"name": "needy", "category": "analysis", "description": "d", "contracts": [], "steps": [
    {"id": "done", "persona": "codebase-explorer", "brief": "b"}, {"id": "busy", "persona": "codebase-explorer", "brief": "b"},
    {"id": "bad", "persona": "codebase-explorer", "brief": "b"},
    {"id": "end", "persona": "codebase-explorer", "brief": "b", "needs": ["done", "busy", "bad"]},
    {"id": "apart", "persona": "codebase-explorer", "brief": "b"}]}');
select flow_launch('needy', 'q') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.ends(:run, 'done', 'completed', 'D1 is done');
select pg_temp.ends(:run, 'apart', 'failed', 'nobody needs it');
select status from flow_runs where id = :run;
select pg_temp.ends(:run, 'bad', 'failed', 'HTTP 400');
select s.step_id, s.status, t.state, s.error from flow_steps s left join tasks t on t.id = s.task_id where s.run_id = :run order by s.position;
select status, error, report like '%D1 is done%' as kept from flow_runs where id = :run;
select verdict from tasks t join flow_steps s on s.task_id = t.id, task_heartbeat(:worker, array[t.lease])
where s.run_id = :run and s.step_id = 'busy';
-- A retry dispatches only what is not completed, with a new task that names its former one; one that failed by itself
-- and is needed by nothing is tried again too.
select flow_retry(:run) = :run as retried;
select s.step_id, c.attempt, t.parent_task_id is not null as again from task_claim(:worker, 8) c
join flow_steps s on s.run_id = c.run_id and s.step_id = c.step_id join tasks t on t.id = s.task_id order by s.position;
select pg_temp.ends(:run, 'bad', 'completed', 'good'), pg_temp.ends(:run, 'busy', 'completed', 'B1'), pg_temp.ends(:run, 'apart', 'completed', 'A1');
select step_id, prompt like '%D1 is done%' as quotes_the_kept from task_claim(:worker, 8);
select pg_temp.ends(:run, 'end', 'completed', 'E1');
select status, error from flow_runs where id = :run;
select s.step_id, count(t.id) as tasks from flow_steps s left join tasks t on t.chat_id = s.chat_id
where s.run_id = :run group by s.step_id, s.position order by s.position;
select flow_retry(:run);
select * from flow_check();
