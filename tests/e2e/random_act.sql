-- Which runs completed: some of them are pruned.
create table public.completed (run bigint);
create function public.note_completed() returns trigger language plpgsql as $$
begin
    insert into public.completed values (new.id);
    return null;
end $$;
create trigger note_completed after update of status on conductor.flow_runs
    for each row when (new.status = 'completed') execute function public.note_completed();

-- One random thing that a launcher, a person or one of four workers may do at any time. What a stale holder or a late
-- caller is refused (QC001, 55000, P0002 for what was pruned) is part of the game; any other error is a defect.
create function public.random_act() returns void language plpgsql as $$
declare
    v_worker bigint;
    v_task   record;
    v_choice double precision := random();
begin
    v_worker := (conductor.worker_register('w' || (random() * 3)::int, 'here', 1,
        (select extversion from pg_extension where extname = 'conductor'), 50, '{/}', '{}', '{"ok": true}') ->> 'worker_id');
    select t.id, t.lease into v_task from conductor.tasks t where t.state = 'running' order by random() limit 1;
    if v_choice < 0.10 then
        perform conductor.flow_launch(
            case when random() < 0.5 then 'architectural-analysis' else 'branching' end, 'q', band => 'large');
    elsif v_choice < 0.40 then
        perform conductor.task_claim(v_worker, 3);
    elsif v_choice < 0.45 then
        perform conductor.worker_stream(array_agg(k.id), array_agg(k.lease), array_agg(
            '[{"type": "message_started", "turn": 1}, {"type": "delta", "offset": 0, "text": "abc"}]'::jsonb))
        from (select t.id, t.lease from conductor.tasks t where t.state = 'running' order by random() limit 9) k
        having count(*) > 0;
    elsif v_choice < 0.50 then
        perform conductor.task_stream(v_task.id, v_task.lease,
            '[{"type": "message_started", "turn": 1}, {"type": "delta", "offset": 0, "text": "abc"}]');
    elsif v_choice < 0.76 then
        perform conductor.task_finish(v_task.id, v_task.lease,
            case when random() < 0.8 then 'completed' when random() < 0.9 then 'failed' else 'cancelled' end,
            '{"deep": true, "suspects": [1, 2, 3, 4]}', 'it went wrong', '{"input_tokens": 1, "output_tokens": 1}', null,
            random() < 0.7);
    elsif v_choice < 0.86 then
        perform conductor.task_heartbeat(v_worker, array(
            select t.lease from conductor.tasks t where t.worker_id = v_worker and t.state = 'running'));
    elsif v_choice < 0.89 then
        perform conductor.flow_cancel(r.id) from (
            select r.id from conductor.flow_runs r where r.status = 'running' order by random() limit 1) r;
    elsif v_choice < 0.92 then
        perform conductor.flow_retry(r.id) from (
            select r.id from conductor.flow_runs r where r.status in ('failed', 'cancelled') order by random() limit 1) r;
    elsif v_choice < 0.95 then
        perform conductor.task_cancel(t.id) from (
            select t.id from conductor.tasks t where t.state in ('pending', 'running') order by random() limit 1) t;
    elsif v_choice < 0.96 then
        perform conductor.task_release(v_task.id, v_task.lease);
    elsif v_choice < 0.97 then
        perform conductor.run_snapshot(v_task.id, v_task.lease, null, 'digest', 'here');
    elsif v_choice < 0.975 then
        perform conductor.flow_fork(s.run_id, s.step_id) from (
            select s.run_id, s.step_id from conductor.flow_steps s order by random() limit 1) s;
    elsif v_choice < 0.98 then
        perform conductor.flow_prune('0', 1);
    elsif v_choice < 0.985 then
        perform conductor.flow_resume();
    else
        perform conductor._rescue(v_worker);
    end if;
exception
    when sqlstate 'QC001' or sqlstate '55000' then
        null;
    when sqlstate 'P0002' then
        if sqlerrm not in ('no such run', 'no such step', 'no such task') then
            raise;
        end if;
end $$;
