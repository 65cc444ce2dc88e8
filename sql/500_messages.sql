-- The conversation of each chat: system (persona), user (prompt) and assistant (the output, or what the current attempt
-- has streamed so far). A view, so that no message can ever be left streaming: its status follows from the task.
create view conductor.messages with (security_invoker = true) as
select c.id as chat_id, c.run_id, c.step_id, m.ordinal, m.role, m.content, m.status, m.at as created_at
from conductor.chats c
join conductor.flow_steps s on s.run_id = c.run_id and s.step_id = c.step_id
left join conductor.tasks t on t.id = s.task_id
cross join lateral (values
    (0, 'system', conductor._system_prompt(c.run_id, c.step_id), 'complete', c.created_at),
    (1, 'user', conductor._task_prompt(t.id), 'complete', c.created_at),
    (2, 'assistant', coalesce(s.output, conductor._streamed(t.id, t.attempt), ''),
        case t.state when 'running' then 'streaming' when 'completed' then 'complete'
                     when 'failed' then 'failed' else 'cancelled' end,
        coalesce(s.started_at, c.created_at))
) m (ordinal, role, content, status, at)
where m.ordinal = 0 or (m.ordinal = 1 and t.id is not null) or t.state <> 'pending';

comment on view conductor.messages is 'Messages of every chat that the caller may see; status streaming, complete, cancelled or failed.';
