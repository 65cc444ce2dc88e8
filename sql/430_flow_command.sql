-- Launches from a line as people type it: '/flow NAME [--band B] [--fast] focus…'. Returns the run's id.
-- Raises 42601 for a line that is no such command, and whatever flow_launch raises.
create function conductor.flow_command(command text, project text default null) returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
as $$
declare
    v_parsed jsonb := conductor._command_parse(flow_command.command);
begin
    return conductor.flow_launch(
        flow => v_parsed ->> 'flow', question => v_parsed ->> 'question', project => flow_command.project,
        band => v_parsed ->> 'band', fast => (v_parsed ->> 'fast')::boolean);
end
$$;
