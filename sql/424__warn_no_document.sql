-- Says at launch that a flow which works on a document got none. A warning, because the project may hold it.
create function conductor._warn_no_document(p_run bigint) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_flow text;
begin
    select r.flow_name into v_flow from conductor.flow_runs r
    where r.id = p_run and (r.plan ->> 'needs_document')::boolean
      and coalesce(jsonb_array_length(r.input -> 'documents'), 0) = 0;
    if found then
        raise warning using errcode = '01000', message = 'this flow works on a document, and none was provided',
            detail = format('flow: %s, run: %s', v_flow, p_run),
            hint = 'the run is launched and looks for what the question names among the project''s files; '
                'to provide it: input => ''{"documents": [{"name": "spec.md", "text": "…"}]}''';
    end if;
end
$$;
