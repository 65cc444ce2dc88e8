-- Lets a role launch flows, and watch, read, cancel and retry its own runs. For the extension's owner.
create function conductor.grant_launcher(role text) returns void
    language plpgsql
    set search_path = pg_catalog, conductor, pg_temp
as $$
begin
    perform conductor._grant_execute(grant_launcher.role, array[
        'flow_launch', 'flow_command', 'flow_cancel', 'flow_retry', 'flow_fork', 'task_cancel', 'flow_catalog',
        'flow_plan', 'flow_status', 'flow_frames', 'flow_history', 'flow_show', 'flow_step_output', 'flow_report',
        'flow_graph', 'chat_messages', 'flow_define', 'persona_define',
        -- What the views and policies call with their reader's rights.
        '_is_operator', '_may_use_project', '_system_prompt', '_task_prompt', '_streamed', '_upstream',
        '_prompt_resolve', '_prompt_quotes', '_builtin_flows', '_builtin_personas']);
    execute format('grant select on conductor.flow_runs, conductor.flow_steps, conductor.flow_edges, conductor.chats,
        conductor.tasks, conductor.frames, conductor.projects, conductor.messages, conductor.flows, conductor.personas
        to %I', grant_launcher.role);
end
$$;
