-- What a report is made from: {run, steps} as flows::report reads it, and the outputs of the steps beside it, unless
-- nobody wants them. A run about to end is described as ended.
create function conductor._report_data(
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
