-- Launches a new run that goes on from a step of another: what the step and all that follows it did not decide is copied,
-- the step and what follows it run anew, with the plan, the texts, the model and the input of the other run and with the
-- limits of now. The other run stays as it is. Returns the new run. Copied steps keep their outputs, which cite what
-- the other run read; the new run reads the project as it is now.
-- Raises P0002 for a run or step that is not there for the caller, 42704 for a project that has gone, and 42501 for one
-- that is not granted any more.
create function conductor.flow_fork(run bigint, from_step text) returns bigint
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
