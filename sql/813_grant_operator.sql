-- Lets a role operate the installation: everything that a launcher may, on all runs, and projects, limits, workers and
-- checks. For the extension's owner.
create function conductor.grant_operator(role text) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor.grant_launcher(grant_operator.role);
    perform conductor._grant_execute(grant_operator.role, array[
        'project_register', 'project_grant', 'flow_resume', 'flow_check', 'flow_prune', 'flow_prune_frames']);
    execute format('grant select, update on conductor.settings to %I', grant_operator.role);
    execute format('grant select on conductor.workers, conductor.project_grants, conductor.flow_definitions,
        conductor.persona_definitions to %I', grant_operator.role);
end
$$;
