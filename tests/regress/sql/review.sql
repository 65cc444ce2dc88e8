-- code-review driven by hand: findings merged, verifiers fanned out at run time, verdicts applied; and the other forms
-- of a report.
\set VERBOSITY terse
\set SHOW_CONTEXT never
set search_path = conductor, public;
set client_min_messages = error;
drop extension if exists conductor;
create extension conductor;
update settings set retry_backoff = '0', max_attempts = 2;
select (worker_register('by-hand', 'here', 1, (select extversion from pg_extension where extname = 'conductor'),
    64, '{/}', '{}', '{"ok": true}') ->> 'worker_id')::bigint as worker \gset
create function pg_temp.finish(p_run bigint, p_step text, p_state text, p_text text, p_note text default null)
    returns text language sql as $$
    select conductor.task_finish(t.id, t.lease, p_state,
        case when p_state = 'completed' then p_text end, case when p_state <> 'completed' then p_text end,
        '{"input_tokens": 100, "output_tokens": 10}', null, false, p_note)
    from conductor.tasks t join conductor.flow_steps s on s.task_id = t.id where s.run_id = p_run and s.step_id = p_step
$$;
create view pg_temp.now as select run_id, step_id, status, waiting, error, note
    from conductor.flow_steps order by run_id, position, length(step_id), step_id;

select * from flow_plan('code-review', 'small');

-- Two reviewers name the same line; one finding will be refuted, one is not judged.
select flow_launch('code-review', 'Is the retry path safe?') as run \gset
select step_id, prompt like '%## Reply form%' as has_form, prompt like '%YAGNI contract, advisory%' as advisory
from task_claim(:worker, 8);
select pg_temp.finish(:run, 'correctness', 'completed', E'## Summary\nThe tree.\n\n## Findings\n'
    '### B1. critical: the retry loop never ends\n- Where: `src/retry.rs:10-12`\n- Evidence (codebase): `src/retry.rs:10` "loop {"\n\n'
    '### B2. warning: the delay is not bounded\n- Where: `src/retry.rs:40`\n\n'
    '### B3. suggestion: the name misleads\n- Where: `src/name.rs:3`\n');
select pg_temp.finish(:run, 'structure', 'completed', E'## Summary\nThe tree.\n\n## Findings\n'
    '### S1. warning: an endless loop stands in the retry path\n- Where: `src/retry.rs:11`\n\n'
    '## YAGNI notes\n- `src/retry.rs:50` a plugin system. Why: nobody asked for it.\n', 'the reply is in German');
select * from pg_temp.now where run_id = :run;
select g ->> 'step' as step, f ->> 'id' as id, f ->> 'severity' as severity, f #>> '{joined,0,id}' as joined
from flow_steps s, jsonb_path_query(s.element, '$') g, jsonb_path_query(g, '$.findings[*]') f
where s.run_id = :run and s.parent_step_id = 'verify';
select step_id, prompt like '%the retry loop never ends%' as told, prompt like '%YAGNI contract, review%' as judges_yagni
from task_claim(:worker, 8);
select pg_temp.finish(:run, 'verify/1', 'completed', E'## Verdict\nstands with corrections: one is false.\n\n## Counter-evidence\n'
    '### V1. correctness/B1: confirmed\n- Evidence (codebase): `src/retry.rs:10` "loop {"\n\n'
    '### V2. correctness/B2: refuted\n- Evidence (codebase): `src/retry.rs:41` "min(MAX)"\n\nConfidence: medium\n\n## Remains open\n- The name.\n');
select * from pg_temp.now where run_id = :run;
select status, error from flow_runs where id = :run;
\pset format unaligned
\pset tuples_only on
select regexp_replace(flow_report(:run), '^- \*\*(Launched|Ended)\*\*.*?$|\d+\.\d+ s', '…', 'gn');
\pset format aligned
\pset tuples_only off
select flow_report(:run, 'json')::jsonb -> 'review' -> 'refuted' -> 0 -> 'finding' ->> 'id' as refuted;
select flow_report(:run, 'html') like '<!DOCTYPE html>%correctness/B1%' as page;
select flow_graph(:run) like 'flowchart%Verification%' as mermaid, flow_graph(:run, 'svg') like '<svg%verify%</svg>%' as svg;
select flow_graph(:run, 'png');
select flow_report(:run, 'pdf');
select step_id, doing from flow_status(:run) where doing is not null;
select * from flow_check();

-- Nothing found: no verifiers.
select flow_launch('code-review', 'Is the retry path safe?') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'correctness', 'completed', E'## Findings\nNO FINDINGS\n'),
       pg_temp.finish(:run, 'structure', 'completed', E'## Findings\n\nNO FINDINGS\n');
select step_id, status from pg_temp.now where run_id = :run;
select status, report like '%nothing to verify, so no verifier ran%' as says_so from flow_runs where id = :run;

-- A garbled reply is neither clean nor lost; a verifier that fails leaves its findings unproven.
select flow_launch('code-review', 'Is the retry path safe?') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'correctness', 'completed', E'the lock ;;; is || held 12 while %%% waits'),
       pg_temp.finish(:run, 'structure', 'completed', E'## Findings\n### S1. warning: two rooms know each other\n- Where: `a.rs:1`\n');
select step_id, prompt like '%;;; is || held%' as told from task_claim(:worker, 8);
select pg_temp.finish(:run, 'verify/1', 'completed', E'## Verdict\nCannot be judged.\n\nConfidence: low\n'),
       pg_temp.finish(:run, 'verify/2', 'failed', 'HTTP 400');
select step_id, status, error from pg_temp.now where run_id = :run;
select status, report like '%**Unreadable**: `correctness`%' as says_so, report like '%;;; is || held%' as kept,
       report like '%### Unproven (1)%' as unproven, report like '%HTTP 400%' as why from flow_runs where id = :run;
select * from flow_check();

-- Cancelled within the fan-out, and gone on with: what was verified is kept.
select flow_launch('code-review', 'Is the retry path safe?') as run \gset
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'correctness', 'completed', E'## Findings\n### B1. warning: one\n- Where: `a.rs:1`\n'),
       pg_temp.finish(:run, 'structure', 'completed', E'## Findings\n### S1. warning: two\n- Where: `b.rs:1`\n');
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'verify/1', 'completed', E'## Counter-evidence\n### V1. correctness/B1: confirmed\n\nConfidence: high\n');
select flow_cancel(:run);
select step_id, status from pg_temp.now where run_id = :run;
select flow_report(:run) like '%This run was cancelled%' as partial;
select * from flow_check();
select flow_retry(:run) = :run as retried;
select step_id from task_claim(:worker, 8);
select pg_temp.finish(:run, 'verify/2', 'completed', E'## Counter-evidence\n### V1. structure/S1: confirmed\n\nConfidence: high\n');
select step_id, status from pg_temp.now where run_id = :run;
select status from flow_runs where id = :run;
select * from flow_check();

-- A flow that works on a document says at launch that it got none; without files to look in there is nothing to do.
select project_register('here', '/srv');
set client_min_messages = warning;
\set VERBOSITY default
select flow_launch('iterative-plan-review', 'Is docs/plan.md sound?', project => 'here') as run \gset
select flow_launch('iterative-plan-review', 'Is the plan sound?');
select flow_launch('iterative-plan-review', 'Is the plan sound?',
    input => '{"documents": [{"name": "plan.md", "text": "First the roof, then the walls."}]}') as run \gset
\set VERBOSITY terse
set client_min_messages = error;
select step_id, prompt like '%Document `plan.md`%First the roof%' as provided from task_claim(:worker, 64) where run_id = :run;
select flow_report(:run) like '%**Provided**: `plan.md` (31 bytes)%' as named;
-- Documents are cut to the budget of a prompt, and say so.
update settings set max_prompt_bytes = 30000;
select flow_launch('iterative-plan-review', 'Is the plan sound?', input => jsonb_build_object('documents',
    jsonb_build_array(jsonb_build_object('name', 'plan.md', 'text', repeat(E'a line of the plan\n', 10000))))) as run \gset
select step_id, octet_length(prompt) <= 30000 as within, prompt like '%bytes are left out here%' as says_so
from task_claim(:worker, 64) where run_id = :run;
