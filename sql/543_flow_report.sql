-- The report of a run as 'markdown', 'html' (one page that needs nothing else) or 'json' (docs/report.schema.json). Of a
-- run that is not completed, a partial report that says so.
-- Raises P0002 for a run that the caller may not see, and 22023 for another format.
create function conductor.flow_report(run bigint, format text default 'markdown') returns text
    language plpgsql stable security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._require_run(flow_report.run);
    case flow_report.format
        when 'markdown' then
            return coalesce((select r.report from conductor.flow_runs r where r.id = flow_report.run),
                (select conductor._report_markdown(d.data, d.outputs) from conductor._report_data(flow_report.run) d));
        when 'json' then
            return (select conductor._report_json(d.data, d.outputs)::text from conductor._report_data(flow_report.run) d);
        when 'html' then
            return (select conductor._report_html(d.data, d.outputs) from conductor._report_data(flow_report.run) d);
        else
            raise exception using errcode = '22023',
                message = 'no such report format',
                detail = pg_catalog.format('format: %s', coalesce(flow_report.format, 'null')),
                hint = 'ask for markdown, html or json';
    end case;
end
$$;
