-- Launches a run inside the caller's transaction and returns its id: pins the plan, the texts, the model and the limits,
-- and dispatches the first wave. With a launch_key that this launcher has used before, the first run is returned.
-- Raises 22023 (empty question, unknown band, bad input), 42704 (unknown flow or project, with the nearest names),
-- 42501 (a project that was not granted) and 54000 (a question that leaves no room for an answer's sources).
create function conductor.flow_launch(
    flow text, question text, project text default null, band text default 'small', fast boolean default false,
    model text default null, input jsonb default null, launch_key text default null, token_budget bigint default null
) returns bigint
    language plpgsql security definer
    set search_path = pg_catalog, conductor, pg_temp
    set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off
as $$
declare
    v_project  conductor.projects;
    v_settings conductor.settings;
    v_run      bigint;
begin
    if flow_launch.question is null or flow_launch.question !~ E'\\S' then
        raise exception using errcode = '22023',
            message = 'the question is empty',
            detail = format('flow: %s', coalesce(flow_launch.flow, 'null')),
            hint = 'say in a sentence what the run should find out';
    end if;
    select * into strict v_settings from conductor.settings;
    if octet_length(flow_launch.question) > v_settings.max_prompt_bytes / 2 then
        raise exception using errcode = '54000',
            message = 'the question is too long',
            detail = format('question: %s bytes, at most: %s', octet_length(flow_launch.question),
                v_settings.max_prompt_bytes / 2),
            hint = 'ask in short, and provide long material as input.documents';
    end if;
    if flow_launch.token_budget <= 0 then
        raise exception using errcode = '22023',
            message = 'a token budget must be positive',
            detail = format('token_budget: %s', flow_launch.token_budget),
            hint = 'leave it out for a run without a budget';
    end if;
    if flow_launch.model is not null and flow_launch.model !~ '^[[:graph:]]{1,200}$' then
        raise exception using errcode = '22023',
            message = 'not a model name', detail = format('model: %s', quote_literal(flow_launch.model)),
            hint = 'name a model as its server lists it, or leave it out for the default of conductor.settings';
    end if;
    perform conductor._check_input(flow_launch.input);
    if flow_launch.project is not null then
        select * into v_project from conductor.projects p where p.name = flow_launch.project;
        if not found then
            perform conductor._unknown_project(flow_launch.project);
        end if;
        perform conductor._require_grant(v_project);
    end if;

    if flow_launch.launch_key is null or not exists (
        select from conductor.flow_runs r
        where r.launched_by = conductor._caller() and r.launch_key = flow_launch.launch_key)
    then
        v_run := conductor._run_insert(
            conductor._flow_expand(
                flow_launch.flow,
                (select d.definition from conductor.flow_definitions d where d.name = flow_launch.flow),
                conductor._user_personas(),
                jsonb_build_object(
                    'question', flow_launch.question, 'band', coalesce(flow_launch.band, 'small'),
                    'fast', coalesce(flow_launch.fast, false), 'project', flow_launch.project,
                    'base', flow_launch.input -> 'base',
                    'documents', coalesce(flow_launch.input -> 'documents', '[]'))),
            coalesce(flow_launch.input, '{}') || jsonb_build_object('question', flow_launch.question),
            v_project, coalesce(flow_launch.model, v_settings.model), flow_launch.launch_key, flow_launch.token_budget);
    end if;
    if v_run is null then
        select r.id into v_run from conductor.flow_runs r
        where r.launched_by = conductor._caller() and r.launch_key = flow_launch.launch_key;
    else
        perform conductor._warn_no_document(v_run);
        perform conductor._warn_unserved(v_run);
    end if;
    return v_run;
end
$$;
