-- The steps of a run and what they need, each with its outcome and time, as 'mermaid' or 'svg'.
-- Raises P0002 for a run that the caller may not see, and 22023 for another format.
create function conductor.flow_graph(run bigint, format text default 'mermaid') returns text
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._require_run(flow_graph.run);
    if flow_graph.format is null or flow_graph.format not in ('mermaid', 'svg') then
        raise exception using errcode = '22023',
            message = 'no such graph format',
            detail = pg_catalog.format('format: %s', coalesce(flow_graph.format, 'null')),
            hint = 'ask for mermaid or svg';
    end if;
    return (select conductor._run_graph(d.data, flow_graph.format)
            from conductor._report_data(flow_graph.run, p_outputs => false) d);
end
$$;
