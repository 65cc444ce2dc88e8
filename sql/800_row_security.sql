-- A launcher sees its own runs and what belongs to them; an operator sees all. The owner of the tables, and with it
-- every definer function, is not bound by this and checks for itself.
alter table conductor.flow_runs enable row level security;
alter table conductor.flow_steps enable row level security;
alter table conductor.flow_edges enable row level security;
alter table conductor.chats enable row level security;
alter table conductor.tasks enable row level security;
alter table conductor.frames enable row level security;
alter table conductor.projects enable row level security;

create policy flow_runs_own on conductor.flow_runs
    using (launched_by = current_user::text or (select conductor._is_operator(current_user::text)));
create policy flow_steps_of_visible_run on conductor.flow_steps
    using (exists (select from conductor.flow_runs r where r.id = run_id));
create policy flow_edges_of_visible_run on conductor.flow_edges
    using (exists (select from conductor.flow_runs r where r.id = run_id));
create policy chats_of_visible_run on conductor.chats
    using (exists (select from conductor.flow_runs r where r.id = run_id));
create policy tasks_of_visible_run on conductor.tasks
    using (exists (select from conductor.flow_runs r where r.id = run_id));
create policy frames_of_visible_run on conductor.frames
    using (exists (select from conductor.flow_runs r where r.id = run_id));
create policy projects_granted on conductor.projects
    using (conductor._may_use_project(id, current_user::text));
