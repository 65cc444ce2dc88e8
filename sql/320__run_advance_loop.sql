-- Advances a run after one of its steps has settled with a status (or, with no step, starts whatever is due): counts down
-- what waits for it, dispatches agents, runs code steps in the same transaction, and ends the run when nothing is left.
-- Whoever says a step has updated the run already and tells whether its budget is spent.
-- Only _run_advance() and _run_settled() call it, which keep the updates made here from entering it again.
-- The rules are those of flows/src/advance.rs, where their properties are tested.
create function conductor._run_advance_loop(
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
