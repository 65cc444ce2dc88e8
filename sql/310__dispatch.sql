-- Makes one chat and one pending task for each of the given agent steps, in this order; they wait for nothing any more.
-- A step dispatched before keeps its chat and names its former task as parent.
create function conductor._dispatch(p_run bigint, p_steps text[]) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_model text := (select r.model from conductor.flow_runs r where r.id = p_run);
begin
    with step as (
        select s.step_id, s.prompt_hash, k.n
        from unnest(p_steps) with ordinality k (step_id, n) cross join lateral (
            select d.step_id, d.prompt_hash from conductor.flow_steps d
            where d.run_id = p_run and d.step_id = k.step_id and d.kind = 'agent' offset 0) s
    ), chat as (
        insert into conductor.chats (run_id, step_id)
        select p_run, s.step_id from step s order by s.n
        on conflict (run_id, step_id) do update set step_id = excluded.step_id
        returning id, step_id
    ), task as (
        insert into conductor.tasks (run_id, chat_id, parent_task_id, input, model)
        -- A step whose text is gone fails here, by a constraint, rather than never to start. A launch above READ COMMITTED
        -- sees a text twice that flow_prune() has deleted and the launch stored again.
        select p_run, c.id, (select max(f.id) from conductor.tasks f where f.chat_id = c.id),
               (select d.body from conductor.texts d where d.hash = s.prompt_hash limit 1), v_model
        from chat c join step s on s.step_id = c.step_id
        order by c.id
        returning id, chat_id
    )
    update conductor.flow_steps s
    set task_id = t.id, chat_id = t.chat_id, waiting = 0, output = null, error = null, note = null
    from task t join chat c on c.id = t.chat_id
    where s.run_id = p_run and s.step_id = c.step_id;
end
$$;
