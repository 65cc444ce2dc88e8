//! The order in which the files of `sql/` are installed: by their numbers. Functions in SQL are checked when they are
//! created, so everything that calls into the library comes after the library's own functions.

use pgrx::extension_sql_file;

extension_sql_file!("../sql/099_refuse.sql", name = "099_refuse", bootstrap);
extension_sql_file!(
    "../sql/100_settings.sql",
    name = "100_settings",
    requires = ["099_refuse"]
);
extension_sql_file!(
    "../sql/101_settings_row.sql",
    name = "101_settings_row",
    requires = ["100_settings", caller::home]
);
extension_sql_file!(
    "../sql/102__now.sql",
    name = "102__now",
    requires = ["101_settings_row"]
);
extension_sql_file!(
    "../sql/110_projects.sql",
    name = "110_projects",
    requires = ["102__now"]
);
extension_sql_file!(
    "../sql/120_definitions.sql",
    name = "120_definitions",
    requires = ["110_projects"]
);
extension_sql_file!(
    "../sql/130_workers.sql",
    name = "130_workers",
    requires = ["120_definitions"]
);
extension_sql_file!(
    "../sql/131__worker_predicates.sql",
    name = "131__worker_predicates",
    requires = ["130_workers"]
);
extension_sql_file!(
    "../sql/140_flow_runs.sql",
    name = "140_flow_runs",
    requires = ["131__worker_predicates"]
);
extension_sql_file!(
    "../sql/150_chats.sql",
    name = "150_chats",
    requires = ["140_flow_runs"]
);
extension_sql_file!(
    "../sql/160_tasks.sql",
    name = "160_tasks",
    requires = ["150_chats"]
);
extension_sql_file!(
    "../sql/170_flow_steps.sql",
    name = "170_flow_steps",
    requires = ["160_tasks"]
);
extension_sql_file!(
    "../sql/180_frames.sql",
    name = "180_frames",
    requires = ["170_flow_steps"]
);
extension_sql_file!(
    "../sql/200__caller.sql",
    name = "200__caller",
    requires = [
        "180_frames",
        advance::advancing,
        advance::run_advance,
        advance::run_settled,
        caller::restricted,
        catalogue::flows,
        catalogue::personas,
        launch::command_parse,
        launch::flow_expand,
        launch::flow_validate,
        launch::nearest_names,
        prompt::fold_outputs,
        prompt::json_readable,
        prompt::merge_findings,
        prompt::output_field,
        prompt::output_holds,
        prompt::prompt_quotes,
        prompt::prompt_resolve,
        report::report_html,
        report::report_json,
        report::report_markdown,
        report::run_graph,
    ]
);
extension_sql_file!(
    "../sql/201__is_operator.sql",
    name = "201__is_operator",
    requires = ["200__caller"]
);
extension_sql_file!(
    "../sql/202__require_run.sql",
    name = "202__require_run",
    requires = ["201__is_operator"]
);
extension_sql_file!(
    "../sql/203__may_use_project.sql",
    name = "203__may_use_project",
    requires = ["202__require_run"]
);
extension_sql_file!(
    "../sql/204__user_personas.sql",
    name = "204__user_personas",
    requires = ["203__may_use_project"]
);
extension_sql_file!(
    "../sql/205__lock_run.sql",
    name = "205__lock_run",
    requires = ["204__user_personas"]
);
extension_sql_file!(
    "../sql/210__frame.sql",
    name = "210__frame",
    requires = ["205__lock_run"]
);
extension_sql_file!(
    "../sql/211__doorbell.sql",
    name = "211__doorbell",
    requires = ["210__frame"]
);
extension_sql_file!(
    "../sql/220__streamed.sql",
    name = "220__streamed",
    requires = ["211__doorbell"]
);
extension_sql_file!(
    "../sql/221__timestamp.sql",
    name = "221__timestamp",
    requires = ["220__streamed"]
);
extension_sql_file!(
    "../sql/223__system_prompt.sql",
    name = "223__system_prompt",
    requires = ["221__timestamp"]
);
extension_sql_file!(
    "../sql/224__upstream.sql",
    name = "224__upstream",
    requires = ["223__system_prompt"]
);
extension_sql_file!(
    "../sql/225__task_prompt.sql",
    name = "225__task_prompt",
    requires = ["224__upstream"]
);
extension_sql_file!(
    "../sql/226__step_list.sql",
    name = "226__step_list",
    requires = ["225__task_prompt"]
);
extension_sql_file!(
    "../sql/227__preview.sql",
    name = "227__preview",
    requires = ["226__step_list"]
);
extension_sql_file!(
    "../sql/228__limits.sql",
    name = "228__limits",
    requires = ["227__preview"]
);
extension_sql_file!(
    "../sql/229__usage.sql",
    name = "229__usage",
    requires = ["228__limits"]
);
extension_sql_file!(
    "../sql/300__task_guard.sql",
    name = "300__task_guard",
    requires = ["229__usage"]
);
extension_sql_file!(
    "../sql/301__task_changed.sql",
    name = "301__task_changed",
    requires = ["300__task_guard"]
);
extension_sql_file!(
    "../sql/302__step_changed.sql",
    name = "302__step_changed",
    requires = ["301__task_changed"]
);
extension_sql_file!(
    "../sql/307__count_waiting.sql",
    name = "307__count_waiting",
    requires = ["302__step_changed"]
);
extension_sql_file!(
    "../sql/308__settle_lagging.sql",
    name = "308__settle_lagging",
    requires = ["307__count_waiting"]
);
extension_sql_file!(
    "../sql/309__end_tasks.sql",
    name = "309__end_tasks",
    requires = ["308__settle_lagging"]
);
extension_sql_file!(
    "../sql/310__dispatch.sql",
    name = "310__dispatch",
    requires = ["309__end_tasks"]
);
extension_sql_file!(
    "../sql/311__step_fan_out.sql",
    name = "311__step_fan_out",
    requires = ["310__dispatch"]
);
extension_sql_file!(
    "../sql/314__code_step.sql",
    name = "314__code_step",
    requires = ["311__step_fan_out"]
);
extension_sql_file!(
    "../sql/315__run_end.sql",
    name = "315__run_end",
    requires = ["314__code_step"]
);
extension_sql_file!(
    "../sql/320__run_advance_loop.sql",
    name = "320__run_advance_loop",
    requires = ["315__run_end"]
);
extension_sql_file!(
    "../sql/321__run_complete.sql",
    name = "321__run_complete",
    requires = ["320__run_advance_loop"]
);
extension_sql_file!(
    "../sql/330__report_data.sql",
    name = "330__report_data",
    requires = ["321__run_complete"]
);
extension_sql_file!(
    "../sql/400_project_register.sql",
    name = "400_project_register",
    requires = ["330__report_data"]
);
extension_sql_file!(
    "../sql/401_project_grant.sql",
    name = "401_project_grant",
    requires = ["400_project_register"]
);
extension_sql_file!(
    "../sql/402__unknown_project.sql",
    name = "402__unknown_project",
    requires = ["401_project_grant"]
);
extension_sql_file!(
    "../sql/404__require_grant.sql",
    name = "404__require_grant",
    requires = ["402__unknown_project"]
);
extension_sql_file!(
    "../sql/410__run_insert.sql",
    name = "410__run_insert",
    requires = ["404__require_grant"]
);
extension_sql_file!(
    "../sql/412__check_input.sql",
    name = "412__check_input",
    requires = ["410__run_insert"]
);
extension_sql_file!(
    "../sql/420_flow_launch.sql",
    name = "420_flow_launch",
    requires = ["412__check_input"]
);
extension_sql_file!(
    "../sql/422__unserved.sql",
    name = "422__unserved",
    requires = ["420_flow_launch"]
);
extension_sql_file!(
    "../sql/423__warn_unserved.sql",
    name = "423__warn_unserved",
    requires = ["422__unserved"]
);
extension_sql_file!(
    "../sql/424__warn_no_document.sql",
    name = "424__warn_no_document",
    requires = ["423__warn_unserved"]
);
extension_sql_file!(
    "../sql/430_flow_command.sql",
    name = "430_flow_command",
    requires = ["424__warn_no_document"]
);
extension_sql_file!(
    "../sql/440_flow_define.sql",
    name = "440_flow_define",
    requires = ["430_flow_command"]
);
extension_sql_file!(
    "../sql/441_persona_define.sql",
    name = "441_persona_define",
    requires = ["440_flow_define"]
);
extension_sql_file!(
    "../sql/500_messages.sql",
    name = "500_messages",
    requires = ["441_persona_define"]
);
extension_sql_file!(
    "../sql/502_chat_messages.sql",
    name = "502_chat_messages",
    requires = ["500_messages"]
);
extension_sql_file!(
    "../sql/510_catalogue_views.sql",
    name = "510_catalogue_views",
    requires = ["502_chat_messages"]
);
extension_sql_file!(
    "../sql/511_flow_catalog.sql",
    name = "511_flow_catalog",
    requires = ["510_catalogue_views"]
);
extension_sql_file!(
    "../sql/512_flow_plan.sql",
    name = "512_flow_plan",
    requires = ["511_flow_catalog"]
);
extension_sql_file!(
    "../sql/519__over_limits.sql",
    name = "519__over_limits",
    requires = ["512_flow_plan"]
);
extension_sql_file!(
    "../sql/520__doing.sql",
    name = "520__doing",
    requires = ["519__over_limits"]
);
extension_sql_file!(
    "../sql/521_flow_status.sql",
    name = "521_flow_status",
    requires = ["520__doing"]
);
extension_sql_file!(
    "../sql/530_flow_frames.sql",
    name = "530_flow_frames",
    requires = ["521_flow_status"]
);
extension_sql_file!(
    "../sql/540_flow_history.sql",
    name = "540_flow_history",
    requires = ["530_flow_frames"]
);
extension_sql_file!(
    "../sql/541_flow_show.sql",
    name = "541_flow_show",
    requires = ["540_flow_history"]
);
extension_sql_file!(
    "../sql/542_flow_step_output.sql",
    name = "542_flow_step_output",
    requires = ["541_flow_show"]
);
extension_sql_file!(
    "../sql/543_flow_report.sql",
    name = "543_flow_report",
    requires = ["542_flow_step_output"]
);
extension_sql_file!(
    "../sql/544_flow_graph.sql",
    name = "544_flow_graph",
    requires = ["543_flow_report"]
);
extension_sql_file!(
    "../sql/600_worker_register.sql",
    name = "600_worker_register",
    requires = ["544_flow_graph"]
);
extension_sql_file!(
    "../sql/601__rescue.sql",
    name = "601__rescue",
    requires = ["600_worker_register"]
);
extension_sql_file!(
    "../sql/609__claim_prompt.sql",
    name = "609__claim_prompt",
    requires = ["601__rescue"]
);
extension_sql_file!(
    "../sql/610_task_claim.sql",
    name = "610_task_claim",
    requires = ["609__claim_prompt"]
);
extension_sql_file!(
    "../sql/611__claim_one.sql",
    name = "611__claim_one",
    requires = ["610_task_claim"]
);
extension_sql_file!(
    "../sql/612__require_home.sql",
    name = "612__require_home",
    requires = ["611__claim_one"]
);
extension_sql_file!(
    "../sql/613__require_version.sql",
    name = "613__require_version",
    requires = ["612__require_home"]
);
extension_sql_file!(
    "../sql/614__note_session.sql",
    name = "614__note_session",
    requires = ["613__require_version"]
);
extension_sql_file!(
    "../sql/616__is_stream.sql",
    name = "616__is_stream",
    requires = ["614__note_session"]
);
extension_sql_file!(
    "../sql/617__stream.sql",
    name = "617__stream",
    requires = ["616__is_stream"]
);
extension_sql_file!(
    "../sql/620__stale_lease.sql",
    name = "620__stale_lease",
    requires = ["617__stream"]
);
extension_sql_file!(
    "../sql/621_task_stream.sql",
    name = "621_task_stream",
    requires = ["620__stale_lease"]
);
extension_sql_file!(
    "../sql/622_task_heartbeat.sql",
    name = "622_task_heartbeat",
    requires = ["621_task_stream"]
);
extension_sql_file!(
    "../sql/623_task_finish.sql",
    name = "623_task_finish",
    requires = ["622_task_heartbeat"]
);
extension_sql_file!(
    "../sql/624_task_release.sql",
    name = "624_task_release",
    requires = ["623_task_finish"]
);
extension_sql_file!(
    "../sql/625_run_snapshot.sql",
    name = "625_run_snapshot",
    requires = ["624_task_release"]
);
extension_sql_file!(
    "../sql/626_worker_runs_over.sql",
    name = "626_worker_runs_over",
    requires = ["625_run_snapshot"]
);
extension_sql_file!(
    "../sql/627_worker_stream.sql",
    name = "627_worker_stream",
    requires = ["626_worker_runs_over"]
);
extension_sql_file!(
    "../sql/700_flow_cancel.sql",
    name = "700_flow_cancel",
    requires = ["627_worker_stream"]
);
extension_sql_file!(
    "../sql/701_task_cancel.sql",
    name = "701_task_cancel",
    requires = ["700_flow_cancel"]
);
extension_sql_file!(
    "../sql/710_flow_retry.sql",
    name = "710_flow_retry",
    requires = ["701_task_cancel"]
);
extension_sql_file!(
    "../sql/711_flow_fork.sql",
    name = "711_flow_fork",
    requires = ["710_flow_retry"]
);
extension_sql_file!(
    "../sql/720_flow_resume.sql",
    name = "720_flow_resume",
    requires = ["711_flow_fork"]
);
extension_sql_file!(
    "../sql/730_flow_check.sql",
    name = "730_flow_check",
    requires = ["720_flow_resume"]
);
extension_sql_file!(
    "../sql/740_flow_prune.sql",
    name = "740_flow_prune",
    requires = ["730_flow_check"]
);
extension_sql_file!(
    "../sql/800_row_security.sql",
    name = "800_row_security",
    requires = ["740_flow_prune"]
);
extension_sql_file!(
    "../sql/810__grant_execute.sql",
    name = "810__grant_execute",
    requires = ["800_row_security"]
);
extension_sql_file!(
    "../sql/811_grant_launcher.sql",
    name = "811_grant_launcher",
    requires = ["810__grant_execute"]
);
extension_sql_file!(
    "../sql/812_grant_worker.sql",
    name = "812_grant_worker",
    requires = ["811_grant_launcher"]
);
extension_sql_file!(
    "../sql/813_grant_operator.sql",
    name = "813_grant_operator",
    requires = ["812_grant_worker"]
);
extension_sql_file!(
    "../sql/815_regrant.sql",
    name = "815_regrant",
    requires = ["813_grant_operator"]
);
extension_sql_file!(
    "../sql/900_revoke_public.sql",
    name = "900_revoke_public",
    requires = ["815_regrant"]
);
