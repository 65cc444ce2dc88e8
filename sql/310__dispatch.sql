-- Makes one chat and one pending task for each of the given agent steps, in this order; they wait for nothing any more.
-- A step dispatched before keeps its chat and names its former task as parent.
create function conductor._dispatch(p_run bigint, p_steps text[]) returns void
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
