//! Models that ask for tools in every way that there is.

use serde_json::{Value, json};

use super::case::{Case, Plot, REPLY, call};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("shell-expansions", |_| {})
            .asks(shell)
            .ordinary_too(),
        Case::new("tools-that-are-none", |_| {}).asks(odd_tools),
        Case::new("arguments-that-are-none", |_| {}).asks(odd_arguments),
        Case::new("a-call-of-nothing", |_| {})
            .asks(|_| vec![call("", json!({}))])
            .fails("malformed tool call"),
        Case::new("every-denied-tool", |_| {})
            .asks(denied)
            .ordinary_too(),
        Case::new("calls-as-text", |_| {})
            .reply(written)
            .ordinary_too(),
    ]
}

/// With the shell allowed, back-ticks inside an expansion and in a here-document once ran.
fn shell(plot: &Plot) -> Vec<conductor_tests::scripted::ToolCall> {
    let touch = plot.touch();
    [
        format!("echo ${{x:-`{touch}`}}"),
        format!("cat <<E\n`{touch}`\nE"),
        format!("echo $({touch})"),
        format!("cat <({touch})"),
        format!("git status; {touch}"),
        format!("git -c core.pager='{touch}' log"),
        "printenv".to_owned(),
        format!("ls\n{touch}"),
    ]
    .into_iter()
    .map(|command| {
        call(
            "run_shell_command",
            json!({"command": command, "is_background": true}),
        )
    })
    .collect()
}

fn odd_tools(plot: &Plot) -> Vec<conductor_tests::scripted::ToolCall> {
    let write = json!({"file_path": plot.canary(), "content": "x"});
    let calls = [
        "write_file ",
        "Write_File",
        "WriteFile",
        "write-file",
        "functions.write_file",
        "../write_file",
        "__proto__",
        "constructor",
        "toString",
        "structured_output",
        "replace",
        "Bash",
        "read_file\u{0}write_file",
        "mcp__x__y",
    ]
    .map(|name| call(name, write.clone()));
    calls.into()
}

/// Arguments that are none.
fn odd_arguments(plot: &Plot) -> Vec<conductor_tests::scripted::ToolCall> {
    let mut calls = Vec::new();
    for arguments in [
        Value::Null,
        json!([]),
        json!("write"),
        json!(7),
        json!({"__proto__": {"file_path": plot.canary()}}),
        json!({"file_path": {"toString": plot.canary()}}),
    ] {
        calls.push(call("write_file", arguments.clone()));
        calls.push(call("read_file", arguments));
    }
    calls
}

/// Whatever qwen has by any name, with arguments that would do.
fn denied(plot: &Plot) -> Vec<conductor_tests::scripted::ToolCall> {
    let canary = plot.canary();
    let command = plot.touch();
    vec![
        call(
            "notebook_edit",
            json!({"notebook_path": canary.with_extension("ipynb"), "new_source": "x", "edit_mode": "insert", "cell_type": "code"}),
        ),
        call("exit_worktree", json!({"action": "remove"})),
        call("skill", json!({"skill": "review"})),
        call("tool_search", json!({"query": "select:write_file"})),
        call(
            "tool_call",
            json!({"name": "enter_worktree", "arguments": {"name": "x"}}),
        ),
        call(
            "cron_create",
            json!({"cron": "* * * * *", "prompt": command}),
        ),
        call("cron_list", json!({})),
        call("cron_delete", json!({"id": "x"})),
        call("loop_wakeup", json!({"delaySeconds": 1, "prompt": command})),
        call(
            "record_artifact",
            json!({"workspacePath": "README.md", "title": "x"}),
        ),
        call("report_findings", json!({"findings": []})),
        call("send_message", json!({"to": "x", "message": command})),
        call("task_stop", json!({"task_id": "x"})),
        call("list_agents", json!({})),
        call(
            "read_mcp_resource",
            json!({"server": "x", "uri": "file:///etc/passwd"}),
        ),
        call("get_goal", json!({})),
        call("update_goal", json!({"status": "complete"})),
        call("zoom_image", json!({"file_path": plot.secret()})),
        call(
            "todo_write",
            json!({"todos": [{"id": "1", "content": "x", "status": "pending"}]}),
        ),
        call("web_search", json!({"query": plot.url()})),
        call("save_memory", json!({"fact": "x"})),
        call("lsp", json!({"operation": "hover"})),
    ]
}

/// Calls that a model only writes down: nobody makes them.
fn written(plot: &Plot) -> String {
    let touch = plot.touch();
    let call = json!({"name": "run_shell_command", "arguments": {"command": touch}});
    format!(
        "{REPLY}\n\n<tool_call>\n{call}\n</tool_call>\n\n<function=run_shell_command>\n<parameter=command>{touch}</parameter>\n\
         </function>\n\n<invoke name=\"write_file\"><parameter name=\"file_path\">{}</parameter></invoke>\n\n{REPLY}\n",
        plot.canary().display()
    )
}
