-- A run as JSON: {run, steps, report}, without the outputs of its steps. Raises P0002 for a run that the caller may
-- not see.
create function conductor.flow_show(run bigint) returns jsonb
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._require_run(flow_show.run);
    return (
        select jsonb_build_object(
            'run', to_jsonb(r) - 'report' || jsonb_build_object('run_id', r.id),
            'steps', (
                select jsonb_agg(to_jsonb(s) - 'output' || jsonb_build_object('output_bytes', octet_length(s.output))
                                 order by s.position, length(s.step_id), s.step_id)
                from conductor.flow_steps s where s.run_id = r.id),
            'report', r.report)
        from conductor.flow_runs r where r.id = flow_show.run);
end
$$;
